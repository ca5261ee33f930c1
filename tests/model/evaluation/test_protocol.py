"""What counts as right under each protocol, and the clip scores, against loops."""

import json

import numpy as np
import pytest

from model.evaluation.protocol import CUTOFFS, evaluate_scores, score_clips
from model.evaluation.report import HEADER, table_rows


def test_clip_score_is_the_mean_cosine_over_its_segments() -> None:
    rng = np.random.default_rng(0)
    videos = rng.standard_normal((3, 4)).astype(np.float32)
    segments = rng.standard_normal((6, 4)).astype(np.float32)
    offsets = np.array([0, 1, 4, 6])
    found = score_clips(videos, segments, offsets)
    for i in range(3):
        for j in range(3):
            cosines = [float(videos[i] @ segments[k]) for k in range(offsets[j], offsets[j + 1])]
            assert found[i, j] == pytest.approx(np.mean(cosines), rel=1e-5)


def test_protocols_and_directions_differ_as_they_should() -> None:
    # Clips 0 and 1 are of one track. Video 0 likes clip 1 best, so it misses its own clip but not its track.
    scores = np.array([[0.5, 0.9, 0.1], [0.6, 0.8, 0.1], [0.2, 0.3, 0.7]])
    found = evaluate_scores(scores, np.array(["a", "a", "b"]), split="test")
    assert (found.pairs, found.tracks) == (3, 2)
    r1 = {(r.protocol, r.direction): r.recall[1].value for r in found.results}
    assert r1 == {
        ("strict", "V->M"): pytest.approx(2 / 3),
        ("strict", "M->V"): pytest.approx(1 / 3),  # only clip 2 likes its own video best
        ("shared", "V->M"): 1.0,
        ("shared", "M->V"): 1.0,
    }
    strict, shared = found.result("strict", "V->M"), found.result("shared", "V->M")
    assert strict.recall[1].chance == pytest.approx(1 / 3)
    assert shared.recall[1].chance == pytest.approx((2 / 3 + 2 / 3 + 1 / 3) / 3)
    assert strict.mrr.value == pytest.approx((1 / 2 + 1 + 1) / 3)
    assert strict.median_rank == 1
    assert strict.chance_median_rank == 2


def test_random_scores_stay_inside_the_interval_around_chance() -> None:
    n = 300
    scores = np.random.default_rng(1).standard_normal((n, n))
    for result in evaluate_scores(scores, np.arange(n).astype(str), split="test").results:
        for k in CUTOFFS:
            estimate = result.recall[k]
            assert estimate.chance == pytest.approx(k / n)
            assert estimate.low <= estimate.value <= estimate.high
        assert result.wilson_r10[0] < 10 / n < result.wilson_r10[1]
        assert result.recall[10].low < 10 / n < result.recall[10].high


def test_goes_through_json_and_into_a_table_unharmed() -> None:
    found = evaluate_scores(np.eye(2), np.array(["a", "b"]), split="evaluation")
    value = json.loads(json.dumps(found.as_dict()))
    assert value["results"][0]["recall"]["10"]["value"] == 1.0
    rows = table_rows(found)
    assert len(rows) == 3 * 4
    assert all(len(row) == len(HEADER) for row in rows)
    assert rows[0][:3] == ("strict", "V->M", "1.000")
    assert rows[2][:3] == ("", "chance", ".500")
