"""A dataset folder in, a run folder out: the trained weights, what made them and every epoch's figures.

RUN/
  run.json         written last: lists the sha256 of the other files
  config.json      system, preset, profile, dataset, sizes, labels, versions
  metrics.jsonl    one line an epoch
  curves.png       the same as a picture
  weights.pt       state dict of tensors, read back with weights_only
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from model.artifact import commit, hash_files, new_folder, read_manifest, write_json
from model.datasets.table import Dataset
from model.errors import BadDataset, BadOptions
from model.features.profiles import load_profile
from model.systems.batch import Dims
from model.systems.yuyin import YuYin, YuYinConfig
from model.training.curves import curves_png
from model.training.loop import Epoch, fit
from model.training.presets import Preset, preset
from model.training.sampler import Pairs, read_pairs

MANIFEST = "run.json"
SYSTEMS = ("yuyin",)


@dataclass(frozen=True, slots=True)
class TrainJob:
    """What `yuyin train` asks for."""

    dataset: Path
    out: Path  # must not exist yet
    system: str = "yuyin"
    preset: str = "lite"
    profile: str = "lite"
    settings: Mapping[str, str] = field(default_factory=dict)  # such as {"epochs": "5"}
    threads: int = 2  # of torch; part of the job, since sums in another order are other bits


@dataclass(frozen=True, slots=True)
class RunReport:
    """Where the run lies and the epoch whose weights it keeps."""

    folder: Path
    best: Epoch
    parameters: int


@dataclass(frozen=True, slots=True)
class Run:
    """A finished run, read back."""

    folder: Path
    config: dict[str, Any]
    system: YuYin  # in evaluation mode

    @classmethod
    def open(cls, folder: Path) -> "Run":
        """Read and check a run folder; raises `Corrupt` if it is not whole."""
        read_manifest(folder, MANIFEST)
        config: dict[str, Any] = json.loads((folder / "config.json").read_text("utf-8"))
        system = YuYin(Dims(**config["dims"]), YuYinConfig(**config["preset"]["system"]))
        system.load_state_dict(torch.load(folder / "weights.pt", map_location="cpu", weights_only=True))
        return cls(folder, config, system.eval())


def train(job: TrainJob, progress: Callable[[Epoch], None]) -> RunReport:
    """Train and write a run folder, which appears whole or not at all.

    The same job on the same dataset gives the same bits on one machine.

    Raises:
        BadOptions: if `job.out` exists, or the system, preset or a setting is unknown.
        BadDataset: if the dataset lacks features, or training or evaluation pairs.
    """
    if job.out.exists():
        raise BadOptions(f"{job.out} exists already: name another folder, or delete it first")
    if job.system not in SYSTEMS:
        raise BadOptions(f"unknown system {job.system!r}: this version knows {', '.join(SYSTEMS)}")
    chosen = preset(job.preset, job.settings)
    dataset = Dataset.open(job.dataset)
    pairs = read_pairs(dataset, load_profile(job.profile))
    _check_splits(dataset, pairs)
    with _torch_state(chosen.training.seed, job.threads):
        system = YuYin(pairs.dims, chosen.system)
        history, best = fit(system, pairs, chosen.training, progress)
    with new_folder(job.out.parent) as aside:
        torch.save(best, aside / "weights.pt")
        lines = [json.dumps(asdict(epoch)) for epoch in history]
        (aside / "metrics.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
        (aside / "curves.png").write_bytes(curves_png(history))
        write_json(aside / "config.json", _config(job, chosen, dataset, pairs))
        write_json(aside / MANIFEST, {"files": hash_files(aside, manifest=MANIFEST)})
        commit(aside, job.out)
    parameters = sum(each.numel() for each in system.parameters())
    return RunReport(job.out, [epoch for epoch in history if epoch.best][-1], parameters)


@contextmanager
def _torch_state(seed: int, threads: int) -> Iterator[None]:
    """Seed and threads for weights, dropout and sums; the caller's own are put back."""
    before = torch.get_num_threads()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        torch.set_num_threads(threads)
        try:
            yield
        finally:
            torch.set_num_threads(before)


def _check_splits(dataset: Dataset, pairs: Pairs) -> None:
    for split, least in (("train", 2), ("evaluation", 2)):
        if len(pairs.rows(split)) < least:
            raise BadDataset(
                f"{dataset.folder} needs at least {least} pairs of split {split!r}: split it anew"
            )


def _config(job: TrainJob, chosen: Preset, dataset: Dataset, pairs: Pairs) -> dict[str, Any]:
    return {
        "system": job.system,
        "profile": job.profile,
        "preset_name": job.preset,
        "preset": chosen.as_dict(),
        "dims": asdict(pairs.dims),
        "categories": list(pairs.categories),
        "tags": list(pairs.tags),
        "dataset": str(job.dataset.resolve()),
        "dataset_id": dataset.id,
        "dataset_kind": dataset.manifest.get("kind"),
        "pairs": {split: len(pairs.rows(split)) for split in ("train", "evaluation", "test")},
        "torch": str(torch.__version__),
        "threads": job.threads,
    }
