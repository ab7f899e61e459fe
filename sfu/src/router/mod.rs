//! One room on one shard: who publishes, who is shown what, and every packet between. No sockets.
//!
//! | file | what it is |
//! |---|---|
//! | `ingress`, `offer` | the way in: one packet to its encoding, its history, its sections |
//! | `beginning` | a stream begins, for the first time or anew |
//! | `departure`, `rewriter` | the way out: tickets in order, and the packet written |
//! | `report` | RTCP in and out, and everything that is due by the clock |
//! | [`track`] | a published track and its encodings |
//! | `encoding` | receiving side of one RTP stream: order, loss, jitter, report block |
//! | [`history`] | recent packets of one encoding, in pages of a shared pool |
//! | `nack` | what to ask for again, and when to give up |
//! | `again` | packets that go out a second time as they were |
//! | `redundancy` | copies of sound within later packets, given and taken |
//! | `playout` | how long a receiver is asked to wait for repeats |
//! | `repair` | repeats to a subscriber: what they may cost, what is refused |
//! | `keyframe` | many requests, few PLIs |
//! | `member` | one participant: its SSRCs, tickets and clock |
//! | `subscription` | a wish that has a section |
//! | `section` | one outgoing m-line: SSRCs, numbering, repeats, sender report |
//! | `sent` | what is remembered of one outgoing number |
//! | `selector` | which encoding passes now |
//! | [`decode_target`] | which frames of a scalable encoding pass |
//! | `foresight` | what is about to be sent, as far as it can be known before |
//! | `forwarder` | timestamps and picture numbers across switches and re-bindings |
//! | `layers` | which layers of the encoding that is shown pass |
//! | `rates` | what each layer of an encoding carries |
//! | [`rungs`] | what of a simulcast track each section is given, and padding that probes |
//! | `patience` | how long a key frame is waited for that leads to another size |
//! | `orders` | which rungs of a track its publisher is asked for |
//! | `allowance` | how much a publisher may send that takes no orders |
//! | [`allocator`] | one participant's bitrate to a layer for each section |
//! | [`ticket`] | orders to send |
//! | [`port`] | doors for plaintext media: out, and in from another shard |
//! | `speaker` | audio levels to active speaker |
//! | [`loudest`] | audio levels to the voices that are heard in a large room |

mod again;
pub mod allocator;
mod allowance;
mod beginning;
pub mod decode_target;
mod departure;
mod encoding;
mod foresight;
mod forwarder;
pub mod history;
mod ingress;
mod keyframe;
mod layers;
pub mod loudest;
mod member;
mod nack;
mod offer;
mod orders;
mod patience;
mod playout;
pub mod port;
mod rates;
mod redundancy;
mod repair;
mod report;
mod rewriter;
pub mod rungs;
mod section;
mod selector;
mod sent;
mod speaker;
mod subscription;
pub mod ticket;
pub mod track;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::Rng;
use slab::Slab;

use crate::error::CommandError;
use crate::id::{EncodingKey, MemberKey, Mid, ParticipantId, SectionKey, TrackId, TrackKey};
use crate::limits::{SECTIONS_PER_TRANSPORT, TRACKS_PER_PARTICIPANT};
use crate::sdp::negotiate::MediaPlan;
use crate::time::{Instant, ServerClock};
use crate::units::{AudioLevel, MediaKind};

use encoding::Encoding;
use layers::EVERYTHING;
use loudest::Loudest;
use member::Member;
use port::Port;
use section::Section;
use speaker::Speakers;
use subscription::Subscription;

pub use history::PagePool;
pub use ingress::Routed;
pub use rewriter::{Rewriter, Rewritten, Seal};
pub use ticket::{Ticket, TicketClass};
pub use track::Track;

/// Table sizes of one router.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RouterSizes {
    /// Published tracks.
    pub tracks: usize,
    /// Their encodings.
    pub encodings: usize,
    /// Outgoing m-lines.
    pub sections: usize,
    /// Plaintext doors.
    pub ports: usize,
    /// Packets waiting in tickets.
    pub tickets: usize,
}

