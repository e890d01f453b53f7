// Words and figures beside the drawings: who is trusted, what is strange, and how wrong it was.

import { element, powers, short } from "./pixels.js";

export function trustOf(trust) {
  return Object.entries(trust).map(([name, by]) => {
    const best = Object.entries(by).filter(([, share]) => share > 0.05).sort((a, b) => b[1] - a[1]).slice(0, 3);
    return element("p", {}, element("b", {}, name), ` ${best.map(([who, share]) => `${who.replace("_", " ")} ${Math.round(share * 100)} %`).join(", ")}`);
  });
}

export function outsideOf(outside) {
  const far = Object.entries(outside).map(([name, size]) => `${name} by ${size.toFixed(1)} sd`);
  return far.length ? [element("p", { class: "far" }, `Outside what was trained on: ${far.join(", ")}.`)] : [];
}

// Places that are carried on without fixes; `unsure` in metres beyond what is usual.
export function unsureOf(unsure) {
  const less = Object.entries(unsure).filter(([, off]) => off >= 0.01).map(([name, off]) => `${name} by ${short(off)} m`);
  return less.length ? [element("p", {}, `Less sure of the place than usual: ${less.join(", ")}.`)] : [];
}

// Streams of which nothing was seen in the context.
export function silentOf(silent) {
  return silent.length ? [element("p", {}, `Nothing was seen of ${silent.join(", ")}: imagined from the rest, and a place only where one was known.`)] : [];
}

export function aimlessOf(aimless) {
  return aimless.length ? [element("p", {}, `Nothing tells which way ${aimless.join(", ")} would go: futures go in all directions.`)] : [];
}

// What an alarm is of.
export function overOf(found) {
  const over = (by) => Object.keys(by).filter((name) => by[name] > 1).join(", ");
  return [found.surprised && `surprise (${over(found.surprise)})`, found.on_unfamiliar_ground && `unfamiliar ground (${over(found.unfamiliar)})`].filter(Boolean).join(", ");
}

// How high each alarm stands; at 1 there is one.
export function alarmsOf(found) {
  if (found.note) return [element("p", { class: found.learning ? "learning" : "" }, found.note)];
  const rows = (kind, by) => Object.entries(by).map(([name, height]) => element("tr", height > 1 ? { class: "over" } : {},
    element("th", {}, `${kind}${name}`), element("td", {}, element("span", { class: "height", style: `--height: ${Math.min(height, 1)}` })),
    element("td", {}, height.toPrecision(2))));
  const told = overOf(found);
  return [
    element("p", { class: told.length ? "far" : "", "data-alarm": "" }, told.length ? `Alarm: ${told}.` : "No alarm. One is at 1, which chance reaches once an hour."),
    element("table", {}, element("tbody", {}, ...rows("surprise: ", found.surprise), ...rows("unfamiliar: ", found.unfamiliar))),
  ];
}

// The root mean square error of each stream, in each quarter of the horizon.
export function errorsTable(streams) {
  const rows = Object.entries(streams).flatMap(([name, { errors }]) => errors.map(({ unit, rmse }) => element("tr", { "data-error": name },
    element("th", {}, name, element("small", {}, unit ? ` ${powers(unit)}` : "")), ...[...rmse].map((value) => element("td", {}, short(value))))));
  const horizon = Math.max(...Object.values(streams).map(({ time }) => time.at(-1)));
  const ends = [0.25, 0.5, 0.75, 1].map((share) => element("th", {}, `≤ ${(share * horizon).toFixed(1)} s`));
  return element("table", {}, element("thead", {}, element("tr", {}, element("td", {}), ...ends)), element("tbody", {}, ...rows));
}
