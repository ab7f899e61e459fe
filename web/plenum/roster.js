// Who is in the room and what they publish: the state that `welcome`, `participants` and
// `tracks` messages add up to.

/** @import {ConnectionQuality, Estimate, GivenLayer, LayersMessage, ParticipantMessage, ParticipantsMessage, ParticipantState, PauseReason, QualityMessage, Section, Track, TracksMessage} from "./messages.js" */

/**
 * @typedef {{
 *   participant: string, uid: string, displayName: string, metadata: string,
 *   attributes: {[key: string]: string}, state: ParticipantState, quality: ConnectionQuality,
 *   tracks: Map<string, Track>
 * }} Participant
 */

export class Roster {
  /** Others by id, in the order of joining.
   * @type {Map<string, Participant>} */
  participants = new Map();
  /** What each mid shows now.
   * @type {Map<string, string|null>} */
  sections = new Map();
  /** Why a track is not coming, by track.
   * @type {Map<string, PauseReason>} */
  paused = new Map();
  /** What we are given of a picture and why, by track; none: the server has not decided.
   * @type {Map<string, GivenLayer>} */
  layers = new Map();
  /** What the server believes our path carries. @type {Estimate|null} */
  estimate = null;
  /** Our own id. */
  self = "";
  /** Ourselves, as the server and the others see us.
   * @type {Participant|null} */
  own = null;

  /**
   * @param {string} self
   * @param {ParticipantMessage[]} participants ourselves may be among them
   */
  reset(self, participants) {
    this.self = self;
    this.own = null;
    this.participants.clear();
    this.sections.clear();
    this.paused.clear();
    this.layers.clear();
    this.estimate = null;
    for (const participant of participants) this.#put(participant);
  }

  /** @param {ParticipantMessage} message */
  #put(message) {
    if (message.participant === this.self) this.own = participantOf(message);
    else this.participants.set(message.participant, participantOf(message));
  }

  /** @param {ParticipantsMessage} message */
  takeParticipants(message) {
    for (const joined of message.joined ?? []) this.#put(joined);
    for (const updated of message.updated ?? []) this.#put(updated);
    for (const { participant } of message.left ?? []) {
      for (const track of this.participants.get(participant)?.tracks.keys() ?? []) {
        this.#forget(track);
      }
      this.participants.delete(participant);
    }
  }

  /** @param {TracksMessage} message */
  takeTracks(message) {
    for (const track of [...(message.published ?? []), ...(message.updated ?? [])]) {
      const owner = track.participant === this.self ? this.own : this.participants.get(track.participant);
      owner?.tracks.set(track.track, track);
    }
    for (const track of message.unpublished ?? []) {
      this.own?.tracks.delete(track);
      for (const { tracks } of this.participants.values()) tracks.delete(track);
      this.#forget(track);
    }
    for (const { mid, track } of message.sections ?? []) this.#bind({ mid, track });
    for (const { track, paused } of message.subscriptions ?? []) {
      if (paused) this.paused.set(track, paused);
      else this.paused.delete(track);
    }
  }

  /** @param {QualityMessage} message */
  takeQuality({ participants }) {
    for (const { participant, quality } of participants) {
      const known = participant === this.self ? this.own : this.participants.get(participant);
      if (known) known.quality = quality;
    }
  }

  /** @param {LayersMessage} message */
  takeLayers({ estimate, subscriptions }) {
    this.estimate = estimate ?? null;
    this.layers = new Map(subscriptions.map((given) => [given.track, given]));
  }

  /** @param {Section} section */
  #bind({ mid, track }) {
    // A track stands in one section: where it moves to a new one, the old shows nothing.
    for (const [other, shown] of this.sections) {
      if (track !== null && shown === track && other !== mid) this.sections.set(other, null);
    }
    this.sections.set(mid, track);
  }

  /** @param {string} track */
  #forget(track) {
    this.paused.delete(track);
    this.layers.delete(track);
    for (const [mid, shown] of this.sections) {
      if (shown === track) this.sections.set(mid, null);
    }
  }

  /**
   * The mid that carries a track, if any does.
   * @param {string} track
   */
  midOf(track) {
    for (const [mid, shown] of this.sections) {
      if (shown === track) return mid;
    }
    return null;
  }
}

/**
 * A participant as programs see one.
 * @param {ParticipantMessage} message
 * @returns {Participant}
 */
export function participantOf(message) {
  return {
    participant: message.participant,
    uid: message.uid,
    displayName: message.display_name || message.participant,
    metadata: message.metadata ?? "",
    attributes: message.attributes ?? {},
    state: message.state,
    quality: message.quality ?? "GOOD",
    tracks: new Map((message.tracks ?? []).map((track) => [track.track, track])),
  };
}
