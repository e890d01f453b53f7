// What is seen of answers: where everything stands, and its drawing, once in an animation frame.

import { element, lookOf, stage } from "./pixels.js";
import { panels } from "./panels.js";
import { ground } from "./ground.js";
import { drawCamera } from "./camera.js";
import { drivePad, gamepad } from "./driving.js";
import { themed } from "./theme.js";
import { aimlessOf, errorsTable, outsideOf, silentOf, trustOf, unsureOf } from "./readout.js";

const APART_MS = 50; // between two drawings of the curves alone, which are drawn with each answer, too

// `bar` stands on top, `given` are the commands, `panel` what is asked for, `alarms` a node or null.
export function view(root, info, { bar, given, panel, alarms }) {
  let found = null, cursor = null, drawing = 0, look = null;
  const fans = panels(info, { onpoint: (at) => { cursor = at; request({ answers: true }); } }), map = ground(info);
  const cameras = info.streams.filter((s) => s.kind === "video").map(({ name }) => ({
    name, strip: element("div", { class: "strip", tabindex: 0, role: "group", "aria-label": `${name}: seen, imagined, real` }),
  }));
  const notes = element("div", { class: "notes" }), errors = element("div", { class: "errors" });
  const elsewhere = "recorded, under the recorded commands"; // what came, once commands are edited
  const hints = cameras.map(() => element("p", { class: "hint" })), came = element("span", {}, "came");
  const section = (name, words, ...children) => element("section", { class: `box ${name}` }, element("h2", {}, words), ...children);
  const legend = [["seen", "seen"], ...(info.live ? [] : [["ink", came]]), ["mean", "mean"], ["half", "50 %"], ["most", "90 % of the futures"],
    ...(info.twin ? [["twin", info.live ? "what comes if the commands hold" : "MuJoCo"]] : [])]
    .map(([kind, words]) => element("span", {}, element("i", { class: kind }), words));
  root.querySelector(".head").append(bar);
  root.append(element("main", {},
    element("aside", {},
      ...(given.curves.length ? [section("commands", "Commands", ...given.nodes, given.reset, drivePad(given))] : []),
      section("controls", "Ask for", ...panel)),
    element("div", { class: "answers" },
      element("div", { class: "top" },
        element("div", { class: "side" },
          ...(map ? [section("ground", "On the ground", map.canvas)] : []),
          section("wrong", info.live ? "Error of earlier futures, root mean square" : "Error, root mean square", errors)),
        element("div", { class: "side" },
          ...cameras.map(({ name, strip }, i) => section("camera", name, strip, hints[i])),
          ...(alarms ? [section("alarm-box", "Alarms", alarms)] : []),
          section("trust", "Who is trusted", notes))),
      element("p", { class: "legend" }, ...legend), element("div", { class: "fans" }, ...fans.nodes))));

  // All is drawn once in an animation frame, however much has changed until it, and only what has.
  const waiting = [], stale = { curves: false, answers: false };
  let drawn = 0, later = 0;
  function draw(now) {
    clearTimeout(later);
    [drawing, later, drawn] = [0, 0, now];
    waiting.splice(0).forEach((each) => each());
    look ??= lookOf(root);
    if (stale.curves) for (const curve of given.curves) curve.draw(scene.fresh(curve.canvas, look), look);
    if (stale.answers && found) {
      fans.draw(scene, look, { ...found, cursor });
      map?.draw(scene, look, { ...found, cursor });
    }
    Object.assign(stale, { curves: false, answers: false });
  }
  function request(what) {
    Object.assign(stale, what);
    drawing ||= requestAnimationFrame(draw);
  }
  const then = (also) => { waiting.push(also); request({}); }; // done with the drawing
  const redraw = () => request({ curves: true, answers: true });
  const scene = stage(redraw), sticks = gamepad(given), theme = themed(root, () => { look = null; redraw(); });
  scene.watch([...given.curves, ...(map ? [map] : [])].map((each) => each.canvas).concat(fans.canvases));

  return {
    then,
    recurve() {
      stale.curves = true;
      later ||= setTimeout(() => request({}), drawn + APART_MS - performance.now());
    },
    begin(horizon) { fans.begin(horizon); map?.begin(); },
    // `shown`: {past, future, silent, edited}.
    show(shown) {
      found = shown;
      redraw();
      then(() => {
        const { future, past } = shown;
        for (const { name, strip } of cameras) {
          if (future.frames[name]?.length) drawCamera(strip, name, past.frames[name] ?? [], future.frames[name], !info.live);
        }
        came.textContent = shown.edited ? elsewhere : "came";
        for (const hint of hints) hint.textContent = info.live ? "seen, then imagined" : `seen, then imagined above ${shown.edited ? elsewhere : "real"}`;
        notes.replaceChildren(...outsideOf(future.outside), ...unsureOf(future.unsure), ...silentOf(future.silent), ...aimlessOf(future.aimless), ...trustOf(future.trust));
        errors.replaceChildren(...errorsOf(shown, info));
      });
    },
    close() {
      scene.close();
      sticks.close();
      theme.close();
      cancelAnimationFrame(drawing);
      clearTimeout(later);
    },
  };
}

function errorsOf({ future, edited }, info) {
  const words = (kind, text) => element("p", { class: kind }, text);
  const none = Object.values(future.streams).every(({ errors }) => !errors.length);
  const table = edited && !info.live ? words("hint", "Under commands that nobody gave, nothing came.")
    : none ? words("hint", "Comes when the first futures are over.") : errorsTable(future.streams);
  return [table, ...(future.note ? [words("far", future.note)] : [])];
}
