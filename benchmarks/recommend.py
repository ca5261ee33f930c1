"""What does a recommendation cost, stage by stage, against decoding the same clip alone?

A store and clips in, a Markdown row per clip out: p50 / p95 in ms of each stage as the server states it, of
the whole as a client on this machine sees it, and the ratio of the whole to decoding alone (PyAV, AUTO
threads), the two taken in turns.
"""

import argparse
import json
import statistics
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from clips import make_clips
from rows import Server, decode_ms, p50_p95, serve, table

STAGES = ("upload", "queue", "decode", "features", "tower", "search", "total")


def measure(server: Server, clip: Path, requests: int) -> list[str]:
    """The cells of one clip."""
    body = clip.read_bytes()
    alone: list[float] = []
    whole: list[float] = []
    stages: dict[str, list[float]] = {stage: [] for stage in STAGES}
    server.post("/v1/recommend", body)  # warms the page cache, the sockets and the decoder
    for _ in range(requests):
        alone.append(decode_ms(clip))
        began_s = time.perf_counter()
        answer = json.loads(server.post("/v1/recommend", body))
        whole.append((time.perf_counter() - began_s) * 1000)
        for stage in STAGES:
            stages[stage].append(answer["timings_ms"][stage])
    seen = answer["video"]
    what = f"{clip.name}: {seen['duration_s']:.1f} s, {seen['width_px']}x{seen['height_px']}"
    ratio = statistics.median(each / decoding for each, decoding in zip(whole, alone, strict=True))
    cells = [p50_p95(stages[stage], 1) for stage in STAGES]
    return [what, str(requests), p50_p95(alone), p50_p95(whole), f"**{ratio:.2f}**", *cells]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store", type=Path, help="a store with a current snapshot, such as the demo's")
    parser.add_argument("clips", type=Path, nargs="*", help="videos to ask with")
    parser.add_argument(
        "--make", type=Path, metavar="CLIP", help="also 15 s of 720p and 1080p made of this clip"
    )
    parser.add_argument("--requests", type=int, default=30, help="per clip; default 30")
    given = parser.parse_args()
    with TemporaryDirectory() as folder, serve(given.store) as server:
        clips = given.clips + (make_clips(given.make, Path(folder)) if given.make else [])
        rows = [measure(server, clip, given.requests) for clip in clips]
    stages = [f"{stage}, ms" for stage in STAGES]
    table(["clip", "n", "decoding alone, ms", "request, ms", "request / decoding", *stages], rows)


if __name__ == "__main__":
    main()
