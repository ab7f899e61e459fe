//! What a caller says of a room or a participant, and what everybody is shown of them.
//!
//! Specs are checked by `check` before anything acts on them; a view is a copy taken at one moment.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sfu::error::LeaveReason;
use sfu::id::{Mid, ParticipantId, RoomId, TrackId};
use sfu::sdp::Description;
use sfu::shard::command::{RoomParameters, Wish};
use sfu::shard::event::{LayerFacts, SubscriptionFacts};
use sfu::units::MediaKind;
use sfu::wire::payload::Codec;

use super::name::{ParticipantName, RoomName};
use super::quality::Quality;
use crate::clock::{Ulid, UnixTime};
use crate::limits;
use crate::status::{Failure, Reason};

/// Timeouts and bounds of a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomConfig {
    /// An empty room goes after this long; zero: never.
    pub empty_timeout: Duration,
    /// A participant whose socket closed while media lives may come back for this long.
    pub resume_window: Duration,
    /// The room ends after this long, whoever is inside.
    pub duration_max: Option<Duration>,
    /// Participants at the same time, viewers not counted.
    pub participants_max: usize,
    /// Viewers at the same time.
    pub viewers_max: usize,
    /// Who is no admin waits to be admitted.
    pub waiting_room: bool,
    /// Messages kept for those who join later.
    pub message_history_max: usize,
    /// Voices sent to each participant at the same time, where the room selects the loudest.
    pub audio_slots: usize,
    /// With more sounds than this published it selects; with as many, everybody is heard.
    pub audio_slots_above: usize,
    /// Codecs that may be negotiated, in order of preference; empty: all.
    pub codecs: Vec<Codec>,
}

impl Default for RoomConfig {
    fn default() -> Self {
        Self {
            empty_timeout: Duration::from_secs(300),
            resume_window: Duration::from_secs(30),
            duration_max: None,
            participants_max: 100,
            viewers_max: 1_000,
            waiting_room: false,
            message_history_max: 200,
            audio_slots: 3,
            audio_slots_above: 10,
            codecs: Vec::new(),
        }
    }
}

impl RoomConfig {
    /// What the shard is told of it.
    #[must_use]
    pub fn parameters(&self) -> RoomParameters {
        RoomParameters {
            // The shard counts everybody; who is a viewer is known here alone.
            participants_max: self
                .participants_max
                .saturating_add(self.viewers_max)
                .min(sfu::limits::PARTICIPANTS_PER_ROOM),
            codecs: self.codecs.clone(),
            audio_slots: self.audio_slots,
            audio_slots_above: self.audio_slots_above,
        }
    }

    /// # Errors
    /// The first field that makes no sense.
    pub fn check(&self) -> Result<(), Failure> {
        if self.resume_window > limits::RESUME_WINDOW_MAX {
            return Err(Failure::field("config.resume_window", "at most 600 s"));
        }
        if self.duration_max == Some(Duration::ZERO) {
            return Err(Failure::field("config.duration_max", "must be above 0"));
        }
        let most = sfu::limits::PARTICIPANTS_PER_ROOM;
        if !(1..=most).contains(&self.participants_max) {
            let why = format!("from 1 to {most}");
            return Err(Failure::field("config.participants_max", why));
        }
        if self.viewers_max > most {
            let why = format!("from 0 to {most}");
            return Err(Failure::field("config.viewers_max", why));
        }
        check_audio_slots("config.audio_slots", self.audio_slots)?;
        let most = limits::AUDIO_SLOTS_ABOVE_MAX;
        if !(1..=most).contains(&self.audio_slots_above) {
            let why = format!("from 1 to {most}");
            return Err(Failure::field("config.audio_slots_above", why));
        }
        let most = limits::MESSAGE_HISTORY_MAX;
        if self.message_history_max > most {
            let why = format!("from 0 to {most}");
            return Err(Failure::field("config.message_history_max", why));
        }
        Ok(())
    }
}

/// # Errors
/// No number of voices one can be sent.
pub(super) fn check_audio_slots(field: &str, slots: usize) -> Result<(), Failure> {
    let most = sfu::limits::AUDIO_SLOTS;
    if (1..=most).contains(&slots) {
        return Ok(());
    }
    Err(Failure::field(field, format!("from 1 to {most}")))
}

