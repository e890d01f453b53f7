// A scene that is driven live: it goes on while it is asked, and every answer brings what was read and what may follow.

import { element } from "./pixels.js";
import { view } from "./view.js";
import { commands } from "./commands.js";
import { controls } from "./controls.js";
import { alarmsOf, overOf } from "./readout.js";
import { COMPILING, COMPILING_MS } from "./asking.js";

const looked = () => new Promise((go) => document.addEventListener("visibilitychange", go, { once: true }));
const SHOWN = 1, SHOWN_MS = 500, NOTED_MS = 4000;

export function drive(root, ask, info, { say, fail }) {
  const asked = { horizon_s: info.horizon_s, members: 16, silent: [], twin: Boolean(info.twin) };
  let going = true, ended = false, running = false, framed = 0, frames = {}, shots = {}, note = "", noted = 0;

  const clock = element("output", { class: "clock" });
  const pause = element("button", { type: "button", id: "pause", onclick: () => { going = !going; rename(); run(); } });
  const anew = element("button", { type: "button", onclick: () => ask({ kind: "restart" }).then(() => { going = true; rename(); begin(); run(); }) }, "Begin anew");
  const rename = () => { pause.textContent = going ? "Pause" : "Go on"; };
  const bar = element("section", { class: "timeline", "aria-label": "drive" }, pause, anew, clock);
  rename();

  const given = commands(info, { level: true, onchange: () => seen.recurve(), onlook: () => seen.recurve() });
  const heights = element("div", { class: "alarms" }), raised = element("span"); // the last alarm stays until it is seen
  const last = element("p", { class: "far raised", role: "alert", hidden: "" }, raised,
    element("button", { type: "button", id: "seen", onclick: () => { last.hidden = true; ask({ kind: "seen" }); } }, "Seen"));
  const alarms = info.alarms ? element("div", {}, last, heights) : null;
  const panel = controls(info, {
    onhorizon: (s) => { asked.horizon_s = s; begin(); },
    onmembers: (n) => { asked.members = n; },
    onsilent: (names) => { asked.silent = names; },
    ontwin: (shown) => { asked.twin = shown; },
    onkeep: () => { const { twin: _, ...moment } = question(); return ask({ kind: "keep", ...moment }); },
  });
  const seen = view(root, info, { bar, given, panel, alarms });

  const question = () => ({ commands: given.now(), ...asked });
  function begin() { // commands are level, over as many ticks as there are
    const ticks = Array.from({ length: Math.round(asked.horizon_s / info.dt) }, (_, i) => i * info.dt);
    const rest = Object.entries(info.rest).map(([name, values]) => [name, ticks.map((t) => [t, ...values])]);
    given.recorded(Object.fromEntries(rest), true);
    seen.begin(asked.horizon_s);
  }
  async function run() {
    if (running) return;
    running = true;
    root.setAttribute("aria-busy", "true");
    while (going && !ended) {
      const due = performance.now() - framed > SHOWN_MS;
      if (due) framed = performance.now();
      const slow = setTimeout(say, COMPILING_MS, COMPILING, true);
      const answer = await ask({ kind: "drive", ...question(), ...(due ? { frames: SHOWN } : {}) });
      clearTimeout(slow);
      fail(answer.error);
      if (answer.error) { going = false; say("stopped"); break; }
      take(answer);
      while (document.hidden) await looked();
    }
    running = false;
    rename();
    seen.then(() => root.setAttribute("aria-busy", "false"));
  }
  function take(answer) {
    if (Object.values(answer.frames).some((list) => list.length)) [frames, shots] = [answer.frames, answer.past.frames];
    if (answer.note || performance.now() - noted > NOTED_MS) [note, noted] = [answer.note, performance.now()];
    say(`${answer.members} futures in ${answer.took_ms.toFixed(0)} ms${answer.pace < 0.95 ? `, at ${answer.pace.toFixed(1)} of real time` : ""}`);
    clock.textContent = `${answer.start_s.toFixed(1)} s driven`;
    seen.show({ past: { ...answer.past, frames: shots }, future: { ...answer, frames, note }, silent: asked.silent, edited: true });
    if (alarms && answer.alarms) heights.replaceChildren(...alarmsOf(answer.alarms));
    last.hidden = !answer.alarms?.raised;
    if (answer.alarms?.raised) raised.textContent = `Last alarm, at ${answer.alarms.raised.at_s.toFixed(1)} s: ${overOf(answer.alarms.raised)}`;
  }

  begin();
  run();
  return () => { ended = true; seen.close(); };
}
