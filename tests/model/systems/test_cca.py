"""Ridge CCA against the generalised eigenproblem that defines it, its tuning against trying everything."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import scipy.linalg
import torch
from torch import Tensor

from model.systems import cca
from model.systems.cca import CCA, PRESETS, CCAConfig, ridge_cca, tune_cca
from model.training.sampler import Pairs


def pair(n: int = 200, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two sides of 6 and 5 columns, off centre, that share two hidden directions of unequal strength."""
    rng = np.random.default_rng(seed)
    hidden = rng.standard_normal((n, 2)) * [2.0, 1.0]
    x = hidden @ rng.standard_normal((2, 6)) + rng.standard_normal((n, 6)) + 3
    y = hidden @ rng.standard_normal((2, 5)) + rng.standard_normal((n, 5)) - 1
    return x, y


def covariances(x: np.ndarray, y: np.ndarray, ridge: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    x, y = x - x.mean(0), y - y.mean(0)
    xx, yy = (s.T @ s / len(s) for s in (x, y))
    xx, yy = (c + ridge * np.trace(c) / len(c) * np.eye(len(c)) for c in (xx, yy))
    return xx, x.T @ y / len(x), yy


@pytest.mark.parametrize("ridge", [0.0, 1.0])
@pytest.mark.parametrize("power", [0.0, 0.5, 2.0])
def test_correlations_are_those_of_the_eigenproblem(
    ridge: float, power: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cca, "ROWS", 64)  # 200 rows are three chunks and a rest
    x, y = pair()
    xx, xy, yy = covariances(x, y, ridge)
    squared = scipy.linalg.eigh(xy @ np.linalg.solve(yy, xy.T), xx, eigvals_only=True)[::-1][:5]
    a, b = ridge_cca(x, y, ridge=ridge, components=9, power=power)
    assert (a.shape, b.shape) == ((6, 5), (5, 5))
    correlations = np.sqrt(squared)
    np.testing.assert_allclose(a.T @ xx @ a, np.diag(correlations ** (2 * power)), atol=1e-9)
    np.testing.assert_allclose(b.T @ yy @ b, np.diag(correlations ** (2 * power)), atol=1e-9)
    np.testing.assert_allclose(a.T @ xy @ b, np.diag(correlations ** (2 * power + 1)), atol=1e-9)


def test_keeps_the_best_components() -> None:
    x, y = pair()
    a, b = ridge_cca(x, y, ridge=0.5, components=5, power=0.5)
    first_a, first_b = ridge_cca(x, y, ridge=0.5, components=2, power=0.5)
    np.testing.assert_allclose(first_a, a[:, :2])
    np.testing.assert_allclose(first_b, b[:, :2])


def test_a_silent_column_changes_nothing() -> None:
    x, y = pair()
    wider = np.concatenate([x, np.full((len(x), 1), 7.0)], axis=1)
    a, b = ridge_cca(x, y, ridge=0.0, components=3, power=0.5)
    a2, b2 = ridge_cca(wider, y, ridge=0.0, components=3, power=0.5)
    np.testing.assert_allclose(np.abs(x @ a2[:6]), np.abs(x @ a), atol=1e-8)
    np.testing.assert_allclose(np.abs(b2), np.abs(b), atol=1e-8)


def test_the_system_is_the_maps_of_its_training_pairs(
    make_pairs: Callable[..., Pairs], look: Callable[..., tuple]
) -> None:
    pairs = make_pairs()
    config = CCAConfig(ridge=0.3, components=4, power=2.0)
    system = CCA(pairs.dims, config)
    table, train = look(system, pairs)
    system.start(train)
    sides = [torch.cat([side[name] for name in sorted(side)], 1) for side in (table.video, table.music)]
    x, y = (side.double().numpy() for side in sides)
    maps = ridge_cca(x[:60], y[:60], ridge=0.3, components=4, power=2.0)
    expected = [(side - side[:60].mean(0)) @ matrix for side, matrix in zip((x, y), maps, strict=True)]
    found = (system.embed_video(table.video), system.embed_music(table.music))
    for z, wanted in zip(found, expected, strict=True):
        np.testing.assert_allclose(
            z.numpy(), wanted / np.linalg.norm(wanted, axis=1, keepdims=True), atol=1e-5
        )
    own = (found[0][:60] * found[1][:60]).sum(1)
    assert float(system.loss(train, 1).total) == pytest.approx(1 - float(own.mean()), abs=1e-6)
    assert not system.learns


def test_tuning_finds_what_trying_everything_finds(
    make_pairs: Callable[..., Pairs], look: Callable[..., tuple], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cca, "COMPONENTS", (1, 4, 8))
    monkeypatch.setattr(cca, "RIDGES", (0.01, 1.0, 10.0))
    pairs = make_pairs((40, 30, 0), video={"frames": 12}, music={"audio": 10})
    start = replace(PRESETS["tuned"].system, components=1)
    system = CCA(pairs.dims, start)
    table, train = look(system, pairs)
    held_out = pairs.rows("evaluation")
    video, music = (
        {name: x[torch.from_numpy(held_out)] for name, x in side.items()}
        for side in (table.video, table.music)
    )

    def reciprocal_rank(z_v: Tensor, z_m: Tensor) -> float:
        scores = z_v @ z_m.T
        better = (scores > scores.diagonal()[:, None]).sum(1)
        return float((1 / (1 + better)).double().mean())

    figures: dict[CCAConfig, float] = {}
    for ridge in cca.RIDGES:
        for components in cca.COMPONENTS:
            for power in cca.POWERS:
                config = replace(start, ridge=ridge, components=components, power=power)
                tried = CCA(pairs.dims, config)
                tried.start(train)
                figures[config] = reciprocal_rank(tried.embed_video(video), tried.embed_music(music))
    steps: list[tuple[int, int]] = []
    best = tune_cca(start, train, video, music, reciprocal_rank, lambda *step: steps.append(step))
    assert figures[best] == max(figures.values())
    assert min(figures.values()) < max(figures.values())
    assert steps == [(done, 3) for done in range(4)]
