//! Messages by their descriptors, without their Rust types: whether bytes are one, what its
//! `request_id` says, and one form for all encodings of it.
//!
//! Encoders write fields and entries of maps in any order, so a repeat of a call may differ in bytes
//! and be the same; its one form has both in order.

use std::collections::HashMap;

use prost_types::field_descriptor_proto::Type;
use prost_types::{DescriptorProto, FileDescriptorSet};

use crate::limits::MESSAGE_DEPTH;

/// What a field's bytes are.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    /// Numbers, bytes.
    Plain,
    /// UTF-8.
    Text,
    /// A message of that name.
    Message(String),
    /// Entries of a map, of that name.
    Map(String),
}

/// Every message of the contract.
#[derive(Debug, Default)]
pub(crate) struct Shapes(HashMap<String, HashMap<u32, Kind>>);

/// One field as it was sent.
struct Field<'a> {
    number: u32,
    wire: u8,
    value: &'a [u8],
}

impl Shapes {
    /// Of all files of the set.
    pub(crate) fn new(set: &FileDescriptorSet) -> Self {
        let mut open: Vec<(String, &DescriptorProto)> = Vec::new();
        for file in &set.file {
            let tops = file.message_type.iter();
            open.extend(tops.map(|top| (format!(".{}.{}", file.package(), top.name()), top)));
        }
        let mut found = Vec::new();
        while let Some((name, message)) = open.pop() {
            let nested = message.nested_type.iter();
            open.extend(nested.map(|nested| (format!("{name}.{}", nested.name()), nested)));
            found.push((name, message));
        }
        let entry = |message: &DescriptorProto| {
            let options = message.options.as_ref();
            options.is_some_and(prost_types::MessageOptions::map_entry)
        };
        let maps = found.iter().filter(|(_, message)| entry(message));
        let maps: Vec<&str> = maps.map(|(name, _)| name.as_str()).collect();
        let shape = |message: &DescriptorProto| {
            let fields = message.field.iter().map(|field| {
                let (kind, name) = (field.r#type(), field.type_name().to_owned());
                let kind = if kind == Type::String {
                    Kind::Text
                } else if kind != Type::Message {
                    Kind::Plain
                } else if maps.contains(&name.as_str()) {
                    Kind::Map(name)
                } else {
                    Kind::Message(name)
                };
                (u32::try_from(field.number()).unwrap_or_default(), kind)
            });
            fields.collect()
        };
        let shapes = found.iter().map(|(name, it)| (name.clone(), shape(it)));
        Self(shapes.collect())
    }

    /// The one form of a message; none: these bytes are no such message.
    pub(crate) fn canonical(&self, name: &str, bytes: &[u8]) -> Option<Vec<u8>> {
        self.canonical_below(name, bytes, MESSAGE_DEPTH)
    }

    fn canonical_below(&self, name: &str, bytes: &[u8], depth: usize) -> Option<Vec<u8>> {
        let depth = depth.checked_sub(1)?;
        let shape = self.0.get(name)?;
        let mut written: Vec<(u32, bool, Vec<u8>)> = Vec::new();
        let mut rest = bytes;
        while !rest.is_empty() {
            let field = next(&mut rest)?;
            let kind = shape.get(&field.number).unwrap_or(&Kind::Plain);
            let inner;
            let mut value = field.value;
            match kind {
                Kind::Text if field.wire == 2 => drop(std::str::from_utf8(value).ok()?),
                Kind::Message(name) | Kind::Map(name) if field.wire == 2 => {
                    inner = self.canonical_below(name, value, depth)?;
                    value = &inner;
                }
                Kind::Plain => {}
                // A length is expected and something else was sent.
                Kind::Text | Kind::Message(_) | Kind::Map(_) => return None,
            }
            let mut out = Vec::with_capacity(value.len() + 8);
            put(
                &mut out,
                u64::from(field.number) << 3 | u64::from(field.wire),
            );
            if field.wire == 2 {
                put(&mut out, u64::try_from(value.len()).ok()?);
            }
            out.extend_from_slice(value);
            written.push((field.number, matches!(kind, Kind::Map(_)), out));
        }
        // Repeated fields keep their order; entries of a map have none.
        written.sort_by(|a, b| {
            let entries = if a.1 && b.1 {
                a.2.cmp(&b.2)
            } else {
                std::cmp::Ordering::Equal
            };
            a.0.cmp(&b.0).then(entries)
        });
        Some(
            written
                .into_iter()
                .flat_map(|(_, _, bytes)| bytes)
                .collect(),
        )
    }
}

/// The text of a field of a message; empty where it is not set. The last one counts.
pub(crate) fn text(bytes: &[u8], number: u32) -> Option<&str> {
    let (mut found, mut rest) = ("", bytes);
    while !rest.is_empty() {
        let field = next(&mut rest)?;
        if field.number == number && field.wire == 2 {
            found = std::str::from_utf8(field.value).ok()?;
        }
    }
    Some(found)
}

fn next<'a>(rest: &mut &'a [u8]) -> Option<Field<'a>> {
    let tag = u32::try_from(varint(rest)?.0).ok()?;
    let (number, wire) = (tag >> 3, u8::try_from(tag & 7).ok()?);
    let length = match wire {
        0 => varint(&mut { *rest })?.1,
        1 => 8,
        2 => usize::try_from(varint(rest)?.0).ok()?,
        5 => 4,
        // Groups are not of proto3.
        _ => return None,
    };
    let (value, after) = rest.split_at_checked(length)?;
    *rest = after;
    (number > 0).then_some(Field {
        number,
        wire,
        value,
    })
}

