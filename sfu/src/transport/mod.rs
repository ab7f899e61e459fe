//! One remote host: ICE, DTLS, SRTP, SCTP. Knows nothing of tracks.
//!
//! | file | what it is |
//! |---|---|
//! | [`identity`] | the certificate all transports of a node share |

pub mod identity;

pub use identity::Identity;
