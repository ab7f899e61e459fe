//! Where log lines go and what they look like.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

use crate::config::{ConfigError, LogConfig, LogFormat};

/// What is logged.
///
/// # Errors
/// The level makes no sense.
pub fn filter(config: &LogConfig) -> Result<EnvFilter, ConfigError> {
    EnvFilter::try_new(&config.level).map_err(|error| wrong(&error))
}

/// Starts logging, to standard error. Names of people are never above debug.
///
/// # Errors
/// The level makes no sense.
pub fn start(config: &LogConfig) -> Result<(), ConfigError> {
    let filter = filter(config)?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        // Colours are for a terminal; in a file they are noise.
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    let started = match config.format {
        LogFormat::Text => lines.try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| wrong(&error))
}

fn wrong(why: &impl ToString) -> ConfigError {
    ConfigError::Value {
        origin: "log.level".to_owned(),
        why: why.to_string(),
    }
}
