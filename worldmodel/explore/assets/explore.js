// The page: asks, and shows what is answered. `ask(request)` promises the answer; `mount` gives what ends it.

import { decode, element, short } from "./pixels.js";
import { drawFan, readAt, timeUnder, widened } from "./chart.js";
import { drawMap, framed } from "./map.js";
import { drawCamera } from "./camera.js";
import { timeline } from "./timeline.js";
import { commands, drivePad } from "./commands.js";
import { controls } from "./controls.js";

const FRAMES = 6, SETTLED_MS = 250, SLOW_MS = 150, COMPILING_MS = 1200;

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
  const asked = { horizon_s: info.horizon_s, members: 16, silent: [] };
  let past = null, future = null, ranges = {}, square = null, cursor = null, settle = null;
  const need = { past: true, edits: false, frames: 0 };
  let running = false, dirty = false;

  const when = timeline(info, { onmoment: () => again({ past: true }) });
  const given = commands(info, { onchange: () => again() });
  const panel = controls(info, {
    onhorizon: (s) => { asked.horizon_s = s; again({ past: true, edits: !when.reach(s) }); },
    onmembers: (n) => { asked.members = n; again(); },
    onsilent: (names) => { asked.silent = names; again(); },
    onkeep: async () => {
      const answer = await ask({ kind: "keep", ...question() });
      return answer.error ?? `${answer.folder}: ${answer.files.join(", ")}`;
    },
  });
  const charts = info.streams.filter((s) => s.kind !== "action" && s.kind !== "video")
    .flatMap((s) => s.columns.map((column, i) => card(s, column, i)));
  const tracked = info.streams.find((s) => s.track);
  const map = element("canvas", { class: "map", role: "img", "aria-label": "the way on the ground, in metres" });
  const cameras = info.streams.filter((s) => s.kind === "video").map((s) => ({ name: s.name, strip: element("div", { class: "strip", tabindex: 0, role: "group", "aria-label": `${s.name}: seen, imagined, real` }) }));
  const notes = element("div", { class: "notes" });
  const section = (name, words, ...children) => element("section", { class: `box ${name}` }, element("h2", {}, words), ...children);
  const legend = element("p", { class: "legend" }, ...[["seen", "seen"], ["ink", "came"], ["mean", "mean"], ["half", "50 %"], ["most", "90 % of the futures"]]
    .map(([kind, words]) => element("span", {}, element("i", { class: kind }), words)));
  root.append(when.node, element("main", {},
    element("aside", {},
      ...(given.curves.length ? [section("commands", "Commands", ...given.nodes, given.reset, drivePad(given))] : []),
      section("controls", "Ask for", ...panel)),
    element("div", { class: "answers" },
      element("div", { class: "top" },
        ...(tracked ? [section("ground", "On the ground", map)] : []),
        element("div", { class: "side" },
          ...cameras.map(({ name, strip }) => section("camera", name, strip, element("p", { class: "hint" }, "seen, then imagined above real"))),
          section("trust", "Who is trusted", notes))),
      legend, element("div", { class: "fans" }, ...charts.map((c) => c.node)))));

  function card(stream, column, i) {
    const id = `${stream.name}.${column.label}`;
    const canvas = element("canvas", { role: "img" });
    const figures = element("p", { class: "figures" }, element("span", { class: "read" }), element("span", { class: "rmse" }));
    const point = (at) => { cursor = at; draw(); };
    canvas.addEventListener("pointermove", (event) => point(Math.max(timeUnder(canvas, event, -info.first_s, asked.horizon_s), 0) || null));
    canvas.addEventListener("pointerleave", () => point(null));
    const unit = column.unit ? ` (${column.unit.replace(/\^2/g, "²").replace(/\^3/g, "³")})` : "";
    return { node: element("article", { class: "fan", "data-column": id }, element("h3", {}, `${stream.name} · ${column.label}`, element("small", {}, unit)), canvas, figures), canvas, figures, id, stream: stream.name, i, column };
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
  }
  async function run() {
    dirty = true;
    if (running) return;
    running = true;
    while (dirty) {
      dirty = false;
      const waits = [setTimeout(() => busy("computing …"), SLOW_MS), setTimeout(() => busy("compiling: the first answer of this horizon takes some seconds …"), COMPILING_MS)];
      await answer();
      waits.forEach(clearTimeout);
    }
    running = false;
    if (need.frames) root.setAttribute("aria-busy", "false");
  }
  const busy = (words) => { status.textContent = words; root.classList.add("busy"); };
  async function answer() {
    if (need.past) {
      need.past = false;
      const { members: _, silent: __, ...place } = { ...when.place(), ...asked };
      const found = await ask({ kind: "past", ...place });
      if (found.error || found.overtaken) { need.past = true; return show(found); }
      past = understoodPast(found);
      [ranges, square] = [{}, null];
      given.recorded(found.commands, need.edits);
    }
    const wanted = question();
    const found = await ask({ kind: "imagine", ...wanted, ...(need.frames && cameras.length ? { frames: need.frames } : {}) });
    return show(found);
  }
  function show(found) {
    root.classList.remove("busy");
    if (found.overtaken) return;
    fail(found.error);
    status.textContent = found.error ? "not computed" : `${found.members} futures${Object.values(found.frames).some((f) => f.length) ? " and frames" : ""} in ${found.took_ms.toFixed(0)} ms`;
    if (found.error) return;
    future = understood(found);
    draw();
    for (const chart of charts) chart.node.classList.toggle("silent", asked.silent.includes(chart.stream));
    for (const { name, strip } of cameras) {
      if (found.frames[name]?.length) drawCamera(strip, name, past.frames[name] ?? [], found.frames[name]);
    }
    notes.replaceChildren(...notesOf(found));
  }
  function draw() {
    if (!past || !future) return;
    for (const chart of charts) {
      const log = { time: past.streams[chart.stream].time, values: past.streams[chart.stream].columns[chart.i] };
      const fan = future[chart.stream].columns[chart.i];
      ranges[chart.id] = widened(ranges[chart.id], log.values, fan.bands[0], fan.bands[4]);
      if (inView(chart.canvas)) drawFan(chart.canvas, { // others when they are scrolled to
        fan, log, wraps: chart.column.wraps, from: -info.first_s, to: asked.horizon_s, range: ranges[chart.id], cursor });
      const at = cursor ?? asked.horizon_s;
      chart.figures.firstChild.textContent = `+${at.toFixed(1)} s: ${readAt(fan, at)}`;
      chart.figures.lastChild.textContent = fan.rmse == null ? "" : `error ${short(fan.rmse)}`;
      chart.canvas.setAttribute("aria-label", `${chart.id}: ${chart.figures.textContent}`);
    }
    if (tracked) drawGround();
  }
  function drawGround() {
    const { time, columns } = past.streams[tracked.name], [x, y] = tracked.track;
    const points = [...time].map((t, i) => [t, [columns[x][i], columns[y][i]]]);
    const seen = points.filter(([t]) => t <= 1e-6).map(([, p]) => p), came = points.filter(([t]) => t > 1e-6).map(([, p]) => p);
    const { ways, time: ahead } = future[tracked.name];
    square = framed(square, [seen, came, ...ways]);
    const row = cursor === null ? -1 : ahead.findIndex((t) => t >= cursor - 1e-6);
    drawMap(map, { ways, seen, came, square, cursorRow: row < 0 ? null : row });
  }

  const wheel = () => requestAnimationFrame(draw);
  addEventListener("scroll", wheel, { passive: true, capture: true });
  const redraw = () => { given.redraw(); draw(); };
  const sized = new ResizeObserver(redraw), dark = matchMedia("(prefers-color-scheme: dark)");
  sized.observe(root);
  dark.addEventListener("change", redraw);
  again({ past: true });
  return () => { sized.disconnect(); dark.removeEventListener("change", redraw); clearTimeout(settle); removeEventListener("scroll", wheel, { capture: true }); };
}

