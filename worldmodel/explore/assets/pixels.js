// What every drawing needs: elements, colours of the page, and canvases at the screen's sharpness.

export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== false && value != null) made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

// The page's colours and font, read once for all drawings.
export function lookOf(node) {
  const style = getComputedStyle(node);
  const names = ["ink", "muted", "faint", "line", "paper", "ground", "model", "twin", "bad", "command"];
  const colours = Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
  return { ...colours, font: `11px ${style.fontFamily}` };
}

// Which canvases are in view, and how large: who asks the layout for it while drawing makes the page lay out anew.
export function stage(onchange) {
  const sizes = new WeakMap(), inView = new WeakSet();
  const sized = new ResizeObserver((entries) => {
    for (const { target, contentRect } of entries) sizes.set(target, contentRect);
    onchange();
  });
  const viewed = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) inView[isIntersecting ? "add" : "delete"](target);
    onchange();
  }, { rootMargin: "200px" });
  return {
    watch(canvases) { for (const canvas of canvases) { sized.observe(canvas); viewed.observe(canvas); } },
    // {context, width, height}, cleared, in CSS pixels; null while the canvas is not to be seen.
    fresh(canvas, look) {
      const { width, height } = sizes.get(canvas) ?? {};
      if (!width || !height || !inView.has(canvas)) return null;
      const sharp = window.devicePixelRatio || 1, [w, h] = [Math.round(width * sharp), Math.round(height * sharp)];
      if (canvas.width !== w || canvas.height !== h) Object.assign(canvas, { width: w, height: h });
      const context = canvas.getContext("2d");
      context.setTransform(sharp, 0, 0, sharp, 0, 0);
      context.clearRect(0, 0, width, height);
      context.font = look.font;
      return { context, width, height };
    },
    close() { sized.disconnect(); viewed.disconnect(); },
  };
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

export const powers = (unit) => unit.replace(/\^2/g, "²").replace(/\^3/g, "³");
