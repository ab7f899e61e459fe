//! File, environment and flags, laid over each other as one TOML table. Each value is read as it
//! is laid, so that what is wrong is named by the flag, the variable or the key of the file.

use std::ffi::OsString;

use toml::{Table, Value};

use super::flags::ServeFlags;
use super::print::{Source, Sources};
use super::table::{self, Key, Kind, SHORT};
use super::{Config, ConfigError};
use crate::files;
use crate::limits::CONFIG_BYTES;

/// What was read, and where each value comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// What was set by what.
    pub sources: Sources,
}

/// The layers so far.
#[derive(Default)]
struct Layers {
    table: Table,
    loaded: Loaded,
}

/// The configuration of these flags, these variables (name and value) and the file they name.
///
/// # Errors
/// One sentence that names the flag, the variable or the file's key.
pub fn load(
    flags: &ServeFlags,
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Loaded, ConfigError> {
    let mut variables = ours(variables)?;
    let mut file = flags.config.clone();
    variables.retain(|(name, value)| {
        let names_file = name == "CONFIG";
        if names_file && file.is_none() {
            file = Some(value.into());
        }
        !names_file
    });
    let mut layers = Layers::default();
    if let Some(path) = file {
        let path_text = path.display().to_string();
        let text = files::read_text(&path, CONFIG_BYTES).map_err(|source| ConfigError::Read {
            flag: "--config",
            path: path_text.clone(),
            source,
        })?;
        let origin = format!("--config {path_text}");
        let table: Table = text.parse().map_err(|error: toml::de::Error| {
            let line = error.span().and_then(|span| text.get(..span.start));
            let line = line.map_or(0, |before| before.matches('\n').count()) + 1;
            // Its first line only; the rest draws the text with arrows.
            let why = error.message().lines().next().unwrap_or_default();
            wrong(&origin, format!("line {line} is no TOML: {why}"))
        })?;
        for (name, value) in leaves(table, &origin)? {
            let origin = format!("{origin}: {name}");
            layers.lay(&origin, &name, value, Source::File(path_text.clone()))?;
        }
    }
    for (name, text) in variables {
        let origin = format!("PLENUM_{name}");
        let key = name.to_ascii_lowercase().replace("__", ".");
        let value = known(&origin, &key).map(|key| from_text(key.kind, &text))?;
        layers.lay(&origin, &key, value, Source::Variable(origin.clone()))?;
    }
    for (flag, key, value) in values(flags) {
        layers.lay(flag, key, value, Source::Flag(flag))?;
    }
    Ok(layers.loaded)
}

impl Layers {
    /// Puts a value over what is there, and reads all of it.
    fn lay(
        &mut self,
        origin: &str,
        name: &str,
        value: Value,
        source: Source,
    ) -> Result<(), ConfigError> {
        let key = known(origin, name)?;
        put(&mut self.table, key.name, value);
        let read = Value::Table(self.table.clone()).try_into();
        self.loaded.config = read.map_err(|error: toml::de::Error| {
            let why = error.message().trim_end();
            // What is secret is not quoted, not even when it is wrong.
            match (key.is_secret, why.contains("write ")) {
                (true, _) => wrong(origin, format!("write {:?}", key.example)),
                (false, true) => wrong(origin, why),
                (false, false) => wrong(origin, format!("{why}; write {}", written(key))),
            }
        })?;
        drop(self.loaded.sources.insert(key.name, source));
        Ok(())
    }
}

/// An example as a file would have it.
fn written(key: &Key) -> String {
    match key.kind {
        Kind::Text => format!("{:?}", key.example),
        Kind::Number | Kind::Truth => key.example.to_owned(),
        Kind::List => format!("[{:?}]", key.example),
    }
}

fn known(origin: &str, name: &str) -> Result<&'static Key, ConfigError> {
    let name = SHORT
        .iter()
        .find(|(short, _)| *short == name)
        .map_or(name, |(_, name)| name);
    table::find(name).ok_or_else(|| {
        let name: String = name.chars().take(80).collect();
        let why = format!(
            "there is no key {name:?}; take one that \"plenum check-config --print\" shows"
        );
        wrong(origin, why)
    })
}

/// The values of a file by their dotted names. Tables that stand for one value are that value.
fn leaves(table: Table, origin: &str) -> Result<Vec<(String, Value)>, ConfigError> {
    let mut leaves = Vec::new();
    for (name, value) in table {
        let Value::Table(inner) = value else {
            leaves.push((name, value));
            continue;
        };
        let folder = format!("{name}.");
        if inner.is_empty() && !table::KEYS.iter().any(|key| key.name.starts_with(&folder)) {
            known(&format!("{origin}: {name}"), &name)?;
        }
        leaves.extend(
            inner
                .into_iter()
                .map(|(leaf, value)| (format!("{folder}{leaf}"), value)),
        );
    }
    Ok(leaves)
}

