// Horizon, members, streams that are silenced, and "keep this".

import { element } from "./pixels.js";

const MEMBERS = [1, 4, 8, 16, 32, 64, 128];

function slider(id, label, stops, start, told, onchange) {
  const output = element("output", { for: id });
  const input = element("input", { id, type: "range", min: 0, max: stops.length - 1, step: 1, value: stops.indexOf(start) });
  const say = () => {
    output.textContent = told(stops[input.value]);
    input.setAttribute("aria-valuetext", output.textContent);
  };
  input.addEventListener("input", () => { say(); onchange(stops[input.value]); });
  say();
  return element("div", { class: "slider" }, element("label", { for: id }, label), output, input);
}

function box(name, words, onchange) {
  const input = element("input", { type: "checkbox", checked: "", ...name, onchange: ({ target }) => onchange(target.checked) });
  return element("label", { class: "switch" }, input, words);
}

export function controls(info, { onhorizon, onmembers, onsilent, ontwin, onkeep }) {
  const tick = (share) => Math.max(Math.round((info.horizon_s * share) / info.dt), 1) * info.dt;
  const horizons = [...new Set([0.25, 0.5, 0.75, 1, 1.25, 1.5].map(tick))];
  const silent = new Set();
  const switches = info.streams.filter((s) => s.kind !== "action").map(({ name }) => box({ "data-stream": name }, name,
    (heard) => { silent[heard ? "delete" : "add"](name); onsilent([...silent]); }));
  const kept = element("output", { class: "kept", "aria-live": "polite" });
  const keep = element("button", { type: "button", class: "main", onclick: async () => {
    keep.disabled = true;
    kept.textContent = "writing …";
    const { error, folder, files } = await onkeep();
    kept.textContent = error ?? `${folder}: ${files.join(", ")}`;
    keep.disabled = false;
  } }, "Keep this");
  return [
    slider("horizon", "horizon", horizons, tick(1), (s) => `${s.toFixed(1)} s`, onhorizon),
    slider("members", "futures", MEMBERS, 16, String, onmembers),
    element("fieldset", {}, element("legend", {}, "what the model hears"), ...switches),
    ...(info.twin ? [box({ id: "twin" }, info.live ? "what comes if the commands hold" : "MuJoCo beside it", ontwin)] : []),
    element("div", { class: "keep" }, keep, kept),
  ];
}
