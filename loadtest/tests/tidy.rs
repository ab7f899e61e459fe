//! The rules of style that no lint knows: who may import whom, how long a file may be, that no file
//! is forgotten, which names say nothing. Each rule is a function over the house's text, and each
//! is shown to find a planted fault.

use support::{House, Rule};

const RULES: &[(&str, Rule)] = &[
    ("inside sfu a folder imports lower ranks only", rules::ranks),
    ("crates import each other in one direction", rules::crates),
    ("sfu names no door and no codec", rules::foreign_names),
    ("no file is longer than 800 lines", rules::length),
    ("every Rust file is reached by a mod", rules::orphans),
    ("every file's name says what is in it", rules::names),
    ("no file knows a machine's paths", rules::machine_paths),
    (
        "every Rust file starts with what it is",
        rules::introductions,
    ),
];

#[test]
fn the_house_is_tidy() {
    let house = House::of_this_repository();
    assert!(house.files.len() > 40, "the house was not found");
    let faults: Vec<String> = RULES
        .iter()
        .flat_map(|(sentence, rule)| {
            let faults = rule(&house).into_iter();
            faults.map(move |fault| format!("{sentence}: {fault}"))
        })
        .collect();
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn each_rule_finds_its_planted_fault() {
    let long = format!("//! Long.\n{}", "\n".repeat(800));
    let path = ["//! See ", "/ro", "ot/notes.\n"].concat();
    let planted: &[(Rule, &str, &str)] = &[
        (
            rules::ranks,
            "sfu/src/wire/a.rs",
            "use crate::sdp::Section;",
        ),
        (
            rules::ranks,
            "sfu/src/wire/a.rs",
            "use crate::{id::Mid, shard};",
        ),
        (
            rules::ranks,
            "sfu/src/router/a.rs",
            "use crate::transport::Transport;",
        ),
        (
            rules::ranks,
            "sfu/src/transport/ice/a.rs",
            "use super::super::super::router::Router;",
        ),
        (
            rules::ranks,
            "sfu/src/wheel.rs",
            "fn f() { crate::wire::demux::class(1); }",
        ),
        (
            rules::crates,
            "mixer/Cargo.toml",
            "[dependencies]\ncontrol-api = { workspace = true }",
        ),
        (
            rules::crates,
            "control-api/Cargo.toml",
            "[dependencies]\nloadtest = { workspace = true }",
        ),
        (
            rules::crates,
            "mixer/Cargo.toml",
            "[dependencies]\nsfu = { workspace = true, features = [\"engine\"] }",
        ),
        (
            rules::foreign_names,
            "sfu/src/shard/a.rs",
            "use tonic::Status;",
        ),
        (
            rules::foreign_names,
            "sfu/src/shard/a.rs",
            "fn f(x: proto::Room) {}",
        ),
        (
            rules::foreign_names,
            "sfu/Cargo.toml",
            "[dependencies]\nprost = { workspace = true }",
        ),
        (rules::length, "web/page/a.js", &long),
        (rules::orphans, "sfu/src/wire/a.rs", "//! Forgotten."),
        (rules::names, "web/page/utils.js", ""),
        (rules::names, "mixer/src/common/mod.rs", ""),
        (rules::machine_paths, "ARCHITECTURE.md", &path),
        (rules::introductions, "sfu/src/wire/a.rs", "use std::fmt;"),
    ];
    for (rule, path, text) in planted {
        let faults = rule(&House::planted(&[(path, text)]));
        assert_eq!(faults.len(), 1, "{path}: {text}: {faults:?}");
        assert!(faults[0].starts_with(path), "{faults:?}");
    }
}

#[test]
fn what_is_allowed_is_not_a_fault() {
    let house = House::planted(&[
        (
            "sfu/src/lib.rs",
            "//! Map.\npub mod error;\npub mod id;\npub mod router;\npub mod shard;",
        ),
        (
            "sfu/src/error.rs",
            "//! E.\nuse crate::id::RoomId; // not crate::shard::Shard",
        ),
        (
            "sfu/src/id.rs",
            "//! Ids. A [`crate::shard::Shard`] draws some.",
        ),
        (
            "sfu/src/router/mod.rs",
            "//! R.\nmod a;\n#[cfg(test)]\nmod tests;\nuse sctp_proto::Event;",
        ),
        (
            "sfu/src/router/a.rs",
            "//! A.\nuse crate::{error::DropReason, router::Router};",
        ),
        (
            "sfu/src/router/tests.rs",
            "//! T.\nuse super::super::id::Mid;",
        ),
        ("sfu/src/shard/mod.rs", "//! S.\nuse crate::router::Router;"),
        ("sfu/tests/whole.rs", "//! W."),
        (
            "sfu/Cargo.toml",
            "[dependencies]\nsctp-proto = { workspace = true }",
        ),
        (
            "mixer/Cargo.toml",
            "[dependencies]\nsfu = { workspace = true }",
        ),
    ]);
    for (sentence, rule) in RULES {
        assert_eq!(rule(&house), Vec::<String>::new(), "{sentence}");
    }
}

#[cfg(test)]
mod rules {
    use super::support::{House, code_of, declared_modules, dependencies, identifiers_after};

    const LINES_MAX: usize = 800;

    /// Folders and files of `sfu/src` with a rank above 0 (house.md §2); the others are rank 0.
    const RANKS: &[(&str, u8)] = &[
        ("wire", 1),
        ("sdp", 2),
        ("transport", 3),
        ("router", 3),
        ("shard", 4),
        ("engine", 5),
    ];

    fn rank(room: &str) -> u8 {
        let known = RANKS.iter().find(|(name, _)| *name == room);
        known.map_or(0, |(_, rank)| *rank)
    }

    pub(super) fn ranks(house: &House) -> Vec<String> {
        let mut faults = Vec::new();
        for (path, text) in house.rust("sfu/src/") {
            let inside = path.trim_start_matches("sfu/src/");
            let room = inside.split(['/', '.']).next().unwrap_or_default();
            if room == "lib" {
                continue;
            }
            let code = code_of(text);
            let mut named = identifiers_after(&code, "crate::");
            // A chain of `super` that ends in another folder has left its own.
            let climbed = identifiers_after(&code, "super::").into_iter();
            named.extend(climbed.filter(|name| rank(name) > 0 && *name != room));
            for name in named {
                let upward = rank(&name) >= rank(room) && rank(&name) > 0;
                if name != room && upward {
                    faults.push(format!("{path} imports {name}"));
                }
            }
        }
        faults
    }

    pub(super) fn crates(house: &House) -> Vec<String> {
        const OURS: &[&str] = &["sfu", "mixer", "control-api", "proto", "loadtest"];
        let allowed = |owner: &str| -> &[&str] {
            match owner {
                "mixer" => &["sfu"],
                "control-api" => &["sfu", "mixer", "proto"],
                "loadtest" => OURS,
                _ => &[],
            }
        };
        let mut faults = Vec::new();
        for owner in OURS {
            let path = format!("{owner}/Cargo.toml");
            let text = house.files.get(&path).map_or("", String::as_str);
            for (name, line) in dependencies(text) {
                let ours = OURS.contains(&name) && !allowed(owner).contains(&name);
                let engine = *owner == "mixer" && name == "sfu" && line.contains("engine");
                if ours || engine {
                    faults.push(format!("{path} takes {line}"));
                }
            }
        }
        faults
    }

    pub(super) fn foreign_names(house: &House) -> Vec<String> {
        const FOREIGN: &[&str] = &["proto", "tonic", "prost", "axum", "mixer", "control_api"];
        let mut faults = Vec::new();
        for (path, text) in house.rust("sfu/src/") {
            let code = code_of(text);
            let paths = code.split("::").map(|before| {
                let end = before.rsplit(|c: char| !c.is_alphanumeric() && c != '_');
                end.into_iter().next().unwrap_or_default()
            });
            for name in paths.filter(|name| FOREIGN.contains(name)) {
                faults.push(format!("{path} names {name}"));
            }
        }
        let manifest = house.files.get("sfu/Cargo.toml").map_or("", String::as_str);
        for (name, _) in dependencies(manifest) {
            if FOREIGN.contains(&name.replace('-', "_").as_str()) {
                faults.push(format!("sfu/Cargo.toml takes {name}"));
            }
        }
        faults
    }

    pub(super) fn length(house: &House) -> Vec<String> {
        let counted = |path: &str| {
            let written = [".rs", ".js", ".css", ".html", ".py"];
            written.iter().any(|end| path.ends_with(end)) && !path.starts_with("proto/src/gen/")
        };
        let files = house.files.iter().filter(|(path, _)| counted(path));
        files
            .map(|(path, text)| (path, text.lines().count()))
            .filter(|(_, lines)| *lines > LINES_MAX)
            .map(|(path, lines)| format!("{path} has {lines}"))
            .collect()
    }

    pub(super) fn orphans(house: &House) -> Vec<String> {
        // What cargo starts from: the roots of crates, and each file of its other folders.
        let is_root = |path: &str| {
            let mut parts = path.rsplit('/');
            let (file, folder) = (parts.next(), parts.next().unwrap_or_default());
            let root = matches!(file, Some("lib.rs" | "main.rs" | "build.rs"));
            let each = ["tests", "benches", "examples", "fuzz_targets"];
            root || folder == "bin" || each.contains(&folder) && !path.contains("/src/")
        };
        let mut reached: Vec<String> = house.rust("").map(|(path, _)| path.to_owned()).collect();
        reached.retain(|path| is_root(path));
        let mut next = 0;
        while let Some(path) = reached.get(next).cloned() {
            next += 1;
            let text = house.files.get(&path).map_or("", String::as_str);
            for module in declared_modules(&path, text, is_root(&path)) {
                if house.files.contains_key(&module) && !reached.contains(&module) {
                    reached.push(module);
                }
            }
        }
        let orphan = |path: &str| {
            !reached.iter().any(|known| known == path) && !path.starts_with("proto/src/gen/")
        };
        let rust = house.rust("").filter(|(path, _)| orphan(path));
        rust.map(|(path, _)| format!("{path} is in no mod"))
            .collect()
    }

    pub(super) fn names(house: &House) -> Vec<String> {
        const EMPTY: &[&str] = &[
            "util", "utils", "common", "helper", "helpers", "manager", "managers", "misc", "stuff",
        ];
        let says_nothing = |path: &str| path.split(['/', '.']).any(|part| EMPTY.contains(&part));
        let paths = house.files.keys().filter(|path| says_nothing(path));
        paths.map(|path| format!("{path} says nothing")).collect()
    }

    pub(super) fn machine_paths(house: &House) -> Vec<String> {
        // Put together here, so that this file is no fault itself.
        let folders = ["root", "home", "work", "Users", "tmp"].map(|folder| format!("/{folder}/"));
        let mut faults = Vec::new();
        for (path, text) in &house.files {
            for (number, line) in text.lines().enumerate() {
                let found = folders
                    .iter()
                    .filter_map(|folder| line.find(folder.as_str()));
                // Part of a longer path or an address is something else.
                let alone = |at: usize| {
                    let before = line.get(..at).and_then(|start| start.chars().next_back());
                    !before.is_some_and(|c| c.is_alphanumeric() || "./}])*_-".contains(c))
                };
                if found.into_iter().any(alone) {
                    faults.push(format!("{path}:{} {}", number + 1, line.trim()));
                }
            }
        }
        faults
    }

    pub(super) fn introductions(house: &House) -> Vec<String> {
        // Before it there may be attributes of the whole file, nothing else.
        let starts = |text: &str| {
            let mut lines = text.lines().map(str::trim);
            let introduced = |line: &str| line.starts_with("//!") || line.starts_with("use ");
            lines
                .find(|line| introduced(line))
                .is_some_and(|line| line.starts_with("//!"))
        };
        let silent = |path: &str, text: &str| !starts(text) && !path.starts_with("proto/src/gen/");
        let rust = house.rust("").filter(|(path, text)| silent(path, text));
        rust.map(|(path, _)| format!("{path} starts without //!"))
            .collect()
    }
}

#[cfg(test)]
mod support {
    use std::collections::BTreeMap;
    use std::fs;
    use std::path::Path;

    pub(super) type Rule = fn(&House) -> Vec<String>;

    /// Files that are text, by their path from the top.
    pub(super) struct House {
        pub(super) files: BTreeMap<String, String>,
    }

    impl House {
        pub(super) fn of_this_repository() -> Self {
            let top = Path::new(env!("CARGO_MANIFEST_DIR"));
            let top = top.parent().expect("the crate is in a workspace");
            let mut files = BTreeMap::new();
            read_folder(top, "", &mut files);
            Self { files }
        }

        pub(super) fn planted(files: &[(&str, &str)]) -> Self {
            let owned = |(path, text): &(&str, &str)| ((*path).to_owned(), (*text).to_owned());
            Self {
                files: files.iter().map(owned).collect(),
            }
        }

        pub(super) fn rust<'a>(
            &'a self,
            under: &'a str,
        ) -> impl Iterator<Item = (&'a str, &'a str)> {
            let files = self
                .files
                .iter()
                .map(|(path, text)| (path.as_str(), text.as_str()));
            files.filter(move |(path, _)| path.starts_with(under) && path.ends_with(".rs"))
        }
    }

    fn read_folder(top: &Path, inside: &str, files: &mut BTreeMap<String, String>) {
        const OTHERS: &[&str] = &[
            "target",
            "node_modules",
            ".git",
            "artifacts",
            "corpus",
            "corpora",
            "__pycache__",
            ".venv",
            "fixtures",
        ];
        for entry in fs::read_dir(top.join(inside)).expect("a folder of the house") {
            let entry = entry.expect("an entry of the house");
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = format!("{inside}{name}");
            if OTHERS.contains(&name.as_str()) {
                continue;
            }
            if entry.file_type().expect("an entry has a type").is_dir() {
                read_folder(top, &format!("{path}/"), files);
            } else if !name.ends_with(".lock") && name != "package-lock.json" {
                // What is not UTF-8 is no text.
                files.extend(
                    fs::read_to_string(entry.path())
                        .ok()
                        .map(|text| (path, text)),
                );
            }
        }
    }

    /// The text without its line comments.
    pub(super) fn code_of(text: &str) -> String {
        let lines = text.lines().map(|line| match line.find("//") {
            Some(at) if !line.get(..at).is_some_and(|before| before.ends_with(':')) => {
                line.get(..at).unwrap_or_default()
            }
            Some(_) | None => line,
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    /// What follows `prefix`: one name, or the names of a group in braces.
    pub(super) fn identifiers_after(code: &str, prefix: &str) -> Vec<String> {
        let mut names = Vec::new();
        for rest in code.split(prefix).skip(1) {
            match rest.strip_prefix('{') {
                None => names.extend(first_name(rest)),
                Some(group) => {
                    let mut depth = 0;
                    let mut starts = true;
                    for (at, character) in group.char_indices() {
                        match character {
                            '{' => depth += 1,
                            '}' if depth == 0 => break,
                            '}' => depth -= 1,
                            ',' if depth == 0 => starts = true,
                            c if starts && !c.is_whitespace() => {
                                starts = false;
                                names.extend(group.get(at..).and_then(first_name));
                            }
                            _ => {}
                        }
                    }
                }
            }
        }
        names
    }

    fn first_name(text: &str) -> Option<String> {
        let name: String = text
            .chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect();
        (!name.is_empty()).then_some(name)
    }

    /// Names and lines of a manifest's dependency tables.
    pub(super) fn dependencies(manifest: &str) -> Vec<(&str, &str)> {
        let mut found = Vec::new();
        let mut inside = false;
        for line in manifest.lines() {
            if line.starts_with('[') {
                inside = line.contains("dependencies");
            } else if inside && let Some((name, _)) = line.split_once([' ', '=', '.']) {
                found.push((name, line));
            }
        }
        found
    }

    /// `name` as seen from `folder`; it may climb.
    fn beside(folder: &str, name: &str) -> String {
        let mut parts: Vec<&str> = folder.split('/').collect();
        for part in name.split('/') {
            match part {
                ".." => drop(parts.pop()),
                _ => parts.push(part),
            }
        }
        parts.join("/")
    }

    /// Files that `mod name;` in `path` may mean.
    pub(super) fn declared_modules(path: &str, text: &str, is_root: bool) -> Vec<String> {
        let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
        let stem = file.trim_end_matches(".rs");
        let own = if is_root || stem == "mod" {
            folder.to_owned()
        } else {
            format!("{folder}/{stem}")
        };
        let mut files = Vec::new();
        let mut told = None;
        for line in text.lines().map(str::trim) {
            if let Some(rest) = line.strip_prefix("#[path = \"") {
                told = rest.strip_suffix("\"]").map(|name| beside(folder, name));
                continue;
            }
            let Some(line) = line.strip_suffix(';') else {
                continue;
            };
            let mut words = line
                .split_whitespace()
                .skip_while(|word| word.starts_with("pub"));
            // `pub(in crate::shard) mod x;` has a word more; nothing else ends in `mod x;`.
            let is_mod = words.by_ref().any(|word| word == "mod");
            if let (true, Some(name), None) = (is_mod, words.next(), words.next()) {
                files.extend(told.take());
                files.push(format!("{own}/{name}.rs"));
                files.push(format!("{own}/{name}/mod.rs"));
            }
        }
        files
    }
}
