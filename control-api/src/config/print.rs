//! The effective configuration as TOML, each value with where it comes from, secrets left out.

use std::collections::BTreeMap;
use std::fmt;

use toml::{Table, Value};

use super::Config;
use super::table::KEYS;

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// This flag.
    Flag(&'static str),
    /// This variable.
    Variable(String),
    /// The file of `--config`.
    File(String),
    /// `--lan`, which settles several.
    Lan,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => write!(f, "flag {flag}"),
            Self::Variable(name) => write!(f, "environment {name}"),
            Self::File(path) => write!(f, "file {path}"),
            Self::Lan => write!(f, "--lan"),
        }
    }
}

/// Keys that were set, and by what. The others have their default.
pub type Sources = BTreeMap<&'static str, Source>;

/// Every key with its value and source: a file that could be read back, but for its secrets.
///
/// # Errors
/// A value that TOML cannot write; there is none.
pub fn print(config: &Config, sources: &Sources) -> Result<String, toml::ser::Error> {
    let table = Table::try_from(config)?;
    let mut text = String::new();
    for key in KEYS {
        let source = sources.get(key.name);
        let source = source.map_or_else(|| "default".to_owned(), ToString::to_string);
        let line = match value(&table, key.name) {
            Some(value) => format!("{} = {value}  # {source}\n", key.name),
            None => format!("# {} is unset  # {source}\n", key.name),
        };
        text.push_str(&line);
    }
    Ok(text)
}

/// The keys whose values differ.
///
/// # Errors
/// A value that TOML cannot write; there is none.
pub fn changed(before: &Config, after: &Config) -> Result<Vec<&'static str>, toml::ser::Error> {
    // Its query is not printed, and may be all that differs.
    let is_other_query = before.jwks.url != after.jwks.url;
    let (before, after) = (Table::try_from(before)?, Table::try_from(after)?);
    let differs = |name: &&str| {
        value(&before, name) != value(&after, name) || (*name == "jwks.url" && is_other_query)
    };
    Ok(KEYS.iter().map(|key| key.name).filter(differs).collect())
}

/// A key's value as TOML writes it.
pub(super) fn value<'t>(table: &'t Table, name: &str) -> Option<&'t Value> {
    let (folder, name) = match name.split_once('.') {
        Some((folder, name)) => (table.get(folder)?.as_table()?, name),
        None => (table, name),
    };
    folder.get(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_an_issuer_that_differ_in_what_is_not_printed_have_changed() {
        let of = |url: &str| {
            let mut config = Config::default();
            config.jwks.url = Some(url.parse().unwrap());
            config
        };
        let before = of("https://login.example/keys?tenant=a");
        for (after, expected) in [
            ("https://login.example/keys?tenant=a", [].as_slice()),
            ("https://login.example/keys?tenant=b", &["jwks.url"]),
            ("https://login.example/keys", &["jwks.url"]),
            ("https://other.example/keys?tenant=a", &["jwks.url"]),
        ] {
            assert_eq!(changed(&before, &of(after)).unwrap(), expected, "{after}");
        }
    }
}
