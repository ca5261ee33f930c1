"""What do HTTP, the queue and JSON cost over the same work in process, and how many repeats are answered?

A store and a clip in, Markdown rows out. Each body is the clip with a padding that no decoder reads, up to
1 MB, so that no answer is a repeat where none shall be; the request and the call in this process take turns.
Repeats are asked for by callers in a process of their own, in a closed loop on connections that stay open,
and looked up in Redis; repeats.py asks one process that keeps them itself.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from callers import as_form
from fleet import Redis, ask
from repeats import repeats
from rows import p50_p95, serve, table

from index_builder import snapshot as snapshots
from model.backbones.loaded import Backbones
from model.media.child import Decoder
from model.media.streams import VideoLimits
from service.ranking.answers import answer
from service.ranking.recommender import Stopwatch
from service.schemas.options import Options
from service.serving.current import open_serving
from service.serving.rightsbook import Rightsbook

BODY_BYTES = 1_000_000
LARGE_BYTES = 10_000_000  # of the comparison of forms and raw bodies
TOP_K = 10
PATH = "/v1/recommend"


def padded(clip: bytes, number: int, size_bytes: int = BODY_BYTES) -> bytes:
    """The clip and one box more, which MP4's readers skip; another file for each number."""
    room = max(16, size_bytes - len(clip))
    return clip + room.to_bytes(4, "big") + b"free" + number.to_bytes(8, "big") + bytes(room - 16)


def in_process(store: Path) -> Callable[[Path], bytes]:
    """The work of a request, without one."""
    book = Rightsbook(store, "auto")
    book.follow()
    snapshot_id = snapshots.current(store)
    if snapshot_id is None:
        raise FileNotFoundError(f"{store} has no current snapshot")
    serving = open_serving(store, snapshot_id, Backbones(Path("no-models")))
    ruling = book.take(serving.snapshot)
    decoder = Decoder(VideoLimits())

    def work(video: Path) -> bytes:
        found = answer(serving, ruling, decoder, video, Options(), TOP_K, "0" * 32, Stopwatch())
        return found.model_dump_json().encode()

    return work


def overhead(port: int, store: Path, clip: bytes, requests: int, folder: Path) -> list[str]:
    """The cells of the first question."""
    work, asked, called = in_process(store), [], []
    for number in range(requests + 3):
        body = padded(clip, number)
        began_s = time.perf_counter()
        if ask(port, PATH, body).status != 200:
            raise ConnectionError("the clip is not answered")
        asked.append((time.perf_counter() - began_s) * 1000)
        path = folder / "cut.mp4"
        path.write_bytes(body)
        began_s = time.perf_counter()
        work(path)
        called.append((time.perf_counter() - began_s) * 1000)
    asked, called = asked[3:], called[3:]  # the first ones warm
    more = statistics.median(asked) - statistics.median(called)
    return [str(requests), p50_p95(asked, 1), p50_p95(called, 1), f"**{more:.1f}**"]


def repeats_per_s(port: int, body: bytes, seconds: float, callers: int) -> float:
    """Requests a second, by callers in a process of their own."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "body"
        path.write_bytes(body)
        command = [sys.executable, __file__, "--call", str(port), str(path), str(seconds), str(callers)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout)


def call(port: int, path: Path, seconds: float, callers: int) -> float:
    """The other process."""
    return len(repeats(port, path.read_bytes(), callers, seconds)) / seconds


def forms(port: int, requests: int) -> list[str]:
    """p50 of a raw body and of a form of 10 MB, both refused once they are there: they are no video."""
    kind = {"Content-Type": "multipart/form-data; boundary=yuyin-boundary"}
    raw, form = [], []
    for number in range(requests):
        body = number.to_bytes(8, "big") * (LARGE_BYTES // 8)
        whole = as_form(body, "{}")
        for found, sent, headers in ((raw, body, {}), (form, whole, kind)):
            began_s = time.perf_counter()
            if ask(port, PATH, sent, headers=headers).status != 415:
                raise ConnectionError("numbers were taken for a video")
            found.append((time.perf_counter() - began_s) * 1000)
    return [p50_p95(raw, 1), p50_p95(form, 1)]


def main() -> None:
    """Print the tables."""
    if sys.argv[1:2] == ["--call"]:
        port, path, seconds, callers = sys.argv[2:6]
        print(call(int(port), Path(path), float(seconds), int(callers)))
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store", type=Path, help="a store with a current snapshot")
    parser.add_argument("clip", type=Path, help="an MP4 of less than 1 MB")
    parser.add_argument("--requests", type=int, default=60)
    parser.add_argument("--seconds", type=float, default=10.0, help="of repeats")
    parser.add_argument("--callers", type=int, default=4)
    given = parser.parse_args()
    clip = given.clip.read_bytes()
    with TemporaryDirectory() as folder:
        with serve(given.store) as server:
            cells = overhead(server.port, given.store, clip, given.requests, Path(folder))
            cells += forms(server.port, given.requests // 2)
        redis = Redis(Path(folder))
        try:
            for processes in (1, 2):
                os.environ |= {"YUYIN_REDIS_URL": redis.url, "YUYIN_PROCESSES": str(processes)}
                with serve(given.store, cached=True) as server:
                    ask(server.port, PATH, padded(clip, 0))  # so that it is a repeat
                    per_s = repeats_per_s(server.port, padded(clip, 0), given.seconds, given.callers)
                cells.append(f"{per_s:.0f}")
        finally:
            redis.stop()
    columns = ["n", "request, ms", "in process, ms", "more at p50, ms", "raw 10 MB, ms", "form 10 MB, ms"]
    table([*columns, "repeats/s by Redis, 1 process", "2 processes"], [cells])


if __name__ == "__main__":
    main()
