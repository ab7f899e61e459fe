//! A subject as its parent sees it: a process that is asked by lines and ends with its handle.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::Context as _;
use sfu::time::Duration;

use super::processor::thread_time;
use super::subject::{Ask, Counts, Told, shard_of};
use crate::report::Process;

/// A running subject.
pub(super) struct Subject {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    /// One of each shard.
    addresses: Vec<SocketAddr>,
    threads: Vec<u32>,
}

impl Subject {
    /// Starts this program again, as a subject.
    pub(super) fn start(ask: &Ask, subject_core: usize) -> anyhow::Result<Self> {
        let mut process = Command::new(std::env::current_exe()?)
            .args(["bench-subject", "--core", &subject_core.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start a subject")?;
        let input = process.stdin.take().context("no input")?;
        let output = process.stdout.take().context("no output")?;
        let mut subject = Self {
            process,
            input,
            output: BufReader::new(output),
            addresses: Vec::new(),
            threads: Vec::new(),
        };
        let told = subject.ask(ask)?;
        let Told::Ready { addresses, threads } = told else {
            anyhow::bail!("not ready but {told:?}");
        };
        (subject.addresses, subject.threads) = (addresses, threads);
        Ok(subject)
    }

    /// An engine whose rooms are for so many.
    pub(super) fn engine(
        participants_max: usize,
        shards: usize,
        core: usize,
    ) -> anyhow::Result<Self> {
        let ask = Ask::Engine {
            participants_max,
            shards,
        };
        Self::start(&ask, core)
    }

    fn ask(&mut self, ask: &Ask) -> anyhow::Result<Told> {
        writeln!(self.input, "{}", serde_json::to_string(ask)?)?;
        self.input.flush()?;
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        let told = serde_json::from_str(&line).context("the subject is gone")?;
        if let Told::Failed { why } = told {
            anyhow::bail!("the subject says: {why}");
        }
        Ok(told)
    }

    /// Brings an offer; the answer.
    pub(super) fn join(
        &mut self,
        room: usize,
        number: usize,
        sdp: String,
    ) -> anyhow::Result<String> {
        let told = self.ask(&Ask::Join { room, number, sdp })?;
        let Told::Answer { sdp } = told else {
            anyhow::bail!("no answer but {told:?}");
        };
        Ok(sdp)
    }

    /// Peer `number` is to be shown each publisher's picture in so many lines.
    pub(super) fn show(
        &mut self,
        room: usize,
        number: usize,
        heights: Vec<(usize, u16)>,
    ) -> anyhow::Result<()> {
        let ask = Ask::Show {
            room,
            number,
            heights,
        };
        let told = self.ask(&ask)?;
        anyhow::ensure!(matches!(told, Told::Done), "not done but {told:?}");
        Ok(())
    }

    /// An engine's counters.
    pub(super) fn count(&mut self) -> anyhow::Result<Counts> {
        let told = self.ask(&Ask::Count)?;
        let Told::Counts(counts) = told else {
            anyhow::bail!("no counters but {told:?}");
        };
        Ok(counts)
    }

    /// Memory and time of all of it.
    pub(super) fn process(&self) -> anyhow::Result<Process> {
        Process::look(self.process.id()).context("the subject is gone")
    }

    /// Where participant `number`'s packets go.
    pub(super) fn address(&self, number: usize) -> anyhow::Result<SocketAddr> {
        let shards = self.addresses.len().max(1);
        let address = self.addresses.get(shard_of(number, shards));
        address.copied().context("a subject without an address")
    }

    /// Time on a core so far of those of its threads that forward.
    pub(super) fn cpu(&self) -> anyhow::Result<Duration> {
        let threads = self.threads.iter();
        let times = threads.map(|&thread| thread_time(self.process.id(), thread));
        let sum: Option<Duration> = times.sum();
        sum.context("the subject's thread is gone")
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to end.
        let _ended = self.process.kill();
        let _waited = self.process.wait();
    }
}
