//! The command line: what it answers and what it refuses, by its exit code and its words.

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::net::TcpListener;
    use std::os::unix::ffi::OsStrExt as _;
    use std::process::{Command, Output, Stdio};

    fn plenum(arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_plenum"));
        command.env_clear().args(arguments);
        command
    }

    fn words(output: &Output) -> String {
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    #[test]
    fn a_start_that_is_refused_exits_with_2_and_one_sentence() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let taken = taken.local_addr().unwrap().to_string();
        let keys = std::env::temp_dir().join(format!("plenum-short-{}", std::process::id()));
        std::fs::write(&keys, "main: hush-hush\n").unwrap();
        let keys = keys.to_str().unwrap();
        for (arguments, needle) in [
            (&["--http", "0.0.0.0:1"][..], "--http"),
            (&["--http", taken.as_str()], "--http"),
            (&["--grpc", "nowhere"], "--grpc"),
            (&["--udp", "127.0.0.1"], "--udp"),
            (&["--shards", "0"], "shards"),
            (&["--keys-file", keys], "--keys-file"),
            (&["--config", "/no/such/file"], "--config"),
            (&["check-config", "--keys-file", keys], "--keys-file"),
            (&["check-config", "--log-format", "xml"], "--log-format"),
            (&["token", "--room", "a"], "--keys-file"),
        ] {
            let output = plenum(arguments).output().unwrap();
            let words = words(&output);
            assert_eq!(output.status.code(), Some(2), "{arguments:?}: {words}");
            assert!(words.contains(needle), "{arguments:?}: {words}");
            assert_eq!(words.lines().count(), 1, "{arguments:?}: {words}");
            assert!(!words.contains("hush-hush"), "{words}");
        }
        std::fs::remove_file(keys).unwrap();
    }

    #[test]
    fn variables_of_others_are_no_reason_to_refuse() {
        let output = plenum(&["check-config"])
            .env("PLENUM_SERVICE_HOST", "10.0.0.1")
            .env("PLENUM_PORT", "tcp://10.0.0.1:8080")
            .env("PLENUM_GRPC_PORT_50051_TCP_PROTO", "tcp")
            .env("LS_COLORS", OsStr::from_bytes(&[0xff]))
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", words(&output));
        let level = ("PLENUM_LOG__LEVEL", "a=b=c");
        let output = plenum(&["check-config"]).env(level.0, level.1).output();
        let output = output.unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(words(&output).contains("log.level"), "{}", words(&output));
    }

    #[test]
    fn a_reader_who_has_seen_enough_is_no_failure() {
        let mut command = plenum(&["limits"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", words(&output));
    }
}
