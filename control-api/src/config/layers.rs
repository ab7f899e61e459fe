//! File, environment and flags, laid over each other as one TOML table, then read at once.

use std::ffi::OsString;
use std::fs;

use toml::{Table, Value};

use super::flags::ServeFlags;
use super::{Config, ConfigError};

/// Keys that hold lists: a variable separates their entries by commas.
const LISTS: &[&str] = &["advertise", "cors.origins"];

/// The configuration of these flags, these variables (name and value) and the file they name.
///
/// # Errors
/// One sentence that names the flag, the variable or the file.
pub fn load(
    flags: &ServeFlags,
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Config, ConfigError> {
    let mut variables = ours(variables)?;
    let mut file = flags.config.clone();
    variables.retain(|(name, value)| {
        let names_file = name == "CONFIG";
        if names_file && file.is_none() {
            file = Some(value.into());
        }
        !names_file
    });
    let mut table = Table::new();
    let mut origin = "defaults".to_owned();
    if let Some(path) = file {
        let path_text = path.display().to_string();
        let text = fs::read_to_string(&path).map_err(|source| ConfigError::Read {
            flag: "--config",
            path: path_text.clone(),
            source,
        })?;
        origin = format!("--config {path_text}");
        table = text.parse().map_err(|error| wrong(&origin, &error))?;
        spread_grpc(&mut table);
        check(&table, &origin)?;
    }
    for (name, value) in variables {
        origin = format!("PLENUM_{name}");
        let key = name.to_ascii_lowercase().replace("__", ".");
        put(&mut table, &key, from_text(&key, &value)).map_err(|why| wrong(&origin, why))?;
        check(&table, &origin)?;
    }
    for (flag, key, value) in values(flags) {
        origin = flag.to_owned();
        put(&mut table, key, value).map_err(|why| wrong(&origin, why))?;
        check(&table, &origin)?;
    }
    check(&table, &origin)
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
            .map_err(|_| wrong(&format!("PLENUM_{name}"), "is not UTF-8"))?;
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
        ("--grpc", "grpc", &flags.grpc),
        ("--admin", "admin", &flags.admin),
        ("--public-url", "public_url", &flags.public_url),
        ("--udp", "udp", &flags.udp),
        ("--shards", "shards", &flags.shards),
        ("--keys-file", "keys_file", &flags.keys_file),
        ("--log-format", "log.format", &flags.log_format),
    ] {
        if let Some(value) = value {
            values.push((flag, key, from_text(key, value)));
        }
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

/// Text as a TOML value where it is one (numbers, booleans), else as a string.
fn from_text(key: &str, text: &str) -> Value {
    if LISTS.contains(&key) {
        let entries = text
            .split(',')
            .map(str::trim)
            .filter(|entry| !entry.is_empty());
        return Value::Array(
            entries
                .map(|entry| Value::String(entry.to_owned()))
                .collect(),
        );
    }
    let number = text.parse::<i64>().ok().map(Value::Integer);
    let truth = text.parse::<bool>().ok().map(Value::Boolean);
    number
        .or(truth)
        .unwrap_or_else(|| Value::String(text.to_owned()))
}

/// Puts a value at a dotted key.
fn put(table: &mut Table, key: &str, value: Value) -> Result<(), String> {
    // `grpc` is a table that may be written as its address alone.
    let key = if key == "grpc" { "grpc.address" } else { key };
    let (folder, name) = match key.rsplit_once('.') {
        Some((folder, name)) => (Some(folder), name),
        None => (None, key),
    };
    let mut place = table;
    for part in folder.into_iter().flat_map(|folder| folder.split('.')) {
        let inner = place
            .entry(part)
            .or_insert_with(|| Value::Table(Table::new()));
        place = inner
            .as_table_mut()
            .ok_or_else(|| format!("{part} is not a table"))?;
    }
    place.insert(name.to_owned(), value);
    Ok(())
}

fn spread_grpc(table: &mut Table) {
    if let Some(address @ Value::String(_)) = table.get("grpc").cloned() {
        let mut inner = Table::new();
        inner.insert("address".to_owned(), address);
        table.insert("grpc".to_owned(), Value::Table(inner));
    }
}

fn check(table: &Table, origin: &str) -> Result<Config, ConfigError> {
    Value::Table(table.clone())
        .try_into()
        .map_err(|error: toml::de::Error| {
            let why = error.message().trim_end().to_owned();
            wrong(origin, why)
        })
}

fn wrong(origin: &str, why: impl ToString) -> ConfigError {
    ConfigError::Value {
        origin: origin.to_owned(),
        why: why.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(flags: &ServeFlags, variables: &[(&str, &str)]) -> Result<Config, String> {
        let owned = variables
            .iter()
            .map(|&(name, value)| (name.into(), value.into()));
        load(flags, owned).map_err(|error| error.to_string())
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
        assert_eq!(config.advertise.len(), 1);
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
            ("PLENUM_DATA_DIR", "/", "data_dir"),
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
        assert_eq!(load("HOME").unwrap(), Config::default());
        let error = load("PLENUM_KEYS_FILE").unwrap_err().to_string();
        assert_eq!(error, "PLENUM_KEYS_FILE: is not UTF-8");
    }

    #[test]
    fn a_file_may_write_grpc_as_an_address_and_its_own_form_reads_back() {
        let mut table: Table = "grpc = \"127.0.0.1:7\"\n[drain]\ntimeout = \"1s\""
            .parse()
            .unwrap();
        spread_grpc(&mut table);
        let config = check(&table, "file").unwrap();
        assert_eq!(config.grpc.address.port(), 7);
        let text = toml::to_string(&config).unwrap();
        assert_eq!(check(&text.parse().unwrap(), "file").unwrap(), config);
    }
}
