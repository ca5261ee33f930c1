"""A world and a number of pairs in, ads, tracks, who chose what and the split out: latents, no features yet.

The random-utility model is `model.datasets.synth.world`, in blocks of ads. Numbers of ads per tag are
exact, so are the splits' sizes, and both are in proportion (docs/models.md 1.6).
"""

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from model.datasets.adsynth.worlds import Knobs
from model.datasets.synth.world import (
    CATEGORY_OF_TAG,
    CATEGORY_SHARES,
    AdLatents,
    TrackLatents,
    World,
    choose,
    draw_ads,
    draw_tracks,
    utility,
)
from model.datasets.table import SPLITS
from model.errors import BadOptions

TRACKS = 7_500  # of a library, docs/models.md 7.1
MIN_PAIRS = 500  # below, a split may lack the rarest category
TEST_PAIRS, EVALUATION_PAIRS = 1_464, 1_000  # the paper's, of 98,071
TEST_SHARE, EVALUATION_SHARE = 0.15, 0.10  # at most, where there are fewer pairs
BLOCK = 256  # ads at a time: utilities of a block and 7,500 tracks are 15 MB
SPARE_ADS = 4_000  # drawn beyond twice as many as wanted, to have enough of every tag
ADS, LIBRARY, CHOICES, SPLIT, REPAIRED = range(5)  # streams of the seed


@dataclass(frozen=True, slots=True)
class Pairs:
    """n ads and m tracks."""

    laws: World
    ads: AdLatents
    tracks: TrackLatents  # popularities sum to 1 in each library
    library: dict[str, NDArray[np.int64]]  # by split, the rows of the tracks its editors chose from
    chosen: NDArray[np.int64]  # (n,) row of the track
    split: NDArray[np.str_]  # (n,)

    def rows(self, split: str) -> NDArray[np.int64]:
        """The rows of the ads of one split, in order."""
        return np.flatnonzero(self.split == split)


def split_sizes(pairs: int) -> dict[str, int]:
    """How many pairs each split gets: the paper's test and evaluation sizes, or 15 % and 10 % if less.

    Raises:
        BadOptions: if there are too few to have every category in each.
    """
    if pairs < MIN_PAIRS:
        raise BadOptions(
            f"{pairs} pairs are too few to have every category in each split: ask for {MIN_PAIRS}"
        )
    test = min(TEST_PAIRS, round(TEST_SHARE * pairs))
    evaluation = min(EVALUATION_PAIRS, round(EVALUATION_SHARE * pairs))
    return {"train": pairs - test - evaluation, "evaluation": evaluation, "test": test}


def _shared_out(n: int, shares: NDArray[np.float64]) -> NDArray[np.int64]:
    """`n` in whole parts as near to the shares as can be: the method of the largest remainder."""
    exact = n * shares
    parts = np.floor(exact + 1e-9).astype(np.int64)  # 1e-9: what should be whole may fall short of it
    first = np.argsort(parts - exact, kind="stable")
    parts[first[: n - parts.sum()]] += 1
    return parts


def tag_counts(n: int) -> NDArray[np.int64]:
    """(15,) how many of `n` ads are of each tag: first the categories' shares, then evenly inside each."""
    of_tag = np.asarray(CATEGORY_OF_TAG)
    counts = np.zeros(len(of_tag), np.int64)
    for category, of_category in enumerate(_shared_out(n, np.asarray(CATEGORY_SHARES))):
        tags = np.flatnonzero(of_tag == category)
        counts[tags] = _shared_out(int(of_category), np.full(len(tags), 1 / len(tags)))
    return counts


def draw_pairs(knobs: Knobs, pairs: int, seed: int, progress: Callable[[int], None]) -> Pairs:
    """Draw an instance of a world; progress is told how many ads have chosen.

    Raises:
        BadOptions: as of `split_sizes`.
    """
    sizes = split_sizes(pairs)
    laws = knobs.laws(seed)
    ads = _draw_ads(laws, pairs, np.random.default_rng([seed, ADS]))
    split = _draw_split(ads.tag, sizes, np.random.default_rng([seed, SPLIT]))
    tracks, library = _draw_libraries(knobs, laws, np.random.default_rng([seed, LIBRARY]))
    chosen = np.empty(pairs, np.int64)
    done = 0
    for number, name in enumerate(SPLITS if knobs.libraries == "own" else ("all",)):
        rows = np.flatnonzero((split == name) | (name == "all"))
        shelf = library[SPLITS[number]]
        rng = np.random.default_rng([seed, CHOICES, number])
        for block in np.split(rows, range(BLOCK, len(rows), BLOCK)):
            suits = utility(laws, ads.take(block), tracks.take(shelf))
            chosen[block] = shelf[choose(suits, tracks.log_popularity[shelf], rng)]
            done += len(block)
            progress(done)
    if knobs.pairing == "random":
        chosen = np.random.default_rng([seed, REPAIRED]).permutation(chosen)
    return Pairs(laws, ads, tracks, library, chosen, split)


def _draw_ads(laws: World, n: int, rng: np.random.Generator) -> AdLatents:
    """Exactly `tag_counts(n)` ads of each tag, in random order: the first so many of a larger draw."""
    wanted = tag_counts(n)
    more = draw_ads(laws, 2 * n + SPARE_ADS, rng)
    while np.any(np.bincount(more.tag, minlength=len(wanted)) < wanted):  # once in many thousand draws
        more = draw_ads(laws, 2 * len(more), rng)
    before = np.zeros(len(more), np.int64)  # how many of its tag come before each
    for tag in range(len(wanted)):
        rows = np.flatnonzero(more.tag == tag)
        before[rows] = np.arange(len(rows))
    return more.take(np.flatnonzero(before < wanted[more.tag]))


def _draw_split(tag: NDArray[np.int64], sizes: dict[str, int], rng: np.random.Generator) -> NDArray[np.str_]:
    split = np.full(len(tag), "train", dtype="<U10")
    test, evaluation = tag_counts(sizes["test"]), tag_counts(sizes["evaluation"])
    for t in range(len(test)):
        rows = rng.permutation(np.flatnonzero(tag == t))
        split[rows[: test[t]]] = "test"
        split[rows[test[t] : test[t] + evaluation[t]]] = "evaluation"
    return split


def _draw_libraries(
    knobs: Knobs, laws: World, rng: np.random.Generator
) -> tuple[TrackLatents, dict[str, NDArray[np.int64]]]:
    if knobs.libraries == "shared":
        return draw_tracks(laws, TRACKS, rng), dict.fromkeys(SPLITS, np.arange(TRACKS))
    parts = [draw_tracks(laws, TRACKS, rng) for _ in SPLITS]
    names = [field.name for field in fields(TrackLatents)]
    joined = TrackLatents(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})
    return joined, {name: np.arange(TRACKS) + i * TRACKS for i, name in enumerate(SPLITS)}
