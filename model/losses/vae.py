"""Means and log-variances of Gaussians in, their divergence from the unit Gaussian out."""

from torch import Tensor

from model.losses.precision import full_precision


@full_precision
def kl_to_unit_gaussian(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, exp(log_variance)) || N(0, I)), Kingma and Welling 2014 (arXiv:1312.6114), appendix B.

    Args:
        mean: (n, d).
        log_variance: (n, d), of independent dimensions.

    Returns:
        () in nats: the sum over dimensions, the mean over rows.
    """
    each = mean.square() + log_variance.exp() - 1 - log_variance
    return each.sum(1).mean() / 2
