// One column: what was seen, what came, and the futures as bands of 50 and 90 %.

import { marks, short } from "./pixels.js";

const LEFT = 38, RIGHT = 6, TOP = 6, BOTTOM = 18;

// A range that holds the values and what it held before, so that nothing jumps while a command is dragged.
export function widened(range, ...series) {
  let [low, high] = range ?? [Infinity, -Infinity];
  for (const values of series) {
    for (const value of values) {
      if (value < low) low = value;
      if (value > high) high = value;
    }
  }
  return [low, high];
}

// A range that moves on with the values, and only where it must.
export function eased(before, [low, high]) {
  const room = (high - low) * 0.15;
  const fits = before && before[0] <= low && before[1] >= high && high - low > (before[1] - before[0]) * 0.4;
  return fits ? before : [low - room, high + room];
}

export function scales(width, height, from, to, range) {
  const [low, high] = Number.isFinite(range[0]) ? range : [0, 1];
  const room = Math.max((high - low) * 0.08, Math.abs(high) * 1e-6, 1e-6);
  const bottom = low - room, span = high - low + 2 * room;
  const across = width - LEFT - RIGHT, down = height - TOP - BOTTOM;
  return {
    x: (t) => LEFT + ((t - from) / (to - from)) * across,
    y: (v) => TOP + (1 - (v - bottom) / span) * down,
    time: (x) => from + ((x - LEFT) / across) * (to - from),
    value: (y) => bottom + (1 - (y - TOP) / down) * span,
    from, to, low: bottom, high: bottom + span, top: TOP, bottom: height - BOTTOM, left: LEFT, right: width - RIGHT,
  };
}

export function drawAxes(context, at, look) {
  context.fillStyle = look.ground;
  context.fillRect(at.left, at.top, Math.max(at.x(0) - at.left, 0), at.bottom - at.top);
  context.lineWidth = 1;
  context.fillStyle = look.muted;
  context.strokeStyle = look.line;
  context.textAlign = "right";
  context.textBaseline = "middle";
  for (const value of marks(at.low, at.high, 4)) {
    stroke(context, [[at.left, at.y(value)], [at.right, at.y(value)]]);
    context.fillText(String(Number(value.toPrecision(6))), at.left - 4, at.y(value));
  }
  context.textAlign = "center";
  context.textBaseline = "top";
  for (const t of marks(at.from, at.to, 6)) {
    if (at.x(t) < at.right - 8) context.fillText(t === 0 ? "now" : String(Number(t.toFixed(2))), at.x(t), at.bottom + 4);
  }
  context.strokeStyle = look.faint;
  stroke(context, [[at.x(0), at.top], [at.x(0), at.bottom]]);
}

export function stroke(context, points) {
  context.beginPath();
  points.forEach(([x, y], i) => (i ? context.lineTo(x, y) : context.moveTo(x, y)));
  context.stroke();
}

// A line through what is known; cut where an angle goes round.
export function line(context, at, time, values, { wraps = false, after = -Infinity, until = Infinity } = {}) {
  context.beginPath();
  let before = null;
  for (let i = 0; i < time.length; i += 1) {
    if (!(time[i] > after && time[i] <= until) || Number.isNaN(values[i])) continue;
    const joined = before !== null && !(wraps && Math.abs(values[i] - before) > Math.PI);
    context[joined ? "lineTo" : "moveTo"](at.x(time[i]), at.y(values[i]));
    before = values[i];
  }
  context.stroke();
}

function band(context, at, time, low, high) {
  context.beginPath();
  for (let i = 0; i < time.length; i += 1) context.lineTo(at.x(time[i]), at.y(high[i]));
  for (let i = time.length - 1; i >= 0; i -= 1) context.lineTo(at.x(time[i]), at.y(low[i]));
  context.fill();
}

// `fan`: {time, bands [5][M], mean, twin}; `log`: {time, values}; `edited`: what came came under other commands.
export function drawFan({ context, width, height }, look, { fan, log, wraps, from, to, range, cursor, edited }) {
  const at = scales(width, height, from, to, range);
  drawAxes(context, at, look);
  Object.assign(context, { fillStyle: look.model, globalAlpha: 0.2, lineJoin: "round" });
  band(context, at, fan.time, fan.bands[0], fan.bands[4]);
  context.globalAlpha = 0.38;
  band(context, at, fan.time, fan.bands[1], fan.bands[3]);
  Object.assign(context, { globalAlpha: 1, lineWidth: 1.2, strokeStyle: look.muted });
  line(context, at, log.time, log.values, { wraps, until: 1e-6 });
  Object.assign(context, { globalAlpha: edited ? 0.3 : 1, lineWidth: 1.3, strokeStyle: look.ink });
  line(context, at, log.time, log.values, { wraps, after: 1e-6, until: to });
  Object.assign(context, { globalAlpha: 1, lineWidth: 2, strokeStyle: look.model });
  line(context, at, fan.time, fan.mean, { wraps });
  if (fan.twin) {
    Object.assign(context, { lineWidth: 1.8, strokeStyle: look.twin });
    line(context, at, fan.time, fan.twin.values, { wraps });
  }
  if (cursor !== null) {
    Object.assign(context, { lineWidth: 1, strokeStyle: look.muted });
    context.setLineDash([3, 3]);
    stroke(context, [[at.x(cursor), at.top], [at.x(cursor), at.bottom]]);
    context.setLineDash([]);
  }
}

// What a fan says at a time: "1.20 (0.90 to 1.50)".
export function readAt(fan, seconds) {
  let row = fan.time.length - 1;
  for (let i = 0; i < fan.time.length; i += 1) if (fan.time[i] >= seconds - 1e-6) { row = i; break; }
  return `${short(fan.mean[row])} (${short(fan.bands[0][row])} to ${short(fan.bands[4][row])})`;
}

export function timeUnder(canvas, event, from, to) {
  const box = canvas.getBoundingClientRect();
  const t = scales(box.width, box.height, from, to, [0, 1]).time(event.clientX - box.left);
  return Math.min(Math.max(t, from), to);
}
