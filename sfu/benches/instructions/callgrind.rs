//! Runs this very program under valgrind's callgrind, and adds up what it wrote (its manual's
//! "Callgrind Format Specification").

use std::collections::HashMap;
use std::path::Path;
use std::process::{Command, Stdio};

/// The function that is counted with all it calls; a part of its mangled name.
pub(crate) const MEASURED: &str = "*instructions*measured*";
/// In the paths of the cryptographic library's sources, C and assembler.
const CRYPTOGRAPHY: &str = "/aws-lc/";
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

/// Own costs of lines of the object `own`, cryptography left out. Costs of calls are those of the
/// functions called, which have lines of their own. By files, since what of a function is inlined
/// into which other is the compiler's whim.
fn sum(text: &str, own: &Path) -> u64 {
    let own = own.display().to_string();
    let mut names = Names::default();
    let (mut total, mut is_ours, mut is_own, mut is_call) = (0, false, false, false);
    for line in text.lines() {
        if let Some(object) = line.strip_prefix("ob=") {
            is_own = names.objects.resolve(object) == own;
        } else if let Some(object) = line.strip_prefix("cob=") {
            names.objects.resolve(object);
        } else if let Some(file) = after(line, ["fl=", "fi=", "fe="]) {
            is_ours = !names.files.resolve(file).contains(CRYPTOGRAPHY);
        } else if let Some(file) = after(line, ["cfl=", "cfi=", "cfe="]) {
            names.files.resolve(file);
        } else if line.starts_with("calls=") {
            is_call = true;
        } else if line.starts_with(|first: char| first.is_ascii_digit() || "+-*".contains(first)) {
            let cost = line.split(' ').nth(1).and_then(|cost| cost.parse().ok());
            if is_own && is_ours && !is_call {
                total += cost.unwrap_or(0);
            }
            is_call = false;
        }
    }
    total
}

fn after<'a>(line: &'a str, prefixes: [&str; 3]) -> Option<&'a str> {
    prefixes.iter().find_map(|prefix| line.strip_prefix(prefix))
}

/// Names are written once, as `(number) name`, then as `(number)`.
#[derive(Default)]
struct Names {
    objects: Table,
    files: Table,
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
