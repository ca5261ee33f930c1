"""What counts as right under each protocol, and the clip scores, against loops."""

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binomtest

from model.evaluation.pool import Catalogue, Pool, cases
from model.evaluation.protocol import CUTOFFS, FIGURES, evaluate_scores, figures, score_clips
from model.evaluation.report import HEADER, notes, table_rows


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
        ("dedup", "V->M"): 1.0,
        ("dedup", "M->V"): 1.0,
        ("yuyin_batched", "V->M"): pytest.approx(2 / 3),
        ("yuyin_batched", "M->V"): pytest.approx(1 / 3),
    }
    strict, shared = found.result("strict", "V->M"), found.result("shared", "V->M")
    assert strict.recall[1].chance == pytest.approx(1 / 3)
    assert shared.recall[1].chance == pytest.approx((2 / 3 + 2 / 3 + 1 / 3) / 3)
    assert strict.mrr.value == pytest.approx((1 / 2 + 1 + 1) / 3)
    assert strict.median_rank == 1
    assert strict.chance_median_rank == 2
    assert strict.mean_rank.value == pytest.approx(4 / 3)
    assert strict.mean_rank.chance == 2
    assert strict.mean_normalised_rank.value == pytest.approx((1 / 2 + 0 + 0) / 3)
    assert strict.mean_normalised_rank.chance == 1 / 2
    dedup = found.result("dedup", "V->M")
    assert (dedup.pool, dedup.recall[1].chance) == (2, 1 / 2)


def test_per_query_figures_are_what_the_table_averages() -> None:
    rng = np.random.default_rng(3)
    scores, tracks = rng.standard_normal((50, 50)), rng.integers(0, 30, 50).astype(str)
    heard = np.arange(12).astype(str)
    catalogue = Catalogue(rng.standard_normal((50, 40)), np.arange(40).astype(str))
    table = evaluate_scores(scores, tracks, split="test", trained=heard, catalogue=catalogue)
    found = list(cases(Pool(scores, tracks, heard, catalogue)))
    assert [(case.protocol, case.direction) for case in found] == [
        (protocol, direction)
        for protocol in ("strict", "shared", "dedup", "yuyin_batched", "catalog", "cold")
        for direction in ("V->M", "M->V")
        if (protocol, direction) != ("catalog", "M->V")
    ]
    for case, result in zip(found, table.results, strict=True):
        means = dict(zip(FIGURES, figures(case.found, case.candidates).mean(axis=0), strict=True))
        assert result.queries == len(case.queries)
        for k in CUTOFFS:
            assert result.recall[k].value == means[f"R@{k}"]
        assert result.mrr.value == means["MRR"]
        assert result.mean_rank.value == means["mean rank"]
        assert result.mean_normalised_rank.value == means["mean normalised rank"]


def test_a_pool_of_one_is_found_at_once() -> None:
    (found, *_) = evaluate_scores(np.array([[0.3]]), np.array(["a"]), split="test").results
    assert (found.mean_rank.value, found.mean_normalised_rank.value, found.recall[50].value) == (1, 0, 1)


def test_all_hits_of_a_small_split_prove_little() -> None:
    """12 of 12 where guessing hits 10 of 12: p is .11, so the interval must hold chance."""
    n = 12
    found = evaluate_scores(np.eye(n), np.arange(n).astype(str), split="test").result("strict", "V->M")
    exact = binomtest(n, n).proportion_ci(0.95, method="wilson")
    assert (found.recall[10].value, found.recall[10].chance) == (1, pytest.approx(10 / n))
    assert (found.recall[10].low, found.recall[10].high) == pytest.approx((exact.low, 1))
    assert found.recall[10].low < found.recall[10].chance
    certain = found.recall[15]  # a list longer than the pool
    assert (certain.low, certain.high, certain.chance) == (1, 1, 1)
    assert (found.mrr.low, found.mrr.high) == pytest.approx((1 / n + (1 - 1 / n) * exact.low, 1))
    assert (found.mean_rank.low, found.mean_rank.high) == pytest.approx((1, 1 + (n - 1) * (1 - exact.low)))
    normalised = found.mean_normalised_rank
    assert (normalised.low, normalised.high) == pytest.approx((0, 1 - exact.low))


def test_no_hits_do_not_prove_that_there_are_none() -> None:
    n = 40
    found = evaluate_scores(-np.eye(n), np.arange(n).astype(str), split="test").result("strict", "V->M")
    exact = binomtest(0, n).proportion_ci(0.95, method="wilson")
    assert (found.recall[1].value, found.recall[1].low) == (0, 0)
    assert found.recall[1].high == pytest.approx(exact.high)


def test_what_is_right_anyhow_has_no_interval() -> None:
    """All clips are of one track: whatever is shown is right."""
    found = evaluate_scores(np.eye(6), np.full(6, "a"), split="test")
    shared, strict = found.result("shared", "V->M").recall[1], found.result("strict", "V->M").recall[1]
    assert (shared.low, shared.high, shared.chance) == (1, 1, 1)
    one = binomtest(1, 1).proportion_ci(0.95, method="wilson")  # one track is one witness
    assert (strict.low, strict.high) == pytest.approx((one.low, 1))


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
    found = evaluate_scores(np.eye(2), np.array(["a", "a"]), split="evaluation")
    value = json.loads(json.dumps(found.as_dict()))
    assert value["results"][0]["recall"]["10"]["value"] == 1.0
    assert value["absent"][0]["protocol"] == "catalog"
    rows = table_rows(found)
    assert len(rows) == 3 * 6
    assert all(len(row) == len(HEADER) for row in rows)
    assert rows[0][:3] == ("strict", "V->M", "1.000")
    assert rows[2][:3] == ("", "chance", ".500")


def test_what_has_no_row_of_its_own_has_a_reason() -> None:
    """Twelve tracks of one clip each, one batch, none of them heard in training, and no catalogue."""
    tracks = np.arange(12).astype(str)
    found = evaluate_scores(np.eye(12), tracks, split="test", trained=np.array(["other"]))
    assert {row[0] for row in table_rows(found)} == {"strict", ""}
    assert notes(found) == (
        "shared: as strict, since every track has one clip",
        "dedup: as strict, since every track has one clip",
        "yuyin_batched: as strict, since the split is one batch of at most 1,024",
        "cold: as strict, since training heard none of the tracks",
        "catalog: n/a (no clips but those of the split were scored)",
    )
    repeats = [any("one batch" in note for note in notes(replace(found, pairs=n))) for n in (1_024, 1_025)]
    assert repeats == [True, False]
    large = evaluate_scores(np.eye(1_100), (np.arange(1_100) // 2).astype(str), split="test")
    assert {row[0] for row in table_rows(large)} == {"strict", "shared", "dedup", "yuyin_batched", ""}
    assert [note.partition(":")[0] for note in notes(large)] == ["catalog", "cold"]
