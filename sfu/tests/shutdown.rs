//! What an engine leaves behind: nothing. A process of its own, since descriptors and threads are
//! counted for the whole process.
#![cfg(feature = "engine")]

use std::sync::Arc;

use sfu::engine::{Engine, EngineConfig};
use sfu::transport::Identity;
use support::descriptors_and_threads;

#[test]
fn after_shutdown_threads_and_descriptors_are_gone() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let drawn = rcgen::generate_simple_self_signed(Vec::new()).expect("a certificate");
    let key = drawn.signing_key.serialize_der();
    let identity = Arc::new(Identity::new(drawn.cert.der().to_vec(), key));
    let before = descriptors_and_threads();
    for _ in 0..3 {
        let config = EngineConfig {
            udp: ["127.0.0.1:0", "[::1]:0"]
                .map(|text| text.parse().expect(text))
                .to_vec(),
            shards: Some(2),
            ..EngineConfig::default()
        };
        let (handle, news) = Engine::start(config, Arc::clone(&identity)).expect("free ports");
        let (descriptors, threads) = descriptors_and_threads();
        assert!(
            descriptors >= before.0 + 6,
            "two sockets and a timer for each shard"
        );
        assert_eq!(threads, before.1 + 2);
        runtime.block_on(handle.shutdown());
        drop((handle, news));
        assert_eq!(descriptors_and_threads(), before);
    }
}

#[cfg(test)]
mod support {
    pub(super) fn descriptors_and_threads() -> (usize, usize) {
        let count = |folder| std::fs::read_dir(folder).expect("procfs").count();
        (count("/proc/self/fd"), count("/proc/self/task"))
    }
}
