// The page: over a log or beside a scene, as `info` says. `ask(request)` promises the answer; `mount` gives what ends it.

import { element } from "./pixels.js";
import { replay } from "./replay.js";
import { drive } from "./drive.js";

export function mount(root, ask) {
  root.classList.add("wm-explore");
  const status = element("p", { class: "status", role: "status" }, "opening …");
  const alarm = element("div", { class: "alarm", role: "alert", hidden: "" });
  const head = element("header", {}, element("h1", {}, "explore"), element("p", { class: "log" }), status);
  root.replaceChildren(element("div", { class: "head" }, head, alarm)); // stays in view, with what is chosen
  const fail = (text) => { alarm.hidden = !text; alarm.textContent = text ?? ""; };
  const say = (words, busy = false) => { status.textContent = words; root.classList.toggle("busy", busy); };
  let close = () => {};
  ask({ kind: "info" }).then((info) => {
    if (info.error) { fail(info.error); say("stopped"); return; }
    Object.assign(head.querySelector(".log"), { textContent: info.log, title: info.log });
    close = (info.live ? drive : replay)(root, ask, info, { say, fail });
  });
  return () => close();
}
