// Tracks in, addresses that an <audio> can play and the wish to hear one out.

import { postJson } from "/page/api.js";
import { gainOf } from "/page/player.js";

const LINKS_LIVE_MS = 50 * 60 * 1000; // the service signs for an hour

export class Sound {
  constructor(player, say) {
    Object.assign(this, { player, say, links: {}, linked_ms: 0 });
    for (const deck of player.decks) deck.audio.addEventListener("error", () => this.failed(deck.audio));
  }

  async link(track_ids) { // a player in the browser cannot send a key
    const fresh = track_ids.length ? await postJson("/v1/media-links", { track_ids }) : {};
    this.links = { ...this.links, ...fresh }; // two of these may be under way: none takes from the other
    this.linked_ms = Date.now();
  }

  has(track_id) { return track_id in this.links; }

  peaks_url(track_id) { return this.links[track_id].peaks_url; }

  isCued(track) { return this.player.cue?.track_id === track.id; }

  async hear(track) { // or pause it
    if (this.isCued(track)) return this.player.toggle();
    await this.cue(track);
    if (!this.player.playing) await this.player.play().catch(() => {});
  }

  async cue(track) {
    if (Date.now() - this.linked_ms > LINKS_LIVE_MS) await this.link(Object.keys(this.links)).catch(() => {});
    this.player.choose({ track_id: track.id, title: track.title, start_s: track.start_s,
      url: this.links[track.id].audio_url, gain: gainOf(track.result.loudness_lufs) });
  }

  async failed(audio) {
    const { cue } = this.player;
    if (!audio.getAttribute("src") || !cue) return;
    this.say("This track cannot be heard just now. Trying once more…");
    try {
      await this.link([cue.track_id]);
      const url = this.links[cue.track_id]?.audio_url;
      if (this.player.cue !== cue) return;
      if (url && url !== cue.url) return this.player.choose({ ...cue, url });
      this.say("This track cannot be heard: the server does not give its sound.");
    } catch {
      this.say("This track cannot be heard: the server does not answer.");
    }
  }
}
