"""How many times faster than listening is `yuyin index build`?

    python benchmarks/index_build.py POOL [PROCESSES]

A pool of music in, a row for RESULTS.md out: seconds of audio per second of the embedding stage (decoding,
features, measured facts, previews, tower) and per process.
"""

import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

from index_builder.build import BuildJob, build
from model.bundle import shipped_bundle


def main(pool: Path, processes: int) -> None:
    """Build once from nothing and print a row."""
    with TemporaryDirectory() as folder:
        job = BuildJob(pool, Path(folder) / "store", shipped_bundle(), processes=processes)
        report = build(job, lambda _: None)
    speed = report.audio_s / report.timings_s["embed"] / processes
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    versions = ", ".join(f"{name} {version(name)}" for name in ("av", "numpy", "onnxruntime"))
    print(
        f"| {datetime.now(UTC):%Y-%m-%d} | {commit.stdout.strip()} | {platform.machine()}, "
        f"Python {platform.python_version()}, {versions} "
        f"| {report.tracks} tracks, {report.audio_s:.0f} s | {speed:.1f} x "
        f"| {report.wall_s:.1f} s, {processes} processes |"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1)
