//! Ids as people know them: "standup", "ada". Checked once, here; whoever holds one need not check.

use std::fmt;

use crate::limits::ID_BYTES;
use crate::status::Failure;

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $field:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// From the bare id.
            ///
            /// # Errors
            /// It is empty, too long, reserved, or has a character that ids do not have.
            pub fn new(id: impl Into<String>) -> Result<Self, Failure> {
                let id = id.into();
                check_id(&id).map_err(|why| Failure::field($field, why))?;
                Ok(Self(id))
            }

            /// The bare id.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

name! {
    /// A room's id.
    RoomName, "room"
}
name! {
    /// A participant's id within its room.
    ParticipantName, "participant"
}

/// 1-128 of `A-Z a-z 0-9 . _ ~ @ : + = -`; `-` alone means "all".
fn check_id(id: &str) -> Result<(), &'static str> {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"._~@:+=-".contains(&byte);
    if id.is_empty() {
        return Err("must not be empty");
    }
    if id.len() > ID_BYTES {
        return Err("at most 128 characters");
    }
    if id == "-" {
        return Err("\"-\" alone is reserved");
    }
    if !id.bytes().all(known) {
        return Err("only A-Z a-z 0-9 . _ ~ @ : + = - are allowed");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_keep_to_their_alphabet() {
        for (id, good) in [
            ("standup", true),
            ("a", true),
            ("Ada.L_~@:+=-9", true),
            ("--", true),
            ("", false),
            ("-", false),
            ("a/b", false),
            ("a b", false),
            ("é", false),
        ] {
            assert_eq!(RoomName::new(id).is_ok(), good, "{id:?}");
            assert_eq!(ParticipantName::new(id).is_ok(), good, "{id:?}");
        }
        assert!(RoomName::new("a".repeat(128)).is_ok());
        assert!(RoomName::new("a".repeat(129)).is_err());
    }
}
