//! All peers of one subject, in one thread: sends what is due, receives, counts, and opens a sample.

use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use quinn_udp::RecvMeta;
use sfu::sdp::Description;
use sfu::sdp::description::SdpType;
use sfu::time::{Duration, Instant as SfuInstant};
use sfu::wire::demux::{Class as Kind, classify};

use super::child::Subject;
use super::feedback::{REPORT_EVERY, keyframes_wanted, transport_sequence};
use super::offer::offer;
use super::peer::{MESSAGE_BYTES, MESSAGES, Peer};
use super::publication::Publication;
use super::received::{Arrival, Received, Stream};
use super::repair::{Path, Repairs, is_repeat};
use super::scenario::Scenario;

/// Peers that may be joining at the same time, unless a scenario is about just that.
const JOINING_MAX: usize = 8;
/// What was not answered is said again after so long.
const NUDGE_AFTER: Duration = Duration::from_millis(50);
/// Who has not joined by then has failed.
const JOIN_TIMEOUT: Duration = Duration::from_secs(20);
/// Answers that came are looked at so often.
const ANSWERS_EVERY: Duration = Duration::from_millis(1);
/// After the last packet was sent, what is on its way arrives.
const DRAIN: Duration = Duration::from_millis(100);
/// And what is asked for again comes three times.
const DRAIN_LOSSY: Duration = Duration::from_millis(600);
/// What is missing is looked at so often, other than behind a packet.
const ASK_EVERY: Duration = Duration::from_millis(10);
/// Events of one wait.
const EVENTS: usize = 256;
/// The timer's place among the peers.
const TIMER: u64 = u64::MAX;

/// The peers of one subject.
pub(super) struct Fleet {
    pub(super) peers: Vec<Peer>,
    pub(super) received: Received,
    streams: Vec<Vec<Stream>>,
    paths: Vec<Path>,
    repairs: Repairs,
    loss_per_mille: u32,
    /// When what is missing is asked for again.
    ask_at: Instant,
    epoll: Epoll,
    timer: TimerFd,
    buffer: Vec<u8>,
    events: Vec<EpollEvent>,
    epoch: Instant,
    /// The same moment of the kernel's clock, which stamps what arrives.
    epoch_unix: Duration,
    /// When what arrived is told again.
    report_at: Instant,
    /// Only the first so many peers' latency counts, and by the kernel's stamps.
    timed: Option<usize>,
}

