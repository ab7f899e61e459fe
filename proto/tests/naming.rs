//! The conventions of the API, over the descriptor set: names, shapes, comments.

use std::collections::BTreeSet;
use std::path::Path;

use prost::Message as _;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto,
    FileDescriptorSet, MethodDescriptorProto,
};

/// Every file of `plenum/v1`, with its comments.
fn files() -> Vec<FileDescriptorProto> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = std::fs::read_dir(root.join("plenum/v1")).unwrap();
    let mut names: Vec<_> = folder.map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    let mut compiler = protox::Compiler::new([root]).unwrap();
    compiler.include_source_info(true).include_imports(false);
    compiler
        .open_files(names.iter().map(|name| Path::new("plenum/v1").join(name)))
        .unwrap();
    let files = compiler.file_descriptor_set().file;
    files
        .into_iter()
        .filter(|file| file.package() == "plenum.v1")
        .collect()
}

/// Everything that is wrong, in one go.
#[derive(Default)]
struct Complaints(Vec<String>);

impl Complaints {
    fn unless(&mut self, good: bool, complaint: impl FnOnce() -> String) {
        if !good {
            self.0.push(complaint());
        }
    }

    fn none(self) {
        assert!(self.0.is_empty(), "{}", self.0.join("\n"));
    }
}

/// All messages of a file, nested ones too, with their names. Entries of maps are no messages of
/// ours.
fn messages(file: &FileDescriptorProto) -> Vec<(String, DescriptorProto)> {
    let mut found = Vec::new();
    let mut open: Vec<_> = file
        .message_type
        .iter()
        .map(|message| (message.name().to_owned(), message.clone()))
        .collect();
    while let Some((name, message)) = open.pop() {
        let nested = message.nested_type.iter();
        let nested =
            nested.filter(|nested| !nested.options.as_ref().is_some_and(|it| it.map_entry()));
        open.extend(nested.map(|nested| (format!("{name}.{}", nested.name()), nested.clone())));
        found.push((name, message));
    }
    found
}

fn enums(file: &FileDescriptorProto) -> Vec<EnumDescriptorProto> {
    let nested = messages(file).into_iter();
    let nested = nested.flat_map(|(_, message)| message.enum_type);
    file.enum_type.iter().cloned().chain(nested).collect()
}

fn methods(files: &[FileDescriptorProto]) -> Vec<MethodDescriptorProto> {
    let services = files.iter().flat_map(|file| file.service.clone());
    services.flat_map(|service| service.method).collect()
}

fn message(files: &[FileDescriptorProto], full_name: &str) -> Option<DescriptorProto> {
    let name = full_name.strip_prefix(".plenum.v1.")?;
    let mut all = files.iter().flat_map(|file| file.message_type.iter());
    all.find(|message| message.name() == name).cloned()
}

fn is_map(message: &DescriptorProto, field: &FieldDescriptorProto) -> bool {
    let entry = field.type_name().rsplit('.').next();
    message.nested_type.iter().any(|nested| {
        Some(nested.name()) == entry && nested.options.as_ref().is_some_and(|it| it.map_entry())
    })
}

fn screaming(name: &str) -> String {
    let mut out = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.push(letter.to_ascii_uppercase());
    }
    out
}

/// The first word of `CreateRoom`, and the rest.
fn verb(method: &str) -> (&str, &str) {
    let end = method
        .char_indices()
        .skip(1)
        .find(|(_, it)| it.is_ascii_uppercase());
    method.split_at(end.map_or(method.len(), |(at, _)| at))
}

#[test]
fn every_service_stands_in_its_file_and_every_file_is_compiled_in() {
    let (files, mut complaints) = (files(), Complaints::default());
    assert_eq!(
        files.iter().map(|file| file.service.len()).sum::<usize>(),
        13
    );
    let committed = FileDescriptorSet::decode(proto::DESCRIPTORS).unwrap();
    for file in &files {
        let name = file.name();
        complaints.unless(file.service.len() == 1, || {
            format!("{name}: one service per file")
        });
        for service in &file.service {
            let stem = name
                .trim_start_matches("plenum/v1/")
                .trim_end_matches(".proto");
            let expected = format!("{}_SERVICE", stem.to_ascii_uppercase());
            complaints.unless(screaming(service.name()) == expected, || {
                format!("{name}: {} is named as its file", service.name())
            });
        }
        complaints.unless(committed.file.iter().any(|it| it.name() == name), || {
            format!("{name} is not in the descriptors: add it to FILES in generate.rs")
        });
    }
    complaints.none();
}

