"""A small dataset with an answer to find: videos and clips that share a hidden vector."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from model.artifact import write_json
from model.datasets.table import Ragged, features_folder, pairs_digest, write_dataset
from model.features.extractors import identity
from model.features.profiles import load_profile
from model.features.sequence import Sequence
from model.grid import Grid

HIDDEN = 5
WIDTHS = {"frames": 9, "motion": 4, "audio": 11, "emotion": 6}


@pytest.fixture(scope="session")
def make_dataset() -> Callable[..., Path]:
    """`make_dataset(folder, counts=(train, evaluation, test), seed=0, paired=True, prefix="p")`."""
    return _make_dataset


def _make_dataset(
    folder: Path,
    *,
    counts: tuple[int, int, int] = (200, 60, 60),
    seed: int = 0,
    paired: bool = True,
    prefix: str = "p",
) -> Path:
    world, rng = np.random.default_rng(0), np.random.default_rng([seed, 1])
    maps = {name: world.standard_normal((HIDDEN, width)) for name, width in WIDTHS.items()}
    n = sum(counts)
    seen = rng.standard_normal((n, HIDDEN))
    heard = seen if paired else rng.standard_normal((n, HIDDEN))
    length_s = rng.uniform(6, 31, n)
    start_s = rng.uniform(0, 20, n)
    ids = np.array([f"{prefix}{i:04d}" for i in range(n)])
    tag = (seen[:, 0] > 0).astype(int) * 2 + (seen[:, 1] > 0)
    pairs = {
        "pair_id": ids,
        "track_id": np.array([f"t{i:04d}" for i in range(n)]),
        "category": np.array(["clothing", "food"])[tag // 2],
        "tag": np.array(["shirts", "suits", "snacks", "drinks"])[tag],
        "split": np.repeat(["train", "evaluation", "test"], counts),
        "group": ids,
        "length_s": length_s,
        "start_s": start_s,
        "video_path": np.full(n, ""),
        "music_path": np.full(n, ""),
    }
    write_dataset(folder, {"kind": "hidden vectors"}, pairs)
    spans = [_spans(start, length) for start, length in zip(start_s, length_s, strict=True)]
    rows: dict[str, list[Sequence]] = {
        "frames": [
            _noisy(rng, x, maps["frames"], np.arange(length))
            for x, length in zip(seen, length_s, strict=True)
        ],
        "motion": [
            _noisy(rng, x, maps["motion"], np.arange(2 * length) / 2)
            for x, length in zip(seen, length_s, strict=True)
        ],
        "audio": [_noisy(rng, x, maps["audio"], _seconds(s)) for x, s in zip(heard, spans, strict=True)],
        "emotion": [_noisy(rng, x, maps["emotion"], s.mean(1)) for x, s in zip(heard, spans, strict=True)],
        "segments": [Sequence(s.astype(np.float32), s.mean(1)) for s in spans],
    }
    into = features_folder(folder, "lite")
    for name, sequences in rows.items():
        Ragged.stack(sequences).write(into, name)
    profile = load_profile("lite")
    extractors = {name: identity(each) for name, each in (profile.video | profile.music).items()}
    write_json(into / "features.json", {"pairs": pairs_digest(ids), "recipe": {"extractors": extractors}})
    return folder


def _spans(start_s: float, length_s: float) -> np.ndarray:
    starts = Grid().span_starts(start_s, length_s, 60.0)
    return np.stack([starts, np.minimum(starts + 15.0, 60.0)], axis=1)


def _seconds(spans: np.ndarray) -> np.ndarray:
    return np.arange(np.floor(spans[0, 0]), np.ceil(spans[-1, 1])) + 0.5


def _noisy(rng: np.random.Generator, hidden: np.ndarray, into: np.ndarray, times_s: np.ndarray) -> Sequence:
    """Rows that scatter around a linear image of the hidden vector."""
    rows = np.tanh(hidden @ into) * 3 + 1 + 0.7 * rng.standard_normal((len(times_s), into.shape[1]))
    return Sequence(rows.astype(np.float32), times_s.astype(np.float64))
