"""The loss of deep CCA against its definition with numpy's eigenvectors, and where it is known."""

import numpy as np
import pytest
import torch

from model.losses.dcca import dcca


def views(n: int, k: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    shared = rng.standard_normal((n, 2))
    return tuple(  # type: ignore[return-value]  # two of them
        3 + shared @ rng.standard_normal((2, width)) + rng.standard_normal((n, width)) for width in (k, k)
    )


def slow_dcca(x: np.ndarray, y: np.ndarray, ridge: float) -> float:
    """Inverse roots by `eigh`, the trace norm by the eigenvalues of T'T."""
    x, y = x - x.mean(0), y - y.mean(0)

    def root(s: np.ndarray) -> np.ndarray:
        values, vectors = np.linalg.eigh(s / (len(x) - 1) + ridge * np.eye(len(s)))
        return np.asarray(vectors @ np.diag(values**-0.5) @ vectors.T)

    t = root(x.T @ x) @ (x.T @ y / (len(x) - 1)) @ root(y.T @ y)
    return -float(np.sqrt(np.linalg.eigvalsh(t.T @ t).clip(0)).sum())


@pytest.mark.parametrize(("n", "k"), [(2, 1), (50, 3), (50, 8)])
@pytest.mark.parametrize("ridge", [1e-4, 1.0])
def test_is_the_definition(n: int, k: int, ridge: float) -> None:
    x, y = views(n, k)
    found = dcca(torch.from_numpy(x), torch.from_numpy(y), ridge=ridge)
    assert float(found) == pytest.approx(slow_dcca(x, y, ridge), rel=1e-7)


def test_two_equal_views_are_perfectly_correlated() -> None:
    x = torch.from_numpy(views(40, 6)[0]).float()
    assert float(dcca(x, x, ridge=1e-9)) == pytest.approx(-6, abs=1e-5)
    turned = x @ torch.linalg.qr(torch.randn(6, 6, generator=torch.Generator().manual_seed(0)))[0] + 7
    assert float(dcca(x, 5 * turned, ridge=1e-9)) == pytest.approx(-6, abs=1e-4)


def test_which_view_comes_first_does_not_matter() -> None:
    x, y = (torch.from_numpy(each) for each in views(30, 4))
    assert float(dcca(x, y, ridge=0.1)) == pytest.approx(float(dcca(y, x, ridge=0.1)), rel=1e-12)


def test_gradient_is_that_of_the_value() -> None:
    x, y = (torch.from_numpy(each).requires_grad_() for each in views(9, 3))
    assert torch.autograd.gradcheck(lambda a, b: dcca(a, b, ridge=0.05), (x, y))


def test_silent_units_leave_the_gradient_finite() -> None:
    """Two equal eigenvalues: the way through eigenvectors divides by their difference."""
    x, y = (torch.from_numpy(each).float() for each in views(30, 5))
    x = torch.cat([x[:, :3], torch.zeros(30, 2)], dim=1).requires_grad_()
    dcca(x, y, ridge=1e-4).backward()
    assert x.grad is not None
    assert bool(torch.isfinite(x.grad).all())
