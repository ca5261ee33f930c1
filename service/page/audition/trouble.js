// A problem and the ways on in, a box that says what happened and offers them out.

import { byId, make } from "/page/dom.js";
import { explain } from "/page/words.js";

const NAMES = { again: "Try again", other: "Choose another cut", clear: "Clear the filters", key: "Use another key" };

export function tell(problem, ways) { // ways: {again, other, clear, key}, each a function
  const box = byId("message");
  const words = explain(problem.code ? problem : { code: "internal", request_id: null });
  box.querySelector("h2").textContent = words.title;
  box.querySelector(".what").textContent = words.text.join(" ");
  box.querySelector(".ways").replaceChildren(...words.ways.map((name) => {
    const button = make("button", { type: "button", className: "main" }, NAMES[name]);
    button.addEventListener("click", () => { hush(); ways[name](); });
    return button;
  }));
  box.querySelector("code").textContent = words.reference;
  box.hidden = false;
  box.focus();
  if (!problem.code) console.error(problem); // a fault of ours
}

export function hush() { byId("message").hidden = true; }

export const telling = () => !byId("message").hidden;
