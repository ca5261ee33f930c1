"""A small data set of features with an answer to find, with or without emotion, text and categories."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from model.datasets.imports.imported import pooled
from model.datasets.layout import Layout, write_features
from model.datasets.table import write_dataset

WIDTHS = {"frames": 9, "audio": 7, "emotion": 6}


@pytest.fixture(scope="session")
def make_pairs() -> Callable[..., Path]:
    """`make_pairs(folder, emotion=True, text=True, categories=True, split_seed=0)`."""
    return _make_pairs


def _make_pairs(
    folder: Path, *, emotion: bool = True, text: bool = True, categories: bool = True, split_seed: int = 0
) -> Path:
    rng = np.random.default_rng(0)
    n = 110
    hidden = rng.standard_normal((n, 4))
    hidden[1::10] = hidden[::10]  # some tracks lie under two adverts
    names = ("frames", "audio", *(("emotion",) if emotion else ()))
    features = {}
    for name in names:
        image = np.tanh(hidden @ rng.standard_normal((4, WIDTHS[name])))
        features[name] = pooled(image + 0.5 * rng.standard_normal(image.shape))
    tag = (hidden[:, 0] > 0).astype(int) * 2 + (hidden[:, 1] > 0)
    ids = np.array([f"p{i:03d}" for i in range(n)])
    track = np.array([f"t{i - (i % 10 == 1):03d}" for i in range(n)])
    split = np.random.default_rng(split_seed).permutation(
        np.repeat(["train", "evaluation", "test"], [70, 15, 25])
    )
    nothing = np.full(n, "")
    tags = ("a", "b", "c", "d")
    pairs = {
        "pair_id": ids,
        "track_id": track,
        "category": np.array(["shoes", "food"])[tag // 2] if categories else nothing,
        "tag": np.array(tags)[tag] if text else nothing,
        "split": split,
        "group": track,
        "video_path": nothing,
        "music_path": nothing,
        "length_s": np.zeros(n),
        "start_s": np.zeros(n),
    }
    music = tuple(name for name in names if name != "frames")
    layout = Layout(("frames",), music, tags if text else ())
    words = np.eye(4, 5, dtype=np.float32) if text else None
    write_features(folder, ids, "made", layout, features, words, {"made": "for tests"})
    write_dataset(folder, {"kind": "hidden vectors", "split_seed": split_seed}, pairs)
    return folder
