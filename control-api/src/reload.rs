//! SIGHUP: configuration and files are read anew, and what can change while people meet changes:
//! signing keys, certificates, another issuer's keys, ICE servers, the log level. All of it or none: where
//! anything is no good, the old configuration stays in use and one line says why.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
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
    /// One thread reads, however many signals come.
    pub reader: Reader,
}

/// Reads files on a thread of its own, one read at a time.
#[derive(Clone, Debug)]
pub struct Reader(Arc<Semaphore>);

impl Default for Reader {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(1)))
    }
}

impl Reader {
    /// What `read` gives, or why there is nothing: a disk that hangs is not waited for, and not asked
    /// again before it has answered, since each question keeps a thread.
    async fn read<T: Send + 'static>(
        &self,
        most: Duration,
        read: impl FnOnce() -> Result<T, String> + Send + 'static,
    ) -> Result<T, String> {
        let turn = Arc::clone(&self.0).try_acquire_owned();
        let turn = turn.map_err(|_| "files are still being read for the last one".to_owned())?;
        let read = spawn_blocking(move || {
            let read = read();
            drop(turn);
            read
        });
        let read = timeout(most, read).await;
        let read = read.map_err(|_| format!("no file within {} s", most.as_secs()))?;
        read.map_err(|error| error.to_string())?
    }
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
        // A disk that hangs must not keep the next signal from being heard.
        let read = self.reader.read(READ_TIMEOUT, move || read(&flags));
        let (config, keys, ice_servers) = read.await?;
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

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use tokio::sync::Mutex;
    use tokio::sync::mpsc::unbounded_channel;

    use super::*;

    #[tokio::test]
    async fn however_often_a_hung_disk_is_asked_one_thread_waits_for_it() {
        let reader = Reader::default();
        let (answer, disk) = mpsc::channel::<()>();
        let (begins, mut begun) = unbounded_channel::<()>();
        let disk = Arc::new(Mutex::new(disk));
        let ask = |most| {
            let (disk, begins) = (Arc::clone(&disk), begins.clone());
            reader.read(Duration::from_millis(most), move || {
                begins.send(()).map_err(|error| error.to_string())?;
                let disk = disk.blocking_lock();
                disk.recv().map_err(|error| error.to_string())
            })
        };
        // However late the thread begins.
        let (why, begins) = tokio::join!(ask(50), begun.recv());
        assert_eq!(why.unwrap_err(), "no file within 0 s");
        assert_eq!(begins, Some(()));
        for _ in 0..10 {
            let why = ask(50).await.unwrap_err();
            assert!(why.contains("still being read"), "{why}");
        }
        assert!(begun.try_recv().is_err(), "another thread reads");
        // The disk answers: the next one is asked again.
        answer.send(()).unwrap();
        answer.send(()).unwrap();
        while ask(60_000).await.is_err() {
            tokio::task::yield_now().await;
        }
        assert_eq!(begun.try_recv(), Ok(()));
        assert!(begun.try_recv().is_err(), "another thread reads");
    }
}
