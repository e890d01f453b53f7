// The way on the ground in metres: seen, come, and one line for each future.

import { marks } from "./pixels.js";
import { stroke } from "./chart.js";

// The square that holds the points and the square before it; `tracks` are lists of [x, y].
export function framed(square, tracks) {
  let [west, south, east, north] = square ?? [Infinity, Infinity, -Infinity, -Infinity];
  for (const track of tracks) {
    for (const [x, y] of track) {
      if (Number.isNaN(x + y)) continue;
      [west, south, east, north] = [Math.min(west, x), Math.min(south, y), Math.max(east, x), Math.max(north, y)];
    }
  }
  return [west, south, east, north];
}

function placing(width, height, [west, south, east, north]) {
  const metres = Math.max(east - west, (north - south) * (width / height), 0.2) * 1.12;
  const scale = width / metres, x0 = (west + east) / 2, y0 = (south + north) / 2;
  return {
    x: (x) => width / 2 + (x - x0) * scale, y: (y) => height / 2 - (y - y0) * scale,
    spanX: [x0 - metres / 2, x0 + metres / 2], spanY: [y0 - height / scale / 2, y0 + height / scale / 2], scale, metres,
  };
}

export function drawMap({ context, width, height }, look, { ways, seen, came, twin, square, edited, cursorRow }) {
  if (!Number.isFinite(square[0])) return;
  const at = placing(width, height, square);
  const step = grid(context, at, width, height, look);
  const draw = (track, style, thick, alpha = 1) => {
    Object.assign(context, { strokeStyle: style, lineWidth: thick, globalAlpha: alpha });
    stroke(context, track.filter(([x, y]) => !Number.isNaN(x + y)).map(([x, y]) => [at.x(x), at.y(y)]));
    context.globalAlpha = 1;
  };
  const dot = ([x, y], fill, edge, radius) => {
    context.beginPath();
    context.arc(at.x(x), at.y(y), radius, 0, 7);
    Object.assign(context, { fillStyle: fill, strokeStyle: edge, lineWidth: 1.5 });
    context.fill();
    context.stroke();
  };
  Object.assign(context, { lineJoin: "round", lineCap: "round" });
  for (const way of ways) draw(way, look.model, 1, Math.max(0.12, 0.5 - ways.length / 100));
  draw(seen, look.muted, 2);
  draw(came, look.ink, 2, edited ? 0.3 : 1);
  draw(twin, look.twin, 2);
  if (ways.length) {
    const mean = ways[0].map((_, i) => [0, 1].map((c) => ways.reduce((sum, way) => sum + way[i][c], 0) / ways.length));
    draw(mean, look.model, 2.6);
    dot(mean[cursorRow ?? mean.length - 1], look.model, look.paper, 4.5);
  }
  const last = seen.filter(([x, y]) => !Number.isNaN(x + y)).at(-1);
  if (last) dot(last, look.paper, look.ink, 5);
  ruler(context, at, step, height, look);
}

function grid(context, at, width, height, look) {
  const xs = marks(...at.spanX, 6), step = xs.length > 1 ? xs[1] - xs[0] : at.metres / 4;
  Object.assign(context, { strokeStyle: look.line, lineWidth: 1 });
  for (const x of xs) stroke(context, [[at.x(x), 0], [at.x(x), height]]);
  for (let n = Math.ceil(at.spanY[0] / step); n * step <= at.spanY[1]; n += 1) {
    stroke(context, [[0, at.y(n * step)], [width, at.y(n * step)]]);
  }
  return step;
}

function ruler(context, at, step, height, look) {
  Object.assign(context, { strokeStyle: look.ink, fillStyle: look.ink, lineWidth: 2 });
  stroke(context, [[12, height - 12], [12 + step * at.scale, height - 12]]);
  Object.assign(context, { textAlign: "left", textBaseline: "bottom" });
  context.fillText(`${Number(step.toPrecision(3))} m`, 12, height - 16);
}
