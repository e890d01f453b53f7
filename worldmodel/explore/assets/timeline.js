// Which episode, and the moment in it.

import { element } from "./pixels.js";

export function timeline(info, { onmoment }) {
  const episode = element("select", { id: "episode", "aria-label": "episode" },
    ...info.episodes.map((e, i) => element("option", { value: i }, e.name ? `${i} · ${e.name}` : String(i))));
  const slider = element("input", {
    id: "moment", type: "range", min: info.first_s, step: info.dt, "aria-label": "moment in seconds",
  });
  const told = element("output", { for: "moment" });
  let horizon = info.horizon_s;

  const limits = () => {
    const { duration_s: whole } = info.episodes[episode.value];
    const ticks = Math.floor((whole - horizon - info.first_s) / info.dt + 1e-6) - 1;  // after the first moment
    slider.max = info.first_s + Math.max(ticks, 0) * info.dt;
  };
  const say = () => {
    told.textContent = `${Number(slider.value).toFixed(2)} of ${info.episodes[episode.value].duration_s.toFixed(1)} s`;
    slider.setAttribute("aria-valuetext", told.textContent);
  };
  const place = () => ({ episode: Number(episode.value), at_s: Number(slider.value) });
  const moved = () => { say(); onmoment(place()); };
  episode.addEventListener("change", () => { limits(); moved(); });
  slider.addEventListener("input", moved);
  limits();
  slider.value = (info.first_s + Number(slider.max)) / 2;
  say();
  return {
    node: element("section", { class: "timeline", "aria-label": "moment" },
      element("label", { for: "episode" }, "episode"), episode,
      element("label", { for: "moment" }, "moment"), slider, told),
    place,
    reach(seconds) {
      horizon = seconds;
      const before = slider.value;
      limits();
      say();
      return before !== slider.value;
    },
  };
}
