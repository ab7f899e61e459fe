//! Names of things, one newtype each, so that a track id never stands where a room id belongs.
//!
//! Ids given by the outside are 64-bit numbers unique in the process (`control-api` keeps the
//! people's names for them); keys are places in a room's tables and never leave the shard.

use std::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:x}", self.0)
            }
        }
    };
}

macro_rules! key {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u32);

        impl $name {
            /// The place in its slab.
            #[must_use]
            pub const fn index(self) -> usize {
                self.0 as usize
            }

            /// From a place in a slab; slabs are bounded far below 2^32 by `limits.rs`.
            #[must_use]
            pub fn from_index(index: usize) -> Self {
                Self(u32::try_from(index).unwrap_or(u32::MAX))
            }
        }
    };
}

id! {
    /// A room, as the API sees it. Drawn by the caller, one for each incarnation of a room.
    RoomId
}
id! {
    /// A member of a room. Drawn by the caller, one for each join.
    ParticipantId
}
id! {
    /// One published audio or video source. Drawn by the shard when an m-line starts to send.
    TrackId
}
id! {
    /// A door for plaintext media. Drawn by the caller.
    PortId
}

key! {
    /// A room's place in the shard.
    RoomKey
}
key! {
    /// A participant's place in its room: the same in the router and among the transports.
    MemberKey
}
key! {
    /// A track's place in its router.
    TrackKey
}
key! {
    /// An encoding's place in its router.
    EncodingKey
}
key! {
    /// An outgoing m-line's place in its router.
    SectionKey
}

/// One participant's wish for one track: the pair is the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubscriptionId {
    /// Who wishes.
    pub participant: ParticipantId,
    /// For what.
    pub track: TrackId,
}

macro_rules! token {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(arrayvec::ArrayString<16>);

        impl $name {
            /// None where it is empty, longer than 16 bytes (what a one-byte header extension
            /// holds, RFC 8285 §4.2), or not an RFC 8866 token.
            #[must_use]
            pub fn new(text: &str) -> Option<Self> {
                let token = |byte: u8| byte.is_ascii_graphic() && !br#""(),/:;<=>?@[\]"#.contains(&byte);
                if text.is_empty() || !text.bytes().all(token) {
                    return None;
                }
                arrayvec::ArrayString::from(text).ok().map(Self)
            }

            /// The text itself.
            #[must_use]
            pub fn as_str(&self) -> &str {
                self.0.as_str()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.0.as_str())
            }
        }
    };
}

token! {
    /// An m-line's identification tag (RFC 5888 §4).
    Mid
}
token! {
    /// An RTP stream's identification within an m-line (RFC 8852 §3.1).
    Rid
}
