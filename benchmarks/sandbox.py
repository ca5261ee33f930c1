"""What does it cost to decode in a confined child instead of in the process that asks?

Clips in, a Markdown row each out: ms to read the streams that the profile lite wants of a clip, in this
process and in a child (fork, limits, filter of system calls, frames back through memory), turn by turn, and
what the child takes beyond it. The bound is 15 ms a request (issue 6).
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from rows import p50_p95, table

from model.media.child import Decoder
from model.media.streams import VideoLimits, VideoRecipe, VideoStreams
from model.media.video import read_video

WARM = 3


def turn_by_turn(ways: list[Callable[[], VideoStreams]], times: int) -> list[list[float]]:
    """(ways, times) ms; alternating, so that both see the same machine."""
    found: list[list[float]] = [[] for _ in ways]
    for turn in range(WARM + times):
        for way, taken_ms in zip(ways, found, strict=True):
            began_s = time.perf_counter()
            way()
            if turn >= WARM:
                taken_ms.append((time.perf_counter() - began_s) * 1000)
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clips", type=Path, nargs="+")
    parser.add_argument("--times", type=int, default=50)
    given = parser.parse_args()
    limits, recipe, rows = VideoLimits(), VideoRecipe(), []
    with Decoder(limits, sandbox="require") as decoder:
        guards = decoder.guards()
        for clip in given.clips:

            def here(clip: Path = clip) -> VideoStreams:
                return read_video(clip, recipe, limits)

            def confined(clip: Path = clip) -> VideoStreams:
                return decoder.read_video(clip, recipe)

            alone, caged = turn_by_turn([here, confined], given.times)
            more = [b - a for a, b in zip(alone, caged, strict=True)]
            ratio = statistics.median(caged) / statistics.median(alone)
            cells = [clip.name, p50_p95(alone, 1), p50_p95(caged, 1), f"**{statistics.median(more):.1f}**"]
            rows.append([*cells, f"{ratio:.2f}", "yes" if guards.off_network else "no"])
    columns = ["clip", "in this process, ms", "in a confined child, ms", "more, ms", "ratio", "namespace"]
    table(columns, rows, ("av", "numpy"))


if __name__ == "__main__":
    main()
