// A camera's frames: those seen, then imagined ones over the real ones of the same moments.

import { element } from "./pixels.js";

function picture(frame, words) {
  if (!frame) return element("span", { class: "missing", title: "the log holds no frame here" }, "none");
  const [height, width] = frame.shape, canvas = element("canvas", { role: "img", "aria-label": words, width, height });
  const image = new ImageData(width, height);
  for (let from = 0, to = 0; from < frame.length; to += 1) {
    for (let colour = 0; colour < 3; colour += 1) image.data[to++] = frame[from++];
    image.data[to] = 255;
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}

const seconds = (after) => `${after < -0.005 ? "−" : "+"}${Math.abs(after).toFixed(1)} s`;

// Where the frames to come are not there yet, `real` ones are left out.
export function drawCamera(node, name, seen, ahead, real) {
  const columns = [
    ...seen.map((frame) => element("figure", { class: "seen" },
      picture(frame.seen, `${name}, seen at ${seconds(frame.after_s)}`), element("figcaption", {}, seconds(frame.after_s)))),
    ...ahead.map((frame) => element("figure", {},
      picture(frame.imagined, `${name}, imagined at ${seconds(frame.after_s)}`),
      ...(real ? [picture(frame.real, `${name}, real at ${seconds(frame.after_s)}`)] : []),
      element("figcaption", {}, seconds(frame.after_s)))),
  ];
  node.replaceChildren(...columns);
}