/// Counters since the last [`Router::take_stats`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RouterStats {
    /// Packets that left a full queue.
    pub queue_full: u64,
    /// NACKed sequence numbers received.
    pub nacks_in: u64,
    /// Sequence numbers asked of publishers.
    pub nacks_out: u64,
    /// PLI and FIR received.
    pub keyframe_requests_in: u64,
    /// PLI and FIR sent.
    pub keyframe_requests_out: u64,
    /// NACKed numbers not answered: too soon, too often, unknown, or NACK not negotiated.
    pub throttled: u64,
    /// NACKed numbers not answered: repeats have taken their share of the path.
    pub over_budget: u64,
    /// NACKs not listened to: more than any loss explains.
    pub nack_storms: u64,
    /// Packets put into pipes.
    pub piped: u64,
    /// Packets that found a pipe full.
    pub pipe_full: u64,
    /// Packets that came out of pipes.
    pub piped_in: u64,
}

/// The tables of one room on one shard.
#[derive(Debug)]
pub struct Router {
    clock: ServerClock,
    /// By member key: the shard chooses the places.
    members: Vec<Option<Member>>,
    /// By member key: when RTCP of that member is due.
    dues: Vec<Instant>,
    /// No due is earlier than this.
    due_next: Instant,
    tracks: Slab<Track>,
    encodings: Slab<Encoding>,
    sections: Slab<Section>,
    ports: Vec<Port>,
    /// Members with tickets or RTCP.
    active: Vec<MemberKey>,
    tickets: usize,
    /// When which encoding's gathered packets leave; stale where the encoding says otherwise.
    holds_audio: VecDeque<(Instant, EncodingKey)>,
    holds_video: VecDeque<(Instant, EncodingKey)>,
    /// Packets gathered and not offered yet.
    held: usize,
    speakers: Speakers,
    loudest: Loudest,
    /// Sound of the loudest alone is sent.
    selects: bool,
    /// Tracks that are `is_ranked`.
    ranked: Vec<TrackKey>,
    /// When flows are compared next; never where no track has several encodings.
    flows_due: Option<Instant>,
    stops_due: Option<Instant>,
    /// When it is looked at what is wanted of simulcast tracks, where that may have changed.
    orders_due: Option<Instant>,
    /// Tracks of which other rungs are asked for, each once.
    ordered_anew: Vec<TrackKey>,
    next_serial: u32,
    /// Tracks whose format changed, each once.
    changed: Vec<TrackKey>,
    /// Pictures of which something has come for the first time.
    begun: Vec<TrackKey>,
    /// SSRCs that lead nowhere any more, until the shard has read them.
    forgotten: Vec<(MemberKey, u32)>,
    stats: RouterStats,
}

/// An outgoing m-line between two rooms.
#[derive(Debug)]
pub struct DetachedSection(Box<Section>);

/// Later than anything.
const NEVER: Instant = Instant::from_micros(u64::MAX);

impl Router {
    /// An empty room. Reports are on `clock`.
    #[must_use]
    pub fn new(clock: ServerClock) -> Self {
        Self {
            clock,
            members: Vec::new(),
            dues: Vec::new(),
            due_next: NEVER,
            tracks: Slab::new(),
            encodings: Slab::new(),
            sections: Slab::new(),
            ports: Vec::new(),
            active: Vec::new(),
            tickets: 0,
            holds_audio: VecDeque::new(),
            holds_video: VecDeque::new(),
            held: 0,
            speakers: Speakers::default(),
            loudest: Loudest::default(),
            selects: false,
            ranked: Vec::new(),
            flows_due: None,
            stops_due: None,
            orders_due: None,
            ordered_anew: Vec::new(),
            next_serial: 0,
            changed: Vec::new(),
            begun: Vec::new(),
            forgotten: Vec::new(),
            stats: RouterStats::default(),
        }
    }

    /// A member; its key is its place among the room's transports. `cname` names its streams in
    /// the SDES of those who receive them.
    pub fn add_member(&mut self, member: MemberKey, cname: &str) {
        let place = member.index();
        if self.members.len() <= place {
            self.members.resize_with(place + 1, || None);
            self.dues.resize(place + 1, NEVER);
        }
        if let Some(slot) = self.members.get_mut(place) {
            *slot = Some(Member::new(cname));
        }
    }

