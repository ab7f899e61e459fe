//! All peers of one subject, in one thread: sends what is due, receives, counts, and opens a sample.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use quinn_udp::RecvMeta;
use sfu::sdp::description::SdpType;
use sfu::time::Duration;
use sfu::wire::demux::{Class as Kind, classify};

use super::child::Subject;
use super::offer::offer;
use super::peer::{MESSAGE_BYTES, MESSAGES, Peer};
use super::publication::{Label, Publication, label};
use super::scenario::Scenario;
use crate::report::Histogram;

/// One packet in so many of a peer's is opened and looked into.
const SAMPLE_EVERY: u64 = 64;
/// Peers that may be joining at the same time, unless a scenario is about just that.
const JOINING_MAX: usize = 8;
/// What was not answered is said again after so long.
const NUDGE_AFTER: Duration = Duration::from_millis(50);
/// Who has not joined by then has failed.
const JOIN_TIMEOUT: Duration = Duration::from_secs(20);
/// Events of one wait.
const EVENTS: usize = 256;
/// The timer's place among the peers.
const TIMER: u64 = u64::MAX;

/// What arrived.
#[derive(Clone, Debug, Default)]
pub(super) struct Received {
    pub(super) packets: u64,
    /// Sequence numbers that were passed over and did not come later.
    pub(super) lost: u64,
    /// Opened.
    pub(super) samples: u64,
    /// Of them those that could not be opened, or were not what their number said.
    pub(super) spoiled: u64,
    /// Receive calls that gave something.
    pub(super) calls: u64,
    /// From sending to the end of the receive call.
    pub(super) latency: Histogram,
}

/// One SSRC as one peer receives it.
#[derive(Debug)]
struct Stream {
    ssrc: u32,
    next: u16,
    packets: u64,
    /// Whose packets these are, and how far their numbers are shifted; from the first sample.
    shift: Option<(usize, u16)>,
}

