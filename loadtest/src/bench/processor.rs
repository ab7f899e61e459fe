//! Cores and CPU time: who runs where, and how long it ran.

use anyhow::Context as _;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use sfu::time::Duration;

/// Who runs where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cores {
    pub(super) subject: usize,
    pub(super) load: usize,
}

impl Cores {
    /// The first and the last core this thread may use.
    pub(super) fn choose() -> anyhow::Result<Self> {
        let set = sched_getaffinity(Pid::from_raw(0))?;
        let mut allowed = (0..CpuSet::count()).filter(|&core| set.is_set(core).unwrap_or(false));
        let subject = allowed.next().context("no core to run on")?;
        let load = allowed.next_back().unwrap_or(subject);
        Ok(Self { subject, load })
    }
}

/// Binds the calling thread, and those it makes from now on, to a core.
pub(super) fn pin(core: usize) -> anyhow::Result<()> {
    let mut set = CpuSet::new();
    set.set(core)?;
    Ok(sched_setaffinity(Pid::from_raw(0), &set)?)
}

/// The thread of this process with a name.
pub(super) fn thread_named(name: &str) -> Option<u32> {
    let tasks = std::fs::read_dir("/proc/self/task").ok()?;
    tasks.filter_map(Result::ok).find_map(|task| {
        let found = std::fs::read_to_string(task.path().join("comm")).ok()?;
        let number = task.file_name().to_str()?.parse().ok()?;
        (found.trim() == name).then_some(number)
    })
}

/// How long a thread has been on a core.
pub(super) fn thread_time(process: u32, thread: u32) -> Option<Duration> {
    // Kernel's Documentation/scheduler/sched-stats: time on the CPU, in ns, comes first.
    let text = std::fs::read_to_string(format!("/proc/{process}/task/{thread}/schedstat")).ok()?;
    let nanos = text.split_whitespace().next()?.parse().ok()?;
    Some(Duration::from_nanos(nanos))
}
