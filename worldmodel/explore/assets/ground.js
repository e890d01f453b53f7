// The map of the stream that tells a place: what was seen of it, what came, and its futures.

import { parts } from "./wire.js";
import { element } from "./pixels.js";
import { eased } from "./chart.js";
import { drawMap, framed } from "./map.js";

export function ground(info) {
  const stream = info.streams.find((s) => s.track);
  if (!stream) return null;
  const canvas = element("canvas", { class: "map", role: "img", "aria-label": "the way on the ground, in metres" });
  let square = null;
  return {
    canvas,
    begin() { square = null; },
    draw(stage, look, { past, future, cursor, edited }) {
      const { time, columns } = past.streams[stream.name], [x, y] = stream.track.map((i) => columns[i]);
      const [seen, came] = [[], []];
      time.forEach((t, i) => (t <= 1e-6 ? seen : came).push([x[i], y[i]]));
      const { ways, time: ahead } = future.streams[stream.name], tracks = parts(ways).map((way) => parts(way));
      const twins = future.streams[stream.name].columns.map((column) => column.twin?.values);
      const twin = twins[0] ? Array.from(ahead, (_, i) => stream.track.map((c) => twins[c][i])) : [];
      square = info.live ? moved(square, framed(null, [seen, came, twin, ...tracks])) : framed(square, [seen, came, twin, ...tracks]);
      const row = cursor === null ? -1 : ahead.findIndex((t) => t >= cursor - 1e-6), surface = stage.fresh(canvas, look);
      if (surface) drawMap(surface, look, { ways: tracks, seen, came, twin, square, edited, cursorRow: row < 0 ? null : row });
    },
  };
}

function moved(before, [west, south, east, north]) {
  const [w, e] = eased(before && [before[0], before[2]], [west, east]), [s, n] = eased(before && [before[1], before[3]], [south, north]);
  return [w, s, e, n];
}
