//! `docs/tokens.md`: what its commands and programs make is taken by a server. (Its programs for
//! three languages are run by the browser tests, which have those languages.)

use std::fs;
use std::path::Path;
use std::process::Command;

use tonic::Code;

use super::support::{Folder, SECRET, Server, plenum};

fn page() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    fs::read_to_string(root.join("docs/tokens.md")).unwrap()
}

/// The blocks that a mark opens.
fn blocks<'p>(page: &'p str, mark: &str) -> Vec<&'p str> {
    let opening = format!("```{mark}\n");
    let parts = page.split(opening.as_str()).skip(1);
    parts
        .map(|part| part.split_once("```").unwrap().0)
        .collect()
}

/// Runs a program in the folder; what it printed.
fn run(folder: &Folder, program: &str, arguments: &[&str]) -> String {
    let binary = Path::new(env!("CARGO_BIN_EXE_plenum")).parent().unwrap();
    let path = format!("{}:{}", binary.display(), std::env::var("PATH").unwrap());
    let output = Command::new(program)
        .args(arguments)
        .current_dir(folder.path())
        .env("PATH", path)
        .output()
        .unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program}: {complaint}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn each_command_of_the_page_signs_what_the_page_says() {
    let page = page();
    let folder = Folder::new("pages");
    let keys = folder.write("keys", format!("main: {SECRET}\n"));
    let server = Server::start(&folder, &["--keys-file", &keys]).await;
    let commands = blocks(&page, "sh");
    assert!(commands.len() >= 2, "{commands:?}");
    let mut signed = 0;
    for block in commands {
        for command in block
            .lines()
            .filter(|line| line.starts_with("plenum token"))
        {
            let token = run(&folder, "sh", &["-ec", command]);
            let is_backend = command.contains("--scopes");
            // A participant's is good too, and refused for what it is.
            let expected = if is_backend {
                Code::Ok
            } else {
                Code::PermissionDenied
            };
            assert_eq!(server.list_rooms(token.trim()).await, expected, "{command}");
            signed += 1;
        }
    }
    assert!(signed >= 4, "{signed}");
}

#[tokio::test]
async fn the_tokens_of_another_issuer_are_made_and_taken_as_the_page_says() {
    let page = page();
    let folder = Folder::new("pages-issuer");
    folder.write("sign.mjs", blocks(&page, "js").last().unwrap());
    let token = run(&folder, "node", &["sign.mjs"]);
    let jwks = folder.path().join("jwks.json");
    let settings = blocks(&page, "toml");
    let [own, foreign] = settings[..] else {
        panic!("{settings:?}");
    };
    // The page's place for the file is not this test's.
    let own = own.replace("/etc/plenum/jwks.json", jwks.to_str().unwrap());
    assert!(own.contains(jwks.to_str().unwrap()), "{own}");
    let config = folder.write("own.toml", own);
    let server = Server::start(&folder, &["--config", &config]).await;
    assert_eq!(server.list_rooms(token.trim()).await, Code::Ok);
    assert_eq!(
        server.list_rooms(&token.trim()[1..]).await,
        Code::Unauthenticated
    );

    let config = folder.write("foreign.toml", foreign);
    let checked = plenum(&["check-config", "--config", &config])
        .output()
        .unwrap();
    assert!(
        checked.status.success(),
        "{}",
        String::from_utf8_lossy(&checked.stderr)
    );
}

#[tokio::test]
async fn keys_are_changed_by_the_command_of_the_page() {
    let page = page();
    let folder = Folder::new("pages-reload");
    let keys = folder.write("keys", format!("main: {SECRET}\n"));
    let mut server = Server::start(&folder, &["--keys-file", &keys]).await;
    let command = blocks(&page, "sh reload");
    let command = command[0].replace("$(pidof plenum)", &server.id().to_string());
    let start = server.log().len();
    drop(run(&folder, "sh", &["-ec", &command]));
    let said = server.logged_after("reloaded", start).await;
    assert!(said.contains("the newest"), "{said}");
}
