//! Every bound of the control plane, each with its reason. `plenum limits` prints this table after
//! the media plane's.

use std::time::Duration;

pub use sfu::limits::Limit;

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
    ROOMS_PER_NODE: usize = 20_000, "rooms on one node; a further one is refused";
    PARTICIPANTS_PER_NODE: usize = 40_000, "participants on one node; a further join is refused";
    ID_BYTES: usize = 128, "a room's or participant's id as people know it";
    DISPLAY_NAME_CHARS: usize = 128, "characters of a display name";
    METADATA_BYTES: usize = 64 << 10, "metadata of a room or a participant";
    AUDIO_SLOTS_ABOVE_MAX: usize = 100, "sounds that may be published before a room sends its loudest alone: each is an m-line of everybody's";
    MESSAGE_HISTORY_MAX: usize = 1_000, "messages one room may keep for those who join later";
    MESSAGE_HISTORY_BYTES: usize = 1 << 20, "payload of the messages one room keeps; full: the oldest leave";
    WAITING_PER_ROOM: usize = 100, "participants that wait to be admitted to one room; a further one is refused";
    EVENTS_PARKED: usize = 1_024, "news of a shard about one who is being moved, until the record follows; beyond, they are lost";
    BANS: usize = 20_000, "participants that may not come back for a while; full: the one that ends first leaves";
    TOKEN_IDS: usize = 1_000, "single tokens voided by one request";
    TOKEN_ID_BYTES: usize = 256, "a token's jti";
    LABELS: usize = 64, "labels of a room, attributes of a participant";
    LABEL_BYTES: usize = 1 << 10, "key or value of a label or an attribute";
    TOMBSTONES: usize = 20_000, "deleted rooms, removed participants and revoked tokens; full: the oldest leaves";

    OUTBOUND_NEWS: usize = 1_024, "news waiting for one socket; full: the socket is cut, its owner joins again";
    OUTBOUND_BYTES: usize = 1 << 20, "data waiting for one socket; full: the socket is cut";
    REPLAY_MESSAGES: usize = 1_024, "messages kept for a participant's next socket; a resume behind them is told all there is instead";
    REPLAY_BYTES: usize = 256 << 10, "the same in bytes: with 40,000 participants 10 GiB at worst, where everybody is sent long messages";
    LOBBY_NAMES: usize = 25, "names told to one who looks into a room from outside";
    NEWS_PER_BATCH: usize = 64, "news taken at once and coalesced into few messages";
    SOCKETS: usize = 40_960, "WebSockets at the same time, joined or not; a further one is refused";
    SOCKET_READ_BYTES: usize = 16 << 10, "read at once from a WebSocket";
    SOCKET_WRITE_BYTES: usize = 2 << 20, "written to a WebSocket and not taken by the kernel yet, pongs too; full: the socket is cut";
    MESSAGE_BYTES_IN: usize = 256 << 10, "one WebSocket message of a browser; a longer one ends the socket";
    MESSAGE_BYTES_OUT: usize = 1 << 20, "one WebSocket message of the server; a roster beyond it is sent in parts";
    DATA_BYTES: usize = 64 << 10, "payload of one data message over the WebSocket";
    DATA_RECIPIENTS: usize = 256, "names in `to` of one data message";
    REQUEST_ID_BYTES: usize = 64, "the id of a message that asks for a reply";
    TOPIC_BYTES: usize = 256, "topic of a data message";
    JSON_DEPTH: usize = 32, "nesting of a JSON message";
    TRACKS_PER_MESSAGE: usize = 256, "entries of one tracks or subscribe message";
    MIDS_PER_PARTICIPANT: usize = 64, "m-lines a participant may say something about before they send";
    TOKEN_BYTES: usize = 96 << 10, "a token; metadata may fill most of it";

    HTTP_HEADER_BYTES: usize = 16 << 10, "headers of one HTTP request";
    HTTP_CONNECTIONS: usize = 16_384, "connections of one listener at the same time; more wait in the kernel";
    HTTP_CONNECTIONS_PER_SOURCE: usize = 100, "HTTP connections of one source at the same time unless configured; a further one is closed";
    CORS_ORIGINS: usize = 256, "origins one configuration may name";
    STUN_SERVERS: usize = 8, "STUN servers asked at start, one after the other";
    ICE_SERVERS: usize = 16, "STUN and TURN servers clients are told; each costs them checks and us a header line";
    TURN_SECRET_BYTES: usize = 4 << 10, "a file with the secret shared with TURN servers";
    JWKS_BYTES: usize = 256 << 10, "a set of an issuer's keys; a larger one is not read";
    JWKS_HEADER_BYTES: usize = 16 << 10, "headers of the answer with an issuer's keys";
    JWKS_KEYS: usize = 64, "keys of one issuer; a set with more is refused";
    KEY_ID_BYTES: usize = 256, "the id of an issuer's key; a key with a longer one is passed over";
    CLAIM_RULES: usize = 64, "entries of jwks.claims";
    LOG_LEVEL_BYTES: usize = 4 << 10, "directives of one change of the log level";
    KEYS_BYTES: usize = 1 << 20, "a file of signing keys; a larger one is not read";
    SIGNING_KEYS: usize = 1_000, "signing keys of one node; a file with more is refused";
    CONFIG_BYTES: usize = 1 << 20, "a file of configuration; a larger one is not read";
    PEM_BYTES: usize = 1 << 20, "a file of certificates or keys";
    HTTP_BODY_BYTES: usize = 64 << 10, "body of one WHIP or WHEP request: an offer of a dozen m-lines has half of it";
    HTTP_RESOURCES: usize = PARTICIPANTS_PER_NODE, "participants by WHIP and WHEP at the same time; a further one is refused";
    FRAGMENT_LINES: usize = 512, "lines of one trickled fragment; browsers have a few dozen candidates at most";
    FRAGMENT_LINE_BYTES: usize = 1 << 10, "one line of a trickled fragment";
    GRPC_CONNECTIONS: usize = 1_024, "gRPC connections at the same time; more wait in the kernel";
    GRPC_STREAMS: usize = 128, "calls of one gRPC connection at the same time; more wait at the caller";
    GRPC_HEADER_BYTES: usize = 16 << 10, "headers of one gRPC call, a backend's token among them";
    GRPC_MESSAGE_BYTES: usize = 1 << 20, "one gRPC request";
    WISHES_PER_REQUEST: usize = 1_024, "subscriptions of one UpdateSubscriptions: more tracks than a room shows";
    CANDIDATES_PER_REQUEST: usize = 64, "candidates of one AddCandidates: more than any host has";
    CANDIDATE_BYTES: usize = 512, "one candidate line";
    FILTER_BYTES: usize = 4 << 10, "the filter of a list";
    FILTER_TERMS: usize = 16, "terms of a filter; each is asked of every item";
    MESSAGE_DEPTH: usize = 32, "messages within messages of one gRPC request";
    REPEAT_ID_BYTES: usize = 128, "a request_id";
    REPEATS: usize = 20_000, "calls with a request_id that are remembered; full: the oldest is forgotten";
    REPEAT_BYTES: usize = 32 << 20, "answers that are remembered for a request_id; full: the oldest is forgotten";
    FAILURE_BYTES: usize = 1 << 10, "words of a refusal, which may quote what was sent; the rest is cut off";
    FAREWELL_BYTES: usize = 1 << 10, "words shown to those who are put out";
    PAGE_BYTES: usize = 3 << 20, "what one page of a list may weigh, under the 4 MiB gRPC libraries read; a page ends early there";
    PAGE_SIZE: usize = 100, "items of one page of a list where the request says nothing";
    PAGE_SIZE_MAX: usize = 1_000, "items of one page of a list";

    EVENT_LOG_EVENTS: usize = 100_000, "events kept for watchers that come back; full: the oldest leaves";
    EVENT_LOG_BYTES: usize = 64 << 20, "what the kept events may weigh; full: the oldest leaves";
    WATCH_BACKLOG: usize = 10_000, "events a watcher may be behind once it has caught up; beyond, it is cut and may come back";
    WATCHERS: usize = 256, "event streams at the same time; a further one is refused";

    NEGOTIATIONS_PER_SECOND: u32 = 20, "descriptions one socket may send, with a burst of as many";
    COMMANDS_PER_SECOND: u32 = 50, "tracks, mute, subscribe and restart messages of one socket, each, with a burst of as many";
    LOOKS_PER_SECOND: u32 = 5, "looks into a room before a join, with a burst of as many; each reads a roster";
    UPDATES_PER_SECOND: u32 = 10, "a participant's changes of itself, with a burst of as many; everybody inside is told";
    REQUESTS_PER_SECOND: u32 = 20, "command messages of one socket, with a burst of as many";
    TOKENS_PER_SECOND: u32 = 5, "fresh tokens of one socket, with a burst of as many; each is checked by its signature";
    PINGS_PER_SECOND: u32 = 10, "pings of one socket, with a burst of as many";
    DATA_PER_SECOND: u32 = 100, "data messages of one socket, with a burst of as many";
    DATA_BYTES_PER_SECOND: u32 = 512 << 10, "payload of one socket's data messages, with a burst of as many; everybody inside is sent a copy, and 1 MiB waiting cuts a socket";
}