    /// What the world calls a member: other shards are told.
    pub fn set_participant(&mut self, member: MemberKey, participant: ParticipantId) {
        if let Some(found) = member_mut(&mut self.members, member) {
            found.participant = participant;
        }
    }

    /// Frees everything of a member: its tracks, sections, tickets.
    pub fn remove_member(&mut self, now: Instant, member: MemberKey, pages: &mut PagePool) {
        let leaving = member_mut(&mut self.members, member);
        let (tracks, sections) = leaving.map_or_else(Default::default, |found| {
            let tracks = std::mem::take(&mut found.tracks);
            (tracks, std::mem::take(&mut found.sections))
        });
        for track in tracks {
            self.unpublish(now, track, pages);
        }
        for section in sections {
            self.close_section(section);
        }
        let gone = self.members.get_mut(member.index()).and_then(Option::take);
        let tickets = gone.map_or(0, |found| found.queue.len());
        self.tickets = self.tickets.saturating_sub(tickets);
        if let Some(due) = self.dues.get_mut(member.index()) {
            *due = NEVER;
        }
        self.active.retain(|&active| active != member);
        self.speakers.forget(member);
        while self.members.last().is_some_and(Option::is_none) {
            self.members.pop();
            self.dues.pop();
        }
    }

    /// The room is gone: frees everything.
    pub fn close(&mut self, pages: &mut PagePool) {
        for (_, encoding) in &mut self.encodings {
            encoding.history.clear(pages);
        }
        *self = Self::new(self.clock);
    }

    /// Whether media may be sent to a member (true from the start). False until its transport is
    /// connected: nothing piles up, and each picture begins with a key frame, asked for then.
    pub fn set_receiving(&mut self, now: Instant, member: MemberKey, receiving: bool) {
        let Some(found) = member_mut(&mut self.members, member) else {
            return;
        };
        if std::mem::replace(&mut found.receiving, receiving) == receiving {
            return;
        }
        let mut place = 0;
        while let Some(&section) = self.member(member).and_then(|m| m.sections.get(place)) {
            self.restart_section(now, section);
            place += 1;
        }
    }

    /// A member's m-line starts to send.
    ///
    /// # Errors
    /// `LimitReached`: `TRACKS_PER_PARTICIPANT`. `Closed`: no such member.
    pub fn publish(
        &mut self,
        _now: Instant,
        member: MemberKey,
        track: TrackId,
        plan: &MediaPlan,
    ) -> Result<TrackKey, CommandError> {
        let publisher = member_mut(&mut self.members, member).ok_or(CommandError::Closed)?;
        if publisher.tracks.len() >= TRACKS_PER_PARTICIPANT {
            return Err(CommandError::LimitReached {
                limit: "TRACKS_PER_PARTICIPANT",
                value: TRACKS_PER_PARTICIPANT as u64,
            });
        }
        let key = TrackKey::from_index(self.tracks.insert(Track::new(track, member, plan)));
        publisher.tracks.push(key);
        publisher.unbar(plan);
        publisher.merge_extensions(&plan.extensions);
        publisher.is_reported |= plan.reports_packets();
        publisher.reduced_size = plan.reduced_size;
        if publisher.port.is_none() {
            self.tell_pipes(key);
        }
        Ok(key)
    }

    /// A track's m-line was negotiated again. Encodings it names no more are over.
    pub fn update_track(
        &mut self,
        now: Instant,
        track: TrackKey,
        plan: &MediaPlan,
        pages: &mut PagePool,
    ) {
        let Some(found) = self.tracks.get_mut(track.index()) else {
            return;
        };
        found.update(plan);
        let best = found.best;
        for key in found.encodings.clone() {
            let origin = self.encodings.get(key.index()).map(|found| found.origin);
            if origin.is_some_and(|origin| !origin.is_in(plan)) {
                self.end_encoding(key, pages);
            }
        }
        let Some(found) = self.tracks.get_mut(track.index()) else {
            return;
        };
        let next = found.best.filter(|next| Some(*next) != best);
        if let Some(publisher) = member_mut(&mut self.members, found.member()) {
            publisher.merge_extensions(&plan.extensions);
            publisher.is_reported |= plan.reports_packets();
            publisher.reduced_size = plan.reduced_size;
        }
        if let Some(next) = next {
            self.want_keyframe(now, next);
        }
        self.tell_pipes(track);
    }

