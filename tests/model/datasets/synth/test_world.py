import math
from dataclasses import replace

import numpy as np
import pytest

from model.datasets.synth.world import (
    CATEGORIES,
    CATEGORY_OF_TAG,
    CATEGORY_SHARES,
    TAGS,
    World,
    choose,
    draw_ads,
    draw_tracks,
    log_choice_probability,
    pace_mismatch,
    pmi_oracle,
    tag_shares,
    utility,
)

WORLD = World()


def slow_utility(world, ads, tracks, i, j):
    """Section 7.1 of docs/models.md for one ad and one track, in plain loops."""
    turn = world.rotations[ads.category[i]]
    style = 0.0
    for row in range(6):
        wanted = sum(turn[row][column] * ads.style[i][column] for column in range(6))
        style += (wanted - tracks.genre[j][row]) ** 2
    emotion = (ads.valence[i] - tracks.valence[j]) ** 2 + (ads.arousal[i] - tracks.arousal[j]) ** 2
    cuts_per_s = 0.5 * 2 ** ads.log2_cut_rate[i]
    beats_per_s = 110 / 60 * 2 ** tracks.log2_tempo[j]
    pace = min(abs(math.log2(cuts_per_s / beats_per_s) - octaves) for octaves in range(-12, 13))
    return -0.5 * (style / 0.8**2 + emotion / 0.45**2 + pace**2 / 0.18**2)


def test_utility_is_the_written_formula():
    rng = np.random.default_rng(0)
    ads, tracks = draw_ads(WORLD, 7, rng), draw_tracks(WORLD, 5, rng)
    found = utility(WORLD, ads, tracks)
    wanted = [[slow_utility(WORLD, ads, tracks, i, j) for j in range(5)] for i in range(7)]
    np.testing.assert_allclose(found, wanted, rtol=1e-10)


@pytest.mark.parametrize(("n", "m"), [(0, 3), (1, 1), (2, 1)])
def test_small_sizes(n, m):
    rng = np.random.default_rng(1)
    ads, tracks = draw_ads(WORLD, n, rng), draw_tracks(WORLD, m, rng)
    found = utility(WORLD, ads, tracks)
    assert found.shape == (n, m)
    assert choose(found, tracks.log_popularity, rng).shape == (n,)
    assert len(ads.take([])) == 0


def test_pace_counts_cuts_on_beats_half_beats_and_double_beats_alike():
    beat = math.log2(110 / 60)
    on_beat = np.array([math.log2(rate / 0.5) for rate in (2**beat, 2**beat / 2, 2**beat / 8, 2**beat * 4)])
    np.testing.assert_allclose(pace_mismatch(on_beat, np.zeros(1)), 0, atol=1e-12)
    np.testing.assert_allclose(np.abs(pace_mismatch(on_beat + 0.5, np.zeros(1))), 0.5)


def test_editors_choose_as_often_as_the_logit_says():
    rng = np.random.default_rng(2)
    one_ad = np.array([[-0.3, -1.0, 0.0, -4.0]])
    popularity = np.log([0.4, 0.3, 0.2, 0.1])
    weight = np.exp(one_ad[0]) * [0.4, 0.3, 0.2, 0.1]
    wanted = weight / weight.sum()
    picks = choose(np.repeat(one_ad, 40_000, axis=0), popularity, rng)
    counts = np.bincount(picks, minlength=4)
    error = np.sqrt(40_000 * wanted * (1 - wanted))
    assert np.all(np.abs(counts - 40_000 * wanted) < 4 * error)
    np.testing.assert_allclose(np.exp(log_choice_probability(one_ad, popularity))[0], wanted)


def test_oracle_is_a_density_ratio():
    rng = np.random.default_rng(3)
    ads, tracks = draw_ads(WORLD, 300, rng), draw_tracks(WORLD, 40, rng)
    ratio = np.exp(pmi_oracle(utility(WORLD, ads, tracks), tracks.log_popularity))
    np.testing.assert_allclose(ratio.mean(axis=0), 1, rtol=1e-9)  # the mean over ads of P(j|i) / P(j)
    blind = pmi_oracle(np.tile(rng.normal(size=4), (5, 1)), np.log([0.1, 0.2, 0.3, 0.4]))
    np.testing.assert_allclose(blind, 0, atol=1e-12)


def hit_rate_at_10(score):
    """Share of queries whose own clip is among the best 10, ties at their expected rank."""
    own = np.diag(score)[:, None]
    rank = (score > own).sum(axis=1) + ((score == own).sum(axis=1) - 1) / 2
    return float((rank < 10).mean())


