// Driving: keys that are held, and the sticks of a gamepad.

import { element } from "./pixels.js";

const STEP_MS = 30; // between two steps of a key that is held: more cannot be told apart
const DEAD = 0.15; // of a stick's way, in which it rests
const leftwards = (column) => (/steer|yaw|turn/.test(column.label) ? 1 : -1); // which sign is to the left

// Axes drive the commands in their order, up and right being more, and let go they rest at 0; `close` ends it.
export function gamepad({ curves, changed }) {
  const last = curves.map(() => 0);
  let frame = 0;
  const pads = () => [...(navigator.getGamepads?.() ?? [])].filter(Boolean);
  const put = ({ column, put: level }, share) => {
    const rest = Math.min(Math.max(0, column.low), column.high);
    level(rest + share * (share > 0 ? column.high - rest : rest - column.low));
  };
  const poll = () => {
    const axes = pads()[0]?.axes;
    frame = axes ? requestAnimationFrame(poll) : 0;
    let moved = false;
    curves.slice(0, axes?.length ?? 0).forEach((curve, i) => {
      const sign = i % 2 ? -1 : -leftwards(curve.column), size = Math.abs(axes[i]);
      const share = size < DEAD ? 0 : (sign * Math.sign(axes[i]) * (size - DEAD)) / (1 - DEAD);
      if (Math.abs(share - last[i]) < 0.01 && (share !== 0 || last[i] === 0)) return;
      last[i] = share;
      put(curve, share);
      moved = true;
    });
    if (moved) changed();
  };
  const begin = () => { frame ||= requestAnimationFrame(poll); };
  addEventListener("gamepadconnected", begin);
  if (pads().length) begin();
  return { close() { removeEventListener("gamepadconnected", begin); cancelAnimationFrame(frame); } };
}

// Keys that drive: the first column sideways, the second up and down; a column of steering is positive to the left.
export function drivePad({ curves, changed }) {
  const [side, ahead = side] = curves, left = leftwards(side.column);
  const ways = { ArrowLeft: [side, left], ArrowRight: [side, -left], ArrowUp: [ahead, 1], ArrowDown: [ahead, -1] };
  const held = new Set();
  let before = null;
  const turn = (now) => {
    if (!held.size) { before = null; return; }
    if (before !== null && now - before < STEP_MS) { requestAnimationFrame(turn); return; }
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
    ? `Hold the arrow keys here: they move ${side.column.label}. A gamepad's stick does, too.`
    : `Hold the arrow keys here: ◀ ▶ ${side.column.label}, ▲ ▼ ${ahead.column.label}. A gamepad's sticks move the commands in their order.`));
}
