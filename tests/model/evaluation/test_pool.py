"""What each protocol asks, against sorted lists in plain loops and against closed forms of chance."""

from itertools import pairwise

import numpy as np
import pytest

from model.evaluation.metrics import expected_rank, hits
from model.evaluation.pool import (
    BATCH,
    FEWEST_COLD,
    Case,
    Catalogue,
    Pool,
    absent,
    best_by_track,
    cases,
)

PAPER = 1_464  # clips of the paper's test split


def by_name(pool: Pool) -> dict[tuple[str, str], Case]:
    return {(case.protocol, case.direction): case for case in cases(pool)}


def pool_of(n: int, tracks: int, seed: int = 0) -> Pool:
    """Random scores without ties; half of the tracks were heard in training, the catalogue has ten more."""
    rng = np.random.default_rng(seed)
    scores, of = rng.standard_normal((n, n)), np.array([f"t{i}" for i in rng.integers(0, tracks, n)])
    names = np.array([f"t{i}" for i in range(tracks + 10)])
    catalogue = Catalogue(rng.standard_normal((n, len(names))), names)
    return Pool(scores, of, names[: tracks // 2], catalogue)


def first_right(scores: list[float], right: list[bool]) -> int:
    order = sorted(range(len(scores)), key=lambda j: -scores[j])
    return 1 + next(place for place, j in enumerate(order) if right[j])


def slow_rank(pool: Pool, protocol: str, direction: str, i: int) -> int:
    """The definition of one query's rank, for one query, in lists."""
    n, tracks = len(pool.tracks), pool.tracks.tolist()
    score = {
        (a, b): float(pool.scores[a, b] if direction == "V->M" else pool.scores[b, a])
        for a in [i]
        for b in range(n)
    }
    match protocol:
        case "strict":
            return first_right([score[i, j] for j in range(n)], [j == i for j in range(n)])
        case "shared":
            return first_right([score[i, j] for j in range(n)], [tracks[j] == tracks[i] for j in range(n)])
        case "dedup":
            names = sorted(set(tracks))
            best = [max(score[i, j] for j in range(n) if tracks[j] == name) for name in names]
            return first_right(best, [name == tracks[i] for name in names])
        case "catalog":
            return first_right(
                pool.catalogue.scores[i].tolist(), [x == tracks[i] for x in pool.catalogue.tracks]
            )
        case "cold":
            cold = [j for j in range(n) if tracks[j] not in pool.trained.tolist()]
            return first_right([score[i, j] for j in cold], [j == i for j in cold])
    raise AssertionError(protocol)


@pytest.mark.parametrize(("n", "tracks"), [(1, 1), (2, 1), (23, 9), (60, 60)])
def test_every_protocol_ranks_as_its_definition(n: int, tracks: int) -> None:
    pool = pool_of(n, tracks)
    found = by_name(pool)
    assert {protocol for protocol, _ in found} >= {"strict", "shared", "dedup", "yuyin_batched", "catalog"}
    for (protocol, direction), case in found.items():
        if protocol == "yuyin_batched":
            continue
        expected = [slow_rank(pool, protocol, direction, int(i)) for i in case.queries]
        np.testing.assert_array_equal(expected_rank(case.found), expected)
    assert ("catalog", "M->V") not in found


def test_cold_asks_only_about_tracks_that_training_did_not_hear() -> None:
    pool = pool_of(60, 40)
    case = by_name(pool)["cold", "M->V"]
    heard = set(pool.trained.tolist())
    assert case.queries.tolist() == [i for i, track in enumerate(pool.tracks) if track not in heard]
    assert (case.candidates == len(case.queries)).all()
    assert absent(pool) == ()


def test_what_cannot_be_answered_has_a_reason() -> None:
    few = Pool(np.eye(12), np.arange(12).astype(str), trained=np.arange(3).astype(str))
    assert "cold" not in {case.protocol for case in cases(few)}
    (no_catalogue, no_cold) = absent(few)
    assert (no_catalogue.protocol, no_cold.protocol) == ("catalog", "cold")
    assert f"9 have a track that training did not hear, at least {FEWEST_COLD}" in no_cold.reason
    assert "not known" in absent(Pool(np.eye(12), np.arange(12).astype(str)))[1].reason


@pytest.mark.parametrize("n", [1, BATCH, BATCH + 1, PAPER, 2 * BATCH + 7])
def test_batches_are_of_1024_and_the_rest(n: int) -> None:
    case = next(cases(Pool(np.zeros((n, n)), np.arange(n).astype(str)), ["yuyin_batched"]))
    sizes, queries = np.unique(case.candidates, return_counts=True)
    rest = {n % BATCH} - {0}
    assert set(sizes.tolist()) == rest | ({BATCH} if n >= BATCH else set())
    assert dict(zip(sizes.tolist(), queries.tolist(), strict=True)).get(BATCH, 0) == n - n % BATCH
    assert case.queries.tolist() == list(range(n))


def test_in_a_batch_the_own_clip_competes_with_the_clips_of_that_batch_only() -> None:
    """Give every clip of a query's batch but one a lower score, and of the other batch a higher one."""
    n = PAPER
    pool = Pool(np.zeros((n, n)), np.arange(n).astype(str))
    in_large = next(cases(pool, ["yuyin_batched"])).candidates == BATCH
    other = in_large[:, None] != in_large[None, :]
    case = next(cases(Pool(np.where(other, 9.0, 0.0) + np.eye(n), pool.tracks), ["yuyin_batched"]))
    assert (expected_rank(case.found) == 1).all()
    back = next(cases(Pool(np.where(other, 0.0, 9.0) - np.eye(n), pool.tracks), ["yuyin_batched"]))
    assert (expected_rank(back.found) == back.candidates).all()


def test_batches_do_not_follow_the_order_of_the_pairs_and_never_change() -> None:
    pool = Pool(np.zeros((PAPER, PAPER)), np.arange(PAPER).astype(str))
    there, back = cases(pool, ["yuyin_batched"])
    np.testing.assert_array_equal(there.candidates, back.candidates)
    large = there.candidates == BATCH
    assert 0.6 < large[:BATCH].mean() < 0.8  # 1,024 of 1,464 are .70
    assert sum(a != b for a, b in pairwise(large.tolist())) > 400


@pytest.mark.parametrize(
    ("protocol", "pool_size"),
    [("strict", PAPER), ("yuyin_batched", PAPER / 2), ("dedup", PAPER / 2), ("catalog", 900), ("cold", 464)],
)
def test_random_scores_get_the_chance_that_the_blind_scorer_has_in_closed_form(
    protocol: str, pool_size: float
) -> None:
    """K / 1,464 and K / 732, and the other pools' K / size, at every K of the paper's table."""
    rng = np.random.default_rng(11)
    tracks = np.repeat(np.arange(PAPER // 2), 2).astype(str)
    if protocol == "cold":
        tracks = np.arange(PAPER).astype(str)
    names = np.arange(900).astype(str)
    pool = Pool(
        rng.standard_normal((PAPER, PAPER)),
        tracks,
        np.arange(1_000).astype(str),
        Catalogue(rng.standard_normal((PAPER, 900)), names),
    )
    for case in cases(pool, [protocol]):
        for k in (10, 15, 20, 25):
            chance = k / pool_size
            assert hits(case.blind, k).mean() == pytest.approx(chance, rel=1e-12)
            # of two clips of one track that queries share, the hits are not independent: halve the number
            independent = len(case.queries) / (2 if protocol in ("dedup",) else 1)
            error = np.sqrt(chance * (1 - chance) / independent)
            assert abs(hits(case.found, k).mean() - chance) < 3 * error


def test_random_scores_find_a_shared_track_as_often_as_its_clips_are_drawn() -> None:
    n = PAPER
    tracks = np.repeat(np.arange(n // 3), 3).astype(str)
    case = next(cases(Pool(np.random.default_rng(3).standard_normal((n, n)), tracks), ["shared"]))
    none_of_three = np.prod([(n - 10 - i) / (n - i) for i in range(3)])
    assert hits(case.blind, 10) == pytest.approx(1 - none_of_three)
    error = np.sqrt(none_of_three * (1 - none_of_three) / (n / 3))
    assert abs(hits(case.found, 10).mean() - (1 - none_of_three)) < 3 * error


def test_the_first_is_right_in_dedup_just_when_it_is_in_shared() -> None:
    pool = pool_of(80, 20, seed=4)
    found = by_name(pool)
    for direction in ("V->M", "M->V"):
        shared, dedup = (hits(found[name, direction].found, 1) for name in ("shared", "dedup"))
        np.testing.assert_array_equal(shared, dedup)


def test_a_track_scores_as_its_best_clip() -> None:
    scores = np.array([[1.0, 5.0, 2.0, 3.0], [4.0, 0.0, 9.0, -1.0]])
    best, names = best_by_track(scores, np.array(["b", "a", "b", "c"]))
    assert names.tolist() == ["a", "b", "c"]
    assert best.tolist() == [[5.0, 2.0, 3.0], [0.0, 9.0, -1.0]]