/// A room as its owner wants it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoomSpec {
    /// For people.
    pub display_name: String,
    /// Opaque; participants see it.
    pub metadata: String,
    /// For backends only.
    pub labels: BTreeMap<String, String>,
    /// Timeouts and bounds.
    pub config: RoomConfig,
    /// Further joins are refused.
    pub locked: bool,
}

impl RoomSpec {
    /// # Errors
    /// The first field that makes no sense.
    pub fn check(&self) -> Result<(), Failure> {
        check_display_name(&self.display_name)?;
        check_metadata(&self.metadata)?;
        check_map("labels", &self.labels)?;
        self.config.check()
    }
}

/// A room, seen at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomView {
    /// Its number in the process.
    pub id: RoomId,
    /// Its id as people know it.
    pub name: RoomName,
    /// This incarnation.
    pub uid: Ulid,
    /// Which shard it lives on.
    pub shard: usize,
    /// As its owner wants it.
    pub spec: Arc<RoomSpec>,
    /// Who is inside, viewers not counted.
    pub participant_count: usize,
    /// Viewers inside.
    pub viewer_count: usize,
    /// When it was made.
    pub create_time: UnixTime,
    /// When it was last changed.
    pub update_time: UnixTime,
    /// Grows with every change; who comes and goes is none.
    pub revision: u64,
}

impl RoomView {
    /// Opaque; another one after every change. Who comes and goes is no change of the room.
    #[must_use]
    pub fn etag(&self) -> String {
        etag(self.uid, self.revision)
    }
}

fn etag(uid: Ulid, revision: u64) -> String {
    format!("{uid}-{revision:x}")
}

impl super::page::Item for RoomView {
    fn uid(&self) -> Ulid {
        self.uid
    }

    fn bytes(&self) -> usize {
        VIEW_BYTES + self.spec.metadata.len() + map_bytes(&self.spec.labels)
    }
}

/// What a track shows or carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TrackSource {
    /// A camera.
    Camera,
    /// A microphone.
    Microphone,
    /// A shared screen or window.
    Screen,
    /// The sound of a shared screen.
    ScreenAudio,
    /// Something else.
    Other,
}

impl TrackSource {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Camera,
        Self::Microphone,
        Self::Screen,
        Self::ScreenAudio,
        Self::Other,
    ];

    /// As the API writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Camera => "CAMERA",
            Self::Microphone => "MICROPHONE",
            Self::Screen => "SCREEN",
            Self::ScreenAudio => "SCREEN_AUDIO",
            Self::Other => "OTHER",
        }
    }

    /// From the API's word.
    #[must_use]
    pub fn from_label(label: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|source| source.as_str() == label)
    }

    /// What an m-line is taken for until its owner says more.
    #[must_use]
    pub const fn of(kind: MediaKind) -> Self {
        match kind {
            MediaKind::Audio => Self::Microphone,
            MediaKind::Video => Self::Camera,
        }
    }
}

/// What a participant may do.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a permission of its own; every combination is meant"
)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permissions {
    /// What it may publish; none: everything.
    pub publish_sources: Option<Vec<TrackSource>>,
    /// Receive tracks.
    pub subscribe: bool,
    /// Send data, by channel or message.
    pub send_data: bool,
    /// The others do not see it; so it publishes nothing to them either.
    pub hidden: bool,
    /// Mute, remove, admit, lock.
    pub admin: bool,
    /// Start and stop recordings.
    pub record: bool,
    /// Tracks published at the same time.
    pub tracks_max: Option<usize>,
}

impl Default for Permissions {
    fn default() -> Self {
        Self {
            publish_sources: None,
            subscribe: true,
            send_data: true,
            hidden: false,
            admin: false,
            record: false,
            tracks_max: None,
        }
    }
}

impl Permissions {
    /// Whether a track of this source may be published.
    #[must_use]
    pub fn may_publish(&self, source: TrackSource) -> bool {
        let sources = self.publish_sources.as_ref();
        !self.hidden && sources.is_none_or(|sources| sources.contains(&source))
    }

