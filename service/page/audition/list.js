// An answer in, its best rows to hear and compare out. It is asked for whole: more rows cost no second look at the cut.

import { getJson } from "/page/api.js";
import { byId, make } from "/page/dom.js";
import { note } from "/page/feedback.js";
import { Track } from "/page/tracks.js";
import { count, leftOut, warn } from "/page/words.js";

const STEP = 10;

export class List {
  constructor(sound, say, onClearFilters) {
    Object.assign(this, { sound, say, onClearFilters, node: byId("tracks"), answer: null, tracks: [], away: new Set(), limit: STEP });
    byId("more").addEventListener("click", () => this.more());
    byId("back").addEventListener("click", () => this.bringBack());
  }

  show(answer, pool) { // in the place of the one before
    const focused = this.focused();
    const cued = this.cued;
    const moved_s = cued?.start_s;
    this.clear();
    this.answer = answer;
    this.fill();
    const again = cued && this.tracks.find((track) => track.id === cued.id);
    if (again) again.place(moved_s);
    if (focused) this.focus(focused.place, focused.control);
    this.notices();
    const ms = answer.timings_ms.total;
    this.say(answer.results.length ? `The best of ${count(pool, "track", "tracks")}, found in ${(ms / 1000).toFixed(1)} s. ${leftOut(answer.excluded)}` : "");
  }

  clear() {
    for (const track of this.tracks) track.wave.end();
    Object.assign(this, { answer: null, tracks: [], limit: STEP });
    this.node.replaceChildren();
    byId("notices").replaceChildren();
    byId("more").hidden = true;
  }

  forget() { // "not this one" was said of another cut
    this.away.clear();
    byId("back").hidden = true;
  }

  fill() { // rows are added and removed, never made anew: what is heard and what has the focus stay
    const offered = this.answer.results.filter((one) => this.sound.has(one.track_id) && !this.away.has(one.track_id));
    const known = new Map(this.tracks.map((track) => [track.id, track]));
    const shown = offered.slice(0, this.limit).map((result) => known.get(result.track_id) ?? this.row(result));
    for (const track of this.tracks) if (!shown.includes(track)) { track.wave.end(); track.node.remove(); }
    shown.forEach((track, i) => { if (this.node.children[i] !== track.node) this.node.insertBefore(track.node, this.node.children[i] ?? null); });
    this.tracks = shown;
    byId("more").hidden = offered.length <= this.limit;
    byId("back").hidden = this.away.size === 0;
    byId("back").textContent = `Bring back ${this.away.size} left out`;
  }

  row(result) {
    const track = new Track(result, { say: this.say, onHear: (one) => this.hear(one), onExclude: (one) => this.exclude(one),
      onCopy: (one) => note("exported", one, this.answer),
      onStart: (one) => { if (this.sound.isCued(one)) this.sound.cue(one); } });
    getJson(this.sound.peaks_url(track.id)).then((peaks) => track.wave.draw(peaks)).catch(() => track.wave.node.classList.add("none"));
    return track;
  }

  hear(track) {
    note("played", track, this.answer);
    this.sound.hear(track);
  }

  more() {
    const first = this.tracks.length;
    this.limit += STEP;
    this.fill();
    this.focus(first, ".hear");
  }

  exclude(track) {
    const at = this.tracks.indexOf(track);
    const next = this.tracks[at + 1] ?? this.tracks[at - 1];
    if (next && this.sound.isCued(track)) this.sound.cue(next);
    note("rejected", track, this.answer);
    this.away.add(track.id);
    this.fill();
    this.focus(Math.min(at, this.tracks.length - 1), ".away");
    this.say(`${track.title} is left out.`);
  }

  bringBack() {
    this.away.clear();
    this.fill();
    this.focus(0, ".hear");
  }

  get cued() { return this.tracks.find((track) => this.sound.isCued(track)); }

  step(by) { this.hearAt(this.tracks.indexOf(this.cued) + by); }

  hearAt(index) {
    const track = this.tracks[Math.min(this.tracks.length - 1, Math.max(0, index))];
    if (!track || track === this.cued) return;
    if (document.activeElement.closest(".track")) track.hear.focus(); // Space then pauses what is heard
    this.hear(track);
    track.node.scrollIntoView({ block: "nearest" });
  }

  focused() { // where somebody with a keyboard is
    const { activeElement } = document;
    const place = this.tracks.findIndex((track) => track.node.contains(activeElement));
    return place < 0 ? null : { place, control: `.${activeElement.classList[0]}` };
  }

  focus(place, control) { (this.tracks[place]?.node.querySelector(control) ?? byId("results")).focus(); }

  notices() {
    const { warnings, no_good_match, results, excluded } = this.answer;
    const found = warnings.map(warn);
    if (no_good_match) found.push("Nothing in this pool fits this cut well. These are the nearest; none is a recommendation.");
    byId("notices").replaceChildren(...found.map((text) => make("p", { className: "notice" }, text)));
    if (results.length) return;
    const clear = make("button", { type: "button", className: "main" }, "Clear the filters");
    clear.addEventListener("click", this.onClearFilters);
    byId("notices").append(make("div", { className: "nothing" }, make("h3", {}, "No track passes these filters"),
      make("p", {}, leftOut(excluded) || "The pool has no track to offer."), clear));
  }
}
