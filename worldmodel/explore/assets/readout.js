// Words beside the drawings: who is trusted, and what lies outside what was trained on.

import { element } from "./pixels.js";

export function notesOf({ trust, outside }) {
  const rows = Object.entries(trust).map(([name, by]) => {
    const best = Object.entries(by).filter(([, share]) => share > 0.05).sort((a, b) => b[1] - a[1]).slice(0, 3);
    return element("p", {}, element("b", {}, name), ` ${best.map(([who, share]) => `${who.replace("_", " ")} ${Math.round(share * 100)} %`).join(", ")}`);
  });
  const far = Object.entries(outside).map(([name, size]) => `${name} by ${size.toFixed(1)} sd`);
  return [...(far.length ? [element("p", { class: "far" }, `Outside what was trained on: ${far.join(", ")}.`)] : []), ...rows];
}
