// A ranked list in, rows to hear and compare out.

import { icon, make } from "/page/dom.js";
import { Waveform } from "/page/waveform.js";
import { clock, drivenBy, exact, likeness, whyItFits } from "/page/words.js";

const GO = "M8 5v14l11-7z", STOP = "M7 5h4v14H7zM13 5h4v14h-4z";

function fact(name, value, title = "") {
  return make("div", { title }, make("dt", { className: "unseen" }, name), make("dd", {}, value));
}

export class Track {
  constructor(result, { onHear, onStart, onExclude, onCopy, say }) {
    this.result = result;
    this.title = result.title || result.external_id || result.track_id;
    this.span = result.segments[0];
    this.say = say;
    this.wave = new Waveform(this.title, this.span, (start_s) => { this.mark(); onStart(this, start_s); });
    this.hear = make("button", { type: "button", className: "hear", "aria-pressed": "false" }, icon(GO));
    this.hear.addEventListener("click", () => onHear(this));
    this.from = make("dd", {});
    this.node = make("li", { className: "track", data: { trackId: result.track_id } },
      make("span", { className: "rank", "aria-hidden": "true" }, String(result.rank)), this.hear,
      make("div", { className: "about" }, make("h3", {}, this.title), make("p", {}, result.artist ?? "")),
      this.wave.node, this.facts(), this.tools(onExclude, onCopy));
    this.node.addEventListener("click", (event) => { if (!event.target.closest("button, .wave")) onHear(this); });
    this.mark();
  }

  facts() {
    const { score, bpm, key, percentile, reasons } = this.result;
    const meter = make("span", { className: "meter", "aria-hidden": "true" });
    meter.style.setProperty("--share", String(Math.min(1, Math.max(0.02, score))));
    return make("dl", { className: "facts" },
      make("div", { title: "Start the music here, under the first frame" }, make("dt", {}, "from"), this.from),
      make("div", { className: "match", title: likeness(percentile) },
        make("dt", {}, "match"), make("dd", {}, score.toFixed(2), meter)),
      fact("tempo", bpm === null ? "–" : `${Math.round(bpm)} bpm`), fact("key", key ?? "–"),
      ...(reasons.length ? [make("div", { className: "why", title: whyItFits(reasons) }, make("dt", {}, "because of"), make("dd", {}, drivenBy(reasons)))] : []));
  }

  tools(onExclude, onCopy) {
    const copy = make("button", { type: "button", className: "copy quiet", "aria-label": `Copy the cue of ${this.title}` }, "Copy cue");
    copy.addEventListener("click", () => { onCopy(this); this.copy(); });
    const away = make("button", { type: "button", className: "away quiet", "aria-label": `Not this one: leave out ${this.title}` }, "Not this one");
    away.addEventListener("click", () => onExclude(this));
    return make("div", { className: "tools" }, copy, away);
  }

  get id() { return this.result.track_id; }

  get start_s() { return this.wave.start_s; }

  place(start_s) { // where it was put before the list was made anew
    this.wave.start_s = start_s;
    this.wave.place();
    this.mark();
  }

  mark() { // what the row says of its moment
    const moved = Math.abs(this.start_s - this.span.start_s) > 0.05;
    this.from.textContent = clock(this.start_s) + (moved ? " (moved)" : "") + (this.span.ends_early ? " · short" : "");
    this.hear.setAttribute("aria-label", `Hear ${this.title} under the picture, from ${clock(this.start_s)}`);
  }

  async copy() {
    const by = this.result.artist ? `, ${this.result.artist}` : "";
    const text = `${this.title}${by}: music from ${exact(this.start_s)} under the first frame (${this.result.track_id})`;
    try {
      await navigator.clipboard.writeText(text);
      this.say(`Copied: ${text}`);
    } catch {
      this.say(text); // a page without https may not write to the clipboard: then it can be read here
    }
  }

  show(current, playing, music_s) {
    this.node.classList.toggle("current", current);
    const on = current && playing;
    if (this.hear.getAttribute("aria-pressed") !== String(on)) {
      this.hear.setAttribute("aria-pressed", String(on));
      this.hear.querySelector("path").setAttribute("d", on ? STOP : GO);
    }
    this.wave.show(current ? music_s : null);
  }
}

export function skeletons(list, rows = 6) {
  list.replaceChildren(...Array.from({ length: rows }, () => make("li", { className: "track skeleton", "aria-hidden": "true" })));
}