#[test]
fn a_method_is_a_verb_and_a_resource_and_has_its_own_request() {
    const VERBS: [&str; 27] = [
        "Add",
        "Admit",
        "Capture",
        "Create",
        "Delete",
        "Drain",
        "Generate",
        "Get",
        "Issue",
        "List",
        "Move",
        "Negotiate",
        "Pause",
        "Redeliver",
        "Remove",
        "Request",
        "Restart",
        "Resume",
        "Revoke",
        "Send",
        "Set",
        "Start",
        "Stop",
        "Test",
        "Undrain",
        "Unpublish",
        "Update",
    ];
    let (files, mut complaints) = (files(), Complaints::default());
    for method in methods(&files) {
        let (name, (verb, resource)) = (method.name(), verb(method.name()));
        complaints.unless(VERBS.contains(&verb) || verb == "Watch", || {
            format!("{name}: what verb is that?")
        });
        complaints.unless(!resource.is_empty(), || format!("{name}: of what?"));
        let request = format!(".plenum.v1.{name}Request");
        complaints.unless(method.input_type() == request, || {
            format!("{name} takes {name}Request")
        });
        let answer = method.output_type();
        let own = format!(".plenum.v1.{name}Response");
        let good = match verb {
            "Get" | "Create" => answer == format!(".plenum.v1.{resource}"),
            "Delete" => answer == ".google.protobuf.Empty",
            "List" => answer == own,
            "Update" => answer == format!(".plenum.v1.{resource}") || answer == own,
            _ => {
                answer == own || answer == ".google.protobuf.Empty" || !answer.ends_with("Response")
            }
        };
        complaints.unless(good, || format!("{name} answers {answer}"));
        let streams = verb == "Watch" || verb == "Capture";
        complaints.unless(
            method.server_streaming() == streams && !method.client_streaming(),
            || format!("{name}: who streams?"),
        );
    }
    complaints.none();
}

#[test]
fn a_list_has_pages_and_an_update_has_a_mask() {
    let (files, mut complaints) = (files(), Complaints::default());
    for method in methods(&files) {
        let (name, (verb, resource)) = (method.name(), verb(method.name()));
        let request = message(&files, method.input_type()).unwrap();
        let has = |message: &DescriptorProto, field: &str, kind: Type| {
            let mut fields = message.field.iter();
            fields.any(|it| it.name() == field && it.r#type() == kind)
        };
        // Layouts are a handful, built in.
        if verb == "List" && name != "ListLayouts" {
            let response = message(&files, method.output_type()).unwrap();
            let good = has(&request, "page_size", Type::Int32)
                && has(&request, "page_token", Type::String)
                && has(&response, "next_page_token", Type::String);
            complaints.unless(good, || format!("{name} has pages"));
            let first = response.field.first().cloned().unwrap_or_default();
            let plural = screaming(resource).to_ascii_lowercase();
            complaints.unless(
                first.label() == Label::Repeated && first.name() == plural,
                || format!("{name} answers {plural} first"),
            );
        }
        // UpdateSubscriptions is declarative over many.
        if verb == "Update" && name != "UpdateSubscriptions" {
            complaints.unless(has(&request, "update_mask", Type::Message), || {
                format!("{name} has an update_mask")
            });
        }
        if verb == "Get" && !request.field.is_empty() {
            complaints.unless(has(&request, "name", Type::String), || {
                format!("{name} asks by name")
            });
        }
    }
    complaints.none();
}

#[test]
fn the_zero_of_an_enum_is_unspecified() {
    let mut complaints = Complaints::default();
    for file in &files() {
        for kind in enums(file) {
            let first = kind.value.first().cloned().unwrap_or_default();
            let expected = format!("{}_UNSPECIFIED", screaming(kind.name()));
            complaints.unless(first.name() == expected && first.number() == 0, || {
                format!("{}: {expected} is its zero", kind.name())
            });
            let shouted = |name: &str| name == name.to_ascii_uppercase();
            complaints.unless(kind.value.iter().all(|value| shouted(value.name())), || {
                format!("{}: values are UPPER_CASE", kind.name())
            });
        }
    }
    complaints.none();
}

#[test]
fn fields_are_named_by_number_unit_and_time() {
    const PREPOSITIONS: [&str; 12] = [
        "after", "at", "before", "by", "for", "from", "in", "of", "on", "since", "to", "with",
    ];
    // Whole numbers of things, and words that end in s by nature.
    const SINGULAR_IN_S: [&str; 6] = ["bps", "kbps", "status", "address", "fps", "ms"];
    // Names of W3C webrtc-stats, and a message that is a choice of tracks.
    const KEPT: [&str; 4] = [
        "ParticipantStats.inbound",
        "ParticipantStats.outbound",
        "ParticipantStats.round_trip_time",
        "Recording.tracks",
    ];
    let mut complaints = Complaints::default();
    for file in &files() {
        for (owner, message) in messages(file) {
            for field in &message.field {
                let name = field.name();
                let place = format!("{owner}.{name}");
                if KEPT.contains(&place.as_str()) {
                    continue;
                }
                let mut words = name.split('_');
                complaints.unless(name == name.to_ascii_lowercase(), || {
                    format!("{place}: snake_case")
                });
                complaints.unless(words.all(|word| !PREPOSITIONS.contains(&word)), || {
                    format!("{place}: no prepositions")
                });
                let is = |kind: &str| field.type_name() == format!(".google.protobuf.{kind}");
                let time = name == "time" || name.ends_with("_time") || name.ends_with("_time_max");
                complaints.unless(is("Timestamp") == time, || {
                    format!("{place}: a Timestamp is a …_time")
                });
                let last = name.split('_').next_back().unwrap_or_default();
                let plural = last.ends_with('s') && !SINGULAR_IN_S.contains(&last);
                // A map's name may end in the unit of its values.
                let many = field.label() == Label::Repeated && !is_map(&message, field);
                if many {
                    complaints.unless(plural, || format!("{place}: many are in the plural"));
                } else if field.r#type() == Type::Message && !is_map(&message, field) {
                    complaints.unless(!plural || field.type_name().ends_with('s'), || {
                        format!("{place}: one is in the singular")
                    });
                }
            }
        }
    }
    complaints.none();
}

