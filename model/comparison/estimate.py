"""Runs that have to be made in, about how long they take out: by two steps of each system on this machine."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from model.comparison.bench import Bench, open_bench
from model.comparison.run import Job
from model.systems.catalogue import load_system
from model.systems.recipe import TrainConfig
from model.systems.system import System
from model.training.loop import fit, score_pairs
from model.training.run import torch_state, training_device
from model.training.sampler import Table, batches

STEPS = 3  # of which the first is warm-up
SCORED = 64  # pairs


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one system on one data set."""

    fixed_s: float  # closed forms, and the tests at the end
    step_s: float
    look_s: float  # at the evaluation part after an epoch


@dataclass(frozen=True, slots=True)
class Estimate:
    """How long all runs take."""

    seconds: float
    at_most_s: float  # if every run trains up to its limit; infinite without one
    runs: int


def estimate(jobs: Sequence[Job], processes: int, progress: Callable[[int, int], None]) -> Estimate:
    """Of jobs that are not finished.

    Args:
        jobs: trials and rows; what differs in settings only costs the same.
        processes: how many run at a time.
        progress: told how many systems are measured, of how many.
    """
    kinds = {(job.folder, job.recipe.system): job for job in reversed(jobs)}
    costs: dict[tuple[object, str], Cost] = {}
    for done, (kind, job) in enumerate(kinds.items()):
        progress(done, len(kinds))
        costs[kind] = measure(job)
    progress(len(kinds), len(kinds))
    seconds, at_most = _total(jobs, costs)
    return Estimate(seconds / processes, at_most / processes, len(jobs))


def _total(jobs: Sequence[Job], costs: Mapping[tuple[object, str], Cost]) -> tuple[float, float]:
    seconds = at_most = 0.0
    for job in jobs:
        cost, training = costs[job.folder, job.recipe.system], job.recipe.preset.training
        limit_s = training.limit_s or np.inf
        epoch_s = cost.step_s * _steps(job, training)
        train_s = min(limit_s, epoch_s * training.epochs)
        looks = np.ceil(train_s / epoch_s) if epoch_s > 0 else 0.0
        seconds += cost.fixed_s + train_s + looks * cost.look_s
        at_most += cost.fixed_s + (limit_s if epoch_s > 0 else 0.0) + looks * cost.look_s
    return seconds, at_most


def _steps(job: Job, training: TrainConfig) -> int:
    train = len(_bench(job).pairs.rows("train"))
    return max(1, train // training.batch_size)


def _bench(job: Job) -> Bench:
    return open_bench(job.folder, job.recipe.profile, training_device(job.device))


def measure(job: Job) -> Cost:
    """Take a few steps of one system."""
    bench, preset = _bench(job), job.recipe.preset
    with torch_state(0, job.threads):
        system = load_system(job.recipe.system).build(bench.pairs.dims, preset.system)
        table = bench.look(system)
        system.to(bench.device)
        began_s = time.perf_counter()
        if not system.learns:
            fit(system, table, preset.training, lambda done: None)
            return Cost(time.perf_counter() - began_s, 0.0, 0.0)
        step_s = _step_s(system, table, preset.training)
        system.eval()
        look_s, test_s = (_score_s(system, table, split) for split in ("evaluation", "test"))
        return Cost(test_s, step_s, look_s)


def _step_s(system: System, table: Table, training: TrainConfig) -> float:
    """The fastest of some steps, the first left out."""
    system.train()
    learned = [parameter for parameter in system.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(learned, lr=0.0, fused=True)
    rng, took = np.random.default_rng(0), []
    train, alone = table.pairs.rows("train"), training.one_clip_per_track
    for _ in range(STEPS):
        clock = time.perf_counter()
        batch = next(batches(table, train, training.batch_size, rng, one_clip_per_track=alone))
        optimizer.zero_grad(set_to_none=True)
        loss = system.loss(batch, 1).total
        loss.backward()  # type: ignore[no-untyped-call]  # torch ships no type for it
        optimizer.step()
        float(loss.detach())  # waits for a GPU
        took.append(time.perf_counter() - clock)
    return min(took[1:])


def _score_s(system: System, table: Table, split: str) -> float:
    """Of all pairs of a split, from some: what scores every pair grows with their square."""
    rows = table.pairs.rows(split)
    some = rows[:SCORED]
    clock = time.perf_counter()
    score_pairs(system, table, some)
    took_s = time.perf_counter() - clock
    return took_s * (len(rows) / len(some)) ** (1 if system.indexable else 2)


def spoken(seconds: float) -> str:
    """A length of time in words: 40 s, 12 min, 3 h 20 min."""
    if not np.isfinite(seconds):
        return "no limit"
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"
