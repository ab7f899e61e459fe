//! Signals. SIGHUP: what can change is read anew. SIGTERM: no new rooms, a while for everybody to go, word to who is still there, the end. A
//! second one ends at once.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::node::Running;
use crate::reload::Reload;

/// The signals that end the process, and the one that makes it read its files anew.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    /// From now on they no longer kill.
    ///
    /// # Errors
    /// The system does not let us listen for them.
    pub fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// One that ends the process; until then, those that make it reload do.
    async fn next_end(&mut self, running: &Running, reload: &Reload) {
        loop {
            let reloaded = async {
                self.hangup.recv().await;
                reload.take(running).await;
            };
            // The end does not wait for a reload, whose files may be slow.
            tokio::select! {
                biased;
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                () = reloaded => {}
            }
        }
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Serves until a signal, then drains. False: a second signal cut it short.
pub async fn until_signal(running: Running, mut signals: Signals, reload: &Reload) -> bool {
    signals.next_end(&running, reload).await;
    let (rooms, participants) = running.node.registry().counts();
    tracing::info!(
        rooms,
        participants,
        "draining; a second signal ends at once"
    );
    tokio::select! {
        () = async {
            running.drain().await;
            running.end().await;
        } => {
            tracing::info!("drained");
            true
        }
        () = signals.next() => {
            tracing::warn!("ended at once");
            false
        }
    }
}