/// A password for TURN must outlast the gathering of candidates.
pub const TURN_TTL_MIN: Duration = Duration::from_secs(60);
/// Passwords for TURN cannot be taken back: no longer than two days.
pub const TURN_TTL_MAX: Duration = Duration::from_secs(48 * 3_600);
/// A socket that has not joined by then is closed.
pub const JOIN_TIMEOUT: Duration = Duration::from_secs(10);
/// One who looks into a room may think for so long before the next look or the join.
pub const LOOK_TIMEOUT: Duration = Duration::from_secs(120);
/// A browser is told so long before its token ends.
pub const TOKEN_NEEDED_BEFORE: Duration = Duration::from_secs(60);
/// Servers for ICE are told anew at most this often, however short their passwords hold.
pub const ICE_SERVERS_INTERVAL_MIN: Duration = Duration::from_secs(1);
/// Pings leave this often.
pub const PING_INTERVAL: Duration = Duration::from_secs(20);
/// A ping that is not answered by then ends the socket.
pub const PONG_TIMEOUT: Duration = Duration::from_secs(15);
/// A message that cannot be written by then ends the socket.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// A participant whose socket closed is gone after this long without an authenticated datagram.
pub const SILENCE_WITHOUT_SOCKET: Duration = Duration::from_secs(6);
/// Headers of an HTTP request must be complete by then.
pub const HTTP_HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// A request's body must be complete by then, counted from when it is waited for.
pub const HTTP_BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// A connection through which nothing goes for so long is closed.
pub const HTTP_IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// A TLS handshake must be over by then.
pub const TLS_HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Files of certificates are looked at this often.
pub const TLS_RELOAD_INTERVAL: Duration = Duration::from_secs(2);
/// An issuer's keys must be there by then.
pub const JWKS_TIMEOUT: Duration = Duration::from_secs(5);
/// For tokens of unknown keys, an issuer is asked for keys no oftener than this.
pub const JWKS_REFETCH_INTERVAL: Duration = Duration::from_secs(10);
/// An issuer whose keys could not be had is asked again after this.
pub const JWKS_RETRY_INTERVAL: Duration = Duration::from_secs(30);
/// Keys of an issuer are asked for at least this far apart.
pub const JWKS_REFRESH_MIN: Duration = Duration::from_secs(10);
/// Keys of an issuer are asked for at least this often: one that was withdrawn is good no longer.
pub const JWKS_REFRESH_MAX: Duration = Duration::from_secs(24 * 3_600);
/// One WHIP or WHEP participant restarts ICE no oftener than this; each restart draws credentials
/// that live on beside the old ones.
pub const RESTART_INTERVAL: Duration = Duration::from_millis(200);
/// A gRPC call takes no longer, whatever deadline its caller sets.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(15);
/// RestartIce waits this long for the server's offer, which comes within a tick of negotiation.
pub const OFFER_TIMEOUT: Duration = Duration::from_secs(2);
/// What a call with a `request_id` was answered is known for this long.
pub const REPEAT_TTL: Duration = Duration::from_secs(600);
/// A gRPC connection that is silent is asked this often whether it lives.
pub const GRPC_KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
/// A gRPC connection that does not say so by then is closed.
pub const GRPC_KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);
/// A gRPC connection is asked to go after this long, so that callers find new nodes.
pub const GRPC_CONNECTION_AGE: Duration = Duration::from_secs(30 * 60);
/// Events are kept for this long.
pub const EVENT_LOG_AGE: Duration = Duration::from_secs(600);
/// A watcher to whom nothing happens hears this often that its stream lives.
pub const BOOKMARK_INTERVAL: Duration = Duration::from_secs(15);
/// How often health is looked at for those who watch it.
pub const HEALTH_INTERVAL: Duration = Duration::from_millis(250);
/// How often rooms and participants are looked through for what has expired.
pub const SWEEP_INTERVAL: Duration = Duration::from_millis(500);
/// The shortest life of an issued token.
pub const TOKEN_TTL_MIN: Duration = Duration::from_secs(10);
/// The longest life of an issued token.
pub const TOKEN_TTL_MAX: Duration = Duration::from_secs(24 * 3_600);
/// The life of an issued token where the request says nothing.
pub const TOKEN_TTL: Duration = Duration::from_secs(3_600);
/// A page token is good for this long.
pub const PAGE_TOKEN_TTL: Duration = Duration::from_secs(3_600);
/// The longest `resume_window` of a room.
pub const RESUME_WINDOW_MAX: Duration = Duration::from_secs(600);
/// Clocks of token issuers may be this far off.
pub const CLOCK_SKEW: Duration = Duration::from_secs(5);
