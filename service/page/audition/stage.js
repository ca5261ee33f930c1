// A player in, the picture with its controls out: where it is, its cuts, what is heard, how loud.

import { byId, make } from "/page/dom.js";
import { clock } from "/page/words.js";

const DRIFT_EVERY_MS = 250;

export class Stage {
  constructor(player) {
    this.player = player;
    this.drifted_ms = 0;
    this.before = 1; // how loud the cut's own sound was before it was silenced
    for (const name of ["play", "pause", "ended", "loadedmetadata", "seeked", "cue"]) player.addEventListener(name, () => this.show());
    player.addEventListener("turn", () => this.turn());
    player.addEventListener("blind", () => this.goBlind());
    byId("seek").addEventListener("input", (event) => player.seek(Number(event.target.value)));
    byId("loop").addEventListener("click", () => this.toggleLoop());
    byId("music-level").addEventListener("input", (event) => { player.musicLevel = Number(event.target.value); });
    byId("own-level").addEventListener("input", (event) => this.ownSound(Number(event.target.value)));
    player.video.addEventListener("click", () => player.toggle());
  }

  open() { // before anything is known of the picture
    this.unseen = false;
    byId("cuts").replaceChildren();
    byId("blind").hidden = true;
    byId("begin").hidden = false;
    this.show();
  }

  describe(video) { // what the service saw
    this.player.length_s = video.duration_s;
    this.player.video.parentElement.style.aspectRatio = `${video.width_px} / ${video.height_px}`;
    byId("cuts").replaceChildren(...(video.cuts_s ?? []).map((time_s) => {
      const line = make("i", {});
      line.style.left = `${100 * time_s / video.duration_s}%`;
      return line;
    }));
    if (this.unseen) this.goBlind();
    else this.show();
  }

  goBlind() { // editors have ProRes and DNxHD; browsers do not
    const { player } = this;
    this.unseen = true;
    byId("blind").hidden = false;
    byId("blind").textContent = player.length_s
      ? "This browser cannot show this kind of video. The server could read it: the tracks fit it, and the music plays for its length. To see it here too, use an H.264 proxy."
      : "This browser cannot show this kind of video…";
    if (player.length_s && player.picture === player.video) player.openBlind(player.length_s);
  }

  toggleLoop() {
    this.player.loop = !this.player.loop;
    byId("loop").setAttribute("aria-pressed", String(this.player.loop));
  }

  toggleOwnSound() {
    const { volume } = this.player.video;
    if (volume > 0) this.before = volume;
    this.ownSound(volume > 0 ? 0 : this.before);
  }

  ownSound(level) {
    this.player.video.volume = level;
    byId("own-level").value = String(level);
  }

  show() {
    const { player } = this;
    const ready = player.duration_s > 0;
    document.body.classList.toggle("playing", player.playing);
    byId("play").setAttribute("aria-label", player.playing ? "Pause" : "Play");
    byId("play").disabled = !ready;
    byId("begin").hidden = player.playing || player.time_s > 0 || !ready || this.unseen;
    byId("seek").max = String(player.duration_s);
    const now = player.cue ? `Music: ${player.cue.title}, from ${clock(player.cue.start_s)}` : "No music under it yet";
    if (byId("now").textContent !== now) byId("now").textContent = now; // said aloud each time that it is set
    this.turn();
  }

  turn() {
    const { player } = this;
    const time_s = player.time_s;
    if (document.activeElement !== byId("seek") || player.playing) byId("seek").value = String(time_s);
    const text = `${clock(time_s)} / ${clock(player.duration_s)}`;
    if (byId("clock").textContent !== text) {
      byId("clock").textContent = text;
      byId("seek").setAttribute("aria-valuetext", text);
    }
    if (performance.now() - this.drifted_ms > DRIFT_EVERY_MS) {
      this.drifted_ms = performance.now();
      const drift_ms = player.drift_ms;
      byId("stage").dataset.driftMs = drift_ms === null ? "" : drift_ms.toFixed(1); // for tests and the curious
    }
  }
}