    /// What the shard is told of them.
    #[must_use]
    pub fn parameters(&self) -> sfu::shard::command::Permissions {
        let audio = [
            TrackSource::Microphone,
            TrackSource::ScreenAudio,
            TrackSource::Other,
        ];
        let video = [TrackSource::Camera, TrackSource::Screen, TrackSource::Other];
        let may = |sources: [TrackSource; 3]| {
            let allowed = sources.map(|source| self.may_publish(source));
            let (any, all) = (allowed.contains(&true), !allowed.contains(&false));
            (any, any && !all)
        };
        let ((publish_audio, some_audio), (publish_video, some_video)) = (may(audio), may(video));
        sfu::shard::command::Permissions {
            publish_audio,
            publish_video,
            muted_at_first: some_audio || some_video,
            subscribe: self.subscribe,
            send_data: self.send_data,
            tracks_max: self
                .tracks_max
                .unwrap_or(sfu::limits::TRACKS_PER_PARTICIPANT)
                .min(sfu::limits::TRACKS_PER_PARTICIPANT),
        }
    }
}

/// By which door a participant came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// `/v1/connect`.
    WebSocket,
    /// `/whip/{room}`.
    Whip,
    /// `/whep/{room}`.
    Whep,
    /// TransportService.
    Grpc,
}

impl Door {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::WebSocket, Self::Whip, Self::Whep, Self::Grpc];

    /// As the API writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::WebSocket => "WEBSOCKET",
            Self::Whip => "WHIP",
            Self::Whep => "WHEP",
            Self::Grpc => "GRPC",
        }
    }
}

/// What kind of participant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ParticipantKind {
    /// A person.
    #[default]
    Standard,
    /// A recorder.
    Recorder,
    /// A source that only publishes.
    Ingress,
    /// A telephone.
    Phone,
    /// One who only receives.
    Viewer,
}

impl ParticipantKind {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Standard,
        Self::Recorder,
        Self::Ingress,
        Self::Phone,
        Self::Viewer,
    ];

    /// As the API writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "STANDARD",
            Self::Recorder => "RECORDER",
            Self::Ingress => "INGRESS",
            Self::Phone => "PHONE",
            Self::Viewer => "VIEWER",
        }
    }

    /// From the API's word.
    #[must_use]
    pub fn from_label(label: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == label)
    }
}

/// Where a participant is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParticipantState {
    /// Not admitted yet.
    Waiting,
    /// Joined; its transport is not up yet.
    Joining,
    /// Media can flow.
    Active,
    /// Its socket is closed and its media still lives, or the other way round.
    Resuming,
    /// Gone; in events only.
    Left,
}

impl ParticipantState {
    /// As the API writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "WAITING",
            Self::Joining => "JOINING",
            Self::Active => "ACTIVE",
            Self::Resuming => "RESUMING",
            Self::Left => "LEFT",
        }
    }
}

/// A participant as its token or a backend describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ParticipantSpec {
    /// For people.
    pub display_name: String,
    /// Opaque; the others see it.
    pub metadata: String,
    /// The others see them.
    pub attributes: BTreeMap<String, String>,
    /// What kind it is; fixed at the join.
    pub kind: ParticipantKind,
    /// What it may do.
    pub permissions: Permissions,
}

impl ParticipantSpec {
    /// # Errors
    /// The first field that makes no sense.
    pub fn check(&self) -> Result<(), Failure> {
        check_display_name(&self.display_name)?;
        check_metadata(&self.metadata)?;
        check_map("attributes", &self.attributes)
    }
}

/// A track, seen at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackView {
    /// Its id.
    pub id: TrackId,
    /// This publication: a place in the order of publishing.
    pub uid: Ulid,
    /// Who publishes it.
    pub participant: ParticipantName,
    /// The publisher's m-line.
    pub mid: Mid,
    /// Audio or video.
    pub kind: MediaKind,
    /// What it shows or carries.
    pub source: TrackSource,
    /// What it is coded in now.
    pub codec: Codec,
    /// Muted by its publisher.
    pub muted_by_publisher: bool,
    /// Muted by the server, by order.
    pub muted_by_server: bool,
    /// Its publisher may not publish its source: nobody sees or hears it.
    pub forbidden: bool,
    /// When it was published.
    pub create_time: UnixTime,
}

impl super::page::Item for TrackView {
    fn uid(&self) -> Ulid {
        self.uid
    }

    fn bytes(&self) -> usize {
        VIEW_BYTES
    }
}

impl TrackView {
    /// Muted by anybody, or not permitted.
    #[must_use]
    pub const fn muted(&self) -> bool {
        self.muted_by_publisher || self.muted_by_server || self.forbidden
    }

    /// The id as text: "t" and hexadecimal digits.
    #[must_use]
    pub fn label(&self) -> String {
        track_label(self.id)
    }
}

/// A track's id as text.
#[must_use]
pub fn track_label(id: TrackId) -> String {
    format!("t{id}")
}

