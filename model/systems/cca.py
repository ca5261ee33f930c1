"""Paired rows of two sides in, the linear maps that make them agree most out (canonical correlation)."""

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]


def ridge_cca(x: Matrix, y: Matrix, *, ridge: float, components: int) -> tuple[Matrix, Matrix]:
    """Regularised canonical correlation analysis (Hotelling 1936; ridge: Vinod 1976).

    Columns are centred first. With C_xx = x'x / n + ridge * (mean variance of x) * I, likewise C_yy,
    and U diag(s) V' the singular value decomposition of C_xx^-1/2 (x'y / n) C_yy^-1/2, the columns of
    A = C_xx^-1/2 U and B = C_yy^-1/2 V pair up with correlations s_i. Each column is scaled by sqrt(s_i),
    so that the inner product of x A and y B weighs a direction by how far it can be trusted.

    Args:
        x: (n, d_x).
        y: (n, d_y), row i belongs with row i of `x`.
        ridge: in units of the mean variance of a column; more for fewer pairs.
        components: at most this many columns, best first.

    Returns:
        A (d_x, k) and B (d_y, k), k = min(components, d_x, d_y).
    """
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    white_x, white_y = _whitening(x, ridge), _whitening(y, ridge)
    u, correlations, vt = np.linalg.svd(white_x @ (x.T @ y / len(x)) @ white_y)
    kept = min(components, len(correlations))
    weight = np.sqrt(correlations[:kept])
    return white_x @ u[:, :kept] * weight, white_y @ vt[:kept].T * weight


def _whitening(x: Matrix, ridge: float) -> Matrix:
    """(d, d) symmetric C^-1/2; directions without any variance get 0."""
    covariance = x.T @ x / len(x)
    covariance += ridge * np.trace(covariance) / len(covariance) * np.eye(len(covariance))
    values, vectors = np.linalg.eigh(covariance)
    alive = values > 1e-9 * values.max(initial=0)
    inverse = np.where(alive, values, 1.0) ** -0.5 * alive
    root: Matrix = (vectors * inverse) @ vectors.T
    return root
