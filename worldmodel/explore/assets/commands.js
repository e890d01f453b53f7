// The curves of what is commanded: drawn with the mouse, or changed with arrow keys.

import { element, short } from "./pixels.js";
import { drawAxes, line, scales } from "./chart.js";

const clipped = (value, { low, high }) => Math.min(Math.max(value, low), high);

// `rows` by stream are [[t, value, ...], ...]; `onchange` is told after each change, `onlook` where only looks change.
// Where they are `level`, what is changed at one time is changed at all.
export function commands(info, { onchange, onlook, level = false }) {
  const streams = info.streams.filter((s) => s.kind === "action");
  let rows = {}, recorded = {}, edited = false;
  const curves = streams.flatMap((s) => s.columns.map((column, i) => curve(s.name, column, i + 1)));
  const reset = element("button", { type: "button", disabled: "", onclick: () => { restore(); onchange(); } }, level ? "Let go" : "As recorded");

  function changed() {
    edited = true;
    reset.disabled = false;
    onchange();
  }
  function restore() {
    edited = false;
    reset.disabled = true;
    rows = structuredClone(recorded);
  }

  function curve(stream, column, place) {
    const canvas = element("canvas", {
      class: "curve", tabindex: 0, role: "slider", "data-command": `${stream}.${column.label}`,
      "aria-label": `${stream} ${column.label}: draw with the mouse; left and right choose a time, up and down change from it on`,
      "aria-valuemin": column.low, "aria-valuemax": column.high,
    });
    const told = element("output", { class: "figure" });
    let at = null, tick = 0, last = null;
    const values = () => rows[stream] ?? [];
    const draw = (surface, look) => {
      const table = values();
      if (surface === null || !table.length) return;
      const step = table.length > 1 ? table[1][0] - table[0][0] : info.dt, end = table.at(-1)[0] + step;
      const { context, width, height } = surface;
      at = scales(width, height, 0, end, [column.low, column.high]);
      drawAxes(context, at, look);
      const held = (list) => [list.flatMap(([t]) => [t, t + step]), list.flatMap((row) => [row[place], row[place]])];
      if (edited && !level) {
        Object.assign(context, { strokeStyle: look.faint, lineWidth: 1.2 });
        context.setLineDash([4, 3]);
        line(context, at, ...held(recorded[stream]));
        context.setLineDash([]);
      }
      Object.assign(context, { strokeStyle: look.command, fillStyle: look.command, lineWidth: 2.2 });
      line(context, at, ...held(table));
      tick = Math.min(tick, table.length - 1);
      if (document.activeElement === canvas && !level) context.fillRect(at.x(table[tick][0]) - 2, at.y(table[tick][place]) - 5, 4, 10);
      told.textContent = `${short(table[tick][place])} ${column.unit}${level ? "" : ` at +${table[tick][0].toFixed(1)} s`}`;
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
      if (level) all(() => value);
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
    for (const turn of ["focus", "blur"]) canvas.addEventListener(turn, onlook);
    canvas.addEventListener("keydown", (event) => {
      const sideways = { ArrowLeft: -1, ArrowRight: 1 }[event.key], upwards = { ArrowDown: -1, ArrowUp: 1 }[event.key];
      if (!sideways && !upwards) return;
      event.preventDefault();
      if (sideways) { tick = Math.min(Math.max(tick + sideways, 0), values().length - 1); onlook(); return; }
      for (const row of values().slice(level ? 0 : tick)) row[place] = clipped(row[place] + upwards * 0.05 * (column.high - column.low), column);
      changed();
    });
    const node = element("div", { class: "command" }, element("h3", {}, `${stream} · ${column.label}`, told), canvas);
    const all = (change) => { for (const row of values()) row[place] = clipped(change(row[place]), column); };
    return {
      node, canvas, draw, column,
      push: (by) => all((value) => value + by * (column.high - column.low)),
      put: (to) => all(() => to),
    };
  }

  return {
    nodes: curves.map((c) => c.node), curves, reset, changed,
    recorded(now, keep) { // edits are kept where only the horizon is another
      recorded = now;
      if (!keep || !edited) { restore(); return; }
      const before = rows;
      rows = structuredClone(now);
      for (const [name, table] of Object.entries(rows)) {
        table.forEach((row, i) => row.splice(1, row.length, ...(before[name][i] ?? before[name].at(-1)).slice(1)));
      }
    },
    given: () => (edited ? rows : null),
    now: () => Object.fromEntries(Object.entries(rows).map(([name, [first]]) => [name, first.slice(1)])),
  };
}
