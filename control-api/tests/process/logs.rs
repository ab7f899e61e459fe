//! Log lines that go nowhere.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use super::support::{Folder, PATIENCE, SECRET, Server, plenum};
use tokio::time::timeout;

/// As when a disk is full or a terminal is gone: meetings go on, and signals are heard.
#[tokio::test]
async fn a_log_that_cannot_be_written_costs_lines_and_nothing_else() {
    let folder = Folder::new("logs");
    let keys = folder.write("keys", format!("main: {SECRET}\n"));
    let config = folder.write("config.toml", "log.level = \"debug\"\n");
    let free = "127.0.0.1:0";
    let mut child = plenum(&["--keys-file", &keys, "--shards", "1", "--config", &config])
        .args([
            "--http", free, "--grpc", free, "--admin", free, "--udp", free,
        ])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let mut up = String::new();
    while !up.contains("is up") {
        let before = up.clone();
        up.clear();
        assert_ne!(log.read_line(&mut up).unwrap(), 0, "ended after {before}");
    }
    drop(log);
    let mut server = Server::of(child, folder.path().join("nowhere"), &up);
    for name in ["ada", "lin"] {
        server.welcome("quiet", name).await;
    }
    server.signal("HUP");
    server.welcome("quiet", "eve").await;
    server.signal("TERM");
    let ended = timeout(PATIENCE, server.ended()).await.unwrap();
    assert!(ended.success(), "{ended}");
}
