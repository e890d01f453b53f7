// The alarms of the moment, asked for when it is at rest, and again while what is usual is being learned.

import { element } from "./pixels.js";
import { alarmsOf } from "./readout.js";

const AGAIN_MS = 2000;

export function watching(ask) {
  const node = element("div", { class: "alarms" });
  let timer = null, last = null;
  async function look(place) {
    clearTimeout(timer);
    last = place;
    const found = await ask({ kind: "alarms", ...place });
    if (last !== place || found.overtaken) return;
    node.replaceChildren(...alarmsOf(found.error ? { note: found.error } : found));
    if (found.learning) timer = setTimeout(look, AGAIN_MS, place);
  }
  return { node, look, close: () => clearTimeout(timer) };
}
