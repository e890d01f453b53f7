// A card for each column: its fan, and what the fan says in figures.

import { parts } from "./wire.js";
import { element, powers, short } from "./pixels.js";
import { drawFan, eased, readAt, timeUnder, widened } from "./chart.js";

// Against what came; where commands were changed, nothing came of them, and MuJoCo stands in.
function wrongBy({ rmse, twin }) {
  if (rmse == null) return twin ? `from MuJoCo ${short(twin.apart)}` : "";
  return `error ${short(rmse)}${twin?.rmse == null ? "" : `, MuJoCo ${short(twin.rmse)}`}`;
}

// `onpoint` is told at which time ahead the pointer is; null where it is not.
export function panels(info, { onpoint }) {
  const cards = info.streams.filter((s) => s.kind !== "action" && s.kind !== "video")
    .flatMap((s) => s.columns.map((column, i) => card(s, column, i)));
  let horizon = info.horizon_s;

  function card(stream, column, i) {
    const id = `${stream.name}.${column.label}`, canvas = element("canvas", { role: "img" });
    const read = element("span", { class: "read" }), rmse = element("span", { class: "rmse" });
    canvas.addEventListener("pointermove", (event) => onpoint(Math.max(timeUnder(canvas, event, -info.first_s, horizon), 0) || null));
    canvas.addEventListener("pointerleave", () => onpoint(null));
    const unit = element("small", {}, column.unit ? ` (${powers(column.unit)})` : "");
    const node = element("article", { class: "fan", "data-column": id },
      element("h3", {}, `${stream.name} · ${column.label}`, unit), canvas, element("p", { class: "figures" }, read, rmse));
    return { id, node, canvas, read, rmse, stream: stream.name, i, wraps: column.wraps, range: null };
  }

  return {
    nodes: cards.map((c) => c.node), canvases: cards.map((c) => c.canvas),
    begin(seconds) { // another moment, or another horizon
      horizon = seconds;
      for (const each of cards) each.range = null;
    },
    draw(stage, look, { past, future, cursor, silent, edited }) {
      for (const each of cards) {
        const came = past.streams[each.stream], log = { time: came.time, values: came.columns[each.i] };
        const { time, columns } = future.streams[each.stream], fan = { ...columns[each.i], time, bands: parts(columns[each.i].bands) };
        const values = [log.values, fan.bands[0], fan.bands[4], fan.twin?.values ?? []];
        each.range = info.live ? eased(each.range, widened(null, ...values)) : widened(each.range, ...values);
        const surface = stage.fresh(each.canvas, look);
        if (surface) drawFan(surface, look, { fan, log, wraps: each.wraps, from: -info.first_s, to: horizon, range: each.range, cursor, edited });
        const at = cursor ?? horizon;
        each.read.textContent = `+${at.toFixed(1)} s: ${readAt(fan, at)}`;
        each.rmse.textContent = wrongBy(fan);
        each.canvas.setAttribute("aria-label", `${each.id}: ${each.read.textContent}`);
        each.node.classList.toggle("silent", silent.includes(each.stream));
      }
    },
  };
}
