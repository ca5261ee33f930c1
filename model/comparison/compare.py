"""Data sets and a budget in, `compare.json` and `report.html` out; killed, it goes on where it was.

Trials come first, since rows reuse what wins them. A run is written whole when it is over: what had begun
when the comparison was killed is made again, everything else is not.
"""

import os
import platform
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from model.artifact import write_file, write_json
from model.comparison.bench import open_bench
from model.comparison.estimate import Estimate, estimate
from model.comparison.oracle import oracles
from model.comparison.page import page
from model.comparison.plan import Budget, Machine, Plan, open_data, open_development
from model.comparison.report import Report, evidence, report
from model.comparison.rows import chosen_rows
from model.comparison.run import Found, Job, execute, read_found
from model.comparison.trials import in_words
from model.datasets.workers import as_ready
from model.errors import BadDataset

PAGE, FIGURES = "report.html", "compare.json"
Runs = Mapping[tuple[str, str], list[Job]]  # by data and row


@dataclass(frozen=True, slots=True)
class CompareJob:
    """What `yuyin compare` asks for."""

    datasets: tuple[Path, ...]  # one, or several splits of the same pairs
    out: Path
    tune_on: Path | None = None  # another data set for the trials; None: each one's own evaluation part
    systems: str = "all"
    tables: tuple[str, ...] = ()  # none: all
    profile: str | None = None
    budget: Budget = field(default_factory=Budget)
    machine: Machine = field(default_factory=Machine)


@dataclass(frozen=True, slots=True)
class Listener:
    """Who is told how it goes."""

    measuring: Callable[[int, int], None]  # systems whose speed is measured, of how many
    estimated: Callable[[Estimate], None]
    running: Callable[[int, int], None]  # runs that are done, of how many


def compare(job: CompareJob, listener: Listener) -> Report:
    """Make every run that is missing, then the tables and the page.

    Raises:
        BadOptions: for an unknown system or table, or a budget that cannot be.
        BadDataset: if a data set cannot be trained or tested on, or has nothing that any row needs.
    """
    chosen = chosen_rows(job.systems, job.tables)
    data = open_data(job.datasets, job.profile)
    tuned_on = data if job.tune_on is None else open_development(job.tune_on, data, job.profile)
    plan = Plan.of(data, tuned_on, chosen, job.budget, job.machine, job.out)
    trials = _unique(plan.trials())
    assumed = _unique([*trials, *_flat(plan.runs(_winners(plan, trials)))])  # winners change no numbers
    if not assumed:
        raise BadDataset(f"none of the rows can be run: {next(iter(plan.resolved.values())).reason}")
    missing = [each for each in assumed if not each.finished]
    listener.estimated(estimate(missing, job.machine.processes, listener.measuring))
    open_bench.cache_clear()  # other processes have their own
    _make(trials, job.machine.processes, lambda done: listener.running(done, len(assumed)))
    winners = _winners(plan, trials)
    runs = plan.runs(winners)
    everything = _unique([*trials, *_flat(runs)])
    least, total = len(trials), len(everything)  # a trial that won is made again where it is looked into
    _make(everything, job.machine.processes, lambda done: listener.running(max(done, least), total))
    return _written(job, plan, winners, _read(plan, runs), sum(_spent_s(each) for each in everything))


def _written(
    job: CompareJob,
    plan: Plan,
    winners: Mapping[tuple[str, str], int],
    read: Mapping[str, tuple[tuple[Found, ...], ...]],
    spent_s: float,
) -> Report:
    """Tables and page of finished runs."""
    broken = _broken(read)
    found = {name: by_data for name, by_data in read.items() if name not in broken}
    if not found:
        raise BadDataset(f"no row has figures: {next(iter(broken.values()))}")
    known = evidence(plan, found, oracles(plan))
    made = report(plan, known, _chosen(plan, winners, found), broken, _facts(job, spent_s))
    write_file(job.out / PAGE, page(made, known).encode())
    write_json(job.out / FIGURES, made.as_dict())
    return made


def _make(jobs: list[Job], processes: int, tell: Callable[[int], None]) -> None:
    """Make those that are missing; what is told is how many of all are done."""
    missing = [job for job in jobs if not job.finished]
    done = len(jobs) - len(missing)
    tell(done)
    for count, _ in enumerate(as_ready(execute, missing, processes), done + 1):
        tell(count)


def _unique(jobs: Iterable[Job]) -> list[Job]:
    """Rows may be one run by two names; one that is looked into counts for both."""
    found: dict[str, Job] = {}
    for job in jobs:
        if job.recipe.id not in found or job.looks:
            found[job.recipe.id] = job
    return list(found.values())


def _flat(runs: Runs) -> list[Job]:
    return [job for jobs in runs.values() for job in jobs]


def _winners(plan: Plan, trials: list[Job]) -> dict[tuple[str, str], int]:
    """{} while a trial is missing."""
    if not all(job.finished for job in trials):
        return {}
    return plan.winners({job.recipe.id: read_found(plan.out, job.recipe.id) for job in trials})


def _read(plan: Plan, runs: Runs) -> dict[str, tuple[tuple[Found, ...], ...]]:
    """By row id, data set and seed; rows that cannot be run are left out."""
    found = {}
    for row in plan.rows:
        by_data = [runs[data.id, row.id] for data in plan.data]
        if all(by_data):
            found[row.id] = tuple(
                tuple(read_found(plan.out, job.recipe.id) for job in jobs) for jobs in by_data
            )
    return found


def _broken(found: Mapping[str, tuple[tuple[Found, ...], ...]]) -> dict[str, str]:
    """By row, why it has no figures though it was run."""
    why = {}
    for name, by_data in found.items():
        seeds = [seed for runs in by_data for seed, each in enumerate(runs) if not each.cases]
        if seeds:
            why[name] = f"training diverged with seed {seeds[0]}"
    return why


def _chosen(
    plan: Plan, winners: Mapping[tuple[str, str], int], found: Mapping[str, tuple[tuple[Found, ...], ...]]
) -> dict[str, list[str]]:
    """By row, what its trials or its grid chose on each data set, in words."""
    said: dict[str, list[str]] = {}
    for row in plan.rows:
        if row.id in found and row.tuning != "published":
            said[row.id] = [
                in_words(runs[0].record["used"], winners.get((data.id, row.system)))
                for data, runs in zip(plan.data, found[row.id], strict=True)
            ]
    return said


def _spent_s(job: Job) -> float:
    return float(read_found(job.out, job.recipe.id).record["wall_s"])


def _facts(job: CompareJob, spent_s: float) -> dict[str, Any]:
    """When, where and how."""
    return {
        "made": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "systems": job.systems,
        "tuned_on": None if job.tune_on is None else job.tune_on.name,
        "tables": list(job.tables),
        "budget": asdict(job.budget),
        "machine": {**asdict(job.machine), "cores": os.cpu_count(), "kind": platform.machine()},
        "software": {
            "yuyin": version("yuyin"),
            "Python": platform.python_version(),
            "torch": str(torch.__version__),
            "numpy": np.__version__,
        },
        "runs_s": round(spent_s, 1),  # of all of them, one after the other
    }
