//! Every bound in the media plane, each with its reason. `plenum limits` prints this table.
//!
//! A queue, table, ring or loop takes its bound from here; reaching one is a counter and a
//! defined answer (drop the oldest video, refuse the command), never growth.

use crate::time::Duration;

/// One row of the table that `plenum limits` prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// The constant's name.
    pub name: &'static str,
    /// Its value, in the unit the name ends with, or a plain count.
    pub value: u64,
    /// What it bounds and what happens there.
    pub why: &'static str,
}

macro_rules! limits {
    ($($name:ident : $type:ty = $value:expr, $why:literal;)*) => {
        $(#[doc = $why] pub const $name: $type = $value;)*

        /// All bounds of this crate.
        pub const ALL: &[Limit] = &[
            $(Limit { name: stringify!($name), value: $name as u64, why: $why },)*
        ];
    };
}

limits! {
    ROOMS: usize = 10_000, "rooms on one shard; a further one is refused";
    PARTICIPANTS_PER_ROOM: usize = 1_000, "participants in one room on one shard; the room's own, lower bound is 100 by default";
    TRANSPORTS: usize = 20_000, "transports on one shard; a further join is refused";
    TRACKS_PER_PARTICIPANT: usize = 16, "tracks one participant publishes; the m-line beyond is refused";
    ENCODINGS_PER_TRACK: usize = 4, "encodings of one track; a further rid or SSRC is dropped as limit_reached";
    SSRCS_PER_REMB: usize = 16, "sources a REMB of ours names, it is about the transport as a whole, and browsers read no more than the figure";
    LAYERS_PER_TRACK: usize = 9, "layers of one track the allocator chooses among, three sizes at three rates; the surplus is not given";
    SECTIONS_PER_TRANSPORT: usize = 128, "m-lines of one transport, both ways; tracks beyond find no section";
    SUBSCRIPTIONS_PER_PARTICIPANT: usize = 256, "wishes one participant may state";
    PORTS_PER_ROOM: usize = 16, "plaintext doors of one room";
    PORT_QUEUE_BYTES: usize = 1 << 20, "media waiting for one port; full: drop, Gap, KeyframeWanted";
    PORT_PARAMETERS_BYTES: usize = 1_024, "a=fmtp of an encoding told through a port; browsers write about 100";
    PORT_QUEUE_MESSAGES: usize = 1_024, "messages waiting for one port";
    DISTANT_PER_ROOM: usize = 10_000, "participants of other shards who publish in one room on one shard";
    PORT_FORMATS: usize = 32, "payload types of a track told through a port; an m-line of a browser has about twenty without their RTX";
    PIPES_PER_ROOM: usize = 63, "shards a room is spread over beside this one: SHARDS less one";
    PIPE_QUEUE_BYTES: usize = 2 << 20, "media waiting for one room of another shard, about 15 ms at 1 Gb/s; full: drop, Gap, KeyframeWanted";
    PIPE_QUEUE_MESSAGES: usize = 8_192, "messages waiting for one room of another shard; a receive batch has 2,048 packets at most";
    PIPE_TRACKS: usize = 16_000, "tracks of one room another shard may want encodings of: PARTICIPANTS_PER_ROOM with TRACKS_PER_PARTICIPANT";
    PORT_TRACKS: usize = 1_024, "tracks one port may want encodings of";

    DATAGRAM_BYTES: usize = 1_500, "an incoming datagram; a longer one is cut by the socket and fails authentication";
    PACKET_BYTES: usize = 1_472, "one outgoing datagram: Ethernet less IPv4 and UDP headers";
    GSO_SEGMENT_BYTES: usize = 1_400, "a segment above this never joins a run, so that a tunnel's smaller MTU hurts it alone";
    OUTBOX_BYTES: usize = 256 << 10, "the arena of one departure: what a second-level cache holds until the kernel has read it; full: send, then depart again";
    OUTBOX_RUNS: usize = 512, "runs of one departure";
    BUNDLE_RUNS: usize = 64, "runs handed to the kernel with one call";
    RUN_BYTES: usize = 65_000, "one GSO run: the kernel takes no UDP message above 65,507 bytes";
    RUN_SEGMENTS: usize = 64, "segments of one GSO run: the kernel's UDP_MAX_SEGMENTS";

    PATHS_PER_TRANSPORT: usize = 16, "proved paths of one transport; the oldest unselected one leaves";
    SSRCS_PER_TRANSPORT: usize = 64, "received SSRCs of one transport; the surplus is dropped and counted";
    TRANSPORT_FEEDBACK_PACKETS: usize = 8_192, "packets one received transport-wide feedback may tell of, or it is malformed: a run of 8,191 takes two bytes";
    TRANSPORT_FEEDBACK_WRITTEN: usize = 512, "packets one written transport-wide feedback tells of: at worst 1,192 bytes; the rest goes into the next";
    SSRCS_SENT_PER_TRANSPORT: usize = 1_024, "SSRCs one transport ever sends; never forgotten, so that no SRTP index is used twice. As many that it once received are remembered against replays";
    REPLAY_WINDOW_PACKETS: u64 = 1_024, "replay window of one SSRC";
    CONTROL_QUEUE: usize = 64, "STUN, DTLS and SCTP datagrams waiting in one transport; full: the oldest leaves";
    GOODBYES: usize = 4_096, "last control datagrams of transports that are gone, until the next departure; full: the other side learns by silence";
    TICKETS_PER_TRANSPORT: usize = 2_048, "packets waiting in one transport; full: the oldest of a picture leaves";
    HANDSHAKE_FLIGHTS_QUEUE: usize = 256, "handshake flights waiting for their slice; full: the newest is dropped, the peer repeats it";
    HANDSHAKE_FLIGHTS_EACH: usize = 16, "of them those of one transport, so that none keeps the others from connecting; a flight has at most six datagrams";
    DTLS_QUEUE_BYTES: usize = 64 << 10, "one handshake's buffered fragments";

    DATA_CHANNELS_PER_TRANSPORT: usize = 64, "open data channels of one transport";
    DATA_STREAMS: u16 = 1_024, "SCTP stream ids";
    DATA_MESSAGE_BYTES: usize = 256 << 10, "one data channel message; max-message-size in our SDP";
    DATA_BACKLOG_BYTES: usize = 1 << 20, "one receiver's unsent data; full: an unreliable channel drops its oldest, a reliable one closes";
    DATA_LABEL_BYTES: usize = 256, "label or protocol of a data channel";

    HISTORY_PAGE_BYTES: usize = 64 << 10, "one page of packet history";
    HISTORY_PAGES_PER_ENCODING: usize = 16, "1 MiB of one encoding's recent packets: 2 s at 4 Mb/s";
    HISTORY_PACKETS_PER_ENCODING: usize = 2_048, "index entries of one encoding's history";
    HISTORY_PACKETS_PER_AUDIO_ENCODING: usize = 512, "the same of a sound: 10 s of 20 ms packets";
    HISTORY_PAGES: usize = 32_768, "pages of one shard's histories: 2 GiB; beyond, an encoding uses its oldest page again";
    HISTORY_POOL_PAGES: usize = 256, "unused pages kept for the next history: 16 MiB";
    LEVEL_BYTES: usize = 16, "RTP padding that makes a packet as long as the others it leaves with, so that they are one run; where more is missing, a run ends";
    HOLD_PACKETS: usize = 64, "packets of one encoding gathered before they leave; full: they leave";
    CATCH_UP_PACKETS: u64 = 512, "packets behind a key frame that are sent at once to one who starts there";
    SENT_RING_AUDIO: usize = 128, "the same of a section without NACK, to place late packets";
    DECIDED_PICTURES: usize = 64, "recent pictures of which a section remembers what layers passed: 2 s at 30 a second; packets of older ones are void";
    BINDINGS_PER_SECTION: usize = 4, "re-bindings of a section whose packets can still be repeated";
    SENT_RING: usize = 1_024, "packets a section remembers for NACK";
    NACK_LIST: usize = 256, "gaps of one encoding asked for at once; beyond: a key frame instead";
    NACK_TRIES: u8 = 10, "times one packet is asked for";
    RETRANSMISSIONS_PER_PACKET: u8 = 3, "times one section answers for one packet: where one in five is lost, one in 600 is missed";
    CONTROL_FEEDBACK_PACKETS: usize = 400, "packets of one source that wait to be told by congestion control feedback, and of all in one; the oldest leave";
    RED_BLOCKS: usize = 8, "copies in one RED packet; of more the newest are looked at";
    RED_BYTES: usize = 1_200, "a RED payload that is sent; the oldest copies are left out";
    NACKED_PER_SECOND: u64 = 2_048, "sequence numbers of one subscriber's NACKs that are looked at, a second and at once: all of 20 Mb/s; the rest is dropped as nack_storm";

    MEASURED_LAYERS: usize = 4, "spatial and temporal layers of an encoding that are measured, of each; higher ones count as the last";
    DEPENDENCY_TEMPLATES: usize = 64, "templates of one dependency structure: their numbers have six bits";
    DECODE_TARGETS: usize = 32, "decode targets of one dependency structure, and chains, of which there are no more: their number has five bits";
    FRAME_REFERENCES: usize = 8, "frames one frame may refer to, or its descriptor is malformed: AV1 has eight reference slots, other codecs here use fewer";
    SPATIAL_LAYERS: usize = 4, "spatial layers of one dependency structure: AV1's spatial_id has two bits";
    TEMPORAL_LAYERS: u8 = 8, "temporal layers of one dependency structure: AV1's temporal_id has three bits";
    DEPENDENCY_FRAMES: u64 = 256, "frames a decode target selector remembers: 2.8 s of three layers at 30 a second; packets of older ones are void";

    SDP_BYTES: usize = 256 << 10, "a description as text";
    SDP_LINES: usize = 16_384, "lines of a description";
    SDP_LINE_BYTES: usize = 8 << 10, "one line of a description";
    SDP_LINES_PER_SECTION: usize = 1_024, "lines of one m-line";
    SDP_CANDIDATES: usize = 64, "candidates of one m-line; the surplus is ignored";
    SDP_SSRC_LINES: usize = 256, "a=ssrc lines of one m-line";
    SDP_PAYLOADS: usize = 64, "payload types of one m-line";
    SDP_EXTENSIONS: usize = 32, "header extensions of one m-line";
    SDP_FEEDBACK: usize = 16, "a=rtcp-fb values of one payload type; the surplus is ignored";
    SDP_FEEDBACK_BYTES: usize = 64, "one a=rtcp-fb value; a longer one is ignored, since `*` copies it to each payload type";
    SDP_FINGERPRINTS: usize = 8, "a=fingerprint lines of one m-line; the surplus is ignored";
    SDP_RIDS: usize = 16, "rids of one m-line and direction; the surplus is ignored";
    SDP_MSIDS: usize = 8, "a=msid lines of one m-line; the surplus is ignored";
    SDP_SSRC_GROUPS: usize = 16, "a=ssrc-group lines of one m-line, and SSRCs of one; the surplus is ignored";

    EVENTS: usize = 4_096, "data messages and speakers waiting to be told; lists are coalesced per object instead";
    INBOX_COMMANDS: usize = 1_024, "commands waiting for one shard; full: RESOURCE_EXHAUSTED";
    EVENT_QUEUE: usize = 4_096, "events one shard may be ahead of their reader";
    SPEAKERS: usize = 16, "loudest participants told of";
    AUDIO_SLOTS: usize = 10, "voices sent to one participant of a large room at the same time; the room's own, lower bound is 3 by default";
    LOUDEST_RANKS: usize = 16, "voices of a room's ranking: those of AUDIO_SLOTS, and the next ones for who speaks itself or does not want one of them";
    SHARDS: usize = 64, "threads of one node, each with its own UDP port";
    CANDIDATES: usize = 32, "addresses the engine binds, advertises or offers; host addresses beyond are left out";
    LOCAL_ADDRESSES: usize = 256, "local addresses one shard tells apart; what arrives at a further one is answered from the address the routing table picks";
    PARCELS: usize = 32, "parcels from other shards waiting for one shard; full: what is said waits in the rooms, PIPE_QUEUE_BYTES each";
    PARCEL_SPARES: usize = 32, "empty buffers of parcels kept by one shard; the surplus is given back";
    ORDERS_PER_BATCH: usize = 64, "commands carried out between two receive batches";
    DEPARTURES_PER_BATCH: usize = 16, "full outboxes sent between two receive batches";
    PANICS_PER_MINUTE: usize = 3, "rooms that may fall to a bug; one more ends the process";
}

/// Consent: no authenticated answer or check for this long and sending stops (RFC 7675 §5.1).
pub const CONSENT_TIMEOUT: Duration = Duration::from_secs(30);
/// Our own Binding requests on the selected path: the return-path proof.
pub const CONSENT_INTERVAL: Duration = Duration::from_secs(5);
/// The same while nothing is sent there: two of them with their ± 20 % within `CONSENT_TIMEOUT`, and
/// nearly always one and a repetition within `SILENCE_TOLD`.
pub const CONSENT_INTERVAL_UNUSED: Duration = Duration::from_secs(12);
/// The same of who is taken for gone after few seconds of silence: its socket has closed.
pub const CONSENT_INTERVAL_WATCHED: Duration = Duration::from_secs(3);
/// Consent is asked for at multiples of this.
pub const CONSENT_BEAT: Duration = Duration::from_millis(100);
/// Rungs that are found to have changed at one look; what is beyond is found at the next one.
pub const RUNGS_AT_ONCE: usize = 64;
/// Both generations of credentials live this long during an ICE restart.
pub const RESTART_OVERLAP: Duration = Duration::from_secs(30);
/// A handshake that has not ended by then frees everything.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(30);
/// Video is held this long at most for the rest of its frame (performance.md §2g).
pub const GATHER_VIDEO: Duration = Duration::from_millis(5);
/// Audio is held this long at most.
pub const GATHER_AUDIO: Duration = Duration::from_millis(1);
/// A full socket buffer is waited for this long in one departure; what is left then is dropped.
pub const SEND_WAIT: Duration = Duration::from_millis(5);
/// Nothing authenticated for so long, and the others are shown that someone may be gone.
pub const SILENCE_TOLD: Duration = Duration::from_secs(20);
/// At most one server offer to one participant in this time.
pub const OFFER_INTERVAL: Duration = Duration::from_millis(100);
/// A newcomer's own offer is waited for so long before it gets one of ours.
pub const FIRST_OFFER_PATIENCE: Duration = Duration::from_millis(300);
/// At most one key frame request to one encoding in this time.
pub const KEYFRAME_INTERVAL: Duration = Duration::from_millis(300);
/// The same of one whose key frames are large: 720 lines or more.
pub const KEYFRAME_INTERVAL_LARGE: Duration = Duration::from_millis(500);
