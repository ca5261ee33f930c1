"""How many times faster than listening is `yuyin index build`, and where does its time go?

A pool of music in, Markdown rows out: seconds of audio per second of the embedding stage and per process,
the CPU share of each part of it (summed over the workers), and the wall clock of each stage of the build.
"""

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

from rows import table

from index_builder.build import BuildJob, BuildReport, build
from model.bundle import shipped_bundle


def shares(spent_s: dict[str, float]) -> str:
    """Largest first, in per cent of the sum; what is below one per cent is left out."""
    total = sum(spent_s.values())
    ordered = sorted(spent_s.items(), key=lambda item: -item[1])
    return ", ".join(f"{name} {spent / total:.0%}" for name, spent in ordered if spent >= 0.01 * total)


def cells(report: BuildReport, processes: int) -> list[str]:
    """Of one build."""
    speed = report.audio_s / report.timings_s["embed"] / processes
    cpu = report.audio_s / sum(report.cpu_s.values())
    return [
        f"{report.tracks} tracks, {report.audio_s:.0f} s",
        str(processes),
        f"{speed:.1f} x",
        f"{cpu:.1f} x",
        shares(report.cpu_s),
        f"{report.wall_s:.1f} s: {shares(report.timings_s)}",
    ]


def main() -> None:
    """Build once from nothing for each number of processes, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pool", type=Path, help="a folder of music")
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2], help="default 1 and 2")
    given = parser.parse_args()
    rows = []
    for processes in given.processes:
        with TemporaryDirectory() as folder:
            job = BuildJob(given.pool, Path(folder) / "store", shipped_bundle(), processes=processes)
            rows.append(cells(build(job, lambda _: None), processes))
    columns = ["pool", "processes", "real time, per process", "real time, per CPU second"]
    table([*columns, "CPU of embedding", "whole build, wall clock"], rows)


if __name__ == "__main__":
    main()