function inView(node) {
  const { top, bottom } = node.getBoundingClientRect();
  return bottom > -200 && top < innerHeight + 200;
}

function understoodPast(found) {
  const streams = Object.fromEntries(Object.entries(found.streams).map(([name, { time, columns }]) => [name, { time: decode(time), columns: columns.map(decode) }]));
  return { ...found, streams };
}

function understood(found) {
  return Object.fromEntries(Object.entries(found.streams).map(([name, { time, columns, ways }]) => {
    const times = decode(time), count = times.length;
    const read = columns.map(({ bands, mean, error, rmse }) => {
      const flat = decode(bands);
      return { time: times, mean: decode(mean), error: decode(error), rmse, bands: [0, 1, 2, 3, 4].map((i) => flat.subarray(i * count, (i + 1) * count)) };
    });
    const flat = ways ? decode(ways) : [];
    const way = (k) => Array.from({ length: count }, (_, i) => [flat[(k * count + i) * 2], flat[(k * count + i) * 2 + 1]]);
    return [name, { time: times, columns: read, ways: Array.from({ length: flat.length / count / 2 || 0 }, (_, k) => way(k)) }];
  }));
}

function notesOf({ trust, outside }) {
  const rows = Object.entries(trust).map(([name, by]) => {
    const best = Object.entries(by).filter(([, share]) => share > 0.05).sort((a, b) => b[1] - a[1]).slice(0, 3);
    return element("p", {}, element("b", {}, name), ` ${best.map(([who, share]) => `${who.replace("_", " ")} ${Math.round(share * 100)} %`).join(", ")}`);
  });
  const far = Object.entries(outside).map(([name, size]) => `${name} by ${size.toFixed(1)} sd`);
  return [...(far.length ? [element("p", { class: "far" }, `Outside what was trained on: ${far.join(", ")}.`)] : []), ...rows];
}
