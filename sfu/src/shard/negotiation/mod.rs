//! The JSEP state machine of one participant (RFC 9429), the impolite side (W3C webrtc §10.7).
//!
//! | file | what it is |
//! |---|---|
//! | this | types, our own offers |
//! | `remote` | their offers and answers |
//! | `line` | one m-line as it was agreed last |
//!
//! Pure: descriptions in, descriptions and [`Change`]s out; the shard carries those to transport
//! and router. Stable, or one offer of ours stands; their offer meanwhile is ignored. M-lines keep
//! their place for ever; one that was turned down (port 0) is used again for something new.
//! A section of the browser's own that may receive is ours to send on at once, bound or not.

mod line;
mod remote;

#[cfg(test)]
mod glare;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, SocketAddr};

use crate::error::CommandError;
use crate::id::Mid;
use crate::limits;
use crate::sdp::description::{
    Candidate, Description, Direction, Fingerprint, IceCredentials, Msid, SdpType,
    SectionDescription, SectionKind, Setup,
};
use crate::sdp::negotiate::{self, MediaPlan};
use crate::sdp::numbers::Numbers;
use crate::sdp::write::SCTP_PORT;
use crate::time::{Duration, Instant};
use crate::units::MediaKind;
use crate::wire::payload::{Codec, Format};
use line::{Line, Maker, Section, Sending};

/// What our side of a description says, and what the participant may do.
#[derive(Clone, Copy, Debug)]
pub struct LocalParameters<'a> {
    /// The newest credentials of its transport.
    pub ice: &'a IceCredentials,
    /// SHA-256 of our certificate.
    pub fingerprint: [u8; 32],
    /// Where the other side sends to, best first.
    pub candidates: &'a [SocketAddr],
    /// Codecs the room allows, in its order of preference; empty: all.
    pub codecs: &'a [Codec],
    /// CNAME of what we send.
    pub cname: &'a str,
    /// It may send sound.
    pub publish_audio: bool,
    /// It may send pictures.
    pub publish_video: bool,
    /// Tracks it may publish at the same time.
    pub tracks_max: usize,
}

impl LocalParameters<'_> {
    /// It may send media of `kind`.
    pub(super) const fn may_publish(&self, kind: MediaKind) -> bool {
        match kind {
            MediaKind::Audio => self.publish_audio,
            MediaKind::Video => self.publish_video,
        }
    }
}

/// One more outgoing m-line is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SectionRequest {
    /// Audio or video.
    pub kind: MediaKind,
    /// What it must be able to carry.
    pub format: Format,
    /// Stream id of its msid: the publisher's name.
    pub stream: String,
}

/// What an exchange of descriptions changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Their transport, at first and whenever it changes.
    Ice {
        /// Their credentials.
        credentials: IceCredentials,
        /// Their certificate's hashes.
        fingerprints: Vec<Fingerprint>,
        /// Their DTLS role as it counts: active or passive, kept for good.
        setup: Setup,
        /// Their credentials replace others: an ICE restart.
        restart: bool,
    },
    /// They send on this m-line from now on.
    ReceiveStarted(MediaPlan),
    /// What they send was agreed anew.
    ReceiveUpdated(MediaPlan),
    /// They send no more.
    ReceiveStopped(Mid),
    /// We may send on this m-line from now on.
    SendOpened {
        /// What may be sent.
        plan: MediaPlan,
        /// With this SSRC.
        ssrc: u32,
        /// Retransmissions with this one.
        rtx_ssrc: Option<u32>,
    },
    /// What we may send was agreed anew; SSRCs stay.
    SendUpdated(MediaPlan),
    /// We may send no more. Should it open again, it has the SSRCs it had.
    SendClosed(Mid),
    /// A wanted m-line was not taken, or not with the wanted format (an open section it gave
    /// stands in a [`Change::SendOpened`] before this).
    SectionRefused(SectionRequest),
    /// There are data channels.
    Data {
        /// Their SCTP port.
        sctp_port: u16,
        /// The longest message they take; 0: any.
        message_bytes_max: u64,
    },
}

/// What became of their offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OfferOutcome {
    /// Ours stands, and we are the impolite peer: theirs is void.
    Ignored,
    /// It is taken.
    Answer {
        /// For them.
        answer: Description,
        /// For us, in this order.
        changes: Vec<Change>,
    },
}

