// What every drawing needs: arrays of an answer, elements, colours of the page, and a canvas at the screen's sharpness.

export function decode({ f32 }) {
  const bytes = Uint8Array.from(atob(f32), (c) => c.charCodeAt(0));
  return new Float32Array(bytes.buffer);
}

export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== false && value != null) made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

export function colours(node) {
  const style = getComputedStyle(node);
  const names = ["ink", "muted", "faint", "line", "paper", "ground", "model", "bad", "command"];
  return Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
}

// A context whose units are CSS pixels, cleared; null while the canvas is not shown.
export function fresh(canvas) {
  const { clientWidth: width, clientHeight: height } = canvas;
  if (!width || !height) return null;
  const sharp = window.devicePixelRatio || 1;
  const [w, h] = [Math.round(width * sharp), Math.round(height * sharp)];
  if (canvas.width !== w || canvas.height !== h) Object.assign(canvas, { width: w, height: h });
  const context = canvas.getContext("2d");
  context.setTransform(sharp, 0, 0, sharp, 0, 0);
  context.clearRect(0, 0, width, height);
  context.font = `11px ${getComputedStyle(canvas).fontFamily}`;
  return { context, width, height };
}

// Values at which a scale is marked: multiples of 1, 2 or 5 times a power of ten.
export function marks(low, high, most) {
  const rough = (high - low) / most;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((n) => n * power).find((s) => s >= rough) ?? power;
  const found = [];
  for (let n = Math.ceil(low / step); n * step <= high + step * 1e-6; n += 1) found.push(n * step);
  return found;
}

export function short(value) {
  if (value == null || !Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size >= 1000) return value.toFixed(0);
  return size >= 100 ? value.toFixed(1) : size >= 1 ? value.toFixed(2) : value.toFixed(3);
}
