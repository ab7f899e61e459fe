//! One member of the room: what it sends by SSRC, what it is shown, its tickets, its clock.

use arrayvec::ArrayVec;

use crate::id::{EncodingKey, Mid, ParticipantId, PortId, SectionKey, TrackKey};
use crate::limits::SSRCS_PER_TRANSPORT;
use crate::router::allowance::Allowance;
use crate::router::repair::RepairBudget;
use crate::router::ticket::TicketQueue;
use crate::router::track::Track;
use crate::sdp::negotiate::MediaPlan;
use crate::time::{Duration, Instant, NtpTime, ServerClock};
use crate::wire::extension::{Extension, ExtensionMap};

/// Sender reports whose delay is compared; at one in a few seconds, half a minute or so.
const CLOCK_SAMPLES: usize = 8;
/// A round trip before one was measured.
const RTT_UNKNOWN: Duration = Duration::from_millis(100);

/// What a received SSRC is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) ssrc: u32,
    pub(super) encoding: EncodingKey,
    /// It carries retransmissions of the encoding.
    pub(super) repair: bool,
}

/// A member.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own; no two exclude each other"
)]
pub(super) struct Member {
    pub(super) cname: String,
    /// As the world knows it; told to other shards.
    pub(super) participant: ParticipantId,
    /// It is on the other side of this.
    pub(super) port: Option<PortId>,
    /// Sorted by SSRC; at most `SSRCS_PER_TRANSPORT`.
    pub(super) sources: Vec<Source>,
    /// SSRCs of tracks that were taken from it while their m-lines stand: they lead nowhere. At
    /// most `SSRCS_PER_TRANSPORT`; full: the oldest leaves.
    pub(super) barred: Vec<(Mid, u32)>,
    pub(super) extensions: ExtensionMap,
    pub(super) tracks: Vec<TrackKey>,
    pub(super) sections: Vec<SectionKey>,
    pub(super) queue: TicketQueue,
    /// Pictures and repairs wait until they are let go: only sound leaves.
    pub(super) held: bool,
    pub(super) repairs: RepairBudget,
    /// It is among the router's active members.
    pub(super) active: bool,
    /// Media may be sent to it.
    pub(super) receiving: bool,
    pub(super) rtcp_pending: bool,
    /// When the next receiver report is due, once something was received.
    pub(super) report_due: Option<Instant>,
    pub(super) reduced_size: bool,
    pub(super) rtt: Duration,
    pub(super) clock: PublisherClock,
    pub(super) fir_number: u8,
    /// It is told what arrived by SSRC and sequence number (RFC 8888).
    pub(super) is_reported: bool,
    /// What it may send, where it takes no orders.
    pub(super) allowance: Option<Allowance>,
}

impl Member {
    /// It has tickets or RTCP that may leave.
    pub(super) fn has_ready(&self) -> bool {
        let tickets = if self.held {
            self.queue.has_audio()
        } else {
            !self.queue.is_empty()
        };
        tickets || self.rtcp_pending
    }

    /// The SSRCs that led to `encoding` lead nowhere any more; `gone` is told of each.
    pub(super) fn forget_sources(&mut self, encoding: EncodingKey, mut gone: impl FnMut(u32)) {
        self.sources.retain(|source| {
            let keeps = source.encoding != encoding;
            if !keeps {
                gone(source.ssrc);
            }
            keeps
        });
    }

    pub(super) fn new(cname: &str) -> Self {
        Self {
            cname: cname.to_owned(),
            participant: ParticipantId(0),
            port: None,
            sources: Vec::new(),
            barred: Vec::new(),
            extensions: ExtensionMap::default(),
            tracks: Vec::new(),
            sections: Vec::new(),
            queue: TicketQueue::default(),
            held: false,
            repairs: RepairBudget::default(),
            active: false,
            receiving: true,
            rtcp_pending: false,
            report_due: None,
            reduced_size: false,
            rtt: RTT_UNKNOWN,
            clock: PublisherClock::default(),
            fir_number: 0,
            is_reported: false,
            allowance: None,
        }
    }

    pub(super) fn source(&self, ssrc: u32) -> Option<Source> {
        let place = self.sources.binary_search_by_key(&ssrc, |s| s.ssrc).ok()?;
        self.sources.get(place).copied()
    }