/// The variables that are for us, without their prefix. Those of others may hold any bytes.
fn ours(
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Vec<(String, String)>, ConfigError> {
    let mut ours = Vec::new();
    for (name, value) in variables {
        let Some(name) = name.to_str().and_then(|name| name.strip_prefix("PLENUM_")) else {
            continue;
        };
        let value = value
            .into_string()
            .map_err(|_| wrong(&format!("PLENUM_{name}"), "is not UTF-8; write it as text"))?;
        if !is_injected(name, &value) {
            ours.push((name.to_owned(), value));
        }
    }
    ours.sort();
    Ok(ours)
}

fn values(flags: &ServeFlags) -> Vec<(&'static str, &'static str, Value)> {
    let mut values = Vec::new();
    for (flag, key, value) in [
        ("--http", "http", &flags.http),
        ("--tls-cert", "tls_cert", &flags.tls_cert),
        ("--tls-key", "tls_key", &flags.tls_key),
        ("--grpc", "grpc", &flags.grpc),
        ("--admin", "admin", &flags.admin),
        ("--public-url", "public_url", &flags.public_url),
        ("--udp", "udp", &flags.udp),
        ("--shards", "shards", &flags.shards),
        ("--keys-file", "keys_file", &flags.keys_file),
        ("--data-dir", "data_dir", &flags.data_dir),
        ("--log-format", "log.format", &flags.log_format),
    ] {
        let kind = table::find(key).map_or(Kind::Text, |key| key.kind);
        if let Some(value) = value {
            values.push((flag, key, from_text(kind, value)));
        }
    }
    if flags.lan {
        values.push(("--lan", "lan", Value::Boolean(true)));
    }
    if !flags.advertise.is_empty() {
        let list = flags.advertise.iter().cloned().map(Value::String).collect();
        values.push(("--advertise", "advertise", Value::Array(list)));
    }
    values
}

/// What Kubernetes puts into every pod beside a Service named plenum, plenum-grpc, ….
fn is_injected(name: &str, value: &str) -> bool {
    name.contains("SERVICE_HOST")
        || name.contains("SERVICE_PORT")
        || ((name == "PORT" || name.ends_with("_PORT")) && value.contains("://"))
        || name.starts_with("PORT_")
        || name.contains("_PORT_")
}

/// Text as the TOML value it stands for; where it stands for none, reading it says so.
fn from_text(kind: Kind, text: &str) -> Value {
    let as_text = || Value::String(text.to_owned());
    match kind {
        Kind::Text => as_text(),
        Kind::Number => text.parse().map_or_else(|_| as_text(), Value::Integer),
        Kind::Truth => text.parse().map_or_else(|_| as_text(), Value::Boolean),
        Kind::List => {
            let entries = text.split(',').map(str::trim);
            let entries = entries.filter(|entry| !entry.is_empty());
            Value::Array(
                entries
                    .map(|entry| Value::String(entry.to_owned()))
                    .collect(),
            )
        }
    }
}

/// Puts a value at the name of a key, which has one dot at most.
fn put(table: &mut Table, name: &str, value: Value) {
    let Some((folder, name)) = name.split_once('.') else {
        drop(table.insert(name.to_owned(), value));
        return;
    };
    let inner = table
        .entry(folder)
        .or_insert_with(|| Value::Table(Table::new()));
    if let Some(inner) = inner.as_table_mut() {
        drop(inner.insert(name.to_owned(), value));
    }
}

fn wrong(origin: &str, why: impl ToString) -> ConfigError {
    ConfigError::Value {
        origin: origin.to_owned(),
        why: why.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn read(flags: &ServeFlags, variables: &[(&str, &str)]) -> Result<Config, String> {
        let owned = variables
            .iter()
            .map(|&(name, value)| (name.into(), value.into()));
        load(flags, owned)
            .map(|loaded| loaded.config)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn flags_beat_variables_beat_defaults() {
        let flags = ServeFlags {
            http: Some("127.0.0.1:1".into()),
            advertise: vec!["203.0.113.7".into()],
            ..ServeFlags::default()
        };
        let variables = [
            ("PLENUM_HTTP", "127.0.0.1:2"),
            ("PLENUM_GRPC", "127.0.0.1:3"),
            ("PLENUM_GRPC__PLAINTEXT", "true"),
            ("PLENUM_UDP", "10010"),
            ("PLENUM_SHARDS", "2"),
            ("PLENUM_ROOM__EMPTY_TIMEOUT", "5m"),
            (
                "PLENUM_CORS__ORIGINS",
                "https://a.example, https://b.example",
            ),
            ("PLENUM_SERVICE_HOST", "10.0.0.1"),
            ("PLENUM_PORT", "tcp://10.0.0.1:8080"),
            ("PLENUM_PORT_8080_TCP_ADDR", "10.0.0.1"),
            ("HOME", "/"),
        ];
        let config = read(&flags, &variables).unwrap();
        assert_eq!(config.http.port(), 1);
        assert_eq!(
            (config.grpc.address.port(), config.grpc.plaintext),
            (3, true)
        );
        assert_eq!(config.udp, super::super::Udp::Port(10_010));
        assert_eq!(config.shards, Some(2));
        assert_eq!(config.room.empty_timeout.0.as_secs(), 300);
        assert_eq!(config.cors.origins.len(), 2);
        assert_eq!(config.advertise.addresses.len(), 1);
        assert_eq!(
            read(&ServeFlags::default(), &[]).unwrap(),
            Config::default()
        );
    }

    #[test]
    fn what_is_wrong_is_named_with_where_it_stands() {
        for (variable, value, needle) in [
            ("PLENUM_HTTP", "nowhere", "PLENUM_HTTP"),
            ("PLENUM_COLOUR", "red", "colour"),
            ("PLENUM_ROOM__COLOUR", "red", "colour"),
            ("PLENUM_DRAIN__TIMEOUT", "soon", "duration"),
            ("PLENUM_DATA__DIR", "/", "data.dir"),
            ("PLENUM_SHARDS", "two", "write 2"),
            ("PLENUM_KEYS_FILE_", "/", "keys_file_"),
            ("PLENUM_CONFIG", "/no/such/file", "--config /no/such/file"),
        ] {
            let error = read(&ServeFlags::default(), &[(variable, value)]).expect_err(needle);
            assert!(error.contains(needle), "{error} lacks {needle}");
        }
    }

    #[test]
    fn only_our_own_variables_have_to_be_text() {
        let bytes = || std::os::unix::ffi::OsStringExt::from_vec(vec![0xff]);
        let load = |name: &str| load(&ServeFlags::default(), [(name.into(), bytes())]);
        assert_eq!(load("HOME").unwrap(), Loaded::default());
        let error = load("PLENUM_KEYS_FILE").unwrap_err().to_string();
        assert_eq!(error, "PLENUM_KEYS_FILE: is not UTF-8; write it as text");
    }

    #[test]
    fn a_file_is_read_by_its_keys_and_its_own_form_reads_back() {
        let path = std::env::temp_dir().join(format!("plenum-layers-{}", std::process::id()));
        let read_file = |text: &str| {
            fs::write(&path, text).unwrap();
            let flags = ServeFlags {
                config: Some(path.clone()),
                shards: Some("3".into()),
                ..ServeFlags::default()
            };
            let loaded = load(&flags, [("PLENUM_UDP".into(), "10010".into())]);
            loaded.map_err(|error| error.to_string())
        };
        let text =
            "grpc = \"127.0.0.1:7\"\nadvertise = [\"203.0.113.7\"]\n[drain]\ntimeout = \"1s\"";
        let loaded = read_file(text).unwrap();
        assert_eq!(loaded.config.grpc.address.port(), 7);
        let sources: Vec<String> = loaded
            .sources
            .iter()
            .map(|(key, source)| {
                format!(
                    "{key}: {}",
                    source.to_string().replace(path.to_str().unwrap(), "F")
                )
            })
            .collect();
        assert_eq!(
            sources,
            [
                "advertise.addresses: file F",
                "drain.timeout: file F",
                "grpc.address: file F",
                "shards: flag --shards",
                "udp: environment PLENUM_UDP",
            ]
        );
        let printed = super::super::print::print(&loaded.config, &loaded.sources).unwrap();
        assert_eq!(read_file(&printed).unwrap().config, loaded.config);
        for (text, needle) in [
            ("http = 1", "http"),
            ("htp = \"127.0.0.1:1\"", "htp"),
            ("[colour]", "colour"),
            ("[room]\ncolour = 1", "room.colour"),
            ("[room.colour]\nred = 1", "room.colour"),
            ("http = ", "line 1"),
            ("\n\nhttp = 127.", "line 3"),
            ("keys = 5", "write \"main"),
        ] {
            let error = read_file(text).expect_err(text);
            assert!(error.contains(needle), "{error} lacks {needle}");
            assert_eq!(error.lines().count(), 1, "{error}");
        }
        fs::remove_file(path).unwrap();
    }

    #[test]
    fn secrets_are_neither_printed_nor_quoted() {
        let secret = "main: planted-planted-planted-planted";
        let loaded = load(
            &ServeFlags::default(),
            [("PLENUM_KEYS".into(), secret.into())],
        )
        .unwrap();
        let printed = super::super::print::print(&loaded.config, &loaded.sources).unwrap();
        assert!(
            printed.contains("keys = \"(secret)\"  # environment PLENUM_KEYS"),
            "{printed}"
        );
        assert!(!format!("{printed}{loaded:?}").contains("planted"));
    }
}
