import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score

from model.datasets.adsynth import probes
from model.datasets.adsynth.probes import (
    Parts,
    explained,
    level,
    music_latents,
    parts_of,
    pooled,
    read,
    ridge,
)
from model.datasets.table import Ragged

PARTS = Parts(np.arange(90), slice(0, 60), slice(60, 75), slice(75, 90))


@pytest.fixture
def problem():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((90, 6)).astype(np.float32)
    return x, x @ rng.standard_normal((6, 2)) + 0.5 * rng.standard_normal((90, 2)) + 3


def test_ridge_is_the_librarys_with_the_penalty_that_fits_the_held_out_pairs(problem):
    x, y = problem
    x = level(x, PARTS)
    y = y + 6 * np.random.default_rng(5).standard_normal(y.shape)  # so much that what fits best tells worse
    losses, found = [], []
    for penalty in probes.PENALTIES:
        model = Ridge(alpha=penalty * 60).fit(x[:60], y[:60])  # ours is of a mean over 60 pairs
        losses.append(np.mean((model.predict(x[60:75]) - y[60:75]) ** 2))
        found.append(model.predict(x))
    np.testing.assert_allclose(ridge(x, y, PARTS), found[int(np.argmin(losses))], atol=1e-4)
    assert np.argmin(losses) > 0  # the fitted pairs would choose the least penalty


def test_levelling_looks_at_fitted_pairs_only(problem):
    x, _ = problem
    x = np.column_stack([x, np.full(90, 7, np.float32)])
    x[60:] *= 50
    levelled = level(x, PARTS)
    np.testing.assert_allclose(levelled[:60, :-1].std(axis=0), 1, rtol=1e-4)
    np.testing.assert_allclose(levelled[:60].mean(axis=0), 0, atol=1e-5)
    assert np.isfinite(levelled).all()  # though the last column is constant


def test_explained_variance_is_the_librarys(problem):
    x, y = problem
    np.testing.assert_allclose(explained(x[:, :2] + y, y), r2_score(y, x[:, :2] + y), rtol=1e-6)


def test_pooling_is_the_mean_of_each_clips_rows():
    rng = np.random.default_rng(1)
    offsets = np.array([0, 3, 4, 9, 11])
    values = rng.standard_normal((11, 4)).astype(np.float16)
    feature = Ragged(values, np.zeros(11), offsets)
    wanted = [values[offsets[i] : offsets[i + 1]].astype(float).mean(axis=0) for i in (2, 0, 3, 1)]
    np.testing.assert_allclose(pooled(feature, np.array([2, 0, 3, 1])), wanted, atol=1e-6)


@pytest.mark.parametrize("n", [500, 1_600])
def test_probes_are_judged_on_pairs_they_never_saw(pairs_of, n):
    pairs = pairs_of("default", n)
    parts = parts_of(pairs)
    fitted, held, test = (set(parts.rows[part].tolist()) for part in (parts.fitted, parts.held, parts.test))
    assert not fitted & held
    assert fitted | held == set(pairs.rows("train").tolist())  # all of them, while they are few
    assert test == set(pairs.rows("test").tolist())
    assert len(held) == pytest.approx(0.2 * len(fitted | held), abs=1)


def test_large_worlds_are_probed_in_part(pairs_of, monkeypatch):
    monkeypatch.setattr(probes, "FITTED", 500)
    parts = parts_of(pairs_of("default", 1_600))
    assert parts.fitted == slice(0, 500)
    assert parts.held == slice(500, 600)


def test_a_reading_tells_what_is_there_and_nothing_of_what_is_not(pairs_of, monkeypatch):
    monkeypatch.setattr(probes, "PASSES", 2)
    pairs = pairs_of("default", 500)
    parts = parts_of(pairs)
    latents = music_latents(pairs.tracks.take(pairs.chosen[parts.rows]))
    music = pairs.tracks.take(pairs.chosen)
    rng = np.random.default_rng(2)
    tells = np.column_stack([music.valence, music.log2_tempo]) @ rng.standard_normal((2, 5))
    found = read([Ragged(tells.astype(np.float32), np.zeros(500), np.arange(501))], latents, parts)
    assert found.card["ridge"]["valence"] > 0.99
    assert found.card["ridge"]["tempo"] > 0.99
    assert found.card["ridge"]["genre"] < 0.1
    assert found.card["network"]["valence"] > 0.8
    np.testing.assert_allclose(found.linear["valence"], latents["valence"], atol=0.2)
    assert found.linear["genre"].shape == (len(parts.rows), 6)
