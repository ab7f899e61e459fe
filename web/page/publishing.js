// Keeps what a connection publishes in line with one's own devices: whatever way a device came,
// went or was switched, the others see and hear what the page shows.

/** @import {Connection} from "../plenum/connection.js" */
/** @import {Devices} from "./devices.js" */

/**
 * @param {Connection} connection
 * @param {Devices} devices
 * @returns {() => void} stops it
 */
export function publishDevices(connection, devices) {
  /** @type {{microphone: MediaStreamTrack|null, camera: MediaStreamTrack|null}} */
  const told = { microphone: null, camera: null };
  /** @type {{microphone: boolean, camera: boolean}} */
  const muted = { microphone: false, camera: false };
  const follow = () => {
    /** @type {["microphone"|"camera", "MICROPHONE"|"CAMERA", boolean][]} */
    const inputs = [
      ["microphone", "MICROPHONE", devices.microphoneOn],
      ["camera", "CAMERA", devices.cameraOn && devices.camera !== null],
    ];
    for (const [device, source, isOn] of inputs) {
      const track = devices[device];
      if (track && track !== told[device]) {
        connection.replace(source, track);
        told[device] = track;
        // A track that is published for the first time is not muted.
        if (isOn !== !muted[device]) connection.setMuted(source, !isOn);
        muted[device] = !isOn;
      } else if (told[device] && muted[device] !== !isOn) {
        connection.setMuted(source, !isOn);
        muted[device] = !isOn;
      }
    }
  };
  follow();
  return devices.on("changed", follow);
}
