"""Which videos are shown: against a list sorted by hand."""

import numpy as np
import pytest

from model.evaluation.examples import best_and_worst


def test_best_and_worst_by_rank_then_by_lead() -> None:
    scores = np.array(
        [
            [0.9, 0.1, 0.2, 0.3],  # rank 1, leads by 0.6
            [0.8, 0.9, 0.2, 0.3],  # rank 1, leads by 0.1
            [0.9, 0.8, 0.1, 0.3],  # rank 4
            [0.9, 0.1, 0.2, 0.5],  # rank 2
        ]
    )
    best, worst = best_and_worst(scores, np.array(["a", "b", "c", "d"]), most=2)
    assert [(each.pair, each.rank) for each in best] == [(0, 1), (1, 1)]
    assert [(each.pair, each.rank) for each in worst] == [(2, 4), (3, 2)]
    assert (best[0].rival, best[0].rival_score, best[0].score) == (3, 0.3, 0.9)
    assert (worst[0].rival, worst[0].rival_score) == (0, 0.9)


def test_a_clip_of_the_same_track_is_no_rival() -> None:
    best, _ = best_and_worst(
        np.array([[0.9, 0.8, 0.1], [0.1, 0.9, 0.2], [0, 0, 1]]), np.array(["a", "a", "b"])
    )
    (first,) = [each for each in best if each.pair == 0]
    assert first.rival == 2


@pytest.mark.parametrize(("n", "best", "worst"), [(1, 1, 0), (2, 1, 1), (3, 2, 1), (40, 6, 6)])
def test_no_video_is_both(n: int, best: int, worst: int) -> None:
    scores = np.random.default_rng(n).standard_normal((n, n))
    top, bottom = best_and_worst(scores, np.arange(n).astype(str))
    missed = sum(1 for i, row in enumerate(scores) if row.argmax() != i)
    assert (len(top), len(bottom)) == (best, min(worst, missed))
    assert all(each.rank > 1 for each in bottom)
    assert not {each.pair for each in top} & {each.pair for each in bottom}


def test_one_track_has_no_rival_and_ties_stand_in_the_middle() -> None:
    best, worst = best_and_worst(np.zeros((3, 3)), np.array(["a", "a", "a"]))
    assert all(each.rival is None and each.rival_score is None for each in best + worst)
    assert all(each.rank == 2 for each in best + worst)


def test_what_stands_first_was_not_missed() -> None:
    scores = np.eye(4)
    assert best_and_worst(scores, np.arange(4).astype(str))[1] == ()
    scores[1, 3] = 2
    scores[2, 0] = 1  # as good as the own clip: rank 1.5
    _, worst = best_and_worst(scores, np.arange(4).astype(str))
    assert [(each.pair, each.rank) for each in worst] == [(1, 2), (2, 1.5)]
