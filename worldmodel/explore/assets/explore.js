// The page: asks, and shows what is answered. `ask(request)` promises the answer; `mount` gives what ends it.

import { element, lookOf, stage } from "./pixels.js";
import { panels } from "./panels.js";
import { ground } from "./ground.js";
import { drawCamera } from "./camera.js";
import { timeline } from "./timeline.js";
import { commands } from "./commands.js";
import { drivePad, gamepad } from "./driving.js";
import { controls } from "./controls.js";
import { errorsTable, outsideOf, trustOf } from "./readout.js";
import { watching } from "./watching.js";
import { asking } from "./asking.js";

const FRAMES = 6, SETTLED_MS = 250;

export function mount(root, ask) {
  root.classList.add("wm-explore");
  const status = element("p", { class: "status", role: "status" }, "opening …");
  const alarm = element("div", { class: "alarm", role: "alert", hidden: "" });
  const head = element("header", {}, element("h1", {}, "explore"), element("p", { class: "log" }), status);
  root.replaceChildren(head, alarm);
  const fail = (text) => { alarm.hidden = !text; alarm.textContent = text ?? ""; };
  let close = () => {};
  ask({ kind: "info" }).then((info) => {
    if (info.error) { fail(info.error); status.textContent = "stopped"; return; }
    head.querySelector(".log").textContent = info.log;
    close = open(root, ask, info, status, fail);
  });
  return () => close();
}

