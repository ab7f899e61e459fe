// What passes over the WebSocket, as types only. The schemas stand in proto/websocket/.

/** @typedef {"CAMERA"|"MICROPHONE"|"SCREEN"|"SCREEN_AUDIO"|"OTHER"} Source */

/**
 * One published audio or video source.
 * @typedef {{
 *   track: string, participant: string, kind: "audio"|"video",
 *   source: Source, codec: string, muted: boolean
 * }} Track
 */

/**
 * @typedef {{
 *   participant: string, uid: string, display_name: string, metadata?: string,
 *   tracks: Track[], state: "JOINING"|"ACTIVE"
 * }} ParticipantMessage
 */

/** @typedef {"WISHED"|"CODEC_UNSUPPORTED"|"MUTED"|"LIMIT_REACHED"} PauseReason */
/** @typedef {{track: string, mid?: string|null, paused?: PauseReason|null}} Subscription */
/** @typedef {{mid: string, track: string|null}} Section */

/**
 * @typedef {{
 *   type: "welcome", sequence: number, room: string, participant: string, uid: string,
 *   participants: ParticipantMessage[], ice_servers: RTCIceServer[],
 *   limits: {participants_max: number, message_bytes_max: number, data_bytes_max: number},
 *   resume_token: string, permissions: unknown, description?: RTCSessionDescriptionInit
 * }} Welcome
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

/** @typedef {{participant: string, level: number}} Speaker `level`: 0 loud … 127 silent */
/** @typedef {{type: "speakers", sequence: number, speakers: Speaker[]}} SpeakersMessage */

/** @typedef {{from: string, topic: string, to?: string[], payload: any}} DataMessage */
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
