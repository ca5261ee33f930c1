// The page: a cut comes in, the service is asked, the answer is shown and heard.

import { getBlob, getJson, hasKey, postJson, recommend, setKey } from "/page/api.js";
import { byId, make } from "/page/dom.js";
import { Filters } from "/page/filters.js";
import { keyboard } from "/page/keyboard.js";
import { gainOf, Player } from "/page/player.js";
import { Stage } from "/page/stage.js";
import { initTheme } from "/page/theme.js";
import { skeletons, Track } from "/page/tracks.js";
import { count, explain, leftOut, seen, warn } from "/page/words.js";

const FIRST = 10, STEP = 10, MOST = 100;
const LINKS_LIVE_MS = 50 * 60 * 1000; // the service signs for an hour
const READY_POLL_MS = 3000;
const PATIENCE = 5;

const player = new Player(byId("picture"), [byId("deck-a"), byId("deck-b")]);
const stage = new Stage(player);
let cut = null;        // {file, name, url}
let facets = null;
let filters = null;
let tracks = [];
let links = {};        // track id -> address to hear it
let linked_ms = 0;
let topK = FIRST;
let asking = null;     // AbortController of the question under way
let refused = 0;       // how often in a row the server was too busy

function show(state) { // starting | welcome | key | work
  document.body.dataset.state = state;
  byId("welcome").hidden = state !== "welcome";
  byId("ask-key").hidden = state !== "key";
  byId("work").hidden = state !== "work";
  byId("another").hidden = state !== "work";
  if (state !== "work") player.pause(); // nothing is heard whose controls are out of sight
}

const say = (text) => { byId("said").textContent = text; };

// ---- starting ---------------------------------------------------------------------------------------------

async function start() {
  try {
    facets = await getJson("/v1/facets");
  } catch (problem) {
    return problem.code === "unauthenticated" ? askKey() : notReady(problem);
  }
  byId("pool").textContent = `${count(facets.tracks, "track", "tracks")} ready`;
  byId("message").hidden = true;
  filters = new Filters(byId("filters"), facets, () => { topK = FIRST; ask(); });
  if (cut) return ask();
  show("welcome");
  offerSamples().catch(() => {}); // nothing is lost without them
}

function notReady(problem) {
  byId("pool").textContent = "Not ready";
  if (byId("message").hidden) fail(problem, start);
  if (problem.code === "not_ready") setTimeout(() => { if (!facets) start(); }, READY_POLL_MS);
}

function askKey() {
  byId("pool").textContent = "";
  byId("ask-key").querySelector(".wrong").hidden = !hasKey();
  byId("message").hidden = true;
  show("key");
  byId("key").focus();
}

async function offerSamples() {
  const { samples } = await getJson("/v1/samples");
  const list = byId("samples").querySelector("ul");
  list.replaceChildren(...samples.map((sample) => {
    const button = make("button", { type: "button" }, make("span", { className: "frame" }), make("strong", {}, sample.title));
    button.addEventListener("click", () => take(sample));
    getBlob(sample.video_url).then((blob) => {
      sample.blob = blob;
      const video = make("video", { muted: true, playsInline: true, preload: "metadata", src: `${URL.createObjectURL(blob)}#t=1`, "aria-hidden": "true" });
      button.addEventListener("pointerenter", () => video.play().catch(() => {}));
      button.addEventListener("pointerleave", () => video.pause());
      button.querySelector(".frame").append(video);
    }).catch(() => {});
    return make("li", {}, button);
  }));
  byId("samples").hidden = samples.length === 0;
}

async function take(sample) {
  try {
    const blob = sample.blob ?? await getBlob(sample.video_url);
    open(new File([blob], sample.title, { type: blob.type }));
  } catch (problem) {
    fail(problem, () => take(sample));
  }
}

// ---- a cut --------------------------------------------------------------------------------------------------

function open(file) {
  close();
  cut = { file, name: file.name, url: URL.createObjectURL(file) };
  player.open(cut.url);
  stage.open();
  topK = FIRST;
  if (facets) ask();
}

function close() {
  asking?.abort();
  asking = null; // an answer that is on its way already belongs to nothing now
  player.stop();
  clearTracks();
  filters?.forget(); // "not this one" was said of that cut
  if (cut) URL.revokeObjectURL(cut.url);
  cut = null;
}

function another() {
  close();
  byId("message").hidden = true;
  byId("file").value = "";
  show("welcome");
  if (byId("samples").hidden) offerSamples().catch(() => {});
  byId("file").focus();
}

function clearTracks() {
  for (const track of tracks) track.wave.end();
  tracks = [];
  byId("tracks").replaceChildren();
  byId("notices").replaceChildren();
  byId("more").hidden = true;
  byId("seen").textContent = "";
}

