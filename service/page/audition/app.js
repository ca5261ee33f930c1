// The page: a cut comes in, the service is asked, the answer is shown and heard.

import { getBlob, getJson, hasKey, recommend, setKey } from "/page/api.js";
import { byId, make } from "/page/dom.js";
import { Filters } from "/page/filters.js";
import { keyboard } from "/page/keyboard.js";
import { List } from "/page/list.js";
import { Player } from "/page/player.js";
import { Sound } from "/page/sound.js";
import { Stage } from "/page/stage.js";
import { initTheme } from "/page/theme.js";
import { skeletons } from "/page/tracks.js";
import { hush, tell, telling } from "/page/trouble.js";
import { count, seen } from "/page/words.js";

const READY_POLL_MS = 3000;
const PATIENCE = 5; // how often in a row a busy server is asked again

const say = (text) => {
  byId("said").textContent = text;
  delete byId("said").dataset.share;
};
const player = new Player(byId("picture"), [byId("deck-a"), byId("deck-b")]);
const stage = new Stage(player);
const list = new List(new Sound(player, say), say, () => filters.clear());
let cut = null;     // {file, name, url}
let facets = null;
let filters = null;
let asking = null;  // AbortController of the question under way
let refused = 0;

function show(state) { // starting | welcome | key | work
  document.body.dataset.state = state;
  byId("welcome").hidden = state !== "welcome";
  byId("ask-key").hidden = state !== "key";
  byId("work").hidden = state !== "work";
  byId("another").hidden = state !== "work";
  if (state !== "work") player.pause(); // nothing is heard whose controls are out of sight
}

const fail = (problem, again) => tell(problem, { again, other: another, clear: () => filters.clear(), key: askKey });

// ---- starting ---------------------------------------------------------------------------------------------

async function start() {
  try {
    facets = await getJson("/v1/facets");
  } catch (problem) {
    return problem.code === "unauthenticated" ? askKey() : notReady(problem);
  }
  byId("pool").textContent = `${count(facets.tracks, "track", "tracks")} ready`;
  hush();
  filters = new Filters(byId("filters"), facets, ask);
  if (cut) return ask();
  show("welcome");
  offerSamples().catch(() => {}); // nothing is lost without them
}

function notReady(problem) {
  byId("pool").textContent = "Not ready";
  if (!telling()) fail(problem, start);
  if (problem.code === "not_ready") setTimeout(() => { if (!facets) start(); }, READY_POLL_MS);
}

function askKey() {
  byId("pool").textContent = "";
  byId("ask-key").querySelector(".wrong").hidden = !hasKey();
  hush();
  show("key");
  byId("key").focus();
}

async function offerSamples() {
  const { samples } = await getJson("/v1/samples");
  byId("samples").querySelector("ul").replaceChildren(...samples.map((sample) => make("li", {}, sampleButton(sample))));
  byId("samples").hidden = samples.length === 0;
}

function sampleButton(sample) {
  const frame = make("span", { className: "frame" });
  const button = make("button", { type: "button" }, frame, make("strong", {}, sample.title));
  button.addEventListener("click", () => take(sample));
  getBlob(sample.video_url).then((blob) => { // whole, with the key: a <video> could not send it
    sample.blob = blob;
    const video = make("video", { muted: true, playsInline: true, preload: "metadata", src: `${URL.createObjectURL(blob)}#t=1`, "aria-hidden": "true" });
    button.addEventListener("pointerenter", () => video.play().catch(() => {}));
    button.addEventListener("pointerleave", () => video.pause());
    frame.append(video);
  }).catch(() => {});
  return button;
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
  if (facets) ask();
}

function close() {
  asking?.abort();
  asking = null; // an answer that is on its way already belongs to nothing now
  player.stop();
  list.clear();
  list.forget();
  byId("seen").textContent = "";
  if (cut) URL.revokeObjectURL(cut.url);
  cut = null;
}

function another() {
  close();
  hush();
  byId("file").value = "";
  show("welcome");
  if (byId("samples").hidden) offerSamples().catch(() => {});
  byId("file").focus();
}