    /// A track is gone; sections that showed it are unbound.
    pub fn unpublish(&mut self, now: Instant, track: TrackKey, pages: &mut PagePool) {
        let Some(found) = self.tracks.get_mut(track.index()) else {
            return;
        };
        let encodings = std::mem::take(&mut found.encodings);
        let sections = std::mem::take(&mut found.sections);
        for key in encodings {
            self.end_encoding(key, pages);
        }
        for section in sections {
            self.bind(now, section, None);
        }
        let Some(found) = self.tracks.try_remove(track.index()) else {
            return;
        };
        if let Some(publisher) = member_mut(&mut self.members, found.member()) {
            publisher.tracks.retain(|&key| key != track);
        }
        if found.kind() == MediaKind::Audio {
            self.speakers.forget(found.member());
            self.loudest.forget(track);
            self.ranked.retain(|&key| key != track);
        }
        self.changed.retain(|&key| key != track);
        self.begun.retain(|&key| key != track);
        self.ordered_anew.retain(|&key| key != track);
        self.forget_in_ports(&found);
    }

    /// What a track sends, it will send to no other: a payload type alone leads to nothing any more
    /// once its m-line stands without a track. Until its m-line is published again.
    pub fn bar(&mut self, track: TrackKey) {
        let Some(found) = self.tracks.get(track.index()) else {
            return;
        };
        if let Some(publisher) = member_mut(&mut self.members, found.member()) {
            publisher.bar(found);
        }
    }

    /// What [`Router::bar`] has barred of a member, to be taken to another room.
    #[must_use]
    pub fn barred(&self, member: MemberKey) -> Vec<(Mid, u32)> {
        self.member(member)
            .map_or_else(Vec::new, |found| found.barred.clone())
    }

    /// As it was barred in the room a member comes from.
    pub fn set_barred(&mut self, member: MemberKey, barred: Vec<(Mid, u32)>) {
        if let Some(found) = member_mut(&mut self.members, member) {
            found.barred = barred;
        }
    }

    /// A muted track's packets end at ingress.
    pub fn set_muted(&mut self, now: Instant, track: TrackKey, muted: bool, pages: &mut PagePool) {
        self.change_silence((now, track), pages, |track| track.muted = muted);
    }

    /// The publisher may no longer publish this: its packets end at ingress as `Muted`, whatever
    /// [`Router::set_muted`] says.
    pub fn set_forbidden(
        &mut self,
        now: Instant,
        track: TrackKey,
        forbidden: bool,
        pages: &mut PagePool,
    ) {
        self.change_silence((now, track), pages, |track| track.forbidden = forbidden);
    }

    /// A track whose packets come in another format than before: who can be shown it may have
    /// changed.
    pub fn poll_track_change(&mut self) -> Option<TrackKey> {
        let track = self.changed.pop()?;
        if let Some(found) = self.tracks.get_mut(track.index()) {
            found.changed = false;
        }
        Some(track)
    }

    /// A published track.
    #[must_use]
    pub fn track(&self, track: TrackKey) -> Option<&Track> {
        self.tracks.get(track.index())
    }

    /// Asks for a key frame of every encoding of a track.
    pub fn request_keyframe(&mut self, now: Instant, track: TrackKey) {
        let mut place = 0;
        while let Some(&key) = self.track(track).and_then(|t| t.encodings.get(place)) {
            self.want_keyframe(now, key);
            place += 1;
        }
    }

