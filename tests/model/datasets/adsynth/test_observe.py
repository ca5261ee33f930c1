import numpy as np
import pytest
from scipy.linalg import svd

from model.datasets.adsynth.observe import Clips, FeatureMap, Senses, hear_audio, hear_emotion, see
from model.datasets.adsynth.sequences import Clock, draw_counts
from model.datasets.adsynth.worlds import knobs_of
from model.datasets.synth.world import CATEGORY_OF_TAG

N = 1_600
HALF = N // 2


def told(x, y):
    """R^2 on the second half of what least squares on the first half tell of y (n, k), by number."""
    x = np.column_stack([np.ones(N), (x - x.mean(0)) / x.std(0)])
    gram = x[:HALF].T @ x[:HALF] + 10 * np.eye(x.shape[1])
    found = x[HALF:] @ np.linalg.solve(gram, x[:HALF].T @ y[:HALF])
    return 1 - ((found - y[HALF:]) ** 2).mean(0) / y[HALF:].var(0)


@pytest.fixture(scope="module")
def music(pairs_of):
    def latents(world):
        pairs = pairs_of(world, N)
        tracks = pairs.tracks.take(pairs.chosen)
        return np.column_stack([tracks.genre, tracks.valence, tracks.arousal, tracks.log2_tempo])

    return latents


def test_a_map_has_the_linear_share_it_was_asked_for():
    rng = np.random.default_rng(0)
    z = rng.standard_normal((10_000, 27))
    for share in (0.0, 0.4, 1.0):
        feature = FeatureMap.draw(27, 400, share, rng)
        assert feature(z).var(axis=0).mean() == pytest.approx(1, rel=0.05)
        linear_part = z @ (np.sqrt(share) * feature.linear)
        assert linear_part.var(axis=0).mean() == pytest.approx(share, abs=0.02)
        assert (feature(z) - linear_part).var(axis=0).mean() == pytest.approx(1 - share, abs=0.05)


def test_in_the_linear_world_maps_add_up():
    rng = np.random.default_rng(1)
    feature = FeatureMap.draw(5, 30, 1.0, rng)
    x, y = rng.standard_normal((2, 10, 5))
    np.testing.assert_allclose(feature(x) + feature(y), feature(x + y), atol=1e-5)
    bent = FeatureMap.draw(5, 30, 0.4, rng)
    assert np.abs(bent(x) + bent(y) - bent(x + y)).max() > 0.3


def test_each_path_tells_its_own(features_of, music):
    ads_tell = told(features_of("default", N)["audio"], music("default"))
    assert ads_tell[:6].min() > 0.5  # genre: 64 numbers tell less of it than the benchmark's 192
    assert ads_tell[6] < 0.35  # valence
    assert ads_tell[8] > 0.6
    emotion = told(features_of("default", N)["emotion"], music("default"))
    assert emotion[:6].max() < 0.1
    assert emotion[6:].min() > 0.75


def test_pictures_tell_of_the_ad(features_of, pairs_of):
    ads = pairs_of("default", N).ads
    latents = np.column_stack([ads.style, ads.valence, ads.arousal, ads.log2_cut_rate])
    assert told(features_of("default", N)["frames"], latents).min() > 0.6
    looks = np.eye(4)[ads.category]
    assert told(features_of("default", N)["frames"], looks)[:3].min() > 0.1  # the fourth is too rare


def test_without_emotion_the_emotion_feature_tells_nothing_and_the_others_the_same(features_of, music):
    without, default = features_of("noE", N), features_of("default", N)
    assert told(without["emotion"], music("default")).max() < 0.05
    np.testing.assert_array_equal(without["frames"], default["frames"])
    np.testing.assert_array_equal(without["audio"], default["audio"])
    np.testing.assert_allclose(without["emotion"].mean(0), default["emotion"].mean(0), atol=0.2 * 20)


def test_where_audio_carries_emotion_it_tells_it(features_of, music):
    emotion = slice(6, 8)
    full = told(features_of("kappa1", N)["audio"], music("default"))[emotion]
    poor = told(features_of("default", N)["audio"], music("default"))[emotion]
    assert full.min() > 0.6
    assert poor.max() < full.min() - 0.2


def test_speech_hides_music(features_of, music):
    clean = told(features_of("clean", N)["audio"], music("default"))
    spoken = told(features_of("default", N)["audio"], music("default"))
    assert np.mean(clean - spoken) > 0.005
    assert np.mean((clean - spoken)[:6]) > 0


def test_where_music_was_dealt_out_anew_a_picture_tells_nothing_of_it(features_of, music):
    assert told(features_of("null", N)["frames"], music("null")).max() < 0.05
    assert told(features_of("default", N)["frames"], music("default"))[6:8].min() > 0.3


def canonical_correlation(x, y):
    """The largest on the first half, and the same two directions' on the second half."""
    left, right = (side - side[:HALF].mean(0) for side in (x, y))
    (u, s, vt), (p, t, qt) = (svd(side[:HALF], full_matrices=False) for side in (left, right))
    inner = svd(u.T @ p)
    a, b = vt.T @ (inner[0][:, 0] / s), qt.T @ (inner[2][0] / t)
    return np.corrcoef(left[HALF:] @ a, right[HALF:] @ b)[0, 1]


def twins(pairs, knobs, tiny):
    """One ad and one track, N times: whatever correlates is no latent but a leak. Lengths count, too."""
    rows = np.zeros(N, np.int64)
    shown, played = (Clock(draw_counts(N, np.random.default_rng([1, side]))) for side in (0, 1))
    music = pairs.tracks.take(pairs.chosen[rows])
    clips = Clips(knobs, pairs.ads.take(rows), music, shown, played, (9, 9))
    senses = Senses.draw(knobs, tiny, np.random.default_rng(3))
    picture = shown.mean(see(clips, senses))
    sound = [played.mean(hear(clips, senses)) for hear in (hear_audio, hear_emotion)]
    return np.column_stack([picture, shown.counts]), np.column_stack([*sound, played.counts])


def test_nothing_but_the_latents_joins_the_two_sides(pairs_of, tiny):
    picture, sound = twins(pairs_of("default", 500), knobs_of("default"), tiny)
    assert abs(canonical_correlation(picture, sound)) < 4 / np.sqrt(HALF)


def test_the_leak_test_finds_a_leak(pairs_of, tiny):
    picture, sound = twins(pairs_of("default", 500), knobs_of("default"), tiny)
    identity = np.random.default_rng(0).standard_normal((N, 1))
    mixed = picture + 0.5 * identity, sound + 0.5 * identity
    assert canonical_correlation(*mixed) > 0.3


def test_words_of_one_category_are_alike(tiny):
    words = Senses.draw(knobs_of("default"), tiny, np.random.default_rng(4)).text
    assert words.shape == (15, tiny.text)
    assert len(np.unique(words, axis=0)) == 15
    wide = Senses.draw(knobs_of("default"), type(tiny)(4, 4, 4, 4_000), np.random.default_rng(4)).text
    alike = np.corrcoef(wide)
    same = np.asarray(CATEGORY_OF_TAG)[:, None] == np.asarray(CATEGORY_OF_TAG)
    np.testing.assert_allclose(alike[same & ~np.eye(15, dtype=bool)], 0.5, atol=0.06)
    np.testing.assert_allclose(alike[~same], 0, atol=0.08)