/// An outgoing m-line that is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenSection {
    /// What it may carry.
    pub plan: MediaPlan,
    /// Its SSRC.
    pub ssrc: u32,
    /// That of its retransmissions.
    pub rtx_ssrc: Option<u32>,
}

/// The negotiation of one participant.
#[derive(Debug)]
pub struct Negotiation {
    session_id: u64,
    session_version: u64,
    /// The m-lines, in order.
    sections: Vec<Section>,
    numbers: Numbers,
    /// Their transport, once known.
    remote: Option<remote::RemoteTransport>,
    /// Our credentials as they were told last.
    told: Option<IceCredentials>,
    /// Our offer, while it stands.
    offer: Option<OwnOffer>,
    requests: Vec<SectionRequest>,
    /// Formats they left out of an answer of theirs, until they show them.
    refused: Vec<Format>,
    restart_wanted: bool,
    /// They may send what they would and were not allowed to, or not asked for.
    grant_wanted: bool,
    data_wanted: bool,
    offer_after: Instant,
    mids_made: u32,
}

/// An offer of ours that has no answer yet.
#[derive(Debug)]
struct OwnOffer {
    at: Instant,
    ice: IceCredentials,
    restarts: bool,
    grants: bool,
    /// One for each m-line.
    lines: Vec<OfferedLine>,
}

/// One m-line of our offer.
#[derive(Debug)]
struct OfferedLine {
    mid: Mid,
    content: OfferedContent,
}

#[derive(Debug)]
enum OfferedContent {
    /// Turned down before and not used again.
    Stopped,
    Data,
    Media(Box<OfferedMedia>),
}

#[derive(Debug)]
struct OfferedMedia {
    plan: MediaPlan,
    direction: Direction,
    sending: Option<Sending>,
    /// They would send and were not allowed to, or were not asked.
    withheld: bool,
    /// What it was made for, where it is new.
    request: Option<SectionRequest>,
    maker: Maker,
}

impl Negotiation {
    /// Nothing was said yet. `session_id`: for `o=`, below 2^63 (RFC 9429 §5.2.1).
    #[must_use]
    pub fn new(session_id: u64) -> Self {
        Self {
            session_id: session_id >> 1,
            session_version: 0,
            sections: Vec::new(),
            numbers: Numbers::default(),
            remote: None,
            told: None,
            offer: None,
            requests: Vec::new(),
            refused: Vec::new(),
            restart_wanted: false,
            grant_wanted: false,
            data_wanted: false,
            offer_after: Instant::ZERO,
            mids_made: 0,
        }
    }

    /// Theirs is expected to come first: none of ours before `until`. A newcomer offers what it
    /// publishes at once, and an offer of ours would only meet it half way.
    pub fn expect_offer(&mut self, until: Instant) {
        self.offer_after = until;
    }

    /// The other side has described its transport.
    #[must_use]
    pub const fn has_begun(&self) -> bool {
        self.remote.is_some()
    }

    /// M-lines in use, both ways; at most `SECTIONS_PER_TRANSPORT`.
    #[must_use]
    pub fn sections(&self) -> usize {
        self.sections
            .iter()
            .filter(|section| !section.is_stopped())
            .count()
    }

    /// The outgoing m-lines that are open, in order.
    pub fn open_sections(&self) -> impl Iterator<Item = OpenSection> {
        self.sections
            .iter()
            .filter_map(Section::media)
            .filter_map(|media| {
                let sending = media.sending.as_ref()?;
                Some(OpenSection {
                    plan: media.sent_plan()?,
                    ssrc: sending.ssrc,
                    rtx_ssrc: sending.rtx_ssrc,
                })
            })
    }

    /// No offer of ours stands.
    #[must_use]
    pub const fn is_stable(&self) -> bool {
        self.offer.is_none()
    }

    /// They have left `format` out of an answer, and not shown it since: a section for it would
    /// not carry it.
    #[must_use]
    pub fn refuses(&self, format: &Format) -> bool {
        self.refused.contains(format)
    }

