// What passes over the WebSocket, as types only. The schemas stand in proto/websocket/.

/** @typedef {"CAMERA"|"MICROPHONE"|"SCREEN"|"SCREEN_AUDIO"|"OTHER"} Source */

/**
 * One published audio or video source.
 * @typedef {{
 *   track: string, participant: string, kind: "audio"|"video",
 *   source: Source, codec: string, muted: boolean, server_muted?: boolean
 * }} Track
 */

/** @typedef {"WAITING"|"JOINING"|"ACTIVE"|"RESUMING"} ParticipantState */
/** How good somebody's connection is, both ways together. @typedef {"GOOD"|"FAIR"|"POOR"|"LOST"} ConnectionQuality */

/**
 * @typedef {{
 *   participant: string, uid: string, display_name: string, metadata?: string,
 *   attributes?: {[key: string]: string}, tracks: Track[], state: ParticipantState,
 *   quality?: ConnectionQuality
 * }} ParticipantMessage
 */

/** @typedef {"WISHED"|"CODEC_UNSUPPORTED"|"MUTED"|"LIMIT_REACHED"|"BANDWIDTH"|"QUIETER"} PauseReason */
/** @typedef {{track: string, mid?: string|null, paused?: PauseReason|null}} Subscription */
/** @typedef {{mid: string, track: string|null}} Section */

/**
 * A room as the people in it see it. `name` is its id.
 * @typedef {{
 *   name: string, display_name: string, metadata: string, locked: boolean, waiting_room: boolean
 * }} Room
 */

/**
 * What we may do here; `admin`: mute, remove, admit, lock.
 * @typedef {{
 *   publish_sources: Source[], subscribe: boolean, send_data: boolean, hidden: boolean,
 *   admin: boolean, record: boolean, tracks_max?: number
 * }} Permissions
 */

/**
 * A room seen from outside: at most 25 display names, and how many there are in all.
 * @typedef {{
 *   room: {name: string, display_name: string, locked: boolean, waiting_room: boolean},
 *   participants: string[], count: number
 * }} Lobby
 */

/**
 * @typedef {{
 *   type: "welcome", sequence: number, room: Room, participant: string, uid: string,
 *   own: ParticipantMessage, participants: ParticipantMessage[], ice_servers: RTCIceServer[],
 *   limits: {participants_max: number, message_bytes_max: number, data_bytes_max: number},
 *   resume_token: string, permissions: Permissions, features: string[],
 *   description?: RTCSessionDescriptionInit
 * }} Welcome
 */

/**
 * An earlier message that was sent with `keep`. `time`: RFC 3339.
 * @typedef {{from?: string, from_name: string, topic: string, payload: any, time: string}} HistoryMessage
 */

/**
 * @typedef {{
 *   type: "participants", sequence: number, joined?: ParticipantMessage[],
 *   updated?: ParticipantMessage[], left?: {participant: string, reason: string}[]
 * }} ParticipantsMessage
 */

/**
 * @typedef {{
 *   type: "tracks", sequence: number, published?: Track[], updated?: Track[],
 *   unpublished?: string[], sections?: Section[], subscriptions?: Subscription[]
 * }} TracksMessage
 */

/**
 * Why a picture is given as it is, and not better. `BUDGET`, `PAUSED` and `MAY_NOT_PAUSE` say what
 * the next layer (or the lowest) needs and what there is; `WANTED_SIZE` the wished height; `HELD`
 * in how many milliseconds more is tried again.
 * @typedef {"FULL"|"WANTED_SIZE"|"BUDGET"|"PAUSED"|"HELD"|"MAY_NOT_PAUSE"|"NOT_WANTED"|"NO_LAYER"} LayerReason
 */

/**
 * What we are given of a picture; without `layer` nothing is sent.
 * @typedef {{
 *   track: string, layer?: {spatial: number, temporal: number, bitrate_bps: number},
 *   reason: LayerReason, needed_bitrate_bps?: number, available_bitrate_bps?: number,
 *   height?: number, hold_ms?: number
 * }} GivenLayer
 */

/**
 * What the server believes our path carries, and why.
 * @typedef {{
 *   bitrate_bps: number, cause: "GROWING"|"UNUSED"|"QUEUE"|"LOSS"|"SILENCE"
 * }} Estimate
 */

/** @typedef {{type: "layers", sequence: number, estimate?: Estimate, subscriptions: GivenLayer[]}} LayersMessage */

/**
 * @typedef {{
 *   type: "quality", sequence: number,
 *   participants: {participant: string, quality: ConnectionQuality}[]
 * }} QualityMessage
 */

/** @typedef {{participant: string, level: number}} Speaker `level`: 0 loud … 127 silent */
/** @typedef {{type: "speakers", sequence: number, speakers: Speaker[]}} SpeakersMessage */

/**
 * `from`: none where an application's backend wrote. `from_name`: what the sender was called then.
 * `time`: RFC 3339.
 * @typedef {{
 *   from?: string, topic: string, to?: string[], payload: any, from_name?: string, time?: string
 * }} DataMessage
 */
/** @typedef {{type: "data", sequence: number, channel: number, from: string}} ChannelMessage */

/**
 * @typedef {{
 *   type: "leave", sequence: number, reason: string, action: "STOP"|"REJOIN", message?: string
 * }} LeaveMessage
 */

/**
 * @typedef {{
 *   type: "error", sequence: number, reason: string, message: string, fatal: boolean, line?: number
 * }} ErrorMessage
 */

/** @typedef {{track: string, wanted?: boolean, paused?: boolean, height?: number, priority?: number}} Wish */

export {};
