// A length in, something that runs like a <video> without showing anything out.

export class Clock {
  constructor(duration_s, onEnd) {
    Object.assign(this, { duration: duration_s, paused: true, seeking: false, readyState: 4, onEnd });
    this.at_s = 0;
    this.since_ms = 0;
  }

  get currentTime() {
    const ran_s = this.paused ? 0 : (performance.now() - this.since_ms) / 1000;
    return Math.min(this.duration, this.at_s + ran_s);
  }

  set currentTime(time_s) {
    this.at_s = time_s;
    this.since_ms = performance.now();
    if (!this.paused) this.wait();
  }

  get ended() { return this.currentTime >= this.duration; }

  async play() {
    this.since_ms = performance.now();
    this.paused = false;
    this.wait();
  }

  pause() {
    this.at_s = this.currentTime;
    this.paused = true;
    clearTimeout(this.timer);
  }

  wait() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => { this.pause(); this.onEnd(); }, 1000 * (this.duration - this.at_s));
  }
}
