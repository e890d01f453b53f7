// A log: a moment is chosen in it, and the futures are asked for again whenever something changes.

import { view } from "./view.js";
import { timeline } from "./timeline.js";
import { commands } from "./commands.js";
import { controls } from "./controls.js";
import { watching } from "./watching.js";
import { asking } from "./asking.js";

const FRAMES = 6, SETTLED_MS = 250;

export function replay(root, ask, info, { say, fail }) {
  const asked = { horizon_s: info.horizon_s, members: 16, silent: [], twin: Boolean(info.twin) };
  const need = { past: true, edits: false, frames: 0 };
  let past = null, settle = null;

  const when = timeline(info, { onmoment: () => again({ past: true }) });
  const given = commands(info, { onchange: () => again(), onlook: () => seen.recurve() });
  const watch = info.alarms ? watching(ask) : null;
  const panel = controls(info, {
    onhorizon: (s) => { asked.horizon_s = s; again({ past: true, edits: !when.reach(s) }); },
    onmembers: (n) => { asked.members = n; again(); },
    onsilent: (names) => { asked.silent = names; again(); },
    ontwin: (shown) => { asked.twin = shown; again(); },
    onkeep: () => { const { twin: _, ...moment } = question(); return ask({ kind: "keep", ...moment }); },
  });
  const seen = view(root, info, { bar: when.node, given, panel, alarms: watch?.node });

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
    seen.recurve();
  }
  const run = asking({
    told: (words) => say(words, true),
    rest() {
      if (!need.frames) return;
      seen.then(() => root.setAttribute("aria-busy", "false"));
      watch?.look(when.place());
    },
    async next() {
      if (need.past && !await askPast()) return;
      take(await ask({ kind: "imagine", ...question(), ...(need.frames ? { frames: need.frames } : {}) }));
    },
  });
  async function askPast() {
    need.past = false;
    const answer = await ask({ kind: "past", ...when.place(), horizon_s: asked.horizon_s });
    if (answer.error || answer.overtaken) { need.past = true; take(answer); return false; }
    past = answer;
    seen.begin(asked.horizon_s);
    given.recorded(answer.commands, need.edits);
    return true;
  }
  function take(answer) {
    if (answer.overtaken) return;
    fail(answer.error);
    if (answer.error) { say("not computed"); return; }
    const frames = Object.values(answer.frames).some((list) => list.length);
    say(`${answer.members} futures${frames ? " and frames" : ""} in ${answer.took_ms.toFixed(0)} ms`);
    seen.show({ past, future: answer, silent: asked.silent, edited: given.given() !== null });
  }

  again({ past: true });
  return () => { seen.close(); watch?.close(); clearTimeout(settle); };
}
