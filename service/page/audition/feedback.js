// What an editor did with a track in, a note of it to the service out: it can train on that. Nobody waits for it.

import { postJson } from "/page/api.js";

const noted = new Set(); // once for each answer, track and event

export function note(event, track, answer) {
  const event_id = [answer.request_id, event, track.id].join(":");
  if (noted.has(event_id)) return;
  noted.add(event_id);
  postJson("/v1/feedback", {
    request_id: answer.request_id, track_id: track.id, event, rank: track.result.rank, start_s: track.start_s,
    video_sha256: answer.video.sha256, snapshot: answer.snapshot,
  }).catch(() => noted.delete(event_id)); // a note that is lost is no trouble of the editor's
}
