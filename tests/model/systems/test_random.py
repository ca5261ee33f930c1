"""The random scorer against what chance must give."""

from collections.abc import Callable

import numpy as np
import torch

from model.evaluation.metrics import hits, rank
from model.systems.random import DRAWS, Random, RandomConfig
from model.training.loop import score_pairs
from model.training.sampler import Pairs


def test_finds_k_of_n_by_chance_whatever_the_pool(
    make_pairs: Callable[..., Pairs], look: Callable[..., tuple]
) -> None:
    pairs = make_pairs((2, 2, 80))
    system = Random(pairs.dims, RandomConfig())
    table, _ = look(system, pairs)
    rows = pairs.rows("test")
    for pool, chance in ((rows, 10 / 80), (rows[:40], 10 / 40)):
        own = np.eye(len(rows), dtype=np.bool_)[: len(pool), : len(pool)]
        found = [hits(rank(score_pairs(system, table, pool, pool), own), 10).mean() for _ in range(DRAWS)]
        error = np.sqrt(chance * (1 - chance) / (len(pool) * DRAWS))
        assert abs(np.mean(found) - chance) < 4 * error
        assert np.std(found) > error


def test_each_call_is_another_draw_and_each_seed_its_own(
    make_pairs: Callable[..., Pairs], look: Callable[..., tuple]
) -> None:
    pairs = make_pairs((2, 2, 5))
    systems = []
    for seed in (0, 0, 1):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            systems.append(Random(pairs.dims, RandomConfig()))
    first, again, other = systems
    table, batch = look(first, pairs)
    draw = first.scores(table.video, table.music)
    assert draw.shape == (9, 9)
    assert not torch.equal(draw, first.scores(table.video, table.music))
    assert torch.equal(draw, again.scores(table.video, table.music))
    assert not torch.equal(draw, other.scores(table.video, table.music))
    reopened = Random(pairs.dims, RandomConfig())
    reopened.load_state_dict(first.state_dict())
    assert torch.equal(draw, reopened.scores(table.video, table.music))
    assert not first.learns
    assert not first.indexable
    assert float(first.loss(batch, 1).total) == 0