// ---- the question ---------------------------------------------------------------------------------------------

async function ask() {
  if (!cut) return;
  asking?.abort();
  const mine = asking = new AbortController();
  const arriving = document.body.dataset.state !== "work";
  show("work");
  if (arriving) byId("results").focus({ preventScroll: true }); // what had the focus is hidden now
  byId("message").hidden = true;
  byId("results").setAttribute("aria-busy", "true");
  if (!tracks.length) skeletons(byId("tracks"));
  say("Sending the cut…");
  const onSent = (share) => say(share < 1 ? `Sending the cut… ${Math.round(100 * share)} %` : "Looking at the cut and listening for what fits…");
  try {
    const options = { top_k: Math.min(topK, MOST), filters: filters.value };
    const answer = await recommend(cut.file, options, { onSent, signal: mine.signal });
    await link(answer.results.map((result) => result.track_id));
    if (mine === asking) present(answer);
    refused = 0;
  } catch (problem) {
    if (problem.name === "AbortError" || mine !== asking) return;
    if (problem.code === "unauthenticated") return askKey();
    if (problem.code === "overloaded" && ++refused <= PATIENCE) {
      say("The server is busy; trying again in a moment…");
      return void setTimeout(() => { if (mine === asking) ask(); }, 1000 * (problem.retry_after_s ?? 1));
    }
    say("");
    if (!tracks.length) clearTracks(); // the placeholders; a list that was there stays to be heard
    if (!["bad_options", "unreachable", "overloaded"].includes(problem.code)) { clearTracks(); show("starting"); }
    fail(problem, ask);
  } finally {
    if (mine === asking) byId("results").setAttribute("aria-busy", "false");
  }
}

async function link(track_ids) { // a player in the browser cannot send a key
  const fresh = track_ids.length ? await postJson("/v1/media-links", { track_ids }) : {};
  links = { ...links, ...fresh }; // two of these may be under way: none takes from the other
  linked_ms = Date.now();
}

function present(answer) {
  const before = player.cue?.track_id;
  const focused = focusInList();
  const moved = new Map(tracks.map((track) => [track.result.track_id, track.start_s]));
  clearTracks();
  tracks = answer.results.filter((result) => links[result.track_id]).map((result) => new Track(result, {
    onHear: hear, onStart: (track) => { if (player.cue?.track_id === track.result.track_id) cueOf(track); }, say,
    onExclude: exclude,
  }));
  byId("tracks").replaceChildren(...tracks.map((track) => track.node));
  for (const track of tracks) {
    const start_s = track.result.track_id === before ? moved.get(before) : undefined;
    if (start_s !== undefined) { track.wave.start_s = start_s; track.wave.place(); track.mark(); }
    getJson(links[track.result.track_id].peaks_url).then((peaks) => track.wave.draw(peaks)).catch(() => track.wave.node.classList.add("none"));
  }
  byId("seen").textContent = seen(answer.video, cut.name);
  stage.describe(answer.video);
  notices(answer);
  byId("more").hidden = answer.results.length < topK || topK >= MOST || answer.results.length >= facets.tracks;
  if (focused) (tracks[focused.place]?.node.querySelector(focused.control) ?? byId("results")).focus();
  byId("open-filters").textContent = filters.count ? `Filters (${filters.count})` : "Filters";
  const ms = answer.timings_ms.total;
  say(tracks.length ? `${count(tracks.length, "track", "tracks")} of ${facets.tracks.toLocaleString("en")}, best first, found in ${(ms / 1000).toFixed(1)} s. ${leftOut(answer.excluded)}` : "");
}

// The rows are made anew: whoever works with the keyboard goes on where they were. "Show more" leads to the first new row.
function focusInList() {
  const { activeElement } = document;
  if (activeElement === byId("more")) return { place: tracks.length, control: ".hear" };
  const place = tracks.findIndex((track) => track.node.contains(activeElement));
  return place < 0 ? null : { place, control: `.${activeElement.classList[0]}` };
}

function exclude(track) {
  const next = tracks[tracks.indexOf(track) + 1];
  if (next && player.cue?.track_id === track.result.track_id) cueOf(next);
  filters.exclude(track.result.track_id);
}

function notices(answer) {
  const found = answer.warnings.map(warn);
  if (answer.no_good_match) found.push("Nothing in this pool fits this cut well. These are the nearest; none is a recommendation.");
  byId("notices").replaceChildren(...found.map((text) => make("p", { className: "notice" }, text)));
  if (answer.results.length) return;
  const clear = make("button", { type: "button", className: "main" }, "Clear the filters");
  clear.addEventListener("click", () => filters.clear());
  byId("notices").append(make("div", { className: "nothing" }, make("h3", {}, "No track passes these filters"),
    make("p", {}, leftOut(answer.excluded) || "The pool has no track to offer."), clear));
}