    /// States how many m-lines are wanted beyond the open ones: replaces what was stated before.
    /// The list is empty again once an answer has come. Formats they refused are passed over.
    pub fn set_requests(&mut self, requests: &[SectionRequest]) {
        let wanted = requests
            .iter()
            .filter(|request| !self.refused.contains(&request.format));
        self.requests = wanted
            .take(limits::SECTIONS_PER_TRANSPORT)
            .cloned()
            .collect();
    }

    /// Our next offer carries new credentials; the transport has them already.
    pub const fn request_restart(&mut self) {
        self.restart_wanted = true;
    }

    /// They may publish what `audio` and `video` say: our next offer asks for what they would have
    /// sent and were not allowed to, so that they need not offer again.
    pub fn request_grants(&mut self, audio: bool, video: bool) {
        let mut withheld = self.sections.iter().filter_map(Section::media);
        self.grant_wanted = withheld.any(|media| {
            media.withheld
                && match media.plan.kind {
                    MediaKind::Audio => audio,
                    MediaKind::Video => video,
                }
        });
    }

    /// Whether an m-line sends with `ssrc`, or did and may again.
    #[must_use]
    pub fn keeps_ssrc(&self, ssrc: u32) -> bool {
        self.sections.iter().any(|section| section.has_ssrc(ssrc))
    }

    /// What they send on an m-line, where they do.
    #[must_use]
    pub fn received(&self, mid: Mid) -> Option<&MediaPlan> {
        let section = self.sections.iter().find(|section| section.mid == mid)?;
        let media = section.media().filter(|media| media.receiving)?;
        Some(&media.plan)
    }

    /// Our next offer has a data m-line, unless there is one.
    pub const fn request_data(&mut self) {
        self.data_wanted = true;
    }

    /// Our offer is void (they said so, or it was lost): it is made again when still wanted.
    pub fn handle_rollback(&mut self) {
        if let Some(offer) = self.offer.take() {
            self.restart_wanted |= offer.restarts;
            self.grant_wanted |= offer.grants;
        }
    }

