//! The MCU: mixing and recording. Not built yet; this is where its rooms will stand.
//!
//! | file | what it will be |
//! |---|---|
//! | `jitter` | packets to frames in play-out order |
//! | `depacketize`, `packetize` | RTP payload to frame and back (Opus, VP8, H264) |
//! | `audio`, `video`, `layout`, `scale` | everyone minus oneself; one picture of many |
//! | `mix` | port messages in and out, one 20 ms tick; pure |
//! | `recording`, `matroska` | port messages in, container bytes out; pure |
//! | `codec` | decoders and encoders: the only `unsafe` of the house |
//! | `worker` | mixes in a child process without network or files |
//!
//! It meets the media plane through ports only: `sfu::wire::port::PortMessage`.
