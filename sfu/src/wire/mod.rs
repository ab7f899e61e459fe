//! Bytes to values and back: no state, never panics, every file fuzzed.
//!
//! | file | what it is |
//! |---|---|
//! | [`demux`] | STUN, DTLS, RTP or RTCP by first byte |
//! | [`stun`] | STUN messages, integrity, fingerprint |
//! | `bytes` | a cursor that reads and one that writes; neither can leave its slice |
//! | [`sequence`] | 16 and 32 bit counters unwrapped to 64 bits |
//! | [`rtp`] | an RTP packet as a view; its header written |
//! | [`template`] | a header that is written once and then filled in |
//! | [`extension`] | RTP header extensions by negotiated id |
//! | [`dependency_descriptor`] | which frames a frame depends on, and which decode targets need it |
//! | [`rtcp`] | RTCP compounds taken apart and put together |
//! | [`feedback`] | NACK, PLI, FIR, REMB |
//! | [`twcc`] | transport-wide feedback, read and written |
//! | [`ccfb`] | congestion control feedback by SSRC, read and written |
//! | [`port`] | `PortMessage` and its one versioned binary form |
//! | [`payload`] | what a payload says of itself: key frame, layer |

pub(crate) mod bytes;
pub mod ccfb;
pub mod demux;
pub mod dependency_descriptor;
pub mod extension;
pub mod feedback;
pub mod payload;
pub mod port;
pub mod rtcp;
pub mod rtp;
pub mod sequence;
pub mod stun;
pub mod template;
pub mod twcc;