function open(root, ask, info, status, fail) {
  const asked = { horizon_s: info.horizon_s, members: 16, silent: [], twin: Boolean(info.twin) };
  const need = { past: true, edits: false, frames: 0 };
  let past = null, found = null, cursor = null, settle = null, drawing = 0, look = null;

  const when = timeline(info, { onmoment: () => again({ past: true }) });
  const given = commands(info, { onchange: () => again(), onlook: () => redraw() });
  const panel = controls(info, {
    onhorizon: (s) => { asked.horizon_s = s; again({ past: true, edits: !when.reach(s) }); },
    onmembers: (n) => { asked.members = n; again(); },
    onsilent: (names) => { asked.silent = names; again(); },
    ontwin: (shown) => { asked.twin = shown; again(); },
    onkeep: async () => {
      const { twin: _, ...moment } = question();
      const answer = await ask({ kind: "keep", ...moment });
      return answer.error ?? `${answer.folder}: ${answer.files.join(", ")}`;
    },
  });
  const fans = panels(info, { onpoint: (at) => { cursor = at; redraw(); } }), map = ground(info);
  const cameras = info.streams.filter((s) => s.kind === "video").map(({ name }) => ({
    name, strip: element("div", { class: "strip", tabindex: 0, role: "group", "aria-label": `${name}: seen, imagined, real` }),
  }));
  const notes = element("div", { class: "notes" }), errors = element("div", { class: "errors" }), watch = watching(ask);
  lay();

  function lay() {
    const section = (name, words, ...children) => element("section", { class: `box ${name}` }, element("h2", {}, words), ...children);
    const legend = [["seen", "seen"], ["ink", "came"], ["mean", "mean"], ["half", "50 %"], ["most", "90 % of the futures"], ...(info.twin ? [["twin", "MuJoCo"]] : [])]
      .map(([kind, words]) => element("span", {}, element("i", { class: kind }), words));
    root.append(when.node, element("main", {},
      element("aside", {},
        ...(given.curves.length ? [section("commands", "Commands", ...given.nodes, given.reset, drivePad(given))] : []),
        section("controls", "Ask for", ...panel)),
      element("div", { class: "answers" },
        element("div", { class: "top" },
          element("div", { class: "side" },
            ...(map ? [section("ground", "On the ground", map.canvas)] : []),
            section("wrong", "Error, root mean square", errors)),
          element("div", { class: "side" },
            ...cameras.map(({ name, strip }) => section("camera", name, strip, element("p", { class: "hint" }, "seen, then imagined above real"))),
            ...(info.alarms ? [section("alarm-box", "Alarms", watch.node)] : []),
            section("trust", "Who is trusted", notes))),
        element("p", { class: "legend" }, ...legend), element("div", { class: "fans" }, ...fans.nodes))));
  }

  const question = () => {
    const actions = given.given();
    return { ...when.place(), ...asked, ...(actions ? { actions } : {}) };
  };
  function again({ past: moved = false, edits = false } = {}) {
    if (moved) Object.assign(need, { past: true, edits });
    need.frames = 0;
    root.setAttribute("aria-busy", "true");
    clearTimeout(settle);
    settle = setTimeout(() => { need.frames = FRAMES; run(); }, SETTLED_MS);
    run();
    redraw();
  }
  const run = asking({
    told: (words) => { status.textContent = words; root.classList.add("busy"); },
    rest() {
      if (!need.frames) return;
      redraw(() => root.setAttribute("aria-busy", "false"));
      if (info.alarms) watch.look(when.place());
    },
    async next() {
      if (need.past && !await askPast()) return;
      const frames = need.frames && cameras.length ? { frames: need.frames } : {};
      take(await ask({ kind: "imagine", ...question(), ...frames }));
    },
  });
  async function askPast() {
    need.past = false;
    const answer = await ask({ kind: "past", ...when.place(), horizon_s: asked.horizon_s });
    if (answer.error || answer.overtaken) { need.past = true; take(answer); return false; }
    past = answer;
    fans.begin(asked.horizon_s);
    map?.begin();
    given.recorded(answer.commands, need.edits);
    return true;
  }
  function take(answer) {
    if (answer.overtaken) return;
    redraw(() => show(answer));
    if (!answer.error) found = { ...answer, past, silent: asked.silent, edited: given.given() !== null };
  }
  function show(answer) {
    root.classList.remove("busy");
    fail(answer.error);
    const frames = Object.entries(answer.frames ?? {}).filter(([, list]) => list.length);
    status.textContent = answer.error ? "not computed" : `${answer.members} futures${frames.length ? " and frames" : ""} in ${answer.took_ms.toFixed(0)} ms`;
    if (answer.error) return;
    for (const [name, list] of frames) drawCamera(cameras.find((c) => c.name === name).strip, name, past.frames[name] ?? [], list);
    notes.replaceChildren(...outsideOf(answer.outside), ...trustOf(answer.trust));
    errors.replaceChildren(found.edited
      ? element("p", { class: "hint" }, "Of commands that nobody gave, nothing came.") : errorsTable(answer.streams, asked.horizon_s),
    ...(answer.twin ? [element("p", { class: "far" }, `MuJoCo cannot follow: ${answer.twin}`)] : []));
  }

  // All is drawn once in an animation frame, however much has changed until it; `also` is done in it, too.
  const waiting = [];
  function redraw(also) {
    if (also) waiting.push(also);
    drawing ||= requestAnimationFrame(() => {
      drawing = 0;
      waiting.splice(0).forEach((each) => each());
      look ??= lookOf(root);
      for (const curve of given.curves) curve.draw(scene.fresh(curve.canvas, look), look);
      if (!found) return;
      const shown = { ...found, future: found, cursor };
      fans.draw(scene, look, shown);
      map?.draw(scene, look, shown);
    });
  }
  const scene = stage(() => redraw()), dark = matchMedia("(prefers-color-scheme: dark)");
  const turned = () => { look = null; redraw(); };
  scene.watch([...given.curves, ...(map ? [map] : [])].map((each) => each.canvas).concat(fans.canvases));
  dark.addEventListener("change", turned);
  const sticks = gamepad(given);
  again({ past: true });
  return () => { scene.close(); watch.close(); sticks.close(); dark.removeEventListener("change", turned); clearTimeout(settle); cancelAnimationFrame(drawing); };
}
