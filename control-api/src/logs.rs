//! Where log lines go and what they look like.

use std::fmt;
use std::io::IsTerminal as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{Directive, LevelFilter};
use tracing_subscriber::reload::{Error, Handle};

use crate::config::{ConfigError, LogAddresses, LogConfig, LogFormat};

/// What is logged.
///
/// # Errors
/// The level makes no sense.
pub fn filter(config: &LogConfig) -> Result<EnvFilter, ConfigError> {
    read(&config.level)
}

fn read(level: &str) -> Result<EnvFilter, ConfigError> {
    if level.trim().is_empty() {
        return Err(wrong(&"it is empty"));
    }
    // A word alone is a target to the library, and all else falls silent for a misspelt level.
    let is_bare = |part: &&str| !part.is_empty() && !part.contains(['=', '[', ']', '{', '}']);
    let parts = parts(level);
    let mut bare = parts.iter().copied().filter(is_bare);
    if let Some(word) = bare.find(|word| word.parse::<LevelFilter>().is_err()) {
        let why = format!(
            "{word:?} is no level; write error, warn, info, debug or trace, or {word}=debug"
        );
        return Err(wrong(&why));
    }
    if !parts.iter().any(|part| part.contains(',')) {
        return EnvFilter::try_new(level.trim()).map_err(|error| wrong(&error));
    }
    // The library parts a filter at every comma, also between the fields of a span. Without a level
    // of its own nothing passes but what is named, so it begins with "off".
    let mut filter = EnvFilter::try_new("off").map_err(|error| wrong(&error))?;
    for part in parts {
        let directive: Directive = part.parse().map_err(|error| wrong(&error))?;
        filter = filter.add_directive(directive);
    }
    Ok(filter)
}

/// The parts of a filter: what commas outside brackets and quotes part.
fn parts(level: &str) -> Vec<&str> {
    let (mut depth, mut is_quoted) = (0_usize, false);
    let parts = level.split(|character| {
        match character {
            '"' => is_quoted = !is_quoted,
            '[' | '{' if !is_quoted => depth = depth.saturating_add(1),
            ']' | '}' if !is_quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
        character == ',' && depth == 0 && !is_quoted
    });
    let parts = parts.map(str::trim).filter(|part| !part.is_empty());
    parts.collect()
}

/// What log lines pass; may be changed while they do.
pub struct Filter {
    replace: Box<dyn Fn(EnvFilter) -> Result<(), Error> + Send + Sync>,
    current: Box<dyn Fn() -> Option<String> + Send + Sync>,
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Filter(…)")
    }
}

impl Filter {
    fn of<S: 'static>(handle: Handle<EnvFilter, S>) -> Self {
        let again = handle.clone();
        Self {
            replace: Box::new(move |filter| handle.reload(filter)),
            current: Box::new(move || again.with_current(ToString::to_string).ok()),
        }
    }

    /// From now on the level is this, written as `log.level` is.
    ///
    /// # Errors
    /// It makes no sense.
    pub fn replace(&self, level: &str) -> Result<(), ConfigError> {
        (self.replace)(read(level)?).map_err(|error| wrong(&error))
    }

    /// The level now.
    #[must_use]
    pub fn current(&self) -> String {
        (self.current)().unwrap_or_default()
    }
}

/// Starts logging, to standard error. Names of people are never above debug.
///
/// # Errors
/// The level makes no sense.
pub fn start(config: &LogConfig) -> Result<Filter, ConfigError> {
    let filter = filter(config)?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        // A full disk or a terminal that is gone costs lines: the complaint about a lost line would
        // go to standard error too, and panic in whatever task had something to say.
        .log_internal_errors(false)
        // Colours are for a terminal; in a file they are noise.
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    let (started, filter) = match config.format {
        LogFormat::Text => {
            let lines = lines.with_filter_reloading();
            let filter = Filter::of(lines.reload_handle());
            (lines.try_init(), filter)
        }
        LogFormat::Json => {
            let lines = lines.json().flatten_event(true).with_filter_reloading();
            let filter = Filter::of(lines.reload_handle());
            (lines.try_init(), filter)
        }
    };
    started.map_err(|error| wrong(&error))?;
    Ok(filter)
}

/// An address as `log.addresses` lets it be shown.
#[must_use]
pub fn shown(address: IpAddr, how: LogAddresses) -> String {
    match (how, address.to_canonical()) {
        (LogAddresses::None, _) => "-".to_owned(),
        (LogAddresses::Full, address) => address.to_string(),
        (LogAddresses::Prefix, IpAddr::V4(v4)) => {
            format!("{}/24", Ipv4Addr::from_bits(v4.to_bits() & (u32::MAX << 8)))
        }
        (LogAddresses::Prefix, IpAddr::V6(v6)) => {
            format!(
                "{}/48",
                Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 80))
            )
        }
    }
}

fn wrong(why: &impl ToString) -> ConfigError {
    ConfigError::Value {
        origin: "log.level".to_owned(),
        why: format!("{}; write info or info,sfu=debug", why.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_level_is_refused_and_not_taken_for_a_target() {
        for good in [
            "info",
            "WARN",
            "off",
            "info,sfu=debug",
            "sfu=debug",
            "a[b{c}]=trace,info",
            "a[b{c=1,d=2}]=trace,info",
            "info,a[b{c,d=2}]=trace",
        ] {
            assert!(read(good).is_ok(), "{good}: {:?}", read(good));
        }
        for bad in [
            "",
            " ",
            "debgu",
            "foo",
            "info,sfu",
            "sfu::transport",
            "a=b=c",
            "a[b{c=1,d=2}]=trace,debgu",
            "a[b{c=1,d=2]",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn fields_of_a_span_may_be_several_and_nothing_else_passes_for_it() {
        let filter = read("sfu[room{id=1,kind=2}]=trace").unwrap().to_string();
        assert!(filter.contains("sfu[room{id=1,kind=2}]=trace"), "{filter}");
        assert!(!filter.contains("error"), "{filter}");
        let filter = read("sfu[room{id=1,kind=2}]=trace,warn")
            .unwrap()
            .to_string();
        assert!(filter.contains("warn"), "{filter}");
        assert!(!filter.contains("off"), "{filter}");
    }

    #[test]
    fn addresses_are_shown_as_far_as_they_may() {
        for (address, prefix) in [
            ("203.0.113.77", "203.0.113.0/24"),
            ("::ffff:203.0.113.77", "203.0.113.0/24"),
            ("2001:db8:1:2:3::4", "2001:db8:1::/48"),
        ] {
            let address: IpAddr = address.parse().unwrap();
            assert_eq!(shown(address, LogAddresses::None), "-");
            assert_eq!(shown(address, LogAddresses::Prefix), prefix);
            let full = address.to_canonical().to_string();
            assert_eq!(shown(address, LogAddresses::Full), full);
        }
    }
}