// ---- hearing ----------------------------------------------------------------------------------------------------

async function hear(track) {
  if (player.cue?.track_id === track.result.track_id) return player.toggle();
  await cueOf(track);
  if (!player.playing) await player.play().catch(() => {});
}

async function cueOf(track) {
  if (Date.now() - linked_ms > LINKS_LIVE_MS) await link(tracks.map((one) => one.result.track_id)).catch(() => {});
  player.choose({ track_id: track.result.track_id, title: track.title, start_s: track.start_s,
    url: links[track.result.track_id].audio_url, gain: gainOf(track.result.loudness_lufs) });
}

const place = () => tracks.findIndex((track) => track.result.track_id === player.cue?.track_id);

function hearRank(index) {
  const track = tracks[Math.min(tracks.length - 1, Math.max(0, index))];
  if (!track || tracks[place()] === track) return;
  if (document.activeElement.closest(".track")) track.hear.focus(); // Space then pauses what is heard
  hear(track);
  track.node.scrollIntoView({ block: "nearest" });
}

const toggle = () => (player.cue || !tracks.length ? player.toggle() : hear(tracks[0]));

player.addEventListener("turn", () => {
  for (const track of tracks) {
    const current = track.result.track_id === player.cue?.track_id;
    track.show(current, player.playing, player.music_s);
  }
});

for (const deck of [byId("deck-a"), byId("deck-b")]) {
  deck.addEventListener("error", () => {
    if (!deck.getAttribute("src")) return;
    say("This track cannot be heard just now. Trying once more…");
    link(tracks.map((one) => one.result.track_id)).then(() => {
      const track = tracks[place()];
      if (track && player.cue.url !== links[track.result.track_id]?.audio_url) return cueOf(track);
      say("This track cannot be heard: the server does not give its sound.");
    }).catch(() => say("This track cannot be heard: the server does not answer."));
  });
}

// ---- what went wrong ----------------------------------------------------------------------------------------------

function fail(problem, again) {
  const box = byId("message");
  const words = explain(problem.code ? problem : { code: "internal", request_id: null });
  box.querySelector("h2").textContent = words.title;
  box.querySelector(".what").textContent = words.text.join(" ");
  const ways = { again: ["Try again", again], other: ["Choose another cut", another], clear: ["Clear the filters", () => filters.clear()],
    key: ["Use another key", askKey] };
  box.querySelector(".ways").replaceChildren(...words.ways.map((name) => {
    const button = make("button", { type: "button", className: "main" }, ways[name][0]);
    button.addEventListener("click", () => { box.hidden = true; ways[name][1](); });
    return button;
  }));
  box.querySelector("details").hidden = false;
  box.querySelector("code").textContent = words.reference;
  box.hidden = false;
  box.focus();
  if (!problem.code) console.error(problem);
}

// ---- wiring -------------------------------------------------------------------------------------------------------

byId("file").addEventListener("change", (event) => { if (event.target.files[0]) open(event.target.files[0]); });
byId("another").addEventListener("click", another);
byId("more").addEventListener("click", () => { topK = Math.min(MOST, topK + STEP); ask(); });
byId("begin").addEventListener("click", toggle);
byId("play").addEventListener("click", toggle);
byId("open-filters").addEventListener("click", () => openFilters(byId("filters").hidden));
byId("keys").addEventListener("click", () => byId("help").showModal());
byId("ask-key").addEventListener("submit", (event) => { event.preventDefault(); setKey(byId("key").value.trim()); start(); });

function openFilters(open) {
  byId("filters").hidden = !open;
  byId("open-filters").setAttribute("aria-expanded", String(open));
  if (open) byId("filters").querySelector("input, button")?.focus();
}

for (const name of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(name, (event) => {
    event.preventDefault();
    document.body.classList.toggle("dragging", name === "dragover");
    if (name === "drop" && event.dataTransfer.files[0]) open(event.dataTransfer.files[0]);
  });
}

keyboard({
  " ": toggle,
  ArrowUp: () => hearRank(place() - 1),
  ArrowDown: () => hearRank(place() + 1),
  ArrowLeft: () => player.seek(player.time_s - 1),
  ArrowRight: () => player.seek(player.time_s + 1),
  Home: () => player.seek(0),
  l: () => stage.toggleLoop(),
  m: () => stage.toggleOwnSound(),
  f: () => openFilters(byId("filters").hidden),
  "?": () => byId("help").showModal(),
  ...Object.fromEntries(Array.from({ length: 9 }, (_, i) => [String(i + 1), () => hearRank(i)])),
}, () => document.body.dataset.state === "work");

initTheme(byId("theme"), () => { for (const track of tracks) track.wave.recolour(); });
start();
