//! Admin beyond loopback: a backend's token for each thing it does.

use std::process::Command;

use super::support::{Folder, SECRET};

/// Starts the server in a network of its own, with admin on an address of it, and asks.
const SCRIPT: &str = r#"
ip link set lo up
ip link add net0 type veth peer name net1
ip address add 198.51.100.7/24 dev net0
ip link set net0 up
ip link set net1 up
"$PLENUM" --keys-file "$KEYS" --shards 1 --admin 198.51.100.7:9464 2>log >out &
server=$!
trap 'kill -9 $server 2>/dev/null || true' EXIT
for _ in $(seq 300); do
  grep -q 'is up' log && break
  kill -0 $server 2>/dev/null || { cat log; exit 1; }
  sleep 0.1
done
none=
participant=$("$PLENUM" token --keys-file "$KEYS" --room a)
reader=$("$PLENUM" token --keys-file "$KEYS" --scopes stats.read,nodes.read)
writer=$("$PLENUM" token --keys-file "$KEYS" --scopes nodes.write)
# Another first character of the signature: well formed, and not ours.
head=${writer%.*} signature=${writer##*.}
case $signature in A*) first=B ;; *) first=A ;; esac
forged=$head.$first${signature#?}
ask() {
  exec 3<>/dev/tcp/198.51.100.7/9464
  printf '%s %s HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 4\r\n' $2 $3 >&3
  [ -z "${!1}" ] || printf 'authorization: Bearer %s\r\n' "${!1}" >&3
  printf '\r\ninfo' >&3
  read -r _ status _ <&3
  echo "$1 $2 $3 $status"
  exec 3<&- 3>&-
}
for who in none participant forged reader writer; do
  ask $who GET /livez
  ask $who GET /readyz
  ask $who GET /metrics
  ask $who GET /log-level
  ask $who PUT /log-level
done
"#;

#[test]
fn counters_and_the_log_level_are_a_backends_business() {
    let folder = Folder::new("admin");
    let keys = folder.write("keys", format!("main: {SECRET}\n"));
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--net", "bash", "-euc", SCRIPT])
        .current_dir(folder.path())
        .env("KEYS", keys)
        .env("PLENUM", env!("CARGO_BIN_EXE_plenum"))
        .output()
        .unwrap();
    let words = String::from_utf8_lossy(&output.stdout);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words}\n{complaint}");
    let mut expected = Vec::new();
    for (who, [metrics, level, change]) in [
        ("none", [401, 401, 401]),
        ("participant", [403, 403, 403]),
        ("forged", [401, 401, 401]),
        ("reader", [200, 200, 403]),
        ("writer", [403, 403, 204]),
    ] {
        expected.extend([
            format!("{who} GET /livez 200"),
            format!("{who} GET /readyz 200"),
            format!("{who} GET /metrics {metrics}"),
            format!("{who} GET /log-level {level}"),
            format!("{who} PUT /log-level {change}"),
        ]);
    }
    let said: Vec<&str> = words.lines().collect();
    assert_eq!(said, expected, "{complaint}");
}
