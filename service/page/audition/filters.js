// What the pool holds in, the filters that an editor chose out.

import { make } from "/page/dom.js";

const MOST_CHIPS = 24; // the commonest; a pool of ten thousand has hundreds of genres

export class Filters {
  constructor(form, facets, onChange) {
    this.form = form;
    this.chosen = { genres: new Set(), moods: new Set() };
    this.onChange = onChange;
    this.ranges = { bpm: this.range("Tempo", "bpm", facets.bpm), duration_s: this.range("Length", "s", facets.duration_s) };
    const clear = make("button", { type: "button", className: "quiet" }, "Clear all");
    clear.addEventListener("click", () => this.clear());
    form.replaceChildren(...Object.values(this.ranges).map((one) => one?.node).filter(Boolean),
      ...["genres", "moods"].map((name) => this.chips(name, facets[name])).filter(Boolean),
      make("p", { className: "ways" }, clear));
    form.addEventListener("submit", (event) => event.preventDefault());
  }

  range(label, unit, extent) {
    if (!extent) return null;
    const bound = (name, value) => {
      const input = make("input", { type: "number", inputMode: "decimal", min: "0", step: "any", placeholder: String(Math.round(value)),
        "aria-label": `${label} ${name === "min" ? "from" : "to"}, ${unit}` });
      input.addEventListener("input", () => { clearTimeout(this.typing); this.typing = setTimeout(() => this.onChange(), 400); });
      return input;
    };
    const min = bound("min", Math.floor(extent.min)), max = bound("max", Math.ceil(extent.max));
    return { min, max, node: make("fieldset", {}, make("legend", {}, label),
      make("div", { className: "range" }, min, make("span", {}, "to"), max, make("span", {}, unit))) };
  }

  chips(name, counts) {
    const most = Object.entries(counts).sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0])).slice(0, MOST_CHIPS);
    if (!most.length) return null;
    const chips = most.map(([value, tracks]) => {
      const chip = make("button", { type: "button", className: "chip", "aria-pressed": "false", data: { value } },
        value, make("small", {}, ` ${tracks}`));
      chip.addEventListener("click", () => {
        const chosen = this.chosen[name];
        chosen.has(value) ? chosen.delete(value) : chosen.add(value);
        chip.setAttribute("aria-pressed", String(chosen.has(value)));
        this.onChange();
      });
      return chip;
    });
    return make("fieldset", {}, make("legend", {}, name === "genres" ? "Genre" : "Mood"), make("div", { className: "chips" }, ...chips));
  }

  clear() {
    for (const chosen of Object.values(this.chosen)) chosen.clear();
    for (const chip of this.form.querySelectorAll(".chip")) chip.setAttribute("aria-pressed", "false");
    for (const input of this.form.querySelectorAll("input")) input.value = "";
    this.onChange();
  }

  get value() { // as POST /recommend takes it
    const filters = {};
    for (const [name, range] of Object.entries(this.ranges)) {
      const asked = {};
      for (const end of ["min", "max"]) {
        const text = range?.[end].value ?? "";
        if (text !== "" && Number.isFinite(Number(text))) asked[end] = Number(text);
      }
      if (Object.keys(asked).length) filters[name] = asked;
    }
    for (const [name, chosen] of Object.entries(this.chosen)) if (chosen.size) filters[name] = [...chosen];
    return filters;
  }

  get count() { return Object.keys(this.value).length; }
}
