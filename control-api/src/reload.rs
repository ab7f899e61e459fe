//! SIGHUP: configuration and files are read anew, and what can change while people meet changes:
//! signing keys, certificates, another issuer's keys, ICE servers, the log level. All of it or none: where
//! anything is no good, the old configuration stays in use and one line says why.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use crate::auth::Keys;
use crate::config::flags::ServeFlags;
use crate::config::print::changed;
use crate::config::{Config, load};
use crate::ice_servers::IceServers;
use crate::lan;
use crate::logs::Filter;
use crate::node::{Running, signing_keys};

/// Keys that take effect without a restart. What stands in files that are named takes effect too.
const LIVE: &[&str] = &[
    "keys",
    "keys_file",
    "log.level",
    "ice.servers",
    "ice.turn_secret",
    "ice.turn_secret_file",
    "ice.turn_ttl",
];
/// Files that take longer are not read.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// What a reload starts from.
#[derive(Debug)]
pub struct Reload {
    /// The command line, which stays what it is.
    pub flags: ServeFlags,
    /// What log lines pass.
    pub filter: Arc<Filter>,
}

impl Reload {
    /// Takes what is new, if all of it is good; says what came of it.
    pub async fn take(&self, running: &Running) {
        match self.try_take(running).await {
            Ok(later) if later.is_empty() => {
                tracing::info!(
                    "reloaded: keys, certificates, ICE servers and the log level are the newest"
                );
            }
            Ok(later) => tracing::warn!(
                "reloaded: keys, certificates, ICE servers and the log level are the newest; a restart is \
                 needed for {}",
                later.join(", ")
            ),
            Err(why) => tracing::warn!("not reloaded, the old configuration stays in use: {why}"),
        }
    }

    /// The changed keys that only a restart would act on.
    async fn try_take(&self, running: &Running) -> Result<Vec<&'static str>, String> {
        let flags = self.flags.clone();
        let read = tokio::task::spawn_blocking(move || read(&flags));
        // A disk that hangs must not keep the next signal from being heard.
        let read = timeout(READ_TIMEOUT, read).await;
        let read = read.map_err(|_| format!("no file within {} s", READ_TIMEOUT.as_secs()))?;
        let (config, keys, ice_servers) = read.map_err(|error| error.to_string())??;
        let before = running.node.config();
        if config.is_development() != before.is_development() {
            return Err("development mode neither begins nor ends here: restart for it".to_owned());
        }
        self.filter
            .replace(&config.log.level)
            .map_err(|error| error.to_string())?;
        // In development the key was drawn at the start and is nowhere to be read.
        if !config.is_development() {
            running.node.authority().replace_keys(keys);
        }
        running.node.replace_ice_servers(ice_servers);
        running.reload_files();
        let mut later = changed(before, &config).map_err(|error| error.to_string())?;
        later.retain(|key| !LIVE.contains(key));
        Ok(later)
    }
}

/// All that a start would read, checked as a start would.
fn read(flags: &ServeFlags) -> Result<(Config, Keys, IceServers), String> {
    let mut loaded = load(flags, std::env::vars_os()).map_err(|error| error.to_string())?;
    loaded.config.check().map_err(|error| error.to_string())?;
    if loaded.config.lan {
        lan::settle(&mut loaded).map_err(|error| error.to_string())?;
        loaded.config.check().map_err(|error| error.to_string())?;
    }
    let config = loaded.config;
    config.check_files().map_err(|error| error.to_string())?;
    let keys = signing_keys(&config).map_err(|error| error.to_string())?;
    let ice_servers = config.ice_servers().map_err(|error| error.to_string())?;
    Ok((config, keys, ice_servers))
}
