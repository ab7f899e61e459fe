//! `counts.txt`: what is known of each case, and of which compiler.

use std::fmt;
use std::process::Command;

/// More than this, in hundredths, is slower.
const TOLERANCE: u64 = 4;
const FILE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/benches/instructions/counts.txt"
);
const HEAD: &str = "\
# Instructions of each packet, without cryptography and libc, by valgrind's callgrind.
# `make check` fails where it counts 4 % more than this. To renew, where that is meant, or a gain:
#     cargo bench -p sfu --bench instructions -- --renew
";

/// Instructions for each forwarded packet, by case.
pub(crate) struct Counts {
    compiler: String,
    cases: Vec<(String, u64)>,
}

impl Counts {
    pub(crate) fn of_this_compiler(found: Vec<(&str, u64)>) -> Self {
        let cargo = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
        let version = Command::new(cargo).arg("--version").output();
        let version = version.expect("a compiler that tells its version").stdout;
        Self {
            compiler: String::from_utf8_lossy(&version).trim().to_owned(),
            cases: found
                .into_iter()
                .map(|(name, count)| (name.to_owned(), count))
                .collect(),
        }
    }

    pub(crate) fn read() -> Self {
        let text = std::fs::read_to_string(FILE).expect("counts.txt");
        let mut known = Self {
            compiler: String::new(),
            cases: Vec::new(),
        };
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        for line in lines.filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once(' ').expect("a name and a value");
            match value.trim().parse() {
                Ok(count) => known.cases.push((name.to_owned(), count)),
                Err(_) => value.trim().clone_into(&mut known.compiler),
            }
        }
        known
    }

    pub(crate) fn write(&self) {
        std::fs::write(FILE, format!("{HEAD}{self}")).expect("counts.txt can be written");
    }

    fn count(&self, name: &str) -> Option<u64> {
        let found = self.cases.iter().find(|(known, _)| known == name);
        found.map(|&(_, count)| count)
    }

    /// A table of both.
    pub(crate) fn beside(&self, known: &Self) -> String {
        let mut table = format!("{:<12} {:>8} {:>8}\n", "case", "counted", "known");
        for (name, count) in &self.cases {
            let known = known.count(name).unwrap_or(0);
            table += &format!("{name:<12} {count:>8} {known:>8}\n");
        }
        if self.compiler != known.compiler {
            table += &format!(
                "not judged: counted with {}, known of {}\n",
                self.compiler, known.compiler
            );
        }
        table
    }

    /// What costs more than the tolerance allows, where it can be judged.
    pub(crate) fn misses(&self, known: &Self) -> Vec<String> {
        if self.compiler != known.compiler {
            return Vec::new();
        }
        let missed = self.cases.iter().filter_map(|(name, count)| {
            let Some(known) = known.count(name) else {
                return Some(format!("{name}: not in counts.txt"));
            };
            let more = count.saturating_sub(known);
            let is_slower = more * 100 > known * TOLERANCE;
            let part = more as f64 * 100.0 / known as f64;
            is_slower.then(|| {
                format!("{name}: {count} instructions a packet, {part:.1} % more than {known}")
            })
        });
        missed.collect()
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "compiler     {}", self.compiler)?;
        for (name, count) in &self.cases {
            writeln!(f, "{name:<12} {count}")?;
        }
        Ok(())
    }
}
