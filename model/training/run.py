"""A dataset folder in, a run folder out: the trained weights, what made them and every epoch's figures.

RUN/
  run.json         written last: lists the sha256 of the other files
  config.json      schema, system, preset, profile, dataset, sizes, labels, versions
  metrics.jsonl    one line an epoch
  curves.png       the same as a picture
  weights.pt       state dict of tensors, read back with weights_only
RUN.checkpoint     of a training that has not ended; the same job goes on from it
"""

import json
import pickle
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from zipfile import is_zipfile

import torch

from model.artifact import commit, content_id, hash_files, new_file, new_folder, read_manifest, write_json
from model.datasets.layout import chosen_profile
from model.datasets.table import Dataset
from model.errors import BadDataset, BadOptions, Mismatch
from model.systems.batch import Dims
from model.systems.catalogue import chosen_preset, load_system
from model.systems.recipe import Preset
from model.systems.system import System
from model.training.curves import curves_png
from model.training.loop import Diverged, Epoch, Progress, fit
from model.training.sampler import Pairs, prepare, read_pairs

MANIFEST = "run.json"
SCHEMA = 2
CHECKPOINT_S = 30.0  # at least so long between two checkpoints: writing one takes a moment
DAMAGED = (  # what torch, and we, say of a file with bytes that are not its own
    OSError,
    EOFError,
    RuntimeError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    pickle.UnpicklingError,
)


@dataclass(frozen=True, slots=True)
class TrainJob:
    """What `yuyin train` asks for."""

    dataset: Path
    out: Path  # must not exist yet
    system: str = "yuyin"
    preset: str | None = None  # the system's first
    profile: str | None = None  # the only one that the dataset has
    settings: Mapping[str, str] = field(default_factory=dict)  # such as {"epochs": "5"}
    device: str = "auto"  # cpu, cuda, or the faster one that there is
    threads: int = 2  # of torch; part of the job, since sums in another order are other bits


@dataclass(frozen=True, slots=True)
class RunReport:
    """Where the run lies and the epoch whose weights it keeps."""

    folder: Path
    best: Epoch
    parameters: int
    stopped: str  # why before the last epoch, "" if it was not


@dataclass(frozen=True, slots=True)
class Run:
    """A finished run, read back."""

    folder: Path
    config: dict[str, Any]
    system: System  # in evaluation mode

    @classmethod
    def open(cls, folder: Path) -> "Run":
        """Read and check a run folder.

        Raises:
            Corrupt: if it is not whole.
            Mismatch: if another version wrote it.
        """
        read_manifest(folder, MANIFEST)
        try:
            config: dict[str, Any] = json.loads((folder / "config.json").read_text("utf-8"))
            schema = config.get("schema", 1)
            if schema == SCHEMA:
                return cls(folder, config, _read_system(folder, config))
        except (
            AttributeError,
            KeyError,
            TypeError,
            ValueError,
            RuntimeError,
        ) as error:  # torch has long ones
            found = " ".join(str(error).split())
            raise Mismatch(
                f"{folder} does not fit this version of YuYin ({found}): train it again"
            ) from error
        raise Mismatch(f"{folder} is a run of schema {schema}, this version reads {SCHEMA}: train it again")


def _read_system(folder: Path, config: Mapping[str, Any]) -> System:
    kind = load_system(config["system"])
    system = kind.build(Dims(**config["dims"]), kind.config(**config["preset"]["system"]))
    system.load_state_dict(torch.load(folder / "weights.pt", map_location="cpu", weights_only=True))
    return system.eval()


def train(
    job: TrainJob, progress: Callable[[Epoch], None], notice: Callable[[str], None] = lambda _: None
) -> RunReport:
    """Train and write a run folder, which appears whole or not at all.

    The same job on the same dataset gives the same bits on one machine, also when it was killed and
    called again (unless a time limit stops it).

    Args:
        job: what is asked for.
        progress: told after every epoch.
        notice: told in a sentence if a checkpoint is gone on from, or cannot be.

    Raises:
        BadOptions: if `job.out` or the checkpoint of another job exists, the system, preset or a setting
            is unknown, or training diverges.
        BadDataset: if the dataset lacks features, or training or evaluation pairs.
        OSError: if nothing can be written to where `job.out` shall lie.
    """
    if job.out.exists():
        raise BadOptions(f"{job.out} exists already: name another folder, or delete it first")
    kind = load_system(job.system)
    chosen = chosen_preset(kind, job.preset, job.settings)
    dataset = Dataset.open(job.dataset)
    profile = chosen_profile(dataset, job.profile)
    pairs = read_pairs(dataset, profile)
    check_splits(dataset, pairs)
    with new_folder(job.out.parent):
        pass  # what cannot be written shall be known before hours of training
    with torch_state(chosen.training.seed, job.threads):
        config = _config(job, chosen, dataset, profile, pairs)
        checkpoint = _Checkpoint(checkpoint_of(job.out), content_id(config))
        left = checkpoint.read(notice)
        system = kind.build(pairs.dims, chosen.system)
        device = training_device(job.device)
        table = prepare(system, pairs, device, fit=True)

        def after_epoch(so_far: Progress) -> None:
            checkpoint.write(so_far)
            progress(so_far.history[-1])

        try:
            done = fit(system.to(device), table, chosen.training, after_epoch, left)
        except Diverged:
            checkpoint.path.unlink(missing_ok=True)  # it leads there again, and blocks what is tried next
            raise
    _write(job.out, config, system, done)
    checkpoint.path.unlink(missing_ok=True)
    parameters = sum(each.numel() for each in system.parameters())
    return RunReport(job.out, done.kept, parameters, why_stopped(done, chosen))