    /// One outgoing m-line of a member, showing nothing yet. `None`: `SECTIONS_PER_TRANSPORT`.
    pub fn open_section(
        &mut self,
        member: MemberKey,
        plan: &MediaPlan,
        ssrc: u32,
        rtx_ssrc: Option<u32>,
        rng: &mut ChaCha20Rng,
    ) -> Option<SectionKey> {
        let subscriber = member_mut(&mut self.members, member)?;
        if subscriber.sections.len() >= SECTIONS_PER_TRANSPORT {
            return None;
        }
        // RFC 3550 §5.1: random beginnings. The upper half of the numbers is left out, so that an
        // early loss cannot make the rollover counters of the two sides differ (RFC 3711 §3.3.1).
        let [a, b, c, d] = rng.next_u32().to_be_bytes();
        let first = (
            u16::from_be_bytes([a, b]) & 0x7FFF,
            rng.next_u32(),
            u16::from_be_bytes([c, d]) & 0x7FFF,
        );
        let section = Section::new(member, plan, (ssrc, rtx_ssrc), first);
        let key = SectionKey::from_index(self.sections.insert(section));
        subscriber.sections.push(key);
        subscriber.reduced_size = plan.reduced_size;
        Some(key)
    }

    /// An outgoing m-line was negotiated again.
    pub fn update_section(&mut self, _now: Instant, section: SectionKey, plan: &MediaPlan) {
        if let Some(found) = self.sections.get_mut(section.index()) {
            found.negotiated(plan);
        }
    }

    /// An outgoing m-line shows nothing from this moment on: what waits for it is not sent, what it
    /// has sent is not repeated. Its numbers run on should it show something again.
    pub fn halt_section(&mut self, now: Instant, section: SectionKey) {
        self.bind(now, section, None);
        let Some(found) = self.sections.get_mut(section.index()) else {
            return;
        };
        found.numbers.forget_all();
        found.report.due = None;
        if let Some(subscriber) = member_mut(&mut self.members, found.member) {
            let before = subscriber.queue.len();
            subscriber.queue.remove_section(section);
            self.tickets -= before - subscriber.queue.len();
        }
    }

    /// Takes an outgoing m-line out, to be put into another room: its SSRCs and numbers with it.
    pub fn detach_section(&mut self, now: Instant, section: SectionKey) -> Option<DetachedSection> {
        self.halt_section(now, section);
        let found = self.sections.try_remove(section.index())?;
        if let Some(subscriber) = member_mut(&mut self.members, found.member) {
            subscriber.sections.retain(|&key| key != section);
        }
        Some(DetachedSection(Box::new(found)))
    }

    /// Puts in an outgoing m-line that stood in another room. `None`: no such member, or
    /// `SECTIONS_PER_TRANSPORT`.
    pub fn attach_section(
        &mut self,
        member: MemberKey,
        detached: DetachedSection,
    ) -> Option<SectionKey> {
        let subscriber = member_mut(&mut self.members, member)?;
        if subscriber.sections.len() >= SECTIONS_PER_TRANSPORT {
            return None;
        }
        let mut section = *detached.0;
        section.member = member;
        section.target = None;
        section.layers.set_wish(EVERYTHING);
        section.starved = false;
        subscriber.reduced_size = section.plan.reduced_size;
        let key = SectionKey::from_index(self.sections.insert(section));
        subscriber.sections.push(key);
        Some(key)
    }

    /// An outgoing m-line is gone.
    pub fn close_section(&mut self, section: SectionKey) {
        let Some(found) = self.sections.try_remove(section.index()) else {
            return;
        };
        let shown = found.track();
        if let Some(track) = shown.and_then(|key| self.tracks.get_mut(key.index())) {
            track.sections.retain(|&key| key != section);
            track.pins = track.pins.saturating_sub(usize::from(found.is_pinned));
        }
        if let Some(subscriber) = member_mut(&mut self.members, found.member) {
            subscriber.sections.retain(|&key| key != section);
            let before = subscriber.queue.len();
            subscriber.queue.remove_section(section);
            self.tickets -= before - subscriber.queue.len();
        }
    }

