import itertools

import numpy as np
import pytest

from model.comparison.tables import Values, beside, blind_values, contest, intervals, values_of
from model.evaluation.metrics import hits, rank
from model.evaluation.pool import Pool, cases
from model.evaluation.protocol import FIGURES

KEY = ("strict", "V->M")


def scored(seed, n=30, quality=1.0, tracks=None):
    """Cases of random scores in which the own clip stands out by `quality`."""
    rng = np.random.default_rng(seed)
    scores = rng.standard_normal((n, n)) + quality * np.eye(n)
    return scores, tuple(cases(Pool(scores, track_names(n) if tracks is None else tracks)))


def track_names(n):
    return np.array([f"t{i // 2}" for i in range(n)])


def test_values_are_of_every_seed_and_query_over_all_data_sets():
    runs = [[scored(seed + 10 * data, n=20 + data) for seed in range(3)] for data in range(2)]
    values = values_of([[found for _, found in seeds] for seeds in runs])
    for data, seeds in enumerate(runs):
        for seed, (scores, _) in enumerate(seeds):
            for i, query in enumerate(scores):
                place = 1 + sum(1 for other in query if other > query[i])
                at = 20 * data + i
                assert values.ranks[KEY][seed, at] == place
                got = dict(zip(FIGURES, values.figures[KEY][seed, at], strict=True))
                assert got["R@10"] == (place <= 10)
                assert got["MRR"] == pytest.approx(1 / place)
    mean = values.figures[KEY][:, :, FIGURES.index("R@5")].mean(axis=0)
    np.testing.assert_array_equal(values.of(KEY, "R@5"), mean)
    joined = values.rankings(KEY)[1]
    parts = [rank(seeds[1][0], np.eye(len(seeds[1][0]), dtype=bool)) for seeds in runs]
    np.testing.assert_array_equal(hits(joined, 7), np.concatenate([hits(each, 7) for each in parts]))


def test_a_protocol_that_one_split_lacks_is_left_out():
    few = tuple(cases(Pool(np.eye(12), track_names(12), trained=track_names(12))))
    many = tuple(cases(Pool(np.eye(12), track_names(12), trained=np.array(["none"]))))
    assert ("cold", "V->M") in values_of([[many]]).figures
    assert ("cold", "V->M") not in values_of([[many], [few]]).figures


def test_intervals_hold_the_mean_and_are_those_of_one_row_alone():
    rows = {
        name: values_of([[scored(seed, quality=q)[1]]]) for name, seed, q in (("a", 0, 1.0), ("b", 1, 3.0))
    }
    both = intervals(rows, KEY, track_names(30))
    for name, values in rows.items():
        alone = intervals({name: values}, KEY, track_names(30))[name]
        for i, figure in enumerate(FIGURES):
            assert both[name][figure].value == pytest.approx(float(values.figures[KEY][0, :, i].mean()))
            assert both[name][figure].low <= both[name][figure].value <= both[name][figure].high
            assert both[name][figure] == alone[figure]


def test_blind_values_are_chance():
    _, found = scored(0, n=40)
    blind = blind_values([found])
    assert blind.of(KEY, "R@10").mean() == pytest.approx(10 / 40)
    assert blind.of(("shared", "V->M"), "R@1").mean() == pytest.approx(2 / 40)


def test_differences_are_paired_and_adjusted():
    """Against all 2^k patterns of signs of tracks, and Holm's definition in loops."""
    n = 16
    tracks = track_names(n)
    rows = {
        name: values_of([[scored(seed, n, quality)[1]]])
        for name, seed, quality in (("ref", 0, 0.0), ("x", 1, 0.5), ("y", 2, 4.0), ("same", 0, 0.0))
    }
    rows = {name: Values(x.figures, x.ranks, x.found) for name, x in rows.items()}
    found = beside(rows, "ref", KEY, tracks)
    assert set(found) == {"x", "y", "same"}
    exact = {}
    for name in found:
        apart = rows[name].of(KEY, "R@10") - rows["ref"].of(KEY, "R@10")
        assert found[name].difference.value == pytest.approx(float(apart.mean()))
        sums = np.array([apart[tracks == track].sum() for track in np.unique(tracks)])
        patterns = [abs(np.dot(signs, sums)) for signs in itertools.product((-1, 1), repeat=len(sums))]
        exact[name] = np.mean(np.array(patterns) >= abs(sums.sum()) - 1e-9)
        assert found[name].difference.p == pytest.approx(exact[name], abs=0.02)
    ordered = sorted(found, key=lambda name: found[name].difference.p)
    highest = 0.0
    for place, name in enumerate(ordered):
        highest = max(highest, min(1.0, found[name].difference.p * (len(ordered) - place)))
        assert found[name].p_holm == pytest.approx(highest)
    assert found["same"].difference.p == 1.0


def test_without_the_reference_row_nothing_is_compared():
    rows = {"x": values_of([[scored(1)[1]]])}
    assert beside(rows, "ref", KEY, track_names(30)) == {}
    assert beside({"ref": rows["x"]}, "ref", KEY, track_names(30)) == {}


def test_a_contest_gives_difference_and_ratio():
    rows = {
        name: values_of([[scored(seed, quality=q)[1]]]) for name, seed, q in (("a", 0, 2.0), ("b", 1, 1.0))
    }
    found = contest(rows, "a", "b", KEY, track_names(30))
    means = [float(rows[name].of(KEY, "R@10").mean()) for name in "ab"]
    assert found.difference.value == pytest.approx(means[0] - means[1])
    assert found.ratio == pytest.approx(means[0] / means[1])
