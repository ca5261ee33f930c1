"""Data sets, rows and a budget in, which runs have to be made out: first the trials, then the rows."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

from model.artifact import content_id
from model.comparison.rows import Resolved, Row, TableName, resolve
from model.comparison.run import Found, Job, Recipe
from model.comparison.trials import MOST_TRIALS, tuned
from model.datasets.layout import chosen_profile
from model.datasets.table import Dataset
from model.errors import BadDataset, BadOptions
from model.systems.batch import Dims
from model.systems.recipe import Precision, Preset
from model.training.sampler import read_pairs

LOOKED_INTO = ("yuyin", "yuyin-wo_E", "yuyin-wo_pred")  # Figs. 5 to 7


@dataclass(frozen=True, slots=True)
class Budget:
    """What every system gets."""

    trials: int = 4
    seeds: int = 3
    limit_s: float = 90.0  # of training, a run; 0: none
    precision: Precision = "float32"  # of matrix products in training

    def __post_init__(self) -> None:
        """Refuse what cannot be; raises `BadOptions`."""
        if not 1 <= self.trials <= MOST_TRIALS:
            raise BadOptions(f"--trials {self.trials} cannot be: choose 1 to {MOST_TRIALS}")
        if self.seeds < 1 or not self.limit_s >= 0:  # nor NaN
            raise BadOptions("--seeds is at least 1, and --limit-s is 0 for no limit, or more")
        if self.precision not in get_args(Precision):
            raise BadOptions(f"--precision {self.precision} cannot be: {' or '.join(get_args(Precision))}")


@dataclass(frozen=True, slots=True)
class Machine:
    """How runs share a machine."""

    processes: int = 1
    threads: int = 1  # of torch, each
    device: str = "auto"


@dataclass(frozen=True, slots=True)
class Data:
    """One data set to compare on."""

    folder: Path
    dataset: Dataset
    profile: str
    dims: Dims
    id: str  # of the data set, its split and its features
    train_pairs: int


def open_data(folders: Sequence[Path], profile: str | None) -> tuple[Data, ...]:
    """Open the data sets; several have to be splits of one.

    Raises:
        BadDataset: if one has no features or no test pairs, or they are not of the same pairs.
    """
    found = tuple(_data(folder, profile) for folder in folders)
    ids = {frozenset(each.dataset.pairs["pair_id"].tolist()) for each in found}
    if len(ids) > 1 or len({each.id for each in found}) < len(found):
        raise BadDataset(
            "several data sets have to be different splits of the same pairs: name one at a time"
        )
    for each in found[1:]:
        _check_alike(each, found[0], "name one at a time")
    return found


def open_development(folder: Path, data: tuple[Data, ...], profile: str | None) -> tuple[Data, ...]:
    """The data set to tune on, once for each of `data`.

    Raises:
        BadDataset: if it has other inputs or labels than they have.
    """
    found = _data(folder, profile)
    for each in data:
        _check_alike(found, each, "tune on one that has the same")
    return (found,) * len(data)


def _check_alike(one: Data, other: Data, fix: str) -> None:
    """Refuse to put systems side by side that read or learn different things."""
    dims, others = one.dims, other.dims
    same = {
        "inputs": (dims.video, dims.music, dims.text) == (others.video, others.music, others.text),
        "labels": (dims.tags, dims.categories, dims.valence)
        == (others.tags, others.categories, others.valence),
    }
    for what, alike in same.items():
        if not alike:
            raise BadDataset(f"{one.folder} has other {what} than {other.folder}: {fix}")


def _data(folder: Path, profile: str | None) -> Data:
    dataset = Dataset.open(folder)
    name = chosen_profile(dataset, profile)
    pairs = read_pairs(dataset, name)
    if len(pairs.rows("test")) == 0:
        raise BadDataset(
            f"{folder} has no pairs of split 'test', on which systems are compared: split it anew"
        )
    split = hashlib.sha256("\n".join(dataset.pairs["split"].tolist()).encode()).hexdigest()
    digest = content_id({"dataset": dataset.id, "split": split, "features": dataset.made_by(name)})
    return Data(folder, dataset, name, pairs.dims, digest, len(pairs.rows("train")))


@dataclass(frozen=True, slots=True)
class Plan:
    """Every row on every data set."""

    data: tuple[Data, ...]
    tuned_on: tuple[Data, ...]  # for each of `data`, where its trials are run: itself, or another world
    rows: tuple[Row, ...]
    tables: tuple[TableName, ...]  # that are to be shown
    budget: Budget
    machine: Machine
    out: Path
    resolved: Mapping[tuple[str, str], Resolved]  # by data and row id

    @classmethod
    def of(
        cls,
        data: tuple[Data, ...],
        tuned_on: tuple[Data, ...],
        chosen: tuple[tuple[Row, ...], tuple[TableName, ...]],
        budget: Budget,
        machine: Machine,
        out: Path,
    ) -> "Plan":
        """Find out which of the chosen rows can be run where."""
        resolved = {(each.id, row.id): resolve(row, each.dims) for each in data for row in chosen[0]}
        return cls(data, tuned_on, *chosen, budget, machine, out, resolved)

    def tuned_systems(self, data: Data) -> Iterator[tuple[str, Preset]]:
        """Each system that has trials, with the preset of its first row that can be run."""
        seen: set[str] = set()
        for row in self.rows:
            preset = self.resolved[data.id, row.id].preset
            if row.tuning == "tuned" and preset is not None and row.system not in seen:
                seen.add(row.system)
                yield row.system, preset

    def trials(self) -> list[Job]:
        """The jobs that show which settings suit each system."""
        return [
            self._trial(where, system, preset, number)
            for data, where in zip(self.data, self.tuned_on, strict=True)
            for system, preset in self.tuned_systems(data)
            for number in range(self.budget.trials)
        ]

    def _trial(self, data: Data, system: str, preset: Preset, number: int) -> Job:
        return self._job(data, system, tuned(preset, number, data.train_pairs), 0)

    def winners(self, records: Mapping[str, Found]) -> dict[tuple[str, str], int]:
        """By data and system, the trial with the best R@10 on the evaluation part, the first of equals."""
        found = {}
        for data, where in zip(self.data, self.tuned_on, strict=True):
            for system, preset in self.tuned_systems(data):
                ids = [
                    self._trial(where, system, preset, number).recipe.id
                    for number in range(self.budget.trials)
                ]
                reached = [float(records[each].record["evaluation_r10"]) for each in ids]
                found[data.id, system] = reached.index(max(reached))
        return found

    def runs(self, winners: Mapping[tuple[str, str], int]) -> dict[tuple[str, str], list[Job]]:
        """By data and row id, a job for each seed; none for a row that cannot be run."""
        return {
            (data.id, row.id): self._runs(data, row, winners.get((data.id, row.system), 0))
            for data in self.data
            for row in self.rows
        }

    def _runs(self, data: Data, row: Row, winner: int) -> list[Job]:
        preset = self.resolved[data.id, row.id].preset
        if preset is None:
            return []
        if row.tuning == "tuned":
            preset = tuned(preset, winner, data.train_pairs)
        first = data is self.data[0] and row.id in LOOKED_INTO
        place = [each.id for each in self.data].index(data.id)
        start = place * row.draws if row.draws > 1 else 0  # other dice for another split
        return [
            self._job(data, row.system, preset, seed, grid=row.tuning == "grid", looks=first and seed == 0)
            for seed in range(start, start + (row.draws or self.budget.seeds))
        ]

    def _job(
        self, data: Data, system: str, preset: Preset, seed: int, *, grid: bool = False, looks: bool = False
    ) -> Job:
        budget = self.budget
        training = replace(preset.training, seed=seed, limit_s=budget.limit_s, precision=budget.precision)
        recipe = Recipe(data.id, data.profile, system, replace(preset, training=training), grid)
        machine = self.machine
        return Job(recipe, data.folder, self.out, looks, machine.threads, machine.device)
