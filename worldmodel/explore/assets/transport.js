// Requests over the page's socket. `connect()` gives `ask(request)`, which promises the answer.

import { unpacked } from "./wire.js";

export function connect(address = `ws://${location.host}/socket`) {
  const waiting = new Map();
  let last = 0;
  let socket = null;

  const open = () => new Promise((resolve) => {
    const made = new WebSocket(address);
    made.binaryType = "arraybuffer";
    made.onopen = () => resolve(made);
    made.onerror = () => resolve(null);
    made.onmessage = ({ data }) => {
      const answer = understood(data);
      waiting.get(answer.id)?.(answer);
      waiting.delete(answer.id);
    };
    made.onclose = () => {
      socket = null;
      for (const resolveOne of waiting.values()) resolveOne({ error: GONE });
      waiting.clear();
    };
  });

  return async (request) => {
    socket ??= open();
    const made = await socket;
    if (made === null) { socket = null; return { error: GONE }; }
    return new Promise((resolve) => {
      waiting.set(++last, resolve);
      made.send(JSON.stringify({ ...request, id: last }));
    });
  };
}

// A message is the bytes of its text and of its floats, these, and its pixels.
function understood(data) {
  const [text, floats] = new Uint32Array(data, 0, 2), begin = 8 + text;
  const head = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 8, text)));
  return unpacked(head, new Float32Array(data, begin, floats / 4), new Uint8Array(data, begin + floats));
}

const GONE = "The program behind this page does not answer.\n  do:       start worldmodel explore again, and reload the page";
