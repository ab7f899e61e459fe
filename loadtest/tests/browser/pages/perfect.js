// The perfect-negotiation example of the W3C specification (webrtc §10.7), written from its
// algorithm, with the server's WebSocket as signaling channel and no library of ours. All that is
// Plenum's is the `join` that opens the channel; everything with a `type` is ignored.

const query = new URLSearchParams(location.search);
const polite = true;

const socket = new WebSocket(`ws://${query.get("server")}/v1/connect`, "plenum.v1.json");
const signaling = {
  send: (message) => socket.send(JSON.stringify(message)),
  onmessage: async (_message) => {},
};
socket.onmessage = ({ data }) => {
  const message = JSON.parse(data);
  if (message.type === "welcome") window.example.welcomed = true;
  if (message.description || message.candidate) signaling.onmessage({ data: message });
};
socket.onopen = () => signaling.send({ type: "join", room: query.get("room"), display_name: query.get("name") });

const pc = new RTCPeerConnection({});

// start() may be called at any time at either end.
async function start() {
  const stream = await navigator.mediaDevices.getUserMedia({ audio: true, video: { width: 320, height: 240, frameRate: 15 } });
  attach(stream);
}

function attach(stream) {
  for (const track of stream.getTracks()) pc.addTrack(track, stream);
  document.getElementById("selfView").srcObject = stream;
}

pc.ontrack = ({ track, streams }) => {
  track.onunmute = () => {
    const remoteView = document.getElementById("remoteView");
    if (!remoteView.srcObject) remoteView.srcObject = streams[0];
  };
};

let makingOffer = false;
let ignoreOffer = false;
let isSettingRemoteAnswerPending = false;
const failures = [];

pc.onicecandidate = ({ candidate }) => signaling.send({ candidate });

pc.onnegotiationneeded = async () => {
  try {
    makingOffer = true;
    await pc.setLocalDescription();
    signaling.send({ description: pc.localDescription });
  } catch (error) {
    failures.push(String(error));
  } finally {
    makingOffer = false;
  }
};

signaling.onmessage = async ({ data: { description, candidate } }) => {
  try {
    if (description) {
      const readyForOffer = !makingOffer && (pc.signalingState === "stable" || isSettingRemoteAnswerPending);
      const offerCollision = description.type === "offer" && !readyForOffer;
      ignoreOffer = !polite && offerCollision;
      if (ignoreOffer) return;
      isSettingRemoteAnswerPending = description.type === "answer";
      await pc.setRemoteDescription(description); // rolls back as needed
      isSettingRemoteAnswerPending = false;
      if (description.type === "offer") {
        await pc.setLocalDescription();
        signaling.send({ description: pc.localDescription });
      }
    } else if (candidate) {
      try {
        await pc.addIceCandidate(candidate);
      } catch (error) {
        if (!ignoreOffer) throw error;
      }
    }
  } catch (error) {
    failures.push(String(error));
  }
};

// Not of the example: what the tests look at.
const messages = [];
pc.ondatachannel = ({ channel }) => {
  channel.onmessage = ({ data }) => messages.push({ topic: channel.label, data });
};
window.example = { pc, start, attach, failures, messages, welcomed: false };