impl Fleet {
    /// `count` peers without keys.
    pub(super) fn open(count: usize) -> anyhow::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let timer = TimerFd::new(
            ClockId::CLOCK_MONOTONIC,
            TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC,
        )?;
        let readable = |place| EpollEvent::new(EpollFlags::EPOLLIN, place);
        epoll.add(timer.as_fd(), readable(TIMER))?;
        let mut peers = Vec::with_capacity(count);
        for number in 0..count {
            let peer = Peer::open(number)?;
            epoll.add(peer.socket(), readable(number as u64))?;
            peers.push(peer);
        }
        Ok(Self {
            streams: peers.iter().map(|_| Vec::new()).collect(),
            paths: (0..count).map(Path::new).collect(),
            repairs: Repairs::default(),
            loss_per_mille: 0,
            ask_at: Instant::now(),
            peers,
            received: Received::default(),
            epoll,
            timer,
            buffer: vec![0; MESSAGE_BYTES * MESSAGES],
            events: vec![EpollEvent::empty(); EVENTS],
            epoch: Instant::now(),
            epoch_unix: SystemTime::now().duration_since(UNIX_EPOCH)?,
            report_at: Instant::now(),
            timed: None,
        })
    }

    /// The first `count` join an engine, a few at a time.
    pub(super) fn join(
        &mut self,
        scenario: &'static Scenario,
        subject: &mut Subject,
        count: usize,
    ) -> anyhow::Result<()> {
        let nothing = &mut Publication::new(scenario, false);
        let config = plain_dtls()?;
        for number in 0..count {
            let room = scenario.room(number);
            let answer = subject.join(room, number, offer(scenario, number))?;
            let answer = sfu::sdp::parse(SdpType::Answer, &answer)?;
            let peer = self.peers.get_mut(number).context("a peer less")?;
            peer.join(&answer, subject.address(number)?, &config)?;
            let at_most = if number == 0 { 1 } else { JOINING_MAX };
            self.wait_for_joins(number + 1, at_most - 1, nothing)?;
        }
        self.wait_for_joins(count, 0, nothing)
    }

    /// Everybody from peer `first` on joins as `answers` come, while media flows; until all of them
    /// have some.
    pub(super) fn take_in(
        &mut self,
        first: usize,
        server: SocketAddr,
        answers: &Receiver<(usize, Description)>,
        publication: &mut Publication,
    ) -> anyhow::Result<()> {
        let config = plain_dtls()?;
        let begun = Instant::now();
        let mut nudge_at = begun + NUDGE_AFTER;
        while self.streams.iter().skip(first).any(Vec::is_empty) {
            let late = begun.elapsed() > JOIN_TIMEOUT;
            anyhow::ensure!(!late, "somebody who joined got no media");
            for (number, answer) in answers.try_iter() {
                let peer = self.peers.get_mut(number).context("a peer less")?;
                peer.join(&answer, server, &config)?;
            }
            let now = Instant::now();
            publication.send_due(now, self.epoch, &mut self.peers)?;
            let next = publication.next_at().unwrap_or(now);
            self.step(next.min(now + ANSWERS_EVERY), publication)?;
            if now >= nudge_at {
                nudge_at = now + NUDGE_AFTER;
                for peer in self.peers.iter_mut().skip(first) {
                    peer.nudge(now)?;
                }
            }
        }
        Ok(())
    }

    /// Latency counts of the first `count` peers only, by the kernel's time of arrival.
    pub(super) const fn time_only(&mut self, count: usize) {
        self.timed = Some(count);
    }

    /// When the first packet came to peer `number`.
    pub(super) fn first_media(&self, number: usize) -> Option<Instant> {
        let streams = self.streams.get(number)?.iter();
        streams.map(|stream| self.epoch + stream.since).min()
    }

    /// Until at most `waiting` of the first `started` peers are on their way.
    fn wait_for_joins(
        &mut self,
        started: usize,
        waiting: usize,
        nothing: &mut Publication,
    ) -> anyhow::Result<()> {
        let begun = Instant::now();
        let mut nudge_at = begun + NUDGE_AFTER;
        loop {
            let peers = self.peers.iter().take(started);
            let joining = peers.filter(|peer| !peer.is_ready()).count();
            if joining <= waiting {
                return Ok(());
            }
            anyhow::ensure!(
                begun.elapsed() < JOIN_TIMEOUT,
                "{joining} peers did not join"
            );
            self.step(nudge_at, nothing)?;
            let now = Instant::now();
            if now >= nudge_at {
                nudge_at = now + NUDGE_AFTER;
                for peer in self.peers.iter_mut().take(started) {
                    peer.nudge(now)?;
                }
            }
        }
    }

    /// Sends what `publication` has due and receives, until `until`.
    pub(super) fn run(
        &mut self,
        until: Instant,
        publication: &mut Publication,
    ) -> anyhow::Result<()> {
        loop {
            let now = Instant::now();
            if now >= until {
                return Ok(());
            }
            publication.send_due(now, self.epoch, &mut self.peers)?;
            let next = publication.next_at().map_or(until, |at| at.min(until));
            self.step(next, publication)?;
        }
    }

    /// Receives what still comes, and sends nothing.
    pub(super) fn drain(&mut self, publication: &mut Publication) -> anyhow::Result<()> {
        let patience = if self.loss_per_mille > 0 {
            DRAIN_LOSSY
        } else {
            DRAIN
        };
        let until = Instant::now() + patience;
        while Instant::now() < until {
            self.step(until, publication)?;
        }
        Ok(())
    }

    /// Waits for datagrams or `until`, and takes what is there.
    fn step(&mut self, until: Instant, publication: &mut Publication) -> anyhow::Result<()> {
        if publication.scenario.estimated && self.report_at <= Instant::now() {
            self.report_at = Instant::now() + REPORT_EVERY;
            for peer in &mut self.peers {
                peer.report()?;
            }
        }
        if self.loss_per_mille > 0 && self.ask_at <= Instant::now() {
            self.ask_at = Instant::now() + ASK_EVERY;
            for number in 0..self.peers.len() {
                self.ask_again(number, Instant::now())?;
            }
        }
        let after = until.saturating_duration_since(Instant::now());
        // Zero would disarm it.
        let after = after.max(Duration::from_nanos(1));
        let expiration = Expiration::OneShot(TimeSpec::from_duration(after));
        self.timer.set(expiration, TimerSetTimeFlags::empty())?;
        let count = match self.epoll.wait(&mut self.events, EpollTimeout::NONE) {
            Ok(count) => count,
            Err(Errno::EINTR) => 0,
            Err(errno) => return Err(errno.into()),
        };
        for place in 0..count {
            let Some(event) = self.events.get(place) else {
                break;
            };
            if let Ok(number) = usize::try_from(event.data())
                && event.data() != TIMER
            {
                self.take_from(number, publication)?;
            }
        }
        Ok(())
    }

    fn take_from(&mut self, number: usize, publication: &mut Publication) -> anyhow::Result<()> {
        let Some(peer) = self.peers.get_mut(number) else {
            return Ok(());
        };
        let mut metas = [RecvMeta::default(); MESSAGES];
        let filled = peer.receive(&mut self.buffer, &mut metas)?;
        let now = Instant::now();
        self.received.calls += u64::from(filled > 0);
        // Taken out, so that each packet can be shown to the whole fleet.
        let mut buffer = std::mem::take(&mut self.buffer);
        let messages = buffer.chunks_mut(MESSAGE_BYTES).zip(&metas);
        for (message, meta) in messages.take(filled) {
            let at = match (self.timed, meta.timestamp) {
                (Some(_), Some(stamp)) => stamp.saturating_sub(self.epoch_unix),
                _ => now.saturating_duration_since(self.epoch),
            };
            let message = message.get_mut(..meta.len).unwrap_or_default();
            for bytes in message.chunks_mut(meta.stride.max(1)) {
                self.take(number, (now, at), bytes, publication)?;
            }
        }
        self.buffer = buffer;
        if self.loss_per_mille > 0 {
            self.ask_again(number, now)?;
        }
        Ok(())
    }

    /// One datagram of peer `number`.
    fn take(
        &mut self,
        number: usize,
        (now, at): (Instant, Duration),
        bytes: &mut [u8],
        publication: &mut Publication,
    ) -> anyhow::Result<()> {
        let (Some(peer), Some(streams), Some(path)) = (
            self.peers.get_mut(number),
            self.streams.get_mut(number),
            self.paths.get_mut(number),
        ) else {
            return Ok(());
        };
        match classify(bytes) {
            Some(Kind::Rtp) => {
                let (is_repeat, loss) = (is_repeat(bytes), self.loss_per_mille);
                let is_lost = loss > 0 && path.takes(loss, is_repeat, &mut self.repairs);
                if publication.scenario.estimated
                    && !is_lost
                    && let Some(sequence) = transport_sequence(bytes)
                {
                    peer.arrivals.note(SfuInstant::ZERO + at, sequence);
                }
                if is_repeat {
                    self.received.repairs += 1;
                    if loss > 0 {
                        path.take_repeat(peer, streams, (bytes, !is_lost), &mut self.repairs);
                    }
                } else if !is_lost {
                    let is_timed = self.timed.is_none_or(|count| number < count);
                    let arrival = Arrival { at, is_timed };
                    let passed_over =
                        self.received
                            .take(arrival, peer, streams, bytes, publication);
                    if loss > 0 {
                        path.pass_over(passed_over.iter(), &mut self.repairs);
                    }
                }
                Ok(())
            }
            // Whoever only receives is asked for nothing.
            Some(Kind::Rtcp) if number < publication.scenario.publishers => {
                let length = peer.open_compound(bytes);
                let compound = length.and_then(|length| bytes.get(..length));
                for ssrc in keyframes_wanted(compound.unwrap_or_default()) {
                    publication.want_keyframe(ssrc);
                }
                Ok(())
            }
            _ => peer.take_control(now, bytes),
        }
    }

    /// Peer `number` asks for what it misses.
    fn ask_again(&mut self, number: usize, now: Instant) -> anyhow::Result<()> {
        let at = now.saturating_duration_since(self.epoch);
        let (peers, paths) = (self.peers.iter_mut(), self.paths.iter_mut());
        let mut all = peers.zip(paths).zip(&self.streams);
        let Some(((peer, path), streams)) = all.nth(number) else {
            return Ok(());
        };
        path.ask(at, peer, streams)
    }

    /// From now on so many of 1,000 packets are thrown away.
    pub(super) const fn lose(&mut self, per_mille: u32) {
        self.loss_per_mille = per_mille;
    }

    /// What was lost and repeated since it was last asked for. What is still missing is forgotten.
    pub(super) fn repairs(&mut self) -> Repairs {
        for path in &mut self.paths {
            path.forget();
        }
        std::mem::take(&mut self.repairs)
    }

    /// What is received may come in other places than before: a slot shows who is loudest, and
    /// nobody was for a while.
    pub(super) fn learn_anew(&mut self) {
        for stream in self.streams.iter_mut().flatten() {
            stream.learn_anew();
        }
    }

    /// Counts anew.
    pub(super) fn forget(&mut self) -> Received {
        std::mem::take(&mut self.received)
    }
}

/// What DTLS clients are made with.
fn plain_dtls() -> anyhow::Result<Arc<dimpl::Config>> {
    let config = dimpl::Config::builder().use_server_cookie(false).build();
    Ok(Arc::new(config.context("a plain DTLS configuration")?))
}
