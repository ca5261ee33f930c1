"""Control worlds (docs/models.md 7.4): what must happen to CCA and YuYin where a world lacks something.

4,000 pairs of seed 11, of which 600 test; YuYin regularised as 3,000 pairs need it, the same in every world.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from model.datasets.adsynth.generate import PROFILE, Plan, generate
from model.datasets.table import Dataset
from model.evaluation.metrics import hits, rank
from model.evaluation.paired import Difference, compare
from model.systems.catalogue import chosen_preset, load_system
from model.training.loop import fit, score_pairs
from model.training.run import torch_state
from model.training.sampler import Pairs, prepare, read_pairs

pytestmark = pytest.mark.slow

TEST_PAIRS = 600
CHANCE = 10 / TEST_PAIRS
LITTLE = 0.03  # of R@10: what 1,200 questions cannot tell from nothing (95 % of a difference is about +-.025)
TUNED = {
    "batch_size": "256",
    "epochs": "12",
    "learning_rate": "1e-3",
    "weight_decay": "0.1",
    "dropout": "0.4",
    "keep": "r10",
}
SEEDS = (0, 1)

Hits = NDArray[np.float64]


class Worlds:
    """Makes a world or a run when it is asked for first."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pairs: Callable[[str], tuple[Pairs, NDArray[np.str_]]] = cache(self._pairs)
        self.found: Callable[[str, str], Hits] = cache(self._found)

    def _pairs(self, world: str) -> tuple[Pairs, NDArray[np.str_]]:
        out = self.folder / world
        generate(out, Plan(world, 4_000, 11, "small", sequences=False), lambda done, of: None)
        dataset = Dataset.open(out)
        pairs = read_pairs(dataset, PROFILE)
        return pairs, dataset.pairs["track_id"][pairs.rows("test")]

    def _found(self, world: str, row: str) -> Hits:
        """(seeds, 600): hits of each pair in its first ten, mean of both directions."""
        system, preset = ("cca", "tuned") if row == "cca" else ("yuyin", row)
        return np.stack(
            [self._run(world, system, preset, seed) for seed in SEEDS[: 1 if row == "cca" else 2]]
        )

    def _run(self, world: str, name: str, preset: str, seed: int) -> Hits:
        pairs, _ = self.pairs(world)
        kind = load_system(name)
        chosen = chosen_preset(kind, preset, TUNED if name == "yuyin" else {})
        with torch_state(seed, 2):
            system = kind.build(pairs.dims, chosen.system)
            table = prepare(system, pairs, torch.device("cpu"), fit=True)
            fit(system, table, replace(chosen.training, seed=seed), lambda _: None)
            scores = score_pairs(system.eval(), table, pairs.rows("test"))
        own = np.eye(TEST_PAIRS, dtype=np.bool_)
        return np.mean([hits(rank(each, own), 10) for each in (scores, scores.T)], axis=0)

    def r10(self, world: str, row: str) -> float:
        return float(self.found(world, row).mean())

    def gain(self, world: str, ours: str, theirs: str) -> Difference:
        return compare(self.found(world, ours), self.found(world, theirs), self.pairs(world)[1])


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> Worlds:
    return Worlds(tmp_path_factory.mktemp("worlds"))


def test_default_can_be_learned_and_emotion_helps(worlds: Worlds) -> None:
    """What the others are compared with: without it they would say nothing."""
    assert worlds.r10("default", "cca") > 8 * CHANCE
    assert worlds.r10("default", "paper") > 8 * CHANCE
    assert worlds.gain("default", "paper", "wo_E").low > LITTLE


def test_linear_tuned_cca_is_at_the_top(worlds: Worlds) -> None:
    assert worlds.gain("linear", "cca", "paper").value > -LITTLE
    assert worlds.r10("linear", "cca") > 1.5 * worlds.r10("default", "cca")


def test_noise_for_emotion_brings_nothing(worlds: Worlds) -> None:
    """It may cost: 3,000 pairs are few to learn that 247 columns say nothing."""
    assert worlds.gain("noE", "paper", "wo_E").value < LITTLE


def test_shuffled_tags_bring_nothing(worlds: Worlds) -> None:
    assert abs(worlds.gain("noT", "paper", "wo_T").value) < LITTLE


def test_clean_music_gives_the_gate_no_excuse(worlds: Worlds) -> None:
    assert abs(worlds.gain("clean", "paper", "concat_wide").value) < LITTLE


def test_null_leaves_everything_at_chance(worlds: Worlds) -> None:
    """Both directions of one pair hardly hang together: five standard errors of 600 questions."""
    for row in ("cca", "paper"):
        assert abs(worlds.r10("null", row) - CHANCE) < 5 * np.sqrt(CHANCE * (1 - CHANCE) / TEST_PAIRS)


def test_kappa1_the_gain_of_emotion_shrinks(worlds: Worlds) -> None:
    assert worlds.gain("kappa1", "paper", "wo_E").value < worlds.gain("default", "paper", "wo_E").value / 2


def test_cold_tracks_are_found_too(worlds: Worlds) -> None:
    pairs, _ = worlds.pairs("cold")
    parts = [set(pairs.track[pairs.rows(split)].tolist()) for split in ("train", "evaluation", "test")]
    assert not parts[0] & parts[2]
    assert not parts[0] & parts[1]
    for row in ("cca", "paper"):
        assert worlds.r10("cold", row) > 0.7 * worlds.r10("default", row)


def test_hard_lowers_the_ceiling(worlds: Worlds) -> None:
    for row in ("cca", "paper"):
        assert CHANCE < worlds.r10("hard", row) < worlds.r10("default", row) - LITTLE