/// A track's id from its text.
#[must_use]
pub fn track_from_label(label: &str) -> Option<TrackId> {
    let digits = label.strip_prefix('t')?;
    // `from_str_radix` would take a sign.
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    u64::from_str_radix(digits, 16).ok().map(TrackId)
}

/// A participant, seen at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParticipantView {
    /// Its number in the process.
    pub id: ParticipantId,
    /// The room it is in.
    pub room: RoomName,
    /// Its id as people know it.
    pub name: ParticipantName,
    /// This join.
    pub uid: Ulid,
    /// As its token or a backend describes it.
    pub spec: Arc<ParticipantSpec>,
    /// By which door it came.
    pub door: Door,
    /// Where it is in its life.
    pub state: ParticipantState,
    /// When it joined.
    pub join_time: UnixTime,
    /// When it left, in state `Left`.
    pub leave_time: Option<UnixTime>,
    /// Why it left, in state `Left`.
    pub leave_reason: Option<LeaveReason>,
    /// What it publishes, in order of id.
    pub tracks: Vec<TrackView>,
    /// How good its connection is.
    pub quality: Quality,
    /// Grows with every change of what is said of it or of its state.
    pub revision: u64,
}

impl ParticipantView {
    /// Opaque; another one after every change of what is said of it or of its state.
    #[must_use]
    pub fn etag(&self) -> String {
        etag(self.uid, self.revision)
    }

    /// It only receives: not counted among the participants, not shown unless it publishes.
    #[must_use]
    pub fn is_viewer(&self) -> bool {
        is_viewer(self.spec.kind, self.door)
    }

    /// In lists only where it is asked for.
    #[must_use]
    pub fn is_unlisted(&self) -> bool {
        self.is_viewer() || self.spec.permissions.hidden
    }
}

pub(super) fn is_viewer(kind: ParticipantKind, door: Door) -> bool {
    kind == ParticipantKind::Viewer || door == Door::Whep
}

/// What a participant wishes of a track, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionView {
    /// The track.
    pub track: TrackId,
    /// What is wished.
    pub wish: Wish,
    /// What became of it; none: not wanted, or the shard has said nothing yet.
    pub facts: Option<SubscriptionFacts>,
    /// What is given of a picture; none: its shard has not decided.
    pub layer: Option<LayerFacts>,
}

/// How far a transport is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransportState {
    /// Checks or handshake are under way.
    Connecting,
    /// Media can flow.
    Connected,
}

/// A participant's transport, seen at one moment.
#[derive(Clone, Debug)]
pub struct TransportView {
    /// How far it is. One that failed is gone, with its participant.
    pub state: TransportState,
    /// The cipher that was agreed: "AEAD_AES_256_GCM"; none: not connected yet.
    pub srtp: Option<&'static str>,
    /// An offer of the server that waits for its answer: the newest. Kept for the gRPC door alone,
    /// the others are told.
    pub offer: Option<Arc<Description>>,
}

impl super::page::Item for ParticipantView {
    fn uid(&self) -> Ulid {
        self.uid
    }

    fn bytes(&self) -> usize {
        let tracks = VIEW_BYTES * self.tracks.len();
        VIEW_BYTES + tracks + self.spec.metadata.len() + map_bytes(&self.spec.attributes)
    }
}

/// What an item of a list weighs beside what its owner wrote: two long names and some numbers.
const VIEW_BYTES: usize = 1 << 10;

fn map_bytes(map: &BTreeMap<String, String>) -> usize {
    map.iter().map(|(key, value)| key.len() + value.len()).sum()
}

/// As the API writes a reason to be out.
#[must_use]
pub const fn leave_label(reason: LeaveReason) -> &'static str {
    match reason {
        LeaveReason::LeftItself => "LEFT_ITSELF",
        LeaveReason::Removed => "REMOVED",
        LeaveReason::Replaced => "REPLACED",
        LeaveReason::Moved => "MOVED",
        LeaveReason::RoomDeleted => "ROOM_DELETED",
        LeaveReason::RoomExpired => "ROOM_EXPIRED",
        LeaveReason::ConsentExpired => "CONSENT_EXPIRED",
        LeaveReason::TransportFailed => "TRANSPORT_FAILED",
        LeaveReason::TokenRevoked => "TOKEN_REVOKED",
        LeaveReason::NodeDrained => "NODE_DRAINED",
        LeaveReason::LimitReached => "LIMIT_REACHED",
        LeaveReason::ServerFailed => "SERVER_FAILED",
    }
}

