"""NCE against its definition in plain loops, known values, and what a gradient must do."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from model.losses.nce import nce

TAG_SHARES = np.repeat([0.447 / 7, 0.264 / 2, 0.274 / 3, 0.016 / 3], [7, 2, 3, 3])  # docs/models.md 1.6


def unit(n: int, d: int, seed: int) -> Tensor:
    x = torch.from_numpy(np.random.default_rng(seed).standard_normal((n, d)))
    return torch.nn.functional.normalize(x, dim=1)


def slow_nce(
    x: Tensor, y: Tensor, positives: Tensor, temperature: float, ignored: Tensor | None = None
) -> float:
    """Eq. (1), letter by letter."""
    total = 0.0
    for i in range(len(x)):
        right = everything = 0.0
        for j in range(len(y)):
            value = math.exp(float(x[i] @ y[j]) / temperature)
            if positives[i, j]:
                right += value
            if positives[i, j] or ignored is None or not ignored[i, j]:
                everything += value
        total -= math.log(right / everything)
    return total / len(x)


@pytest.mark.parametrize("n", [1, 2, 7])
@pytest.mark.parametrize("temperature", [0.07, 1.0])
def test_is_the_definition(n: int, temperature: float) -> None:
    x, y = unit(n, 5, 0), unit(n, 5, 1)
    rng = np.random.default_rng(n)
    positives = torch.from_numpy(rng.random((n, n)) < 0.3) | torch.eye(n, dtype=torch.bool)
    ignored = torch.from_numpy(rng.random((n, n)) < 0.3)
    there = slow_nce(x, y, positives, temperature, ignored)
    back = slow_nce(y, x, positives.T, temperature, ignored.T)
    one_way = nce(x, y, positives, temperature=temperature, ignored=ignored)
    both = nce(x, y, positives, temperature=temperature, ignored=ignored, symmetric=True)
    assert float(one_way) == pytest.approx(there, rel=1e-12)
    assert float(both) == pytest.approx((there + back) / 2, rel=1e-12)


def test_is_cross_entropy_when_each_row_has_one_partner() -> None:
    x, y = unit(6, 4, 0), unit(6, 4, 1)
    expected = torch.nn.functional.cross_entropy(x @ y.T / 0.07, torch.arange(6))
    assert torch.allclose(nce(x, y, torch.eye(6, dtype=torch.bool), temperature=0.07), expected)


def test_symmetric_form_does_not_care_which_side_comes_first() -> None:
    x, y, own = unit(5, 4, 0), unit(5, 4, 1), torch.eye(5, dtype=torch.bool)
    first = nce(x, y, own, temperature=0.1, symmetric=True)
    assert torch.allclose(first, nce(y, x, own, temperature=0.1, symmetric=True))
    assert not torch.allclose(nce(x, y, own, temperature=0.1), nce(y, x, own, temperature=0.1))


def test_knows_nothing_costs_log_n() -> None:
    x = unit(1, 3, 0).repeat(8, 1)
    assert float(nce(x, x, torch.eye(8, dtype=torch.bool), temperature=0.07)) == pytest.approx(math.log(8))


def test_floor_of_equal_texts_with_diagonal_positives_is_443_nats_and_0_with_their_tags() -> None:
    tag = np.random.default_rng(0).choice(15, size=1024, p=TAG_SHARES / TAG_SHARES.sum())
    perfect = torch.eye(15, dtype=torch.float64)[tag]  # rows of one tag equal, of two tags at right angles
    same = torch.from_numpy(tag[:, None] == tag[None, :])
    floor = nce(perfect, perfect, torch.eye(1024, dtype=torch.bool), temperature=0.01)
    assert float(floor) == pytest.approx(4.43, abs=0.05)
    assert float(nce(perfect, perfect, same, temperature=0.01)) == pytest.approx(0, abs=1e-12)


def test_gradient_pulls_the_partner_pushes_the_rest_and_leaves_the_ignored_alone() -> None:
    x, y = unit(4, 6, 0), unit(4, 6, 1).requires_grad_()
    ignored = torch.zeros(4, 4, dtype=torch.bool)
    ignored[0, 1] = True
    own = torch.eye(4, dtype=torch.bool)
    gradient = torch.autograd.grad(nce(x, y, own, temperature=1.0, ignored=ignored), y)[0]
    softmax = torch.softmax((x @ y.T).detach().masked_fill(ignored, -torch.inf), dim=1)
    expected = ((softmax - own.double()) / 4).T @ x
    assert torch.allclose(gradient, expected)
    assert softmax[0, 1] == 0


def test_is_as_exact_under_bfloat16_autocast_as_without() -> None:
    """Rounded to 8 bits, cosines over .07 would be wrong by as much as a softmax has to tell apart."""
    x, y = unit(64, 16, 0).float(), unit(64, 16, 1).float()
    own = torch.eye(64, dtype=torch.bool)
    expected = nce(x, y, own, temperature=0.07, symmetric=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert (x @ y.T).dtype == torch.bfloat16  # so autocast is on here
        found = nce(x, y, own, temperature=0.07, symmetric=True)
        rounded = nce(x.bfloat16(), y.bfloat16(), own, temperature=0.07, symmetric=True)
    assert found.dtype == rounded.dtype == torch.float32
    assert torch.equal(found, expected)
    again = nce(x.bfloat16().float(), y.bfloat16().float(), own, temperature=0.07, symmetric=True)
    assert torch.equal(rounded, again)  # half inputs lose what they lost before, nothing more


def test_refuses_a_temperature_that_is_not_positive() -> None:
    with pytest.raises(ValueError, match="positive"):
        nce(unit(2, 2, 0), unit(2, 2, 1), torch.eye(2, dtype=torch.bool), temperature=0.0)
