// A track's peaks in, its waveform with the part under the picture out; a click says where to start instead.

import WaveSurfer from "/page/vendor/wavesurfer.js";
import { make } from "/page/dom.js";
import { clock } from "/page/words.js";

const nonce = document.querySelector("script[nonce]").nonce;
const STEP_S = 1;

function colours(node) {
  const style = getComputedStyle(node);
  return { waveColor: style.getPropertyValue("--wave").trim(), progressColor: style.getPropertyValue("--wave").trim() };
}

export class Waveform {
  constructor(title, span, onStart) {
    this.span = span; // {start_s, end_s} that was suggested
    this.start_s = span.start_s;
    this.onStart = onStart;
    this.duration_s = null;
    this.part = make("div", { className: "part" });
    this.head = make("div", { className: "head-line", hidden: true });
    this.canvas = make("div", { className: "canvas" });
    this.node = make("div", {
      className: "wave", tabIndex: 0, role: "slider", "aria-label": `Moment to start from, ${title}`,
      "aria-valuemin": "0", "aria-valuemax": String(Math.ceil(span.end_s)),
    }, this.canvas, this.part, this.head);
    this.node.addEventListener("keydown", (event) => this.key(event));
    this.place();
  }

  draw({ peaks, duration_s }) {
    if (this.ended) return; // the list has changed while the peaks were on their way
    this.duration_s = duration_s;
    const flat = Float32Array.from(peaks.flat());
    this.surfer = WaveSurfer.create({
      container: this.canvas, height: "auto", peaks: [flat], duration: duration_s, barWidth: 2, barGap: 1, barRadius: 2,
      cursorWidth: 0, interact: false, hideScrollbar: true, normalize: true, cspNonce: nonce, ...colours(this.node),
    });
    this.node.setAttribute("aria-valuemax", String(Math.ceil(duration_s)));
    this.node.addEventListener("click", (event) => {
      const box = this.node.getBoundingClientRect();
      this.move(duration_s * (event.clientX - box.left) / box.width);
    });
    this.place();
  }

  get length_s() { return this.span.end_s - this.span.start_s; }

  move(start_s) {
    const latest_s = Math.max(0, (this.duration_s ?? this.span.end_s) - Math.min(this.length_s, 1));
    this.start_s = Math.min(latest_s, Math.max(0, start_s));
    this.place();
    this.onStart(this.start_s);
  }

  key(event) {
    const steps = { ArrowLeft: -STEP_S, ArrowRight: STEP_S, PageDown: -10, PageUp: 10 };
    if (event.key in steps) this.move(this.start_s + steps[event.key]);
    else if (event.key === "Home") this.move(this.span.start_s);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  place() {
    const whole_s = this.duration_s ?? Math.max(this.span.end_s, 1);
    const end_s = Math.min(whole_s, this.start_s + this.length_s);
    this.part.style.left = `${100 * this.start_s / whole_s}%`;
    this.part.style.width = `${100 * (end_s - this.start_s) / whole_s}%`;
    this.node.setAttribute("aria-valuenow", this.start_s.toFixed(1));
    this.node.setAttribute("aria-valuetext", `from ${clock(this.start_s)} to ${clock(end_s)}`);
  }

  show(time_s) { // where the music is; null hides the line
    this.head.hidden = time_s === null;
    if (time_s !== null && this.duration_s) this.head.style.left = `${100 * Math.min(1, time_s / this.duration_s)}%`;
  }

  recolour() { this.surfer?.setOptions(colours(this.node)); }

  end() {
    this.ended = true;
    this.surfer?.destroy();
  }
}
