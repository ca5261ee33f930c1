"""The divergence against torch's own, and where it is 0."""

import numpy as np
import pytest
import torch
from torch.distributions import Independent, Normal, kl_divergence

from model.losses.vae import kl_to_unit_gaussian


@pytest.mark.parametrize("n", [1, 2, 7])
def test_is_torch_s_own(n: int) -> None:
    rng = np.random.default_rng(n)
    mean, log_variance = (torch.from_numpy(rng.standard_normal((n, 5))) for _ in range(2))
    prior = Independent(Normal(torch.zeros(n, 5).double(), torch.ones(n, 5).double()), 1)
    posterior = Independent(Normal(mean, (log_variance / 2).exp()), 1)
    expected = kl_divergence(posterior, prior).mean()
    assert float(kl_to_unit_gaussian(mean, log_variance)) == pytest.approx(float(expected), rel=1e-12)


def test_the_prior_itself_costs_nothing() -> None:
    assert float(kl_to_unit_gaussian(torch.zeros(3, 4), torch.zeros(3, 4))) == 0
