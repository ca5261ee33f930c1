"""Pairs in memory with an answer to find: both sides of a pair know one hidden vector."""

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from model.systems.batch import Batch
from model.systems.system import System
from model.training.sampler import Pairs, Rows, Table, prepare

HIDDEN, LONGEST = 6, 4
VIDEO = {"frames": 9, "motion": 4}
MUSIC = {"audio": 11, "emotion": 7}
TAGS, CATEGORIES = ("cup", "lamp", "sofa", "tent"), ("home", "outdoor")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Small products gain nothing from more, and on a busy machine threads that wait for each other cost."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def make_pairs() -> Callable[..., Pairs]:
    """`make_pairs(counts, seed, video=, music=, words=, labels=, valence=)`; see `_make_pairs`."""
    return _make_pairs


@pytest.fixture(scope="session")
def look() -> Callable[[System, Pairs], tuple[Table, Batch]]:
    """`look(system, pairs)`: fit the system's views; all pairs through them, and the training pairs."""

    def through(system: System, pairs: Pairs) -> tuple[Table, Batch]:
        table = prepare(system, pairs, torch.device("cpu"), fit=True)
        return table, table.all_pairs(pairs.rows("train"))

    return through


def _make_pairs(
    counts: tuple[int, int, int] = (60, 20, 20),
    seed: int = 0,
    *,
    video: Mapping[str, int] = VIDEO,
    music: Mapping[str, int] = MUSIC,
    words: bool = True,
    labels: bool = True,
    valence: bool = True,
) -> Pairs:
    world, rng = np.random.default_rng(0), np.random.default_rng([seed, 1])
    n = sum(counts)
    hidden = rng.standard_normal((n, HIDDEN))

    def rows(width: int) -> Rows:
        lengths = rng.integers(1, LONGEST + 1, n)
        end = np.cumsum(lengths)
        spread = np.repeat(hidden @ world.standard_normal((HIDDEN, width)), lengths, axis=0)
        noise = 0.3 * rng.standard_normal(spread.shape)
        return Rows((5 + spread + noise).astype(np.float32), end - lengths, end)

    def block(names: Mapping[str, int]) -> dict[str, Rows]:
        return {name: rows(width) for name, width in names.items()}

    tag = (hidden[:, 0] > 0) * 2 + (hidden[:, 1] > 0)
    nothing: NDArray[np.int64] = np.zeros(n, np.int64)
    return Pairs(
        video=block(video),
        music=block(music),
        offsets=np.arange(n + 1),
        texts=world.standard_normal((len(TAGS), 5)).astype(np.float32) if words else None,
        tag=tag.astype(np.int64) if labels else nothing,
        category=tag.astype(np.int64) // 2 if labels else nothing,
        track=np.arange(n),
        polarity=np.clip(np.round(hidden[:, 2]) + 1, 0, 2).astype(np.int64) if valence else None,
        split=np.repeat(["train", "evaluation", "test"], counts),
        tags=TAGS if labels else ("",),
        categories=CATEGORIES if labels else (),
    )
