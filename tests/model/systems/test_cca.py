"""Ridge CCA against the generalised eigenproblem that defines it."""

import numpy as np
import pytest
import scipy.linalg

from model.systems.cca import ridge_cca


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
def test_correlations_are_those_of_the_eigenproblem(ridge: float) -> None:
    x, y = pair()
    xx, xy, yy = covariances(x, y, ridge)
    squared = scipy.linalg.eigh(xy @ np.linalg.solve(yy, xy.T), xx, eigvals_only=True)[::-1][:5]
    a, b = ridge_cca(x, y, ridge=ridge, components=9)
    assert (a.shape, b.shape) == ((6, 5), (5, 5))
    correlations = np.sqrt(squared)
    np.testing.assert_allclose(a.T @ xx @ a, np.diag(correlations), atol=1e-9)
    np.testing.assert_allclose(b.T @ yy @ b, np.diag(correlations), atol=1e-9)
    np.testing.assert_allclose(a.T @ xy @ b, np.diag(squared), atol=1e-9)


def test_keeps_the_best_components() -> None:
    x, y = pair()
    a, b = ridge_cca(x, y, ridge=0.5, components=5)
    first_a, first_b = ridge_cca(x, y, ridge=0.5, components=2)
    np.testing.assert_allclose(first_a, a[:, :2])
    np.testing.assert_allclose(first_b, b[:, :2])


def test_a_silent_column_changes_nothing() -> None:
    x, y = pair()
    a, b = ridge_cca(x, y, ridge=0.0, components=3)
    a2, b2 = ridge_cca(np.concatenate([x, np.full((len(x), 1), 7.0)], axis=1), y, ridge=0.0, components=3)
    np.testing.assert_allclose(np.abs(x @ a2[:6]), np.abs(x @ a), atol=1e-8)
    np.testing.assert_allclose(np.abs(b2), np.abs(b), atol=1e-8)