/// The peers of one subject.
pub(super) struct Fleet {
    pub(super) peers: Vec<Peer>,
    pub(super) received: Received,
    streams: Vec<Vec<Stream>>,
    epoll: Epoll,
    timer: TimerFd,
    buffer: Vec<u8>,
    events: Vec<EpollEvent>,
    epoch: Instant,
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
            peers,
            received: Received::default(),
            epoll,
            timer,
            buffer: vec![0; MESSAGE_BYTES * MESSAGES],
            events: vec![EpollEvent::empty(); EVENTS],
            epoch: Instant::now(),
        })
    }

    /// Everybody joins an engine, a few at a time.
    pub(super) fn join(
        &mut self,
        scenario: &'static Scenario,
        subject: &mut Subject,
    ) -> anyhow::Result<()> {
        let nothing = Publication::new(scenario, false);
        let config = dimpl::Config::builder().use_server_cookie(false).build();
        let config = Arc::new(config.context("a plain DTLS configuration")?);
        for number in 0..self.peers.len() {
            let room = number / scenario.room_participants;
            let answer = subject.join(room, number, offer(scenario, number))?;
            let answer = sfu::sdp::parse(SdpType::Answer, &answer)?;
            let peer = self.peers.get_mut(number).context("a peer less")?;
            peer.join(&answer, subject.address, &config)?;
            let at_most = if number == 0 { 1 } else { JOINING_MAX };
            self.wait_for_joins(number + 1, at_most - 1, &nothing)?;
        }
        self.wait_for_joins(self.peers.len(), 0, &nothing)
    }

    /// Until at most `waiting` of the first `started` peers are on their way.
    fn wait_for_joins(
        &mut self,
        started: usize,
        waiting: usize,
        nothing: &Publication,
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
    pub(super) fn drain(&mut self, publication: &Publication) -> anyhow::Result<()> {
        let until = Instant::now() + Duration::from_millis(100);
        while Instant::now() < until {
            self.step(until, publication)?;
        }
        Ok(())
    }

    /// Waits for datagrams or `until`, and takes what is there.
    fn step(&mut self, until: Instant, publication: &Publication) -> anyhow::Result<()> {
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

    fn take_from(&mut self, number: usize, publication: &Publication) -> anyhow::Result<()> {
        let (Some(peer), Some(streams)) =
            (self.peers.get_mut(number), self.streams.get_mut(number))
        else {
            return Ok(());
        };
        let mut metas = [RecvMeta::default(); MESSAGES];
        let filled = peer.receive(&mut self.buffer, &mut metas)?;
        let now = Instant::now();
        self.received.calls += u64::from(filled > 0);
        let messages = self.buffer.chunks_mut(MESSAGE_BYTES).zip(&metas);
        for (message, meta) in messages.take(filled) {
            let message = message.get_mut(..meta.len).unwrap_or_default();
            for bytes in message.chunks_mut(meta.stride.max(1)) {
                if classify(bytes) == Some(Kind::Rtp) {
                    let at = now.saturating_duration_since(self.epoch);
                    self.received.take(at, peer, streams, bytes, publication);
                } else {
                    peer.take_control(now, bytes)?;
                }
            }
        }
        Ok(())
    }

    /// What is received may come in other places than before: a slot shows who is loudest, and
    /// nobody was for a while.
    pub(super) fn learn_anew(&mut self) {
        for stream in self.streams.iter_mut().flatten() {
            (stream.shift, stream.packets) = (None, 0);
        }
    }

    /// Counts anew.
    pub(super) fn forget(&mut self) -> Received {
        std::mem::take(&mut self.received)
    }
}

impl Received {
    fn take(
        &mut self,
        at: Duration,
        peer: &mut Peer,
        streams: &mut Vec<Stream>,
        bytes: &mut [u8],
        publication: &Publication,
    ) {
        let Some(&[_, _, q0, q1, _, _, _, _, s0, s1, s2, s3]) = bytes.first_chunk() else {
            return;
        };
        let (sequence, ssrc) = (
            u16::from_be_bytes([q0, q1]),
            u32::from_be_bytes([s0, s1, s2, s3]),
        );
        let known = streams.iter().position(|stream| stream.ssrc == ssrc);
        let place = known.unwrap_or(streams.len());
        if known.is_none() {
            streams.push(Stream {
                ssrc,
                next: sequence,
                packets: 0,
                shift: None,
            });
        }
        let Some(stream) = streams.get_mut(place) else {
            return;
        };
        self.packets += 1;
        self.lost += stream.gap(sequence);
        let sampled = stream.packets.is_multiple_of(SAMPLE_EVERY);
        stream.packets += 1;
        if sampled {
            self.samples += 1;
            let length = peer.open_packet(bytes);
            let plain = length.and_then(|length| bytes.get(..length));
            let right = plain
                .and_then(label)
                .is_some_and(|label| stream.agrees(sequence, label));
            self.spoiled += u64::from(!right);
        }
        let sent_at = stream
            .label(sequence)
            .and_then(|label| publication.sent_at(label));
        if let Some(sent_at) = sent_at {
            self.latency.add(at.saturating_sub(sent_at));
        }
    }
}

impl Stream {
    /// How many numbers `sequence` passes over; what is late fills none.
    fn gap(&mut self, sequence: u16) -> u64 {
        let ahead = sequence.wrapping_sub(self.next);
        if ahead >= 1 << 15 {
            return 0;
        }
        self.next = sequence.wrapping_add(1);
        u64::from(ahead)
    }

    /// Whether a sample is what the samples before it promised.
    fn agrees(&mut self, sequence: u16, label: Label) -> bool {
        let shift = (label.publisher, sequence.wrapping_sub(label.sequence));
        *self.shift.get_or_insert(shift) == shift
    }

    /// Which packet has this number.
    fn label(&self, sequence: u16) -> Option<Label> {
        self.shift.map(|(publisher, shift)| Label {
            publisher,
            sequence: sequence.wrapping_sub(shift),
        })
    }
}