/// A number and how many bytes it took.
fn varint(rest: &mut &[u8]) -> Option<(u64, usize)> {
    let mut value = 0_u64;
    for index in 0..10 {
        let (&byte, after) = rest.split_first()?;
        *rest = after;
        value |= u64::from(byte & 0x7f).checked_shl(7 * index)?;
        if byte < 0x80 {
            return Some((value, usize::try_from(index).ok()? + 1));
        }
    }
    None
}

fn put(out: &mut Vec<u8>, mut value: u64) {
    loop {
        let low = u8::try_from(value & 0x7f).unwrap_or_default();
        value >>= 7;
        out.push(if value == 0 { low } else { low | 0x80 });
        if value == 0 {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;
    use proto::v1;

    use super::super::methods::METHODS;
    use super::*;

    fn canonical(name: &str, bytes: &[u8]) -> Option<Vec<u8>> {
        METHODS
            .shapes
            .canonical(&format!(".plenum.v1.{name}"), bytes)
    }

    #[test]
    fn the_one_form_is_the_same_message() {
        let mut room = v1::Room {
            name: "rooms/standup".into(),
            metadata: "é".repeat(300),
            config: Some(v1::RoomConfig {
                participants_max: Some(-1),
                codecs: vec!["video/VP8".into(), "audio/opus".into()],
                ..v1::RoomConfig::default()
            }),
            ..v1::Room::default()
        };
        for key in 0..20 {
            room.labels.insert(format!("key{key}"), "value".into());
        }
        let request = v1::CreateRoomRequest {
            room_id: "standup".into(),
            room: Some(room),
            request_id: "once".into(),
        };
        let bytes = request.encode_to_vec();
        let form = canonical("CreateRoomRequest", &bytes).unwrap();
        assert_eq!(v1::CreateRoomRequest::decode(&form[..]).unwrap(), request);
        assert_eq!(text(&bytes, 3), Some("once"));
        assert_eq!(text(&bytes, 9), Some(""));
        // A map of its own writes its entries in an order of its own.
        for _ in 0..8 {
            let mut again = request.clone();
            let labels = &mut again.room.as_mut().unwrap().labels;
            *labels = labels.clone().into_iter().collect();
            let again = canonical("CreateRoomRequest", &again.encode_to_vec()).unwrap();
            assert_eq!(again, form);
        }
        let mut other = request;
        other
            .room
            .as_mut()
            .unwrap()
            .config
            .as_mut()
            .unwrap()
            .codecs
            .reverse();
        let other = canonical("CreateRoomRequest", &other.encode_to_vec()).unwrap();
        assert_ne!(other, form);
    }

    #[test]
    fn bytes_that_are_no_message_have_no_form() {
        for bytes in [
            &b"\x0a"[..],                                    // a length is missing
            b"\x0a\x05ab",                                   // cut short
            b"\x0a\x02\xff\xff",                             // no UTF-8
            b"\x08\x01",                                     // a number where text is meant
            b"\x00\x01",                                     // field 0
            b"\x0b",                                         // a group
            b"\x12\x02\x0a\x05",                             // cut short below
            b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", // no number ends
        ] {
            assert_eq!(canonical("CreateRoomRequest", bytes), None, "{bytes:?}");
        }
        // What is not known is kept.
        assert_eq!(
            canonical("GetRoomRequest", b"\x78\x01").unwrap(),
            b"\x78\x01"
        );
        assert_eq!(canonical("GetRoomRequest", b"").unwrap(), b"");
    }
}
