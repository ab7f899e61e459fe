//! Which addresses make a node ready: in a network of its own, where the test says what there is.

use std::process::Command;

use super::support::{Folder, SECRET};

/// Starts the server in a network with these addresses, asks `/readyz`, `/livez` and health, and
/// ends it.
const SCRIPT: &str = r#"
ip link set lo up
ip link add net0 type veth peer name net1
for address in $ADDRESSES; do ip address add "$address" dev net0 nodad; done
ip link set net0 up
ip link set net1 up
"$PLENUM" --keys-file "$KEYS" --shards 1 "$@" 2>log >out &
server=$!
trap 'kill -9 $server 2>/dev/null || true' EXIT
for _ in $(seq 300); do
  grep -q 'is up' log && break
  kill -0 $server 2>/dev/null || { cat log; exit 1; }
  sleep 0.1
done
ask() {
  exec 3<>/dev/tcp/127.0.0.1/$1
  printf 'GET %s HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n' "$2" >&3
  echo "== $1 $2"
  cat <&3
  exec 3<&- 3>&-
}
ask 8080 /readyz
ask 9464 /readyz
ask 8080 /livez
ask 9464 /metrics
echo "== log"
cat log
"#;

fn asked(folder: &Folder, addresses: &str, arguments: &[&str]) -> String {
    let keys = folder.write("keys", format!("main: {SECRET}\n"));
    let output = Command::new("unshare")
        .args([
            "--user",
            "--map-root-user",
            "--net",
            "bash",
            "-euc",
            SCRIPT,
            "bash",
        ])
        .args(arguments)
        .current_dir(folder.path())
        .env("ADDRESSES", addresses)
        .env("KEYS", keys)
        .env("PLENUM", env!("CARGO_BIN_EXE_plenum"))
        .output()
        .unwrap();
    let words = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words}\n{complaint}");
    words
}

/// What stands between a heading and the next one.
fn part<'t>(text: &'t str, heading: &str) -> &'t str {
    let heading = format!("== {heading}\n");
    let rest = text.split_once(&heading).unwrap().1;
    rest.split("\n== ").next().unwrap()
}

#[test]
fn a_node_no_browser_can_reach_is_not_ready_and_says_what_to_set() {
    let why = "No address a browser can reach; set --advertise";
    let private = "192.168.7.7/24 10.1.2.3/8 fd00::7/64";
    for (addresses, arguments, source) in [
        ("", &[][..], None),
        (private, &[], None),
        ("", &["--advertise", "203.0.113.7"], Some("--advertise")),
        (
            private,
            &["--advertise", "203.0.113.7:4000"],
            Some("--advertise"),
        ),
        ("198.51.100.7/24", &[], Some("addresses of this host")),
        ("2001:db8::7/64", &[], Some("addresses of this host")),
        (private, &["--udp", "192.168.7.7:10000"], Some("--udp")),
    ] {
        let folder = Folder::new("ready");
        let said = asked(&folder, addresses, arguments);
        let log = part(&said, "log");
        for listener in ["8080", "9464"] {
            let answer = part(&said, &format!("{listener} /readyz"));
            let (status, word) = match source {
                Some(_) => ("200", "ready"),
                None => ("503", why),
            };
            assert!(
                answer.starts_with(&format!("HTTP/1.1 {status}")),
                "{addresses} {said}"
            );
            assert!(answer.trim_end().ends_with(word), "{addresses} {said}");
        }
        // It lives all the same: a restart would not help.
        assert!(part(&said, "8080 /livez").starts_with("HTTP/1.1 200"));
        let gauge = format!("plenum_ready {}", u8::from(source.is_some()));
        assert!(part(&said, "9464 /metrics").contains(&gauge), "{said}");
        assert_eq!(
            log.contains(&format!("not ready: {why}")),
            source.is_none(),
            "{log}"
        );
        let source = format!(
            "browsers are told addresses of: {}",
            source.unwrap_or("none")
        );
        assert!(log.contains(&source), "{log} lacks {source}");
    }
}
