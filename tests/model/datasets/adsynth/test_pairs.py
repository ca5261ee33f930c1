from collections import Counter
from fractions import Fraction

import numpy as np
import pytest

from model.datasets.adsynth import pairs as pairs_module
from model.datasets.adsynth.oracle import log_track_share
from model.datasets.adsynth.pairs import TRACKS, draw_pairs, split_sizes, tag_counts
from model.datasets.adsynth.worlds import knobs_of
from model.datasets.synth.world import CATEGORIES, CATEGORY_OF_TAG, log_choice_probability, utility
from model.datasets.table import SPLITS
from model.errors import BadOptions

PAPER_COUNTS = {"clothing": 43_841, "baby": 25_860, "daily": 26_824, "electronic": 1_546}


@pytest.mark.parametrize(
    ("pairs", "train", "evaluation", "test"),
    [
        (98_071, 95_607, 1_000, 1_464),
        (24_000, 21_536, 1_000, 1_464),
        (4_000, 3_000, 400, 600),
        (500, 375, 50, 75),
    ],
)
def test_splits_have_the_papers_sizes_or_shares(pairs, train, evaluation, test):
    assert split_sizes(pairs) == {"train": train, "evaluation": evaluation, "test": test}


@pytest.mark.parametrize("pairs", [499, 1, 0, -5])
def test_too_few_pairs_are_refused(pairs):
    with pytest.raises(BadOptions, match="ask for 500"):
        split_sizes(pairs)


def test_all_ads_have_the_papers_categories():
    counts = np.bincount(np.asarray(CATEGORY_OF_TAG), tag_counts(98_071))
    assert dict(zip(CATEGORIES, counts.astype(int).tolist(), strict=True)) == PAPER_COUNTS


@pytest.mark.parametrize("n", [0, 1, 2, 50, 75, 499, 1_000, 1_464, 24_000])
def test_counts_are_the_nearest_whole_ones(n):
    counts = tag_counts(n)
    assert counts.sum() == n
    of_category = np.bincount(np.asarray(CATEGORY_OF_TAG), counts, minlength=4)
    for category, found in zip(CATEGORIES, of_category, strict=True):
        assert abs(Fraction(int(found)) - Fraction(n * PAPER_COUNTS[category], 98_071)) < 1
    for category in range(4):
        tags = counts[np.asarray(CATEGORY_OF_TAG) == category]
        assert tags.max() - tags.min() <= 1


@pytest.mark.parametrize("n", [500, 517, 1_000])
def test_every_split_is_stratified_by_tag(pairs_of, n):
    pairs = pairs_of("default", n)
    np.testing.assert_array_equal(np.bincount(pairs.ads.tag, minlength=15), tag_counts(n))
    for split, size in split_sizes(n).items():
        rows = pairs.rows(split)
        assert len(rows) == size
        assert set(pairs.ads.category[rows].tolist()) == {0, 1, 2, 3}
        if split != "train":
            np.testing.assert_array_equal(np.bincount(pairs.ads.tag[rows], minlength=15), tag_counts(size))


def test_where_a_draw_lacks_a_tag_a_larger_one_is_made(monkeypatch):
    monkeypatch.setattr(pairs_module, "SPARE_ADS", -600)  # 400 ads, of which 500 are to be taken
    few = draw_pairs(knobs_of("default"), 500, 5, lambda done: None)
    np.testing.assert_array_equal(np.bincount(few.ads.tag, minlength=15), tag_counts(500))


def test_a_seed_gives_the_same_pairs_again_and_another_others(pairs_of):
    one = pairs_of("default", 500)
    again, other = (draw_pairs(knobs_of("default"), 500, seed, lambda done: None) for seed in (5, 6))
    np.testing.assert_array_equal(one.ads.style, again.ads.style)
    np.testing.assert_array_equal(one.chosen, again.chosen)
    np.testing.assert_array_equal(one.split, again.split)
    assert not np.allclose(one.ads.style, other.ads.style)
    assert not np.allclose(one.tracks.genre, other.tracks.genre)
    assert not np.allclose(one.laws.rotations, other.laws.rotations)


def test_progress_counts_the_ads_that_have_chosen():
    told = []
    draw_pairs(knobs_of("cold"), 600, 1, told.append)
    assert told == sorted(told)
    assert told[-1] == 600


def test_editors_choose_by_the_logit(pairs_of):
    """Of an ad's probabilities p, the one of the track it chose is sum p^2 on average."""
    pairs = pairs_of("default", 1_000)
    p = np.exp(
        log_choice_probability(utility(pairs.laws, pairs.ads, pairs.tracks), pairs.tracks.log_popularity)
    )
    difference = p[np.arange(1_000), pairs.chosen] - (p**2).sum(axis=1)
    assert abs(difference.mean()) < 4 * difference.std() / np.sqrt(1_000)
    assert (p**2).sum(axis=1).mean() > 0.01  # by chance 1 / 7,500


def test_tracks_are_used_as_often_as_their_popularity_and_taste_say(pairs_of):
    pairs = pairs_of("default", 1_600)
    share = np.exp(log_track_share(pairs.laws, pairs.ads, pairs.tracks))
    copies = np.bincount(pairs.chosen, minlength=TRACKS)
    mean_copies = (copies**2).sum() / 1_600  # of the track of a clip
    expected = 1 + 1_599 * (share**2).sum()
    assert expected > 1.5
    assert mean_copies == pytest.approx(expected, rel=0.1)


def test_controls_differ_from_the_default_in_one_thing(pairs_of):
    default, null, hard, cold = (pairs_of(world, 500) for world in ("default", "null", "hard", "cold"))
    for other in (null, hard, cold):
        np.testing.assert_array_equal(default.ads.style, other.ads.style)
        np.testing.assert_array_equal(default.split, other.split)
    assert Counter(null.chosen.tolist()) == Counter(default.chosen.tolist())
    assert np.mean(null.chosen == default.chosen) < 0.05
    assert np.mean(hard.chosen == default.chosen) < 0.9


@pytest.mark.parametrize("world", ["noE", "noT", "clean", "kappa1"])
def test_worlds_of_other_features_have_the_same_pairs(pairs_of, world):
    default, other = pairs_of("default", 500), pairs_of(world, 500)
    np.testing.assert_array_equal(default.chosen, other.chosen)
    np.testing.assert_array_equal(default.tracks.genre, other.tracks.genre)


def test_a_cold_world_tests_on_tracks_that_were_never_trained_on(pairs_of):
    pairs = pairs_of("cold", 1_000)
    used = {split: set(pairs.chosen[pairs.rows(split)].tolist()) for split in SPLITS}
    assert all(not used[a] & used[b] for a in SPLITS for b in SPLITS if a != b)
    for split in SPLITS:
        assert used[split] <= set(pairs.library[split].tolist())
        assert np.exp(pairs.tracks.log_popularity[pairs.library[split]]).sum() == pytest.approx(1)
    warm = pairs_of("default", 1_000)
    known = set(warm.chosen[warm.rows("train")].tolist())
    assert np.isin(warm.chosen[warm.rows("test")], list(known)).mean() > 0.2  # it is not so by itself
