//! Runs this very program under valgrind's callgrind, and adds up what it wrote (its manual's
//! "Callgrind Format Specification").

use std::collections::HashMap;
use std::path::Path;
use std::process::{Command, Stdio};

/// The function that is counted with all it calls; a part of its mangled name.
pub(crate) const MEASURED: &str = "*instructions*measured*";
/// In names of the cryptographic library's functions; its assembler's begin with an underscore.
const CRYPTOGRAPHY: [&str; 4] = ["aws_lc", "_aesni", "gcm_", "ghash"];
/// Before the name of a case.
const NAME: &str = "--case";

/// Instructions in this program's own functions while `function` ran in case `case`.
pub(crate) fn count(case: &str, function: &str) -> u64 {
    let own = std::env::current_exe().expect("a path to this program");
    let out = own.with_file_name(format!("callgrind.{case}.out"));
    let run = Command::new("valgrind")
        .args([
            "--tool=callgrind",
            "--collect-atstart=no",
            "--error-exitcode=9",
        ])
        .arg(format!("--toggle-collect={function}"))
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(&own)
        .args([NAME, case])
        .stdin(Stdio::null())
        .output()
        .expect("valgrind (apt install valgrind)");
    assert!(
        run.status.success(),
        "{case}: {}",
        String::from_utf8_lossy(&run.stderr)
    );
    let text = std::fs::read_to_string(&out).expect("what callgrind wrote");
    let total = sum(&text, &own);
    assert!(total > 0, "{case}: nothing was counted in {function}");
    total
}

/// Own costs of functions of the object `own`, cryptography left out. Costs of calls are those of
/// the functions called, which have lines of their own.
fn sum(text: &str, own: &Path) -> u64 {
    let own = own.display().to_string();
    let mut names = Names::default();
    let (mut total, mut counts, mut is_own, mut is_call) = (0, false, false, false);
    for line in text.lines() {
        if let Some(object) = line.strip_prefix("ob=") {
            is_own = names.objects.resolve(object) == own;
        } else if let Some(function) = line.strip_prefix("fn=") {
            let name = names.functions.resolve(function);
            counts = is_own && !CRYPTOGRAPHY.iter().any(|part| name.contains(part));
        } else if let Some(object) = line.strip_prefix("cob=") {
            names.objects.resolve(object);
        } else if let Some(function) = line.strip_prefix("cfn=") {
            names.functions.resolve(function);
        } else if line.starts_with("calls=") {
            is_call = true;
        } else if line.starts_with(|first: char| first.is_ascii_digit() || "+-*".contains(first)) {
            let cost = line.split(' ').nth(1).and_then(|cost| cost.parse().ok());
            if counts && !std::mem::take(&mut is_call) {
                total += cost.unwrap_or(0);
            }
            is_call = false;
        }
    }
    total
}

/// Names are written once, as `(number) name`, then as `(number)`.
#[derive(Default)]
struct Names {
    objects: Table,
    functions: Table,
}

#[derive(Default)]
struct Table(HashMap<String, String>);

impl Table {
    fn resolve(&mut self, written: &str) -> String {
        let Some((number, name)) = written.split_once(") ") else {
            return self
                .0
                .get(written.trim_end_matches(')'))
                .cloned()
                .unwrap_or_default();
        };
        self.0.insert(number.to_owned(), name.to_owned());
        name.to_owned()
    }
}
