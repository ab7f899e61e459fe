//! One room on one shard: who publishes what, who is shown what, and every packet in between.
//! Knows nothing of sockets, keys or SDP text.
//!
//! | file | what it is |
//! |---|---|
//! | [`history`] | recent packets of one encoding, in pages of a shared pool |

pub mod history;
pub mod track;

use rand_chacha::ChaCha20Rng;

use crate::error::{CommandError, DropReason};
use crate::id::{EncodingKey, MemberKey, PortId, SectionKey, TrackId, TrackKey};
use crate::sdp::negotiate::MediaPlan;
use crate::time::{Instant, NtpTime, ServerClock};
use crate::units::AudioLevel;

pub use history::PagePool;
pub use track::Track;

/// What becomes of a ticket when the budget is short, and which queue it waits in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum TicketClass {
    /// Never held, never dropped for video.
    Audio,
    /// A retransmission.
    Repair,
    /// Pictures.
    Video,
}

/// An order to send one packet of an encoding through a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// Through which section.
    pub section: SectionKey,
    encoding: EncodingKey,
    /// Extended sequence shifted by 8, and the class.
    place: u64,
}

/// What `route` made of a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Routed {
    /// Transport-wide sequence number, where the packet carried one: for the arrival log, whatever
    /// became of the packet.
    pub transport_sequence: Option<u16>,
    /// It reached its track. False with no `dropped`: consumed (padding).
    pub forwarded: bool,
    /// Why it went no further.
    pub dropped: Option<DropReason>,
}

/// A packet written for departure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rewritten {
    /// Bytes of plaintext in the slot.
    pub len: usize,
    /// Its class.
    pub class: TicketClass,
}

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
    /// Tickets waiting.
    pub tickets: usize,
}

/// Counters since the last [`Router::take_stats`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RouterStats {
    /// Tickets that left a full queue.
    pub queue_full: u64,
    /// NACKed sequence numbers received.
    pub nacks_in: u64,
    /// Sequence numbers asked of publishers.
    pub nacks_out: u64,
    /// PLI and FIR received.
    pub keyframe_requests_in: u64,
    /// PLI and FIR sent.
    pub keyframe_requests_out: u64,
    /// NACKs not answered: too soon, too often, unknown, or no RTX negotiated.
    pub throttled: u64,
}

/// The tables of one room on one shard.
#[derive(Debug)]
pub struct Router {
    clock: ServerClock,
}

impl Router {
    /// An empty room. Reports are on `clock`.
    #[must_use]
    pub fn new(clock: ServerClock) -> Self {
        Self { clock }
    }

    /// A member; its key is its place among the room's transports. `cname` names its streams.
    pub fn add_member(&mut self, _member: MemberKey, _cname: &str) {}

    /// Frees everything of a member.
    pub fn remove_member(&mut self, _now: Instant, _member: MemberKey, _pages: &mut PagePool) {}

    /// A member's m-line starts to send.
    ///
    /// # Errors
    /// `LimitReached`: `TRACKS_PER_PARTICIPANT`.
    pub fn publish(
        &mut self,
        _now: Instant,
        _member: MemberKey,
        _track: TrackId,
        _plan: &MediaPlan,
    ) -> Result<TrackKey, CommandError> {
        Err(CommandError::Closed)
    }

    /// A track's m-line was negotiated again.
    pub fn update_track(&mut self, _now: Instant, _track: TrackKey, _plan: &MediaPlan) {}

    /// A track is gone; sections that showed it are unbound.
    pub fn unpublish(&mut self, _now: Instant, _track: TrackKey, _pages: &mut PagePool) {}

    /// A muted track's packets end at ingress.
    pub fn set_muted(&mut self, _now: Instant, _track: TrackKey, _muted: bool) {}

    /// A published track: `id()`, `member()`, `mid()`, `kind()`, `codec()`, `muted()`.
    #[must_use]
    pub fn track(&self, _track: TrackKey) -> Option<&Track> {
        None
    }

    /// Asks for a key frame of every encoding of a track.
    pub fn request_keyframe(&mut self, _now: Instant, _track: TrackKey) {}

    /// One outgoing m-line of a member. `None`: `SECTIONS_PER_TRANSPORT`.
    pub fn open_section(
        &mut self,
        _member: MemberKey,
        _plan: &MediaPlan,
        _ssrc: u32,
        _rtx_ssrc: Option<u32>,
        _rng: &mut ChaCha20Rng,
    ) -> Option<SectionKey> {
        None
    }

    /// An outgoing m-line was negotiated again.
    pub fn update_section(&mut self, _now: Instant, _section: SectionKey, _plan: &MediaPlan) {}

    /// An outgoing m-line is gone.
    pub fn close_section(&mut self, _section: SectionKey) {}

    /// From now on the section shows `track`, or nothing. Numbers run on.
    pub fn bind(&mut self, _now: Instant, _section: SectionKey, _track: Option<TrackKey>) {}