// ---- the question ---------------------------------------------------------------------------------------------

async function ask() {
  if (!cut) return;
  asking?.abort();
  const mine = asking = new AbortController();
  prepare();
  try {
    const options = { top_k: facets.top_k_max, filters: filters.value };
    const answer = await recommend(cut.file, options, { onSent: sent, signal: mine.signal });
    await list.sound.link(answer.results.map((result) => result.track_id));
    refused = 0;
    if (mine === asking) present(answer);
  } catch (problem) {
    if (problem.name !== "AbortError" && mine === asking) refuse(problem, mine);
  } finally {
    if (mine === asking) byId("results").setAttribute("aria-busy", "false");
  }
}

function prepare() {
  const arriving = document.body.dataset.state !== "work";
  show("work");
  if (arriving) byId("results").focus({ preventScroll: true }); // what had the focus is hidden now
  hush();
  byId("results").setAttribute("aria-busy", "true");
  if (!list.answer) skeletons(byId("tracks"));
  say("Sending the cut…");
}

const sent = (share) => {
  if (share < 1) byId("said").dataset.share = `${Math.round(100 * share)} %`; // drawn, not read out each time
  else say("Looking at the cut and listening for what fits…");
};

function present(answer) {
  list.show(answer, facets.tracks);
  byId("seen").textContent = seen(answer.video, cut.name);
  stage.describe(answer.video);
  byId("open-filters").textContent = filters.count ? `Filters (${filters.count})` : "Filters";
}

function refuse(problem, mine) {
  if (problem.code === "unauthenticated") return askKey();
  if (["overloaded", "rate_limited"].includes(problem.code) && ++refused <= PATIENCE) {
    say("The server is busy; trying again in a moment…");
    return setTimeout(() => { if (mine === asking) ask(); }, 1000 * (problem.retry_after_s ?? 1));
  }
  refused = 0;
  say("");
  const stays = ["bad_options", "unreachable", "overloaded"].includes(problem.code);
  if (!stays || !list.answer) list.clear(); // a list that was there stays to be heard
  if (!stays) show("starting");
  fail(problem, ask);
}

// ---- wiring -------------------------------------------------------------------------------------------------------

const toggle = () => (player.cue || !list.tracks.length ? player.toggle() : list.hearAt(0));

function openFilters(open) {
  byId("filters").hidden = !open;
  byId("open-filters").setAttribute("aria-expanded", String(open));
  if (open) byId("filters").querySelector("input, button")?.focus();
}

player.addEventListener("turn", () => {
  for (const track of list.tracks) track.show(list.sound.isCued(track), player.playing, player.music_s);
});
byId("file").addEventListener("change", (event) => { if (event.target.files[0]) open(event.target.files[0]); });
byId("another").addEventListener("click", another);
byId("begin").addEventListener("click", toggle);
byId("play").addEventListener("click", toggle);
byId("open-filters").addEventListener("click", () => openFilters(byId("filters").hidden));
byId("keys").addEventListener("click", () => byId("help").showModal());
byId("ask-key").addEventListener("submit", (event) => { event.preventDefault(); setKey(byId("key").value.trim()); start(); });

for (const name of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(name, (event) => {
    event.preventDefault();
    document.body.classList.toggle("dragging", name === "dragover");
    if (name === "drop" && event.dataTransfer.files[0]) open(event.dataTransfer.files[0]);
  });
}

keyboard({
  " ": toggle,
  ArrowUp: () => list.step(-1),
  ArrowDown: () => list.step(1),
  ArrowLeft: () => player.seek(player.time_s - 1),
  ArrowRight: () => player.seek(player.time_s + 1),
  Home: () => player.seek(0),
  l: () => stage.toggleLoop(),
  m: () => stage.toggleOwnSound(),
  f: () => openFilters(byId("filters").hidden),
  "?": () => byId("help").showModal(),
  ...Object.fromEntries(Array.from({ length: 9 }, (_, i) => [String(i + 1), () => list.hearAt(i)])),
}, () => document.body.dataset.state === "work");

initTheme(byId("theme"), () => { for (const track of list.tracks) track.wave.recolour(); });
start();
