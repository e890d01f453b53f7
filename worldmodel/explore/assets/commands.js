// The curves of what is commanded: drawn with the mouse, changed with arrow keys, or driven with keys that are held.

import { colours, element, fresh, short } from "./pixels.js";
import { drawAxes, line, scales } from "./chart.js";

const clipped = (value, { low, high }) => Math.min(Math.max(value, low), high);

// `rows` by stream are [[t, value, ...], ...]; `onchange` is told after each change.
export function commands(info, { onchange }) {
  const streams = info.streams.filter((s) => s.kind === "action");
  let rows = {}, recorded = {}, edited = false;
  const curves = streams.flatMap((s) => s.columns.map((column, i) => curve(s.name, column, i + 1)));
  const reset = element("button", { type: "button", disabled: "", onclick: () => { restore(); onchange(); } }, "As recorded");

  function changed() {
    edited = true;
    reset.disabled = false;
    redraw();
    onchange();
  }
  function restore() {
    edited = false;
    reset.disabled = true;
    rows = structuredClone(recorded);
    redraw();
  }
  const redraw = () => curves.forEach((c) => c.draw());

  function curve(stream, column, place) {
    const canvas = element("canvas", {
      class: "curve", tabindex: 0, role: "slider", "data-command": `${stream}.${column.label}`,
      "aria-label": `${stream} ${column.label}: draw with the mouse; left and right choose a time, up and down change from it on`,
      "aria-valuemin": column.low, "aria-valuemax": column.high,
    });
    const told = element("output", { class: "figure" });
    let at = null, tick = 0, last = null;
    const values = () => rows[stream] ?? [];
    const draw = () => {
      const made = fresh(canvas), table = values();
      if (made === null || !table.length) return;
      const step = table.length > 1 ? table[1][0] - table[0][0] : info.dt, end = table.at(-1)[0] + step;
      const { context, width, height } = made, look = colours(canvas);
      at = scales(width, height, 0, end, [column.low, column.high]);
      drawAxes(context, at, look);
      const held = (list) => [list.flatMap(([t]) => [t, t + step]), list.flatMap((row) => [row[place], row[place]])];
      if (edited) {
        Object.assign(context, { strokeStyle: look.faint, lineWidth: 1.2 });
        context.setLineDash([4, 3]);
        line(context, at, ...held(recorded[stream]));
        context.setLineDash([]);
      }
      Object.assign(context, { strokeStyle: look.command, fillStyle: look.command, lineWidth: 2.2 });
      line(context, at, ...held(table));
      tick = Math.min(tick, table.length - 1);
      if (document.activeElement === canvas) context.fillRect(at.x(table[tick][0]) - 2, at.y(table[tick][place]) - 5, 4, 10);
      told.textContent = `${short(table[tick][place])} ${column.unit} at +${table[tick][0].toFixed(1)} s`;
      canvas.setAttribute("aria-valuenow", short(table[tick][place]));
      canvas.setAttribute("aria-valuetext", told.textContent);
    };
    const under = (event) => {
      const box = canvas.getBoundingClientRect(), table = values(), end = table.at(-1)[0];
      const share = at.time(event.clientX - box.left) / (end || 1);
      return [Math.min(Math.max(Math.floor(share * (table.length - 1)), 0), table.length - 1), clipped(at.value(event.clientY - box.top), column)];
    };
    const pull = (event) => { // ticks between this place of the pointer and its last one
      const [to, value] = under(event), [from, before] = last ?? [to, value];
      for (let i = Math.min(from, to); i <= Math.max(from, to); i += 1) {
        values()[i][place] = to === from ? value : before + ((value - before) * (i - from)) / (to - from);
      }
      [last, tick] = [[to, value], to];
      changed();
    };
    canvas.addEventListener("pointerdown", (event) => {
      if (at === null) return;
      canvas.setPointerCapture(event.pointerId);
      canvas.focus();
      pull(event);
    });
    canvas.addEventListener("pointermove", (event) => last && pull(event));
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => { last = null; });
    for (const turn of ["focus", "blur"]) canvas.addEventListener(turn, draw);
    canvas.addEventListener("keydown", (event) => {
      const sideways = { ArrowLeft: -1, ArrowRight: 1 }[event.key], upwards = { ArrowDown: -1, ArrowUp: 1 }[event.key];
      if (!sideways && !upwards) return;
      event.preventDefault();
      if (sideways) { tick = Math.min(Math.max(tick + sideways, 0), values().length - 1); draw(); return; }
      for (const row of values().slice(tick)) row[place] = clipped(row[place] + upwards * 0.05 * (column.high - column.low), column);
      changed();
    });
    const node = element("div", { class: "command" }, element("h3", {}, `${stream} · ${column.label}`, told), canvas);
    return { node, draw, stream, column, place, push: (by) => {
      for (const row of values()) row[place] = clipped(row[place] + by * (column.high - column.low), column);
    } };
  }

  return {
    nodes: curves.map((c) => c.node), curves, reset, redraw, changed, restore,
    recorded(now, keep) { // edits are kept where only the horizon is another
      recorded = now;
      if (!keep || !edited) { restore(); return; }
      const before = rows;
      rows = structuredClone(now);
      for (const [name, table] of Object.entries(rows)) {
        table.forEach((row, i) => row.splice(1, row.length, ...(before[name][i] ?? before[name].at(-1)).slice(1)));
      }
      redraw();
    },
    given: () => (edited ? rows : null),
  };
}

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
