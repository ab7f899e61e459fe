// getStats() boiled down to what people ask about: per track codec, size, rate, loss, jitter and
// freezes; for the transport its path and ciphers. Rates come from two readings.

/**
 * @typedef {{
 *   mid: string, kind: "audio"|"video", way: "in"|"out", codec: string, layer: string, limit: string,
 *   width: number, height: number, framesPerSecond: number, kbps: number,
 *   lossPercent: number, jitterMs: number, rttMs: number|null,
 *   freezes: number, freezeSeconds: number, framesDecoded: number, audioEnergy: number
 * }} TrackStatistics
 */

/**
 * @typedef {{
 *   rttMs: number|null, localCandidate: string, remoteCandidate: string, remoteAddress: string,
 *   localAddress: string, protocol: string,
 *   dtls: string, dtlsVersion: string, srtp: string, estimateKbps: number|null
 * }} TransportStatistics
 */

/** @typedef {{at: number, transport: TransportStatistics, tracks: TrackStatistics[]}} Statistics */

/** @typedef {Map<string, {at: number, bytes: number, packets: number, lost: number}>} Previous */

export class StatisticsReader {
  /** @type {Previous} */
  #previous = new Map();

  /**
   * @param {RTCPeerConnection} pc
   * @returns {Promise<Statistics>}
   */
  async read(pc) {
    const report = await pc.getStats();
    /** @type {Map<string, any>} */
    const all = new Map();
    report.forEach((value, key) => all.set(key, value));
    const tracks = [];
    /** @type {Previous} */
    const next = new Map();
    for (const row of all.values()) {
      if (row.type !== "inbound-rtp" && row.type !== "outbound-rtp") continue;
      // A rung of simulcast that is switched off, or has never been on.
      if (row.active === false || (row.rid && !row.framesEncoded)) continue;
      tracks.push(this.#track(row, all, next));
    }
    this.#previous = next;
    return { at: performance.now(), transport: transportOf(all), tracks };
  }

  /**
   * @param {any} row
   * @param {Map<string, any>} all
   * @param {Previous} next
   * @returns {TrackStatistics}
   */
  #track(row, all, next) {
    const inbound = row.type === "inbound-rtp";
    const remote = all.get(row.remoteId);
    const bytes = (inbound ? row.bytesReceived : row.bytesSent) ?? 0;
    const packets = (inbound ? row.packetsReceived : row.packetsSent) ?? 0;
    const lost = (inbound ? row.packetsLost : remote?.packetsLost) ?? 0;
    const before = this.#previous.get(row.id);
    next.set(row.id, { at: row.timestamp, bytes, packets, lost });
    const seconds = before ? (row.timestamp - before.at) / 1_000 : 0;
    const lostNow = before ? Math.max(0, lost - before.lost) : 0;
    const passed = before ? Math.max(0, packets - before.packets) : 0;
    const rtt = inbound ? null : remote?.roundTripTime;
    return {
      mid: row.mid ?? "",
      kind: row.kind,
      way: inbound ? "in" : "out",
      codec: (all.get(row.codecId)?.mimeType ?? "").replace(/^\w+\//, ""),
      layer: row.rid ?? "",
      // What holds the sender of a picture back: "bandwidth", "cpu", "other"; empty: nothing.
      limit: row.qualityLimitationReason && row.qualityLimitationReason !== "none" ? row.qualityLimitationReason : "",
      width: row.frameWidth ?? 0,
      height: row.frameHeight ?? 0,
      framesPerSecond: row.framesPerSecond ?? 0,
      kbps: seconds > 0 && before ? ((bytes - before.bytes) * 8) / 1_000 / seconds : 0,
      lossPercent: lostNow + passed > 0 ? (100 * lostNow) / (lostNow + (inbound ? passed : Math.max(0, passed - lostNow))) : 0,
      jitterMs: ((inbound ? row.jitter : remote?.jitter) ?? 0) * 1_000,
      rttMs: typeof rtt === "number" ? rtt * 1_000 : null,
      freezes: row.freezeCount ?? 0,
      freezeSeconds: row.totalFreezesDuration ?? 0,
      framesDecoded: row.framesDecoded ?? 0,
      audioEnergy: row.totalAudioEnergy ?? 0,
    };
  }
}

/**
 * @param {Map<string, any>} all
 * @returns {TransportStatistics}
 */
function transportOf(all) {
  const rows = [...all.values()];
  const transport = rows.find(({ type }) => type === "transport");
  // Firefox has no transport row that names the pair: the nominated one that works is it.
  const pair =
    all.get(transport?.selectedCandidatePairId) ??
    rows.find((row) => row.type === "candidate-pair" && (row.selected || (row.nominated && row.state === "succeeded")));
  const local = all.get(pair?.localCandidateId);
  const remote = all.get(pair?.remoteCandidateId);
  return {
    rttMs: typeof pair?.currentRoundTripTime === "number" ? pair.currentRoundTripTime * 1_000 : null,
    localCandidate: local?.candidateType ?? "",
    remoteCandidate: remote?.candidateType ?? "",
    localAddress: local ? `${local.address ?? ""}:${local.port ?? ""}` : "",
    remoteAddress: remote ? `${remote.address ?? ""}:${remote.port ?? ""}` : "",
    protocol: local?.protocol ?? "",
    dtls: transport?.dtlsCipher ?? "",
    dtlsVersion: dtlsVersion(transport?.tlsVersion),
    srtp: transport?.srtpCipher ?? "",
    estimateKbps: typeof pair?.availableOutgoingBitrate === "number" ? pair.availableOutgoingBitrate / 1_000 : null,
  };
}

/**
 * The version as people write it, from the two bytes of the record layer in hexadecimal.
 * @param {string|undefined} version
 */
function dtlsVersion(version) {
  if (version === "FEFD") return "DTLS 1.2";
  if (version === "FEFC") return "DTLS 1.3";
  return version ?? "";
}
