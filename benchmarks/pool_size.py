"""How do requests, start-up and memory grow with the pool?

A clip in, a Markdown row per pool size out. The snapshots are real ones of the shipped bundle, written and
gated by the index builder; their vectors are drawn: a track is a random direction, its segments agree with
cosine about .75, as those of the demo's pool do (measured there: .745).
"""

import argparse
import hashlib
import json
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from rows import p50_p95, serve, table
from startup import columns
from startup import measure as measure_start

from index_builder.embed import TrackVectors
from index_builder.facts import KEYS, MeasuredFacts
from index_builder.reader import PoolTrack
from index_builder.snapshot import activate
from index_builder.writer import Indexed, keep_bundle, write_snapshot
from model.bundle import Bundle, shipped_bundle

SIZES = (60, 1_000, 10_000)
TRACK_S = (120.0, 265.0)  # 36 segments on average
WITHIN = 0.75  # cosine of two segments of a track
GENRES, MOODS = ("ambient", "house", "jazz", "rock", "trap"), ("calm", "dark", "happy", "tense")


def draw(number: int, bundle: Bundle, rng: np.random.Generator) -> Indexed:
    """A track that nobody composed."""
    name = f"track-{number:06d}.flac"
    sha256 = hashlib.sha256(name.encode()).hexdigest()
    duration_s = float(rng.uniform(*TRACK_S))
    segments_s = bundle.grid.segments(duration_s)
    own, each = rng.normal(size=bundle.dim), rng.normal(size=(len(segments_s), bundle.dim))
    vectors = np.sqrt(WITHIN) * own + np.sqrt(1 - WITHIN) * each
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    bpm, loudness_lufs, energy = rng.uniform((60, -20, 0), (180, -6, 1)).round(2).tolist()
    facts = MeasuredFacts(duration_s, bpm, KEYS[number % len(KEYS)], loudness_lufs, energy)
    track = PoolTrack(
        path=Path(name),
        name=name,
        media_sha256=sha256,
        track_id=f"{number:06d}",
        title=f"Track {number}",
        artist=f"Artist {number % 997}",
        genres=(GENRES[number % len(GENRES)],),
        moods=(MOODS[number % len(MOODS)],),
    )
    return Indexed(track, TrackVectors(facts, segments_s, vectors.astype(np.float32), {}, {}))


def write(store: Path, tracks: int) -> int:
    """Make a store of so many tracks; returns its segments."""
    bundle, rng = keep_bundle(store, shipped_bundle()), np.random.default_rng(tracks)
    index = [draw(number, bundle, rng) for number in range(tracks)]
    written = write_snapshot(store, bundle, index, [], lambda _: None)
    activate(store, written.id)  # refuses a snapshot that did not pass its gate
    return written.segments


def ask(store: Path, clip: Path, requests: int) -> list[str]:
    """The search stage and the whole request as the client sees it, p50 / p95 ms."""
    body, search_ms, whole_ms = clip.read_bytes(), list[float](), list[float]()
    with serve(store) as server:
        server.post("/v1/recommend", body)
        for _ in range(requests):
            began_s = time.perf_counter()
            answer = json.loads(server.post("/v1/recommend", body))
            whole_ms.append((time.perf_counter() - began_s) * 1000)
            search_ms.append(answer["timings_ms"]["search"])
    return [p50_p95(search_ms, 1), p50_p95(whole_ms)]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clip", type=Path, help="a short video to ask with")
    parser.add_argument("--tracks", type=int, nargs="+", default=SIZES, help="default 60 1000 10000")
    parser.add_argument("--requests", type=int, default=30, help="per pool and start; default 30")
    parser.add_argument("--runs", type=int, default=3, help="starts per pool; default 3")
    given = parser.parse_args()
    rows = []
    for tracks in given.tracks:
        with TemporaryDirectory() as folder:
            store = Path(folder)
            segments = write(store, tracks)
            asked = ask(store, given.clip, given.requests)
            started = measure_start(store, given.clip, given.runs, given.requests)
            rows.append([f"{tracks:,} tracks, {segments:,} segments", given.clip.name, *asked, *started])
    table(["pool", "clip", "search, ms", "request, ms", *columns(given.requests)], rows)


if __name__ == "__main__":
    main()