    /// When [`Negotiation::poll_offer`] has something.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        (self.is_stable() && self.wants_offer()).then_some(self.offer_after)
    }

    /// Our offer, where one is wanted, none stands, and the last was `OFFER_INTERVAL` ago.
    pub fn poll_offer(
        &mut self,
        now: Instant,
        local: &LocalParameters<'_>,
        ssrc: &mut dyn FnMut() -> u32,
    ) -> Option<Description> {
        if !self.is_stable() || !self.wants_offer() || now < self.offer_after {
            return None;
        }
        let ice = match &self.told {
            Some(told) if !self.restart_wanted => told.clone(),
            Some(_) | None => local.ice.clone(),
        };
        let granted = self.granted(local);
        let lines = self.sections.iter().zip(granted);
        let lines = lines.map(|(section, granted)| section.offered(granted));
        let mut lines: Vec<OfferedLine> = lines.collect();
        self.add_data(&mut lines);
        self.add_requested(&mut lines, local, ssrc);
        let sections = lines
            .iter()
            .zip(0..)
            .map(|(line, index)| self.offered_text(line, index, local));
        let mut sections: Vec<SectionDescription> = sections.collect();
        for section in sections.iter_mut().filter(|section| !section.rejected) {
            add_transport(section, &ice, local.fingerprint, Setup::ActPass);
        }
        let in_use = sections.iter().filter(|section| !section.rejected);
        let bundle: Vec<Mid> = in_use.map(|section| section.mid).collect();
        add_candidates(&mut sections, bundle.first().copied(), local.candidates);
        self.offer = Some(OwnOffer {
            at: now,
            ice,
            restarts: self.restart_wanted,
            grants: self.grant_wanted,
            lines,
        });
        self.restart_wanted = false;
        self.grant_wanted = false;
        self.offer_after = now + limits::OFFER_INTERVAL;
        Some(self.description(SdpType::Offer, bundle, true, sections))
    }

    fn wants_offer(&self) -> bool {
        let wants_data = self.data_wanted && !self.has_data();
        let wants_section = !self.requests.is_empty() || wants_data;
        let room = self.sections() < limits::SECTIONS_PER_TRANSPORT;
        let wants_again = self.restart_wanted || self.grant_wanted;
        (wants_again && !self.sections.is_empty()) || (wants_section && room)
    }

    /// On which m-lines they may send beyond those they do: where they would, then where they might.
    fn granted(&self, local: &LocalParameters<'_>) -> Vec<bool> {
        let mut left = self.grants_left(local);
        let mut granted = vec![false; self.sections.len()];
        for asks in [Section::is_granted, Section::may_begin] {
            for (granted, section) in granted.iter_mut().zip(&self.sections) {
                if left > 0 && !*granted && asks(section, local) {
                    *granted = true;
                    left -= 1;
                }
            }
        }
        granted
    }

    /// How many tracks they may publish beyond those they do.
    fn grants_left(&self, local: &LocalParameters<'_>) -> usize {
        let most = local.tracks_max.min(limits::TRACKS_PER_PARTICIPANT);
        let media = self.sections.iter().filter_map(Section::media);
        most.saturating_sub(media.filter(|media| media.receiving).count())
    }

    fn has_data(&self) -> bool {
        let mut sections = self.sections.iter();
        sections.any(|section| matches!(section.line, Line::Data { .. }))
    }

    fn add_data(&mut self, lines: &mut Vec<OfferedLine>) {
        if self.data_wanted && !self.has_data() {
            let mid = self.make_mid(lines);
            place(
                lines,
                &self.sections,
                OfferedLine {
                    mid,
                    content: OfferedContent::Data,
                },
            );
        }
    }

    fn add_requested(
        &mut self,
        lines: &mut Vec<OfferedLine>,
        local: &LocalParameters<'_>,
        ssrc: &mut dyn FnMut() -> u32,
    ) {
        for request in self.requests.clone() {
            if self.refused.contains(&request.format) {
                continue;
            }
            let mid = self.make_mid(lines);
            let plan = self
                .numbers
                .offer(mid, request.kind, Some(request.format), local.codecs);
            let sending = self.make_sending(request.kind, &request.stream, ssrc);
            let content = OfferedContent::Media(Box::new(OfferedMedia {
                plan,
                direction: Direction::SendOnly,
                sending: Some(sending),
                withheld: false,
                request: Some(request),
                maker: Maker::We { is_named: false },
            }));
            if !place(lines, &self.sections, OfferedLine { mid, content }) {
                return;
            }
        }
    }

    /// A mid nobody has.
    fn make_mid(&mut self, lines: &[OfferedLine]) -> Mid {
        loop {
            self.mids_made = self.mids_made.wrapping_add(1);
            let made = Mid::new(&format!("s{}", self.mids_made));
            // Ends: at most `SECTIONS_PER_TRANSPORT` are taken, and ten digits fit.
            if let Some(mid) = made
                && !lines.iter().any(|line| line.mid == mid)
                && !self.sections.iter().any(|section| section.mid == mid)
            {
                return mid;
            }
        }
    }

    /// SSRCs that no m-line of ours has.
    fn make_sending(
        &self,
        kind: MediaKind,
        stream: &str,
        ssrc: &mut dyn FnMut() -> u32,
    ) -> Sending {
        let used =
            |ssrc: u32| ssrc == 0 || self.sections.iter().any(|section| section.has_ssrc(ssrc));
        let mut draw = || {
            let first = ssrc();
            // 256 SSRCs of 2^32 are taken: a second draw is all but never needed.
            if used(first) { ssrc() } else { first }
        };
        Sending {
            ssrc: draw(),
            rtx_ssrc: (kind == MediaKind::Video).then(&mut draw),
            stream: stream.to_owned(),
        }
    }

    /// One m-line of our offer as text says it, without transport.
    fn offered_text(
        &self,
        line: &OfferedLine,
        index: usize,
        local: &LocalParameters<'_>,
    ) -> SectionDescription {
        match &line.content {
            OfferedContent::Stopped => match self.sections.get(index).map(|old| &old.line) {
                Some(Line::Stopped(text)) => (**text).clone(),
                Some(Line::Data { .. } | Line::Media(_)) | None => {
                    let mut text = SectionDescription::empty(line.mid, SectionKind::Unknown);
                    text.rejected = true;
                    text
                }
            },
            OfferedContent::Data => data_text(line.mid),
            OfferedContent::Media(media) => media_text(
                &media.plan,
                media.direction,
                media.sending.as_ref(),
                local.cname,
            ),
        }
    }

    fn description(
        &mut self,
        sdp_type: SdpType,
        bundle: Vec<Mid>,
        extmap_allow_mixed: bool,
        sections: Vec<SectionDescription>,
    ) -> Description {
        self.session_version = self.session_version.saturating_add(1);
        Description {
            sdp_type,
            session_id: self.session_id,
            session_version: self.session_version,
            ice_lite: true,
            extmap_allow_mixed,
            bundle,
            sections,
        }
    }
}