    /// A paused section stays bound and sends nothing.
    pub fn set_paused(&mut self, _now: Instant, _section: SectionKey, _paused: bool) {}

    /// What a section shows.
    #[must_use]
    pub fn bound(&self, _section: SectionKey) -> Option<TrackKey> {
        None
    }

    /// Whether a section's payload types can carry what the track is coded in now.
    #[must_use]
    pub fn can_carry(&self, _section: SectionKey, _track: TrackKey) -> bool {
        false
    }

    /// One decrypted RTP packet of a member.
    ///
    /// # Errors
    /// Only where the header cannot be read or the member is not there; all else is in [`Routed`].
    pub fn route(
        &mut self,
        _now: Instant,
        _arrived_at: Instant,
        _member: MemberKey,
        _bytes: &[u8],
        _pages: &mut PagePool,
    ) -> Result<Routed, DropReason> {
        Err(DropReason::UnknownTrack)
    }

    /// The publisher's clock.
    pub fn handle_sender_report(
        &mut self,
        _now: Instant,
        _member: MemberKey,
        _ssrc: u32,
        _ntp: NtpTime,
        _rtp: u32,
    ) {
    }

    /// The publisher ended a stream.
    pub fn handle_bye(
        &mut self,
        _now: Instant,
        _member: MemberKey,
        _ssrc: u32,
        _pages: &mut PagePool,
    ) {
    }

    /// A subscriber misses packets of a section.
    pub fn handle_nack(
        &mut self,
        _now: Instant,
        _member: MemberKey,
        _media_ssrc: u32,
        _sequences: impl Iterator<Item = u16>,
    ) {
    }

    /// A subscriber cannot go on without a key frame (PLI or FIR).
    pub fn handle_keyframe_request(&mut self, _now: Instant, _member: MemberKey, _media_ssrc: u32) {
    }

    /// One packet was alone in its batch and nothing else waits: send it without gathering. The
    /// shard calls this before [`Router::ready`] when it is idle.
    pub fn release_lone(&mut self, _now: Instant) {}

    /// Members with tickets or RTCP that may leave at `now`, as a count of places for
    /// [`Router::ready_member`]. Call at the start of each departure.
    pub fn ready(&mut self, _now: Instant) -> usize {
        0
    }

    /// One of the members of the last [`Router::ready`].
    #[must_use]
    pub fn ready_member(&self, _place: usize) -> Option<MemberKey> {
        None
    }

    /// The next ticket of a member. Have a slot before asking: a ticket is given once.
    pub fn next_ticket(&mut self, _now: Instant, _member: MemberKey) -> Option<Ticket> {
        None
    }

    /// Writes the packet of a ticket, in plaintext. `transport_sequence` is asked for only where
    /// the number will be used; `abs_send` is 6.18 fixed point.
    ///
    /// # Errors
    /// Why the ticket is void; the slot may be used for another.
    pub fn rewrite(
        &mut self,
        _now: Instant,
        _ticket: Ticket,
        _transport_sequence: impl FnOnce() -> u16,
        _abs_send: u32,
        _out: &mut [u8],
    ) -> Result<Rewritten, DropReason> {
        Err(DropReason::Expired)
    }

    /// Whether RTCP waits to be written for a member.
    #[must_use]
    pub fn has_feedback(&self, _member: MemberKey) -> bool {
        false
    }

    // Landing with wire/rtcp.rs:
    // pub fn handle_report_block(&mut self, now, member, block: &ReportBlock)
    // pub fn write_reports(&mut self, now, member, writer: &mut CompoundWriter<'_>)
    //     SR and RR where due, SDES; an empty RR first where feedback waits and the peer takes no
    //     reduced-size RTCP. Call before write_feedback, into the same writer.
    // pub fn write_feedback(&mut self, now, member, writer: &mut CompoundWriter<'_>)   NACK, PLI, FIR

    /// When [`Router::handle_timeout`] wants to be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    /// Holds, NACKs, key frame requests, reports and speakers that are due; then depart.
    pub fn handle_timeout(&mut self, _now: Instant) {}

    /// Who can be heard, loudest first, where that has changed. At most every 200 ms.
    pub fn poll_speakers(&mut self) -> Option<Vec<(MemberKey, AudioLevel)>> {
        None
    }

    /// How full the tables are.
    #[must_use]
    pub fn sizes(&self) -> RouterSizes {
        RouterSizes::default()
    }

    /// Counters since the last call.
    pub fn take_stats(&mut self) -> RouterStats {
        RouterStats::default()
    }

    /// A door for plaintext media.
    ///
    /// # Errors
    /// `LimitReached`: `PORTS_PER_ROOM`.
    pub fn open_port(&mut self, _port: PortId) -> Result<(), CommandError> {
        Err(CommandError::Closed)
    }
}
