// Driving: a pad of keys that are held.

import { element } from "./pixels.js";

// Keys that drive: the first column sideways, the second up and down; a column of steering is positive to the left.
export function drivePad({ curves, changed }) {
  const [side, ahead = side] = curves, left = /steer|yaw|turn/.test(side?.column.label ?? "") ? 1 : -1;
  const ways = { ArrowLeft: [side, left], ArrowRight: [side, -left], ArrowUp: [ahead, 1], ArrowDown: [ahead, -1] };
  const held = new Set();
  let before = null;
  const turn = (now) => {
    if (!held.size) { before = null; return; }
    const passed = before === null ? 0.016 : Math.min((now - before) / 1000, 0.1);
    for (const key of held) ways[key][0].push(ways[key][1] * passed);
    before = now;
    changed();
    requestAnimationFrame(turn);
  };
  const hold = (key) => { held.add(key); if (held.size === 1) requestAnimationFrame(turn); button[key].classList.add("held"); };
  const release = (key) => { held.delete(key); button[key]?.classList.remove("held"); };
  const button = Object.fromEntries(Object.entries({ ArrowUp: "▲", ArrowLeft: "◀", ArrowDown: "▼", ArrowRight: "▶" }).map(([key, sign]) => [
    key, element("span", {
      class: `key ${key}`, onpointerdown: () => hold(key), onpointerup: () => release(key), onpointerleave: () => release(key),
    }, sign),
  ]));
  const pad = element("div", { class: "pad", tabindex: 0, role: "application", "aria-label": "drive: hold the arrow keys" }, ...Object.values(button));
  pad.addEventListener("keydown", (event) => { if (ways[event.key]) { event.preventDefault(); hold(event.key); } });
  pad.addEventListener("keyup", (event) => release(event.key));
  pad.addEventListener("blur", () => [...held].forEach(release));
  return element("div", { class: "drive" }, pad, element("p", {}, side === ahead
    ? `Hold the arrow keys here: they move ${side.column.label} over the whole horizon.`
    : `Hold the arrow keys here: ◀ ▶ ${side.column.label}, ▲ ▼ ${ahead.column.label}, over the whole horizon.`));
}
