"""Eq. (3) and (4) against the logarithm of the softmax, written out."""

import math

import numpy as np
import pytest
import torch

from model.losses.prediction import prediction


@pytest.mark.parametrize("n", [1, 5])
def test_is_the_sum_of_three_cross_entropies(n: int) -> None:
    rng = np.random.default_rng(n)
    logits = rng.standard_normal((3, n, 4))
    category = rng.integers(0, 4, n)
    expected = sum(
        -math.log(np.exp(one[i, category[i]]) / np.exp(one[i]).sum()) / n for one in logits for i in range(n)
    )
    found = prediction([torch.from_numpy(one) for one in logits], torch.from_numpy(category))
    assert float(found) == pytest.approx(expected, rel=1e-12)


def test_a_classifier_that_knows_nothing_costs_log_4_for_each_modality() -> None:
    found = prediction([torch.zeros(7, 4)] * 3, torch.arange(7) % 4)
    assert float(found) == pytest.approx(3 * math.log(4))
