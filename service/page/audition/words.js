// Codes, numbers and facts in; words that an editor understands out.

// code: [title, what to do, offered ways]. The server's own sentence is shown where it says more.
const PROBLEMS = {
  unreachable: ["The server does not answer", "It may have been stopped, or the network is away.", ["again"]],
  strange_answer: ["Something between here and the server answered in its place",
    "A proxy or a firewall may have cut the upload. Try again, or ask whoever runs the server.", ["again"]],
  unreadable_file: ["This file cannot be read any more", "It has changed since you chose it, or it is a folder. Choose the video file again.", ["other"]],
  not_media: ["This file is no video", "Choose a video file, such as MP4 or MOV.", ["other"]],
  no_video_stream: ["There is no picture in this file", "It holds sound only. Choose the cut with its picture.", ["other"]],
  encrypted: ["This video is protected", "A protected file cannot be looked at. Export the cut without protection.", ["other"]],
  cannot_decode: ["This video cannot be read", "It may be cut off or damaged. Export it again, H.264 in MP4 is safest.", ["other"]],
  empty_body: ["This file is empty", "Perhaps the export has not finished. Choose it again when it has.", ["other"]],
  video_too_large: ["This file is too large", "Export a small proxy, such as 720p H.264; it finds the same music.", ["other"]],
  video_too_long: ["This video is too long", "Cut out the part that needs music, or export a shorter one.", ["other"]],
  video_too_costly: ["This video takes too much to decode", "Export a small proxy, such as 720p H.264; it finds the same music.", ["other"]],
  overloaded: ["The server is busy", "Others are asking at the same time.", ["again"]],
  not_ready: ["There is no music to search yet", "Whoever runs this server has to index a pool first: yuyin index build MUSIC_FOLDER", ["again"]],
  not_installed: ["The server lacks a part", "A network that looks at the picture is not installed. Whoever runs this server finds out more with: yuyin models list", ["again"]],
  no_accelerator: ["The server cannot use its graphics card", "Whoever runs this server finds out more with: yuyin doctor", ["again"]],
  bad_options: ["These filters cannot be used", "", ["clear"]],
  forbidden: ["This key may not do that", "Ask whoever runs this server for a key with the scope recommend.", ["key"]],
  body_too_large: ["This file is too large", "Export a small proxy, such as 720p H.264; it finds the same music.", ["other"]],
  upload_too_slow: ["The cut came too slowly", "The line is slow or was interrupted. Try again, or export a small proxy.", ["again", "other"]],
  deadline_exceeded: ["This took too long", "The server stopped looking. Export a small proxy, or try again when less is going on.", ["again", "other"]],
  decoder_lost: ["The look at this cut was interrupted", "Try again. If it happens with this file only, export it again.", ["again", "other"]],
  draining: ["The server is being restarted", "In a moment it will answer again.", ["again"]],
  no_sandbox: ["This server may not look at videos", "It cannot do so safely. Whoever runs it finds out more with: yuyin doctor", ["again"]],
  not_stored: ["The server’s disk is full", "Whoever runs this server has to make room; then try again.", ["again"]],
  rate_limited: ["Too many questions at once", "This key may ask only so often. Wait a moment.", ["again"]],
  internal: ["Something went wrong on the server", "It is not your file’s fault as far as we know. Try again; if it stays, tell whoever runs the server.", ["again", "other"]],
};

const THE_SERVER_KNOWS_BETTER = new Set(["video_too_large", "video_too_long", "video_too_costly", "bad_options", "cannot_decode"]);

export function explain(problem) {
  const [title, advice, ways] = PROBLEMS[problem.code] ?? PROBLEMS.internal;
  const detail = THE_SERVER_KNOWS_BETTER.has(problem.code) ? sentence(problem.detail) : "";
  return { title, ways, text: detail ? [detail, advice].filter(Boolean) : [advice],
    reference: problem.request_id ? `${problem.code}, request ${problem.request_id}` : problem.code };
}

const WARNINGS = {
  truncated: "The end of this file is missing. The tracks fit the part that is there.",
  damaged: "Some frames of this file are damaged. The tracks fit what could be read.",
};

export const warn = (warning) => WARNINGS[warning] ?? `Note: ${warning}`;

const REASONS = {
  bpm: "tempo", duration_s: "length", genres: "genre", moods: "mood", artists: "artist", max_per_artist: "tracks per artist",
  withdrawn: "withdrawal", unknown: "missing licence", licence_expired: "expired licence", not_yet_valid: "a licence that has not begun",
  exclusive: "exclusivity", account: "kind of account", product_link: "product link",
};

export function leftOut(excluded) {
  const parts = Object.entries(excluded).map(([reason, count]) => `${count} by ${REASONS[reason] ?? reason}`);
  return parts.length ? `Left out: ${parts.join(", ")}.` : "";
}

// Which factors drove a match, the strongest first, and how much of its lead each carries.
export const drivenBy = (reasons) => reasons.map(({ factor }) => factor).join(", ");

export const whyItFits = (reasons) => reasons.map(({ text, strength }) => `${sentence(text)} Without it, ${Math.round(strength * 100)} % of the lead over the pool is gone.`).join("\n");

export const likeness = (percentile) => "Likeness of picture and music from -1 to 1. Compare it within this list only."
  + (percentile === null ? "" : `\nThe picture suits this track more than ${Math.floor(percentile * 100)} % of unrelated pictures do.`);

export const clock = (seconds) => {
  const whole = Math.max(0, Math.floor(seconds + 1e-6));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
};

export const exact = (seconds) => {
  const tenths = Math.max(0, Math.round(seconds * 10));
  return `${Math.floor(tenths / 600)}:${String(Math.floor((tenths % 600) / 10)).padStart(2, "0")}.${tenths % 10}`;
};

export const count = (n, one, many) => `${n.toLocaleString("en")} ${n === 1 ? one : many}`;

export const sentence = (text) => text && text[0].toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");

export function seen(video, files_name) {
  const facts = [files_name, `${video.duration_s.toFixed(1)} s`, `${video.width_px} × ${video.height_px}`,
    `${Number(video.fps.toFixed(2))} fps`];
  if (video.cuts_s) facts.push(count(video.cuts_s.length, "cut", "cuts"));
  return facts.join(" · ");
}
