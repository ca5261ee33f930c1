"""Kernel CCA against scikit-learn's kernels, the plain ridge CCA, and double loops."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.metrics.pairwise import rbf_kernel

from model.systems import kernel_path as module
from model.systems.cca import ridge_cca
from model.systems.kernel_path import (
    Chooser,
    Path,
    PathChoice,
    Side,
    features,
    fit_paths,
    kernel,
    paired_moments,
    reciprocal,
    sisters,
)


def side(count: int, width: int, seed: int, spread: NDArray[np.float64] | None = None) -> Side:
    x = np.random.default_rng(seed).standard_normal((count, width)).astype(np.float32)
    return Side(x, np.ones(width) if spread is None else spread)


def paired(count: int, seed: int = 0) -> tuple[Side, Side]:
    """Both know two hidden values, linearly."""
    rng = np.random.default_rng(seed)
    hidden = rng.standard_normal((count, 2))
    made = [
        (hidden @ rng.standard_normal((2, width)) + rng.standard_normal((count, width))).astype(np.float32)
        for width in (5, 7)
    ]
    return Side(made[0], np.ones(5)), Side(made[1], np.ones(7))


def cosines(a: NDArray[np.floating], b: NDArray[np.floating]) -> NDArray[np.floating]:
    a, b = (each / np.linalg.norm(each, axis=1, keepdims=True) for each in (a, b))
    return a @ b.T


def test_the_gaussian_kernel_is_scikit_learn_s() -> None:
    x, y = side(9, 4, 0).x.astype(np.float64), side(6, 4, 1).x.astype(np.float64)
    np.testing.assert_allclose(kernel(x, y, curved=True), rbf_kernel(x, y, gamma=0.25), atol=1e-12)
    np.testing.assert_allclose(kernel(x, y, curved=False), x @ y.T)


@pytest.mark.parametrize("curved", [False, True])
@pytest.mark.parametrize("exponent", [0.0, 0.5, 1.0])
def test_features_reproduce_the_kernel_between_landmarks(curved: bool, exponent: float) -> None:
    given = side(40, 5, 2, np.array([4.0, 1.0, 0.25, 0.0, 2.0]))
    made = features(given, np.arange(12), exponent, curved=curved)
    scaled = given.x * np.array([4.0, 1.0, 0.25, 0.0, 2.0]) ** exponent * [1, 1, 1, 0, 1]
    scaled = scaled / np.sqrt((scaled**2).sum(1).mean())
    wanted = rbf_kernel(scaled, gamma=0.25) if curved else scaled @ scaled.T
    f = made(given.x)
    near = 1e-3 if curved else 1e-4  # directions below SMALLEST are left out
    np.testing.assert_allclose(f[:12] @ f[:12].T, wanted[:12, :12], atol=near)
    if not curved:
        np.testing.assert_allclose(f @ f.T, wanted, atol=near)  # exact, since landmarks span the space


def test_a_linear_path_is_the_ridge_cca() -> None:
    video, music = paired(60)
    paths = Path(5, 32), Path(7, 32)
    order = np.random.default_rng(3).permutation(60)
    fit_paths(paths, (video, music), np.arange(60), PathChoice(ridge=0.3), order, shared=True)
    z_v, z_m = (
        path(torch.from_numpy(each.x)).numpy() for path, each in zip(paths, (video, music), strict=True)
    )
    a, b = ridge_cca(video.x, music.x, ridge=0.3, components=128, power=1.0)
    wanted = cosines((video.x - video.x.mean(0)) @ a, (music.x - music.x.mean(0)) @ b)
    np.testing.assert_allclose(cosines(z_v, z_m), wanted, atol=1e-3)
    for z in (z_v, z_m):
        assert np.linalg.norm(z, axis=1).mean() == pytest.approx(1, abs=1e-3)
        assert not z[:, 5:].any()


@pytest.mark.parametrize("curved", [False, True])
@pytest.mark.parametrize("count", [3, 200])
def test_the_module_computes_what_it_was_given(curved: bool, count: int) -> None:
    given = side(count, 5, 4)
    made = features(given, np.arange(min(count, 50)), 0.5, curved=curved)
    mean, matrix = made(given.x).mean(axis=0, dtype=np.float64), np.random.default_rng(5).standard_normal
    weights = matrix((made.white.shape[1], 4))
    path = Path(5, 6)
    assert not path(torch.from_numpy(given.x)).any()
    path.put(made, mean, weights)
    found = path(torch.from_numpy(given.x)).numpy()
    np.testing.assert_allclose(found[:, :4], (made(given.x) - mean) @ weights, atol=2e-3)
    assert not found[:, 4:].any()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        again = path(torch.from_numpy(given.x))
    np.testing.assert_array_equal(again.numpy(), found)


def test_no_digits_are_lost_where_terms_cancel() -> None:
    """A thousand landmarks, each about as near to everything: what is left is small beside its parts."""
    sides = side(1_200, 60, 20), side(1_200, 60, 21)
    paths = Path(60, 128), Path(60, 128)
    rows = np.arange(1_200)
    fit_paths(paths, sides, rows, PathChoice(curved=True, ridge=0.1), rows, shared=True)
    path = paths[0]
    near = rbf_kernel(sides[0].x * path.scale.double().numpy(), path.landmarks.double().numpy(), gamma=0.25)
    wanted = near @ path.curved.double().numpy() - path.offset.double().numpy()
    found = path(torch.from_numpy(sides[0].x)).numpy()
    np.testing.assert_allclose(found, wanted, rtol=0, atol=5e-6)


def test_sisters_are_the_mean_of_a_track_s_clips() -> None:
    y, track = side(7, 3, 6).x, np.array([4, 1, 4, 9, 1, 4, 0])
    wanted = [np.mean([y[j] for j in range(7) if track[j] == track[i]], axis=0) for i in range(7)]
    np.testing.assert_allclose(sisters(y, track), wanted, atol=1e-6)


def test_every_clip_of_the_track_counts_as_the_ad_s_own() -> None:
    x, y, track = side(7, 3, 7).x, side(7, 4, 8).x, np.array([4, 1, 4, 9, 1, 4, 0])
    x0, y0 = x - x.mean(0), y - y.mean(0)
    cross = np.zeros((3, 4))
    for i in range(7):
        own = [j for j in range(7) if track[j] == track[i]]
        cross += sum(np.outer(x0[i], y0[j]) for j in own) / len(own)
    found = paired_moments(x, y, track, shared=True)
    np.testing.assert_allclose(found.cross, cross / 7, atol=1e-6)
    alone = paired_moments(x, y, track, shared=False)
    np.testing.assert_allclose(alone.cross, x0.T @ y0 / 7, atol=1e-6)


def test_reciprocal_rank() -> None:
    scores = np.array([[0.9, 0.1, 0.2], [0.5, 0.4, 0.3], [0.3, 0.2, 0.1]])
    assert reciprocal(scores) == pytest.approx((1 + 1 / 2 + 1 / 3) / 3)


def choose(sides: tuple[Side, Side], **asked: tuple) -> PathChoice:
    count = len(sides[0].x)
    return Chooser(sides, np.arange(count), shared=True).best(**asked)


def test_scales_are_kept_where_they_tell_columns_apart() -> None:
    """Two columns that matter and vary, thirty that do neither; or the other way round."""
    rng = np.random.default_rng(9)
    hidden = rng.standard_normal((160, 2))
    x, y = (
        np.hstack([hidden + 0.4 * rng.standard_normal((160, 2)), rng.standard_normal((160, 30))]).astype(
            np.float32
        )
        for _ in range(2)
    )
    helpful, harmful = np.array([3.0] * 2 + [0.3] * 30), np.array([0.3] * 2 + [3.0] * 30)
    for spread, wanted in ((helpful, (1.0, 1.0)), (harmful, (0.0, 0.0))):
        chosen = choose((Side(x, spread), Side(y, spread)), exponents=(0.0, 1.0), curved=(False,))
        assert chosen.exponents == wanted


def test_a_curve_is_found_where_a_line_sees_nothing() -> None:
    rng = np.random.default_rng(10)
    hidden = rng.standard_normal((300, 2))
    x = (hidden + 0.1 * rng.standard_normal((300, 2))).astype(np.float32)
    y = (np.abs(hidden) + 0.1 * rng.standard_normal((300, 2))).astype(np.float32)
    sides = Side(x, np.ones(2)), Side(y - y.mean(0), np.ones(2))
    assert choose(sides, exponents=(0.0,), curved=(False, True)).curved
    assert not choose(sides, exponents=(0.0,), curved=(False,)).curved


def test_folds_share_no_track_and_rows_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FOLD_ROWS", 30)
    track = np.random.default_rng(11).integers(0, 12, 50)
    chooser = Chooser(paired(50), track, shared=True)
    assert len(chooser.track) == 30 == len(chooser.sides[0].x)
    tracks = np.unique(chooser.track)
    assert all(len(set(chooser.fold[chooser.track == each])) == 1 for each in tracks)
    cut = [each for each in tracks if (chooser.track == each).sum() < (track == each).sum()]
    assert len(cut) <= 1  # the last one


def test_another_clip_of_the_right_track_is_no_mistake() -> None:
    """Two clips a track, nearly alike: either may be nearer to the other's picture."""
    rng = np.random.default_rng(14)
    hidden = np.repeat(rng.standard_normal((60, 3)), 2, axis=0)
    sides = [
        Side((hidden + 0.01 * rng.standard_normal((120, 3))).astype(np.float32), np.ones(3)) for _ in "vm"
    ]
    chooser = Chooser((sides[0], sides[1]), np.arange(120) // 2, shared=True)
    assert chooser.value(PathChoice(ridge=0.1)) > 0.95


@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_handful_of_pairs_is_no_error(count: int) -> None:
    sides = side(count, 5, 12), side(count, 7, 13)
    chosen = choose(sides, exponents=module.EXPONENTS, curved=(False, True))
    paths = Path(5, 16), Path(7, 16)
    fit_paths(paths, sides, np.arange(count), chosen, np.arange(count), shared=True)
    for path, each in zip(paths, sides, strict=True):
        assert torch.isfinite(path(torch.from_numpy(each.x))).all()
