//! Every input the fuzzer was started from or once fell over, replayed through the functions it
//! calls (`fuzz/entry.rs`).

#[cfg(test)]
#[path = "../fuzz/entry.rs"]
mod entry;
#[cfg(test)]
#[path = "../fuzz/seeds.rs"]
mod seeds;

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::{entry, seeds};

    /// House rule: a corpus stays small enough to be read.
    const FILES_MAX: usize = 50;
    const FILE_BYTES_MAX: usize = 1_024;

    fn corpus(target: &str) -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("fuzz/corpus")
            .join(target)
    }

    #[test]
    fn no_input_of_a_corpus_falls_over() {
        for (target, run) in entry::ALL {
            let mut paths: Vec<PathBuf> = fs::read_dir(corpus(target))
                .unwrap_or_else(|error| panic!("{target} has no corpus: {error}"))
                .map(|file| file.unwrap().path())
                .collect();
            paths.sort();
            assert!(
                (1..=FILES_MAX).contains(&paths.len()),
                "{target}: {} files",
                paths.len()
            );
            for path in paths {
                let bytes = fs::read(&path).unwrap();
                assert!(
                    bytes.len() <= FILE_BYTES_MAX,
                    "{}: too large",
                    path.display()
                );
                run(&bytes);
                // A cut packet is the commonest broken one.
                for end in 0..bytes.len() {
                    run(&bytes[..end]);
                }
            }
        }
    }

    #[test]
    fn the_seeds_are_what_our_writers_write() {
        for (target, name, bytes) in seeds::all() {
            let path = corpus(target).join(name);
            if std::env::var_os("PLENUM_BLESS").is_some() {
                fs::create_dir_all(corpus(target)).unwrap();
                fs::write(&path, &bytes).unwrap();
            }
            let there = fs::read(&path).unwrap_or_default();
            assert_eq!(
                there,
                bytes,
                "{}: PLENUM_BLESS=1 writes it anew",
                path.display()
            );
        }
    }
}
