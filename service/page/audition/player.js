// A picture and a cue (track, moment to start from) in, both heard and seen together out.
//
// The picture's clock leads. Each deck follows it: silent while it is being brought into step, heard once it is
// within STEP_S, then held there by a change of speed too small to notice. Two decks, so that the next track can
// get into step while the one before is still heard, and the picture never waits.

import { Clock } from "/page/clock.js";

const STEP_S = 0.016;     // in step; the eye forgives about 40 ms
const LEAD_S = 0.05;      // what starting to play costs, about
const LOST_S = 0.036;     // heard and further off than this: silence, and get into step again
const JUMP_S = 0.6;       // further than this a seek is quicker than running after
const SEEK_PAUSE_S = 0.5; // a seek takes effect late: do not answer it with another
const FADE_S = 0.08;
const CUT_S = 0.02;       // the picture stopped or jumped: gone before that is noticed, yet without a click
const WAIT_S = 1;         // so long the track before may be heard while the next one loads
const LOUDNESS_LUFS = -18; // all tracks are played as loud as this, or softer tracks as they are

const clamp = (x, low, high) => Math.min(high, Math.max(low, x));

class Deck {
  constructor(audio) {
    this.audio = audio;
    audio.preservesPitch = false; // small changes of speed sound better resampled than stretched
    this.cue = null;
    this.level = 0;
    this.rest();
  }

  load(cue) {
    if (this.cue?.url !== cue.url || this.audio.error) this.audio.src = cue.url;
    this.cue = cue;
    this.rest();
  }

  rest() { // forget that it ever was in step
    this.inStep = 0;
    this.heard = false;
    this.sought_s = -1;
  }

  drift_s(time_s) {
    return this.audio.currentTime - (this.cue.start_s + time_s);
  }

  get over() { // the music is shorter than the picture
    return this.audio.ended || (this.audio.duration > 0 && this.audio.currentTime >= this.audio.duration - 0.02);
  }

  follow(time_s, now_s) {
    const { audio, cue } = this;
    const target_s = cue.start_s + time_s;
    if (audio.readyState < 1 || target_s >= audio.duration) return this.rest();
    if (audio.paused) {
      audio.currentTime = target_s + LEAD_S;
      this.rest();
      this.sought_s = now_s;
      audio.play().catch(() => {});
      return;
    }
    if (audio.seeking || audio.readyState < 3) return;
    const drift_s = this.drift_s(time_s);
    if (this.heard) this.hold(drift_s);
    else this.approach(drift_s, target_s, now_s);
  }

  approach(drift_s, target_s, now_s) { // silent: any speed will do
    if (Math.abs(drift_s) > JUMP_S && now_s - this.sought_s > SEEK_PAUSE_S) {
      this.audio.currentTime = target_s;
      this.sought_s = now_s;
      return;
    }
    this.audio.playbackRate = clamp(1 - 8 * drift_s, 0.5, 2);
    this.inStep = Math.abs(drift_s) < STEP_S ? this.inStep + 1 : 0;
    if (this.inStep >= 2) {
      this.audio.playbackRate = 1;
      this.heard = true;
    }
  }

  hold(drift_s) {
    if (Math.abs(drift_s) > LOST_S) return this.rest();
    this.audio.playbackRate = Math.abs(drift_s) < STEP_S / 2 ? 1 : clamp(1 - drift_s, 0.985, 1.015);
  }

  fade(live, gone_within_s, master, elapsed_s) {
    const change = live && this.heard ? elapsed_s / FADE_S : -elapsed_s / gone_within_s;
    this.level = clamp(this.level + change, 0, 1);
    if (this.cue) this.audio.volume = clamp(this.level * this.cue.gain * master, 0, 1);
    this.audio.muted = this.level === 0; // telephones that let no page set a volume
    if (!live && this.level === 0 && !this.audio.paused) this.audio.pause();
  }
}

export function gainOf(loudness_lufs) {
  return loudness_lufs === null ? 1 : Math.min(1, 10 ** ((LOUDNESS_LUFS - loudness_lufs) / 20));
}

