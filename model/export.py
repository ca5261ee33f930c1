"""A run folder in, a bundle folder out: towers as ONNX graphs, proven equal to torch, figures and card.

The bundle appears whole or not at all; what is in it is listed in `model.bundle`.
"""

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
import torch
from torch import Tensor

from model.artifact import commit, hash_files, new_folder, write_json
from model.bundle import MANIFEST, SCHEMA_VERSION, bundle_id, recipe_of
from model.card import model_card
from model.datasets.table import Dataset
from model.errors import BadDataset, BadOptions, Mismatch
from model.evaluation.embed import Embedded, embed_pairs, embed_videos, rows_of
from model.evaluation.judge import judge
from model.features.profiles import load_profile
from model.grid import Grid
from model.systems.batch import Prepared, Sequences
from model.systems.graph import tower_graphs
from model.systems.system import System
from model.systems.views import Standardise, View
from model.towers import Tower, Towers
from model.training.run import Run

PARITY = 1e-5  # largest difference of an embedding's entry that is float noise
PARITY_ROWS = (1, 7, 30)
PARITY_BATCHES = (1, 3)
NULL_QUERIES = 256  # a percentile in steps of 0.4 points
FLAGGED_SHARE = 0.05  # of held-out videos, by the threshold (design section 6)


def export_run(run: Path, out: Path, *, dataset: Path | None = None, test: Path | None = None) -> Path:
    """Write a bundle folder.

    Args:
        run: what `yuyin train` wrote.
        out: the bundle's folder, must not exist yet.
        dataset: where the run's dataset lies now, if it was moved.
        test: another dataset whose "test" part gives the figures; without it the figures are those of
            the own "test" part, or for want of one of the "evaluation" part, which chose the epoch.

    Returns:
        `out`.

    Raises:
        BadOptions: if `out` exists, or the run was trained on features that we do not extract.
        BadDataset: if the dataset is another one than the run was trained on, or was split anew since, or
            `test` shares a pair with it or has no "test" part.
        Mismatch: if a graph and its torch module differ by more than `PARITY`.
    """
    if out.exists():
        raise BadOptions(f"{out} exists already: name another folder, or delete it first")
    trained = Run.open(run)
    _check_profile(trained)
    data = _trained_on(trained, dataset or Path(trained.config["dataset"]))
    unseen = Dataset.open(test) if test else data
    if test and set(unseen.pairs["pair_id"]) & set(data.pairs["pair_id"]):
        raise BadDataset(f"{test} shares pairs with {data.folder}: name a dataset that training never saw")
    if test and not len(rows_of(unseen, "test")):
        raise BadDataset(f"{test} has no pair of split 'test': render or prepare one that has")
    with new_folder(out.parent) as aside:
        towers = write_towers(trained, aside)
        manifest = _described(trained, towers) | _measured(towers, data, unseen, aside)
        (aside / "MODEL_CARD.md").write_text(model_card(manifest), "utf-8")
        manifest["files"] = hash_files(aside, manifest=MANIFEST)
        write_json(aside / MANIFEST, {**manifest, "id": bundle_id(manifest)})
        commit(aside, out)
    return out


def _check_profile(run: Run) -> None:
    try:
        load_profile(run.config["profile"])
    except BadOptions as error:
        raise BadOptions(
            f"YuYin cannot compute the {run.config['profile']!r} features of {run.folder} for new media, "
            "so no bundle can be made of this run: train on features that `yuyin features extract` made"
        ) from error


def _trained_on(run: Run, folder: Path) -> Dataset:
    data = Dataset.open(folder)
    if data.id != run.config["dataset_id"]:
        raise BadDataset(
            f"{folder} is not the dataset that {run.folder} was trained on: name the one that is"
        )
    if run.config.get("split_id", data.split_id) != data.split_id:  # older runs do not know theirs
        raise BadDataset(
            f"{folder} was split anew since {run.folder} was trained on it, so its 'test' part may be known: "
            "train on it again"
        )
    return data


@contextmanager
def run_towers(run: Run) -> Iterator[Towers]:
    """A run's towers as they would be exported, without a bundle around them."""
    with TemporaryDirectory() as folder:
        yield write_towers(run, Path(folder))


def write_towers(run: Run, folder: Path) -> Towers:
    """Write the graphs, open them on ONNX Runtime and check them against torch."""
    graphs = tower_graphs(run.system)
    for name, graph in graphs.items():
        onnx.save_model(graph, str(folder / f"{name}_tower.onnx"))
    inputs = {name: _inputs(run.system, name) for name in graphs}
    towers = Towers.open(folder, run.config["profile"], inputs)
    check_parity(run, towers)
    return towers


@torch.no_grad()
def check_parity(run: Run, towers: Towers) -> None:
    """Compare torch and ONNX Runtime on random sequences of several lengths and batch sizes.

    Raises:
        Mismatch: if an entry of an embedding differs by more than `PARITY`.
    """
    rng = np.random.default_rng(0)
    system = run.system
    for rows in PARITY_ROWS:
        for batch in PARITY_BATCHES:
            for tower, view, embed in (
                (towers.video, system.video_view, system.embed_video),
                (towers.music, system.music_view, system.embed_music),
            ):
                feed = _random_sequences(rng, view, batch, rows)
                _compare(tower, _fed(feed), embed(view(feed)))
            if towers.text is not None and system.text_view is not None:
                x = _like_training(rng, system.text_view, (batch,))
                _compare(towers.text, {"text": x}, system.embed_text(system.text_view(x)))