def test_oracle_beats_posterior_and_chance_in_a_pool_of_clips():
    rng = np.random.default_rng(4)
    ads, tracks = draw_ads(WORLD, 1000, rng), draw_tracks(WORLD, 500, rng)
    suits = utility(WORLD, ads, tracks)
    chosen = choose(suits, tracks.log_popularity, rng)
    pool = slice(0, 200)
    pmi = hit_rate_at_10(pmi_oracle(suits, tracks.log_popularity)[pool][:, chosen[pool]])
    posterior = hit_rate_at_10(log_choice_probability(suits, tracks.log_popularity)[pool][:, chosen[pool]])
    assert pmi > posterior > 0.4  # chance is .05
    assert pmi > 0.7


def test_latents_have_unit_variance_and_the_seeds_shares():
    ads = draw_ads(WORLD, 20_000, np.random.default_rng(5))
    numbers = np.column_stack([ads.style, ads.valence, ads.arousal, ads.log2_cut_rate])
    np.testing.assert_allclose(numbers.std(axis=0), 1, atol=0.06)
    np.testing.assert_allclose(numbers.mean(axis=0), 0, atol=0.06)
    shares = np.bincount(ads.category, minlength=4) / len(ads)
    np.testing.assert_allclose(shares, CATEGORY_SHARES, atol=0.015)
    assert np.corrcoef(ads.arousal, ads.log2_cut_rate)[0, 1] == pytest.approx(0.5, abs=0.03)
    np.testing.assert_array_equal(np.asarray(CATEGORY_OF_TAG)[ads.tag], ads.category)


def test_a_brand_sells_one_kind_of_thing():
    ads = draw_ads(WORLD, 5_000, np.random.default_rng(6))
    for brand in np.unique(ads.brand):
        assert len(set(ads.tag[ads.brand == brand])) == 1


def test_popularity_gives_two_copies_of_a_track_per_test_set():
    popularity = np.exp(draw_tracks(WORLD, 7_500, np.random.default_rng(7)).log_popularity)
    assert popularity.sum() == pytest.approx(1)
    assert 1 / (popularity**2).sum() == pytest.approx(1463, rel=0.01)  # docs/models.md 7.1


def test_the_world_stays_while_its_people_change():
    one, other = (draw_ads(World(), 50, np.random.default_rng(seed)) for seed in (8, 9))
    again = draw_ads(World(), 50, np.random.default_rng(8))
    np.testing.assert_array_equal(one.style, again.style)
    assert not np.allclose(one.style, other.style)
    np.testing.assert_array_equal(World().tag_means, WORLD.tag_means)
    assert not np.allclose(World(world_seed=1).tag_means, WORLD.tag_means)


def test_rotations_turn_and_do_not_mirror():
    for turn in WORLD.rotations:
        np.testing.assert_allclose(turn @ turn.T, np.eye(6), atol=1e-12)
        assert np.linalg.det(turn) == pytest.approx(1)
    assert np.abs(WORLD.rotations[0] - WORLD.rotations[1]).max() > 0.3


def test_tags_and_categories_fit():
    assert len(TAGS) == len(set(TAGS)) == 15
    assert [CATEGORY_OF_TAG.count(c) for c in range(len(CATEGORIES))] == [7, 2, 3, 3]  # docs/models.md 1.6
    assert tag_shares().sum() == pytest.approx(1)


def test_with_one_convention_for_all_the_category_says_nothing():
    shared = World(conventions="shared")
    ads, tracks = (
        draw_ads(shared, 30, np.random.default_rng(3)),
        draw_tracks(shared, 20, np.random.default_rng(4)),
    )
    other = replace(ads, category=(ads.category + 1) % len(CATEGORIES))
    np.testing.assert_array_equal(utility(shared, ads, tracks), utility(shared, other, tracks))
    assert not np.allclose(utility(WORLD, ads, tracks), utility(WORLD, other, tracks))


def test_where_cuts_want_tempo_faster_cuts_choose_faster_music():
    world = World(pace="tempo")
    ads = draw_ads(world, 1, np.random.default_rng(0))
    slow, fast = (replace(ads, log2_cut_rate=np.array([rate])) for rate in (-1.0, 1.0))
    tracks = draw_tracks(world, 2, np.random.default_rng(1))
    tracks = replace(tracks, log2_tempo=np.array([-0.4, 0.4]))
    pull = utility(world, slow, tracks)[0] - utility(world, fast, tracks)[0]
    # by hand: 1/2 [(.4 + .4)^2 - 0] / .18^2 for the slow track, the negative of it for the fast one
    np.testing.assert_allclose(pull, [0.5 * 0.64 / 0.18**2, -0.5 * 0.64 / 0.18**2])