export class Player extends EventTarget {
  constructor(video, audios) {
    super();
    this.video = video;
    this.picture = video;
    this.decks = audios.map((audio) => new Deck(audio));
    this.current = null;
    this.chosen_s = 0;
    this.length_s = 0; // as the service measured it: some files do not say
    this.musicLevel = 1;
    this.loop = true;
    for (const name of ["play", "pause", "ended", "loadedmetadata", "seeked"]) {
      video.addEventListener(name, () => this.say(name));
    }
    video.addEventListener("error", () => { if (video.getAttribute("src")) this.say("blind"); });
    video.addEventListener("ended", () => this.again());
    this.was_s = performance.now() / 1000;
    requestAnimationFrame(() => this.turn());
  }

  say(name) { this.dispatchEvent(new Event(name)); }

  open(url) { // a picture's address
    this.stop();
    this.picture = this.video;
    this.length_s = 0;
    this.video.src = url;
    this.video.load();
  }

  openBlind(duration_s) { // the browser cannot show it: a clock takes the picture's place
    this.picture = new Clock(duration_s, () => this.again());
    this.say("loadedmetadata");
  }

  stop() { // no picture, no music
    this.picture.pause();
    this.current = null;
    for (const deck of this.decks) {
      deck.cue = null;
      deck.level = 0;
      deck.audio.pause();
      deck.audio.removeAttribute("src");
      deck.audio.load();
    }
  }

  get playing() { return !this.picture.paused && !this.picture.ended; }
  get time_s() { return this.picture.currentTime; }
  get duration_s() { return Number.isFinite(this.picture.duration) ? this.picture.duration : this.length_s; }
  get cue() { return this.current?.cue ?? null; }
  get music_s() { return this.current ? this.current.audio.currentTime : 0; }

  get drift_ms() { // null while no music is heard
    return this.playing && this.current?.heard ? 1000 * this.current.drift_s(this.picture.currentTime) : null;
  }

  // The picture keeps its place, and goes on if it was running.
  choose(cue) {
    const other = this.decks.find((deck) => deck !== this.current);
    const free = this.current && !this.current.heard && other.level > 0 ? this.current : other; // not the one that is heard
    free.level = 0;
    free.load(cue);
    free.audio.volume = 0;
    free.audio.muted = true;
    this.chosen_s = performance.now() / 1000;
    free.audio.play().catch(() => {}); // some browsers let sound begin in the moment of a click only
    this.current = free;
    this.say("cue");
  }

  async play() {
    if (this.picture.ended) this.picture.currentTime = 0;
    await this.picture.play();
    if (this.picture !== this.video) this.say("play");
  }

  pause() {
    this.picture.pause();
    if (this.picture !== this.video) this.say("pause");
  }

  async toggle() { return this.playing ? this.pause() : this.play().catch(() => this.say("pause")); }

  seek(time_s) {
    this.picture.currentTime = clamp(time_s, 0, this.duration_s);
    this.current?.rest();
  }

  again() {
    if (!this.loop) return this.say("pause");
    this.seek(0);
    this.play().catch(() => this.say("pause"));
  }

  // The one before stays until the next is in step: no gap.
  bridges(deck, now_s) {
    return deck.level > 0 && this.current && !this.current.heard && !this.current.over && now_s - this.chosen_s < WAIT_S;
  }

  turn() {
    const now_s = performance.now() / 1000;
    const elapsed_s = Math.min(0.25, now_s - this.was_s);
    this.was_s = now_s;
    const running = this.playing && !this.picture.seeking && this.picture.readyState >= 3;
    for (const deck of this.decks) {
      const live = running && (deck === this.current || this.bridges(deck, now_s));
      if (live) deck.follow(this.picture.currentTime, now_s);
      else if (deck.cue) deck.rest();
      deck.fade(live, live || deck === this.current ? CUT_S : FADE_S, this.musicLevel, elapsed_s);
    }
    this.say("turn");
    requestAnimationFrame(() => this.turn());
  }
}