def _random_sequences(rng: np.random.Generator, view: View, batch: int, rows: int) -> Sequences:
    """Sequences of about the size of the training's, of up to `rows` rows each, at least one of them full."""
    feed = {}
    for name, width in view.widths.items():
        mean, spread = view.statistics(name)
        x = mean + spread * torch.from_numpy(rng.standard_normal((batch, rows, width), np.float32))
        lengths = rng.integers(1, rows + 1, size=batch)
        lengths[0] = rows
        feed[name] = (x, torch.from_numpy(np.arange(rows) < lengths[:, None]))
    return feed


def _fed(sequences: Sequences) -> Prepared:
    """As a graph's named inputs."""
    feed = {name: x for name, (x, _) in sequences.items()}
    return feed | {f"{name}_mask": mask for name, (_, mask) in sequences.items()}


def _like_training(rng: np.random.Generator, layer: Standardise, shape: tuple[int, ...]) -> Tensor:
    noise = torch.from_numpy(rng.standard_normal((*shape, len(layer.mean)), np.float32))
    return layer.mean + layer.spread * noise


def _compare(tower: Tower, feed: Mapping[str, Tensor], expected: Tensor) -> None:
    found = tower.run({name: value.numpy() for name, value in feed.items()})
    worst = float(np.abs(found - expected.detach().numpy()).max())
    if not worst <= PARITY:
        raise Mismatch(
            f"the exported {tower.name} tower differs from torch by {worst:.1e}, more than {PARITY:g}: "
            "report this as a bug of the export"
        )


def _inputs(system: System, name: str) -> list[dict[str, Any]]:
    """The named inputs of a tower, as they stand in bundle.json."""
    if name == "text":
        width = 0 if system.text_view is None else len(system.text_view.mean)
        return [{"name": "text", "shape": ["batch", width], "dtype": "float32"}]
    view = system.video_view if name == "video" else system.music_view
    entries: list[dict[str, Any]] = []
    for each, width in view.widths.items():
        rows = f"{each}_rows"
        entries += [
            {"name": each, "shape": ["batch", rows, width], "dtype": "float32"},
            {"name": f"{each}_mask", "shape": ["batch", rows], "dtype": "bool"},
        ]
    return entries


def _described(run: Run, towers: Towers) -> dict[str, Any]:
    """What the bundle is and how it came about."""
    config = run.config
    return {
        "schema_version": SCHEMA_VERSION,
        "system": config["system"],
        "profile": config["profile"],
        "recipe": _recipe(config),
        "inputs": {name: _inputs(run.system, name) for name in towers.input_names},
        "dim": towers.video.dim,
        "categories": config["categories"],
        "tags": config["tags"] if towers.text is not None else [],
        "training": {
            key: config.get(key)
            for key in ("preset_name", "preset", "pairs", "dataset_id", "split_id", "dataset_kind")
        },
        "source_commit": source_commit(Path(__file__)),
    }


def _recipe(config: Mapping[str, Any]) -> dict[str, Any]:
    """How the features were made that the run was trained on, down to the weights of pretrained networks."""
    recipe = recipe_of(load_profile(config["profile"]), Grid())
    made = config.get("features") or {}  # runs of older versions know no weights
    if "precision" in made:
        recipe["precision"] = made["precision"]
        recipe["extractors"] = made["extractors"] | {"text": made["text"]}
    return recipe


def _measured(towers: Towers, dataset: Dataset, unseen: Dataset, folder: Path) -> dict[str, Any]:
    """Figures, threshold and null queries; the null queries go into `folder`."""
    split = "test" if len(rows_of(unseen, "test")) else "evaluation"
    held_out = embed_pairs(towers, dataset, rows_of(dataset, "evaluation"))
    judged = embed_pairs(towers, unseen, rows_of(unseen, split)) if split == "test" else held_out
    _, figures = judge(towers, unseen, judged, split, trained_on=dataset.id)
    strangers = np.concatenate([held_out.videos, judged.videos]) if split == "test" else held_out.videos
    strangers = strangers[:NULL_QUERIES]
    known = rows_of(dataset, "train")[: NULL_QUERIES - len(strangers)]
    known_videos = [embed_videos(towers, dataset, known)] if len(known) else []
    null_queries = np.concatenate([strangers, *known_videos])
    np.save(folder / "null_queries.npy", null_queries, allow_pickle=False)
    return {
        "metrics": figures.as_dict(),
        "metrics_dataset_id": unseen.id,
        "no_match_threshold": no_match_threshold(held_out),
        "null_queries": {"count": len(null_queries), "of_training_videos": len(known)},
    }


def no_match_threshold(held_out: Embedded) -> float:
    """The score that the best track falls short of for 5 % of the held-out videos.

    Their pool is the clips of the same videos, so each video's own track is in it; a track's score
    is that of its best clip, so the best track's is the highest in the row.
    """
    return float(np.quantile(held_out.scores().max(axis=1), FLAGGED_SHARE))


def source_commit(source: Path) -> str | None:
    """The commit that `source` was checked out from, `-dirty` if the tree was changed; None outside git."""
    tracked = ["git", "-C", str(source.parent), "ls-files", "--error-unmatch", source.name]
    describe = ["git", "-C", str(source.parent), "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        subprocess.run(tracked, check=True, capture_output=True, timeout=10)
        found = subprocess.run(describe, check=True, capture_output=True, timeout=10, text=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip()
