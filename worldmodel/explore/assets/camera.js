// A camera's frames: those seen, then imagined ones over the real ones of the same moments.

import { element } from "./pixels.js";

const picture = (address, words) => (address
  ? element("img", { src: address, alt: words, width: 96, height: 96 })
  : element("span", { class: "missing", title: "the log holds no frame here" }, "none"));

const seconds = (after) => `${after < -0.005 ? "−" : "+"}${Math.abs(after).toFixed(1)} s`;

export function drawCamera(node, name, seen, ahead) {
  const columns = [
    ...seen.map((frame) => element("figure", { class: "seen" },
      picture(frame.seen, `${name}, seen at ${seconds(frame.after_s)}`), element("figcaption", {}, seconds(frame.after_s)))),
    ...ahead.map((frame) => element("figure", {},
      picture(frame.imagined, `${name}, imagined at ${seconds(frame.after_s)}`),
      picture(frame.real, `${name}, real at ${seconds(frame.after_s)}`),
      element("figcaption", {}, seconds(frame.after_s)))),
  ];
  node.replaceChildren(...columns);
}