/// Puts a new m-line in the place of a stopped one, else at the end; false where there is no room.
fn place(lines: &mut Vec<OfferedLine>, known: &[Section], line: OfferedLine) -> bool {
    let data = matches!(line.content, OfferedContent::Data);
    let mut stopped = lines.iter_mut().zip(known);
    // RFC 9429 §5.2.2: a rejected m-line is used again, with another mid. Firefox lets no m-line
    // become an application one, or cease to be.
    let free = stopped.find(|(line, known)| {
        matches!(line.content, OfferedContent::Stopped) && known.was_media() && !data
    });
    if let Some((place, _)) = free {
        *place = line;
        return true;
    }
    let room = lines.len() < limits::SECTIONS_PER_TRANSPORT;
    if room {
        lines.push(line);
    }
    room
}

fn data_text(mid: Mid) -> SectionDescription {
    let mut text = SectionDescription::empty(mid, SectionKind::Data);
    text.formats = vec!["webrtc-datachannel".to_owned()];
    text.direction = Direction::SendRecv;
    text.sctp_port = Some(SCTP_PORT);
    text.message_bytes_max = limits::DATA_MESSAGE_BYTES as u64;
    text
}

fn media_text(
    plan: &MediaPlan,
    direction: Direction,
    sending: Option<&Sending>,
    cname: &str,
) -> SectionDescription {
    let mut text = negotiate::describe(plan, direction);
    if let Some(sending) = sending {
        sending.describe(&mut text, plan, cname);
    }
    text
}

/// What every m-line of a BUNDLE group says of the transport.
fn add_transport(
    section: &mut SectionDescription,
    ice: &IceCredentials,
    fingerprint: [u8; 32],
    setup: Setup,
) {
    section.ice = Some(ice.clone());
    section.fingerprints = vec![Fingerprint::Sha256(fingerprint)];
    section.setup = Some(setup);
}

/// The m-line that stands for the BUNDLE group has the candidates.
fn add_candidates(
    sections: &mut [SectionDescription],
    tagged: Option<Mid>,
    candidates: &[SocketAddr],
) {
    let mut sections = sections.iter_mut().filter(|section| !section.rejected);
    if let Some(section) = sections.find(|section| Some(section.mid) == tagged) {
        let candidates = candidates.iter().take(limits::SDP_CANDIDATES).zip(0..);
        section.candidates = candidates
            .map(|(address, place)| candidate(*address, place))
            .collect();
        section.end_of_candidates = true;
    }
}

/// RFC 8445 §5.1.2.1: type preference 126 for a host, then our order, then component 1.
fn candidate(address: SocketAddr, place: u16) -> Candidate {
    let local_preference = u32::from(u16::MAX.saturating_sub(place));
    let family = match address.ip() {
        IpAddr::V4(_) => 4,
        IpAddr::V6(_) => 6,
    };
    Candidate {
        foundation: format!("{family}{place}"),
        priority: (126 << 24) | (local_preference << 8) | 255,
        address,
    }
}

fn unusable(section: Option<usize>, why: impl Into<String>) -> CommandError {
    CommandError::Unusable {
        section,
        why: why.into(),
    }
}

/// The track half of an msid: all a page needs is that it stays.
fn msid(stream: &str, mid: Mid) -> Msid {
    Msid {
        stream: stream.to_owned(),
        track: Some(format!("mid-{mid}")),
    }
}

/// After an answer that could not be used, our next offer waits this long: the same offer would
/// likely be answered alike.
const OFFER_PAUSE: Duration = Duration::from_secs(5);
/// An offer of ours that nobody has answered in this time no longer stands in the way of theirs:
/// it or its answer was lost.
const OFFER_PATIENCE: Duration = Duration::from_secs(10);