/// A codec as `RoomConfig.codecs` names it: "video/VP8".
///
/// # Errors
/// No such codec here.
pub fn codec_from_label(label: &str) -> Result<Codec, Failure> {
    Codec::ALL
        .into_iter()
        .find(|codec| {
            label.split_once('/').is_some_and(|(kind, name)| {
                kind.eq_ignore_ascii_case(codec.kind().as_str())
                    && name.eq_ignore_ascii_case(codec.name())
            })
        })
        .ok_or_else(|| Failure::field("config.codecs", format!("{label:?} is no codec known here")))
}

/// A codec as `RoomConfig.codecs` names it.
#[must_use]
pub fn codec_label(codec: Codec) -> String {
    format!("{}/{}", codec.kind().as_str(), codec.name())
}

fn check_display_name(name: &str) -> Result<(), Failure> {
    if name.chars().count() > limits::DISPLAY_NAME_CHARS {
        return Err(Failure::field("display_name", "at most 128 characters"));
    }
    if name.chars().any(char::is_control) {
        return Err(Failure::field("display_name", "no control characters"));
    }
    Ok(())
}

fn check_metadata(metadata: &str) -> Result<(), Failure> {
    if metadata.len() > limits::METADATA_BYTES {
        return Err(Failure::field("metadata", "at most 64 KiB"));
    }
    Ok(())
}

fn check_map(field: &'static str, map: &BTreeMap<String, String>) -> Result<(), Failure> {
    if map.len() > limits::LABELS {
        return Err(Failure::field(field, "at most 64 entries"));
    }
    let long = |text: &String| text.len() > limits::LABEL_BYTES;
    if map
        .iter()
        .any(|(key, value)| key.is_empty() || long(key) || long(value))
    {
        return Err(Failure::field(
            field,
            "keys of 1 to 1,024 bytes, values up to 1,024 bytes",
        ));
    }
    Ok(())
}

/// The failure of a participant that may not do something.
#[must_use]
pub fn not_permitted(what: &str) -> Failure {
    Failure::new(
        Reason::PermissionMissing,
        format!("the permissions do not include {what}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn track_labels_survive_the_way_there_and_back() {
        for id in [0, 1, 0xdead_beef, u64::MAX] {
            assert_eq!(
                track_from_label(&track_label(TrackId(id))),
                Some(TrackId(id))
            );
        }
        for bad in ["", "t", "1f", "t+1", "tg", "t11111111111111111"] {
            assert_eq!(track_from_label(bad), None, "{bad}");
        }
    }

    #[test]
    fn permissions_become_kinds() {
        let only = |sources: &[TrackSource]| Permissions {
            publish_sources: Some(sources.to_vec()),
            ..Permissions::default()
        };
        let picture = [TrackSource::Camera, TrackSource::Screen, TrackSource::Other];
        for (permissions, audio, video, some) in [
            (Permissions::default(), true, true, false),
            (only(&[]), false, false, false),
            (only(&[TrackSource::Microphone]), true, false, true),
            (only(&[TrackSource::Screen]), false, true, true),
            (only(&[TrackSource::Other]), true, true, true),
            (only(&picture), true, true, true),
        ] {
            let parameters = permissions.parameters();
            assert_eq!(
                (
                    parameters.publish_audio,
                    parameters.publish_video,
                    parameters.muted_at_first
                ),
                (audio, video, some)
            );
        }
    }

    #[test]
    fn a_spec_is_refused_by_the_field_at_fault() {
        let mut spec = RoomSpec::default();
        assert!(spec.check().is_ok());
        spec.config.participants_max = 0;
        assert_eq!(
            spec.check().unwrap_err().field.as_deref(),
            Some("config.participants_max")
        );
        let spec = ParticipantSpec {
            display_name: "a\u{7}b".into(),
            ..ParticipantSpec::default()
        };
        assert_eq!(
            spec.check().unwrap_err().field.as_deref(),
            Some("display_name")
        );
    }

    #[test]
    fn codecs_go_by_their_media_type() {
        for codec in Codec::ALL {
            assert_eq!(codec_from_label(&codec_label(codec)).unwrap(), codec);
        }
        assert!(codec_from_label("video/opus").is_err());
        assert!(codec_from_label("VP8").is_err());
    }
}