    /// From now on the section shows `track`, or nothing. Numbers run on; a picture starts at a
    /// key frame, which is asked for at once. Bound to the same track again: nothing changes.
    pub fn bind(&mut self, now: Instant, section: SectionKey, track: Option<TrackKey>) {
        let Some(found) = self.sections.get_mut(section.index()) else {
            return;
        };
        let before = found.track();
        let track = track.filter(|key| self.tracks.contains(key.index()));
        if before == track {
            return;
        }
        found.target = None;
        found.layers.set_wish(EVERYTHING);
        found.starved = false;
        let was_pinned = std::mem::take(&mut found.is_pinned);
        found.subscription = track.map(|track| Subscription {
            track,
            paused: found.subscription.is_some_and(|s| s.paused),
        });
        if let Some(track) = before.and_then(|key| self.tracks.get_mut(key.index())) {
            track.sections.retain(|&key| key != section);
            track.pins = track.pins.saturating_sub(usize::from(was_pinned));
        }
        if let Some(track) = track.and_then(|key| self.tracks.get_mut(key.index())) {
            track.sections.push(section);
        }
        self.restart_section(now, section);
    }

    /// A paused section stays bound and sends nothing. True: it goes on after a pause.
    pub fn set_paused(&mut self, now: Instant, section: SectionKey, paused: bool) -> bool {
        let found = self.sections.get_mut(section.index());
        let Some(subscription) = found.and_then(|found| found.subscription.as_mut()) else {
            return false;
        };
        if std::mem::replace(&mut subscription.paused, paused) == paused {
            return false;
        }
        self.restart_section(now, section);
        !paused
    }

    /// What a section shows.
    #[must_use]
    pub fn bound(&self, section: SectionKey) -> Option<TrackKey> {
        self.sections.get(section.index())?.track()
    }

    /// Whether a section's payload types can carry what the track is coded in now.
    #[must_use]
    pub fn can_carry(&self, section: SectionKey, track: TrackKey) -> bool {
        let section = self.sections.get(section.index());
        let track = self.track(track);
        section.zip(track).is_some_and(|(section, track)| {
            section.plan.kind == track.kind() && section.plan.for_format(&track.format).is_some()
        })
    }

    /// What a track shows.
    pub fn set_screen(&mut self, track: TrackKey, screen: bool) {
        if let Some(found) = self.tracks.get_mut(track.index())
            && std::mem::replace(&mut found.screen, screen) != screen
        {
            self.tell_pipes(track);
        }
    }

    /// Who spoke last, or speaks: the first of those who can be heard.
    #[must_use]
    pub const fn active_speaker(&self) -> Option<MemberKey> {
        self.speakers.active()
    }

    /// Who can be heard, loudest first, where that has changed. At most every 200 ms.
    pub fn poll_speakers(&mut self) -> Option<Vec<(MemberKey, AudioLevel)>> {
        self.speakers.take_news()
    }

    /// How full the tables are.
    #[must_use]
    pub fn sizes(&self) -> RouterSizes {
        RouterSizes {
            tracks: self.tracks.len(),
            encodings: self.encodings.len(),
            sections: self.sections.len(),
            ports: self.ports.len(),
            tickets: self.tickets,
        }
    }

    /// Counters since the last call.
    pub fn take_stats(&mut self) -> RouterStats {
        std::mem::take(&mut self.stats)
    }

    fn member(&self, member: MemberKey) -> Option<&Member> {
        self.members.get(member.index())?.as_ref()
    }

    fn change_silence(
        &mut self,
        (now, key): (Instant, TrackKey),
        pages: &mut PagePool,
        change: impl FnOnce(&mut Track),
    ) {
        let Some(track) = self.tracks.get_mut(key.index()) else {
            return;
        };
        let before = (track.is_silent(), track.muted, track.forbidden);
        change(track);
        let silent = track.is_silent();
        if before != (silent, track.muted, track.forbidden) {
            self.tell_pipes(key);
        }
        if silent == before.0 {
            return;
        }
        let sound = self.track(key).filter(|it| it.kind() == MediaKind::Audio);
        let publisher = sound.map(Track::member);
        if silent && let Some(publisher) = publisher {
            self.speakers.forget(publisher);
            self.loudest.forget(key);
        }
        if silent {
            // Nothing of what was received before leaves after this, be it gathered, queued or
            // asked for again.
            let encodings = self.track(key).map(|track| track.encodings.clone());
            for encoding in encodings.unwrap_or_default() {
                self.clear_encoding(encoding, pages);
            }
        }
        let mut place = 0;
        while let Some(&section) = self.track(key).and_then(|t| t.sections.get(place)) {
            self.restart_section(now, section);
            place += 1;
        }
        self.tell_ports_muted(key, silent);
    }

