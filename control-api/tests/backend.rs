//! `docs/backend.md`: its command blocks are run as they stand, one after the other, and print what
//! the page says.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test: what fails here fails it, and says where"
)]

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

/// The blocks of a page after the mark that opens them.
fn blocks<'a>(page: &'a str, mark: &str) -> Vec<&'a str> {
    let opening = format!("```{mark}\n");
    let parts = page.split(opening.as_str()).skip(1);
    parts
        .filter_map(|part| part.split_once("```").map(|(block, _)| block))
        .collect()
}

/// All command blocks in the page's order; what a server block starts runs on.
fn script(page: &str) -> String {
    let mut script = String::from("set -eu\n");
    for part in page.split("```sh").skip(1) {
        let (block, _) = part.split_once("```").expect("a block ends");
        let (mark, commands) = block.split_once('\n').expect("a block has lines");
        match mark.trim() {
            "server" => {
                let port = "${PLENUM_GRPC##*:}";
                script.push_str(&format!("{{ {} & }}\n", commands.trim_end()));
                script.push_str("server=$!\ntrap 'kill $server' EXIT\n");
                // Up to ten seconds until it listens.
                script.push_str(&format!(
                    "for _ in $(seq 100); do (: > /dev/tcp/127.0.0.1/{port}) 2>/dev/null && break; \
                     sleep 0.1; done\n"
                ));
            }
            "" => script.push_str(commands),
            other => panic!("what is a {other} block?"),
        }
    }
    script
}

/// A port that was free a moment ago.
fn free() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("its address").to_string()
}

#[test]
fn the_commands_for_an_app_backend_do_what_the_page_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let page = fs::read_to_string(root.join("docs/backend.md")).expect("the page");
    let binary = Path::new(env!("CARGO_BIN_EXE_plenum")).parent();
    let path = format!(
        "{}:{}",
        binary.expect("its folder").display(),
        std::env::var("PATH").expect("a path")
    );
    let mut shell = Command::new("bash");
    // PLENUM_… is configuration to the server: a developer's own is not the page's.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("PLENUM_") {
            shell.env_remove(name);
        }
    }
    let run = shell
        .args(["-c", &script(&page)])
        .current_dir(&root)
        .env("PATH", path)
        .env("PLENUM_GRPC", free())
        .env("PLENUM_HTTP", free())
        .env("PLENUM_ADMIN", free())
        .env("PLENUM_UDP", "127.0.0.1:0")
        .stdin(Stdio::null())
        .output()
        .expect("bash");
    let said = String::from_utf8_lossy(&run.stdout);
    let complaint = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{said}\n{complaint}");
    let expected = blocks(&page, "text");
    let expected = expected.first().expect("what is printed");
    for room in ["python", "node"] {
        let made = said
            .split("made rooms/")
            .find(|part| part.starts_with(room));
        let made = made.unwrap_or_else(|| panic!("{room}: {said}\n{complaint}"));
        for line in expected.lines().skip(2) {
            assert!(
                made.contains(line),
                "{room}: no {line:?} in {made}\n{complaint}"
            );
        }
    }
}
