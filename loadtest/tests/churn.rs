//! Comings and goings on real sockets leave nothing behind. Alone in its file: the allocator counts
//! the whole process.

use loadtest::allocator::{Counting, counting};
use loadtest::churn::{ChurnParameters, churn};

#[global_allocator]
static ALLOCATOR: Counting = counting();

/// `loadtest churn` does a thousand of them.
#[test]
fn sixty_meetings_on_real_sockets_leave_nothing() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let parameters = ChurnParameters {
        cycles: 60,
        lanes: 2,
        seed: 1,
    };
    let report = runtime
        .block_on(churn(parameters, || ALLOCATOR.allocated()))
        .expect("all met");
    println!("{report}");
    assert_eq!(report.misses(), Vec::<String>::new());
}