/// Places in a file that must have a comment, as paths of `descriptor.proto`.
fn places(file: &FileDescriptorProto) -> Vec<(String, Vec<i32>)> {
    let mut found = Vec::new();
    let number = |index: usize| i32::try_from(index).unwrap();
    for (i, service) in file.service.iter().enumerate() {
        found.push((service.name().to_owned(), vec![6, number(i)]));
        for (j, method) in service.method.iter().enumerate() {
            found.push((method.name().to_owned(), vec![6, number(i), 2, number(j)]));
        }
    }
    let of_enum = |kind: &EnumDescriptorProto, path: Vec<i32>, found: &mut Vec<_>| {
        for (j, value) in kind.value.iter().enumerate() {
            let path = [&path[..], &[2, number(j)]].concat();
            found.push((format!("{}.{}", kind.name(), value.name()), path));
        }
        found.push((kind.name().to_owned(), path));
    };
    for (i, kind) in file.enum_type.iter().enumerate() {
        of_enum(kind, vec![5, number(i)], &mut found);
    }
    let tops = file.message_type.iter().enumerate();
    let mut open: Vec<_> = tops
        .map(|(i, it)| (it.clone(), vec![4, number(i)]))
        .collect();
    while let Some((message, path)) = open.pop() {
        if message.options.as_ref().is_some_and(|it| it.map_entry()) {
            continue;
        }
        for (j, field) in message.field.iter().enumerate() {
            let path = [&path[..], &[2, number(j)]].concat();
            found.push((format!("{}.{}", message.name(), field.name()), path));
        }
        for (j, kind) in message.enum_type.iter().enumerate() {
            of_enum(kind, [&path[..], &[4, number(j)]].concat(), &mut found);
        }
        let nested = message.nested_type.iter().enumerate();
        open.extend(nested.map(|(j, it)| (it.clone(), [&path[..], &[3, number(j)]].concat())));
        found.push((message.name().to_owned(), path));
    }
    found
}

#[test]
fn everything_has_a_comment() {
    let mut complaints = Complaints::default();
    for file in &files() {
        let locations = &file.source_code_info.as_ref().unwrap().location;
        let commented: BTreeSet<_> = locations
            .iter()
            .filter(|it| !it.leading_comments().trim().is_empty())
            .map(|it| it.path.clone())
            .collect();
        for (name, path) in places(file) {
            complaints.unless(commented.contains(&path), || {
                format!("{}: {name} has no comment", file.name())
            });
        }
    }
    complaints.none();
}
