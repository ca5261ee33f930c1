"""Outputs of two networks for the same pairs in, minus the sum of their canonical correlations out."""

import torch
from torch import Tensor

from model.losses.precision import full_precision


@full_precision
def dcca(x: Tensor, y: Tensor, *, ridge: float) -> Tensor:
    """The loss of deep CCA (Andrew et al. 2013, ICML): -||S_xx^-1/2 S_xy S_yy^-1/2|| in the trace norm.

    With x, y centred over the batch, S_xx = x'x / (n - 1) + ridge I, likewise S_yy, S_xy = x'y / (n - 1).
    The sum of all singular values is taken, so two equal views of k columns give -k (without ridge).

    S^-1/2 is L^-1 turned by a rotation, L the Cholesky factor of S, and singular values do not see
    rotations: the value is the same, but no gradient goes through eigenvectors, where it is divided by
    the difference of two eigenvalues, which is 0 for two silent units. All in float64.

    Args:
        x: (n, k), n well above k.
        y: (n, k).
        ridge: > 0, in the square of the outputs' units.

    Returns:
        (), >= -k, as exact as the outputs are.
    """
    kind = x.dtype
    x, y = (each.double() - each.double().mean(0) for each in (x, y))
    scale = max(1, len(x) - 1)
    cross = x.T @ y / scale
    half = _whitened(x, cross, scale, ridge)
    whole = _whitened(y, half.T, scale, ridge)
    correlations: Tensor = torch.linalg.svdvals(whole)
    return -correlations.sum().to(kind)


def _whitened(x: Tensor, columns: Tensor, scale: int, ridge: float) -> Tensor:
    """L^-1 columns, L the Cholesky factor of the covariance of x."""
    identity = torch.eye(x.shape[1], dtype=x.dtype, device=x.device)
    factor = torch.linalg.cholesky(x.T @ x / scale + ridge * identity)
    whitened: Tensor = torch.linalg.solve_triangular(factor, columns, upper=False)
    return whitened