    /// What leads to `track` leads nowhere from now on.
    pub(super) fn bar(&mut self, track: &Track) {
        let heard = self.sources.iter();
        let heard = heard.filter(|source| track.encodings.contains(&source.encoding));
        let heard = heard.map(|source| source.ssrc);
        let declared = track.plan.ssrcs.iter();
        let declared = declared
            .flat_map(|&(main, rtx)| [Some(main), rtx])
            .flatten();
        let ssrcs: Vec<u32> = heard.chain(declared).collect();
        for ssrc in ssrcs {
            if !self.is_barred(ssrc) {
                self.barred.push((track.mid(), ssrc));
            }
        }
        let surplus = self.barred.len().saturating_sub(SSRCS_PER_TRANSPORT);
        self.barred.drain(..surplus);
    }

    /// An m-line is published: what came on it may come again, and what it declares.
    pub(super) fn unbar(&mut self, plan: &MediaPlan) {
        let declares = |ssrc: u32| {
            let mut declared = plan.ssrcs.iter();
            declared.any(|&(main, rtx)| main == ssrc || rtx == Some(ssrc))
        };
        self.barred
            .retain(|&(mid, ssrc)| mid != plan.mid && !declares(ssrc));
    }

    /// Whether an SSRC leads nowhere by order.
    pub(super) fn is_barred(&self, ssrc: u32) -> bool {
        self.barred.iter().any(|&(_, barred)| barred == ssrc)
    }

    /// Learns an SSRC. The caller has looked at the bound.
    pub(super) fn add_source(&mut self, source: Source) {
        match self.sources.binary_search_by_key(&source.ssrc, |s| s.ssrc) {
            Ok(place) => {
                if let Some(known) = self.sources.get_mut(place) {
                    *known = source;
                }
            }
            Err(place) => self.sources.insert(place, source),
        }
    }

    /// BUNDLE makes extension ids unique over all m-lines of a transport (RFC 9143 §9).
    pub(super) fn merge_extensions(&mut self, map: &ExtensionMap) {
        for extension in Extension::ALL {
            if let Some(id) = map.id(extension) {
                self.extensions.set(extension, id);
            }
        }
    }
}

/// A publisher's clock against the server's: one for all its streams, or sound and picture would
/// part by what the network does to each.
#[derive(Clone, Debug, Default)]
pub(super) struct PublisherClock {
    /// Arrival less sending time of recent reports, in microseconds.
    offsets: ArrayVec<i64, CLOCK_SAMPLES>,
    next: usize,
}

impl PublisherClock {
    /// A sender report that says `ntp` arrived.
    pub(super) fn report(&mut self, arrived_at: NtpTime, ntp: NtpTime) {
        let offset = arrived_at.micros_since(ntp);
        if let Some(place) = self.offsets.get_mut(self.next) {
            *place = offset;
        } else if self.offsets.try_push(offset).is_err() {
            return;
        }
        self.next = (self.next + 1) % CLOCK_SAMPLES;
    }

    /// How long ago, on the server's clock, the publisher's clock showed `ntp`. The report that
    /// waited least tells best.
    pub(super) fn micros_ago(
        &self,
        now: Instant,
        ntp: NtpTime,
        server: &ServerClock,
    ) -> Option<i64> {
        let offset = *self.offsets.iter().min()?;
        Some(server.ntp(now).micros_since(ntp).saturating_sub(offset))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_that_waited_least_sets_the_clock() {
        let server = ServerClock::from_unix(Duration::from_secs(1_700_000_000));
        let theirs = ServerClock::from_unix(Duration::from_secs(900_000_000));
        let mut clock = PublisherClock::default();
        assert_eq!(clock.micros_ago(Instant::ZERO, NtpTime(0), &server), None);
        for (sent, delay) in [(0, 40), (1_000, 15), (2_000, 90)] {
            let sent_at = Instant::from_millis(sent);
            let arrived_at = sent_at + Duration::from_millis(delay);
            clock.report(server.ntp(arrived_at), theirs.ntp(sent_at));
        }
        let now = Instant::from_millis(2_500);
        let ntp = theirs.ntp(Instant::from_millis(2_000));
        let ago = clock.micros_ago(now, ntp, &server).expect("three reports");
        assert!((ago - 485_000).abs() < 10, "{ago}");
    }
}