    /// What a section shows begins anew: with any sound, or with the next key frame.
    fn restart_section(&mut self, now: Instant, section: SectionKey) {
        self.touch_orders(now);
        let Some(found) = self.sections.get_mut(section.index()) else {
            return;
        };
        found.selector.stop();
        let receiving = member_mut(&mut self.members, found.member).is_some_and(|m| m.receiving);
        let track = found.track().and_then(|key| self.tracks.get(key.index()));
        let Some(track) = track.filter(|track| track.kind() == MediaKind::Video) else {
            return;
        };
        if found.is_open()
            && receiving
            && !track.is_silent()
            && let Some(aim) = found.aim(track)
        {
            self.want_keyframe(now, aim);
        }
    }

    /// An encoding needs a key frame; its publisher is asked when it may be.
    fn want_keyframe(&mut self, now: Instant, key: EncodingKey) {
        let Some(encoding) = self.encodings.get_mut(key.index()) else {
            return;
        };
        let track = self.tracks.get(encoding.track.index());
        if encoding.kind == MediaKind::Audio || track.is_none_or(Track::is_silent) {
            return;
        }
        encoding.keyframe.request();
        let due = encoding.keyframe.next_due().unwrap_or(now).max(now);
        let member = encoding.member;
        self.touch(member, due);
    }

    /// An SSRC whose encoding is gone: its transport need not keep state for it. Read after each
    /// change; what an encoding can leave behind is bounded by `SSRCS_PER_TRANSPORT`.
    pub fn poll_forgotten(&mut self) -> Option<(MemberKey, u32)> {
        self.forgotten.pop()
    }

    /// RTCP of a member is due at `due`, at the latest.
    fn touch(&mut self, member: MemberKey, due: Instant) {
        touch(&mut self.dues, &mut self.due_next, member, Some(due));
    }

    /// One RTP stream is over.
    fn end_encoding(&mut self, key: EncodingKey, pages: &mut PagePool) {
        self.clear_encoding(key, pages);
        self.retarget(key, None);
        let Some(encoding) = self.encodings.try_remove(key.index()) else {
            return;
        };
        if let Some(publisher) = member_mut(&mut self.members, encoding.member) {
            let member = encoding.member;
            publisher.forget_sources(key, |ssrc| self.forgotten.push((member, ssrc)));
        }
        if let Some(track) = self.tracks.get_mut(encoding.track.index()) {
            track.encodings.retain(|&other| other != key);
            if track.best == Some(key) {
                track.best = track.encodings.first().copied();
            }
        }
        self.tell_ports_ended(key);
    }

    /// Nothing of what an encoding has received will be sent any more.
    fn clear_encoding(&mut self, key: EncodingKey, pages: &mut PagePool) {
        let Some(encoding) = self.encodings.get_mut(key.index()) else {
            return;
        };
        encoding.history.clear(pages);
        self.held -= encoding.held.len();
        encoding.held.clear();
        encoding.hold_due = None;
        // Sections that have shown it may be bound elsewhere by now and still remember its packets.
        for (_, section) in &mut self.sections {
            section.numbers.forget(key);
            if section.selector.current() == Some(key) {
                section.selector.stop();
            }
        }
    }
}

/// [`Router::touch`] where parts of the router are lent out.
fn touch(dues: &mut [Instant], next: &mut Instant, member: MemberKey, due: Option<Instant>) {
    if let Some((place, due)) = dues.get_mut(member.index()).zip(due) {
        *place = due.min(*place);
        *next = due.min(*next);
    }
}

fn member_mut(members: &mut [Option<Member>], member: MemberKey) -> Option<&mut Member> {
    members.get_mut(member.index())?.as_mut()
}