def _write(out: Path, config: Mapping[str, Any], system: System, done: Progress) -> None:
    weights = {name: value.cpu() for name, value in system.state_dict().items()}
    with new_folder(out.parent) as aside:
        torch.save(weights, aside / "weights.pt")
        lines = [json.dumps(asdict(epoch)) for epoch in done.history]
        (aside / "metrics.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
        (aside / "curves.png").write_bytes(curves_png(done.history))
        write_json(aside / "config.json", config)
        write_json(aside / MANIFEST, {"files": hash_files(aside, manifest=MANIFEST)})
        commit(aside, out)


def checkpoint_of(out: Path) -> Path:
    """Where a training that is to end in `out` leaves what it has so far."""
    return out.with_name(f"{out.name}.checkpoint")


def why_stopped(done: Progress, chosen: Preset) -> str:
    """What ended a training before its last epoch; "" if nothing did."""
    config, epochs = chosen.training, len(done.history)
    if config.limit_s > 0 and done.train_s >= config.limit_s:
        return f"stopped at {config.limit_s:g} s of training, in epoch {epochs} of {config.epochs}"
    if config.patience > 0 and epochs < done.history[-1].of:
        return f"stopped after epoch {epochs} of {config.epochs}: no better one in {config.patience}"
    return ""


def training_device(asked: str) -> torch.device:
    """The device to train on.

    Raises:
        BadOptions: for one that is not here; `auto` falls back to the CPU.
    """
    match asked:
        case "auto":
            return torch.device("cuda" if torch.cuda.is_available() else "cpu")
        case "cuda" if not torch.cuda.is_available():
            raise BadOptions(
                "torch finds no CUDA device here: train with --device cpu, or see `yuyin doctor`"
            )
        case "cpu" | "cuda":
            return torch.device(asked)
        case _:
            raise BadOptions(f"unknown device {asked!r}: choose auto, cpu or cuda")


class _Checkpoint:
    """The progress of one job, in a file beside where its run will lie."""

    def __init__(self, path: Path, job_id: str) -> None:
        self.path, self.job_id = path, job_id
        self._written_s = time.monotonic()

    def read(self, notice: Callable[[str], None]) -> Progress | None:
        """What a killed training of this very job left; None if nothing is there, or nothing readable.

        Raises:
            BadOptions: if another job left it.
        """
        if not self.path.exists():
            return None
        try:
            whole = is_zipfile(self.path)  # torch would take others for files of its first versions
            found = torch.load(self.path, map_location="cpu", weights_only=True) if whole else {}
            job_id, epochs = found.pop("job_id"), found.pop("history")
            left = Progress(history=[Epoch(**epoch) for epoch in epochs], **found)
        except DAMAGED:
            notice(f"{self.path} is damaged: training starts anew")
            return None
        if job_id != self.job_id:
            raise BadOptions(
                f"a checkpoint of another job lies at {self.path}: repeat that job, or delete it"
            )
        last = left.history[-1]
        notice(f"going on after epoch {last.number} of {last.of}, from {self.path}")
        return left

    def write(self, so_far: Progress) -> None:
        """Replace the file, unless the last one is only seconds old."""
        if time.monotonic() - self._written_s < CHECKPOINT_S:
            return
        state = {name: getattr(so_far, name) for name in so_far.__slots__}
        state["history"] = [asdict(epoch) for epoch in so_far.history]
        with new_file(self.path) as file:
            torch.save({"job_id": self.job_id, **state}, file)
        self._written_s = time.monotonic()


@contextmanager
def torch_state(seed: int, threads: int) -> Iterator[None]:
    """Seed and threads for weights, dropout and sums; the caller's own are put back."""
    before = torch.get_num_threads()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        torch.set_num_threads(threads)
        try:
            yield
        finally:
            torch.set_num_threads(before)


def check_splits(dataset: Dataset, pairs: Pairs) -> None:
    """Raise `BadDataset` unless there is something to train on and to watch, and every category is known."""
    for split, least in (("train", 2), ("evaluation", 2)):
        if len(pairs.rows(split)) < least:
            raise BadDataset(
                f"{dataset.folder} needs at least {least} pairs of split {split!r}: split it anew"
            )
    dataset.check_categories()


def _config(job: TrainJob, chosen: Preset, dataset: Dataset, profile: str, pairs: Pairs) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "system": job.system,
        "profile": profile,
        "features": dataset.made_by(profile).get("recipe"),
        "preset_name": job.preset or next(iter(load_system(job.system).presets)),
        "preset": chosen.as_dict(),
        "dims": asdict(pairs.dims),
        "categories": list(pairs.categories),
        "tags": list(pairs.tags),
        "dataset": str(job.dataset.resolve()),
        "dataset_id": dataset.id,
        "split_id": dataset.split_id,
        "dataset_kind": dataset.manifest.get("kind"),
        "pairs": {split: len(pairs.rows(split)) for split in ("train", "evaluation", "test")},
        "torch": str(torch.__version__),
        "threads": job.threads,
    }
