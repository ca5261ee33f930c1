"""The structure loss against plain loops, and what its name promises: 0 while order is kept."""

import numpy as np
import pytest
import torch
from torch import Tensor

from model.losses.structure import structure


def points(n: int, d: int, seed: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((n, d)))


def unit(x: Tensor) -> Tensor:
    return x / x.norm(dim=1, keepdim=True)


def slow_structure(inputs: Tensor, embedded: Tensor, rows: int) -> float:
    x, z = unit(inputs).numpy(), embedded.numpy()
    k = min(rows, len(x))
    total = 0.0
    for i in range(k):
        for j in range(k - 1):
            near_x, far_x = -np.dot(x[i], x[j]), -np.dot(x[i], x[j + 1])
            near_z, far_z = -np.dot(z[i], z[j]), -np.dot(z[i], z[j + 1])
            total += (np.sign(near_x - far_x) - np.sign(near_z - far_z)) * (far_z - near_z)
    return total / (k * (k - 1))


@pytest.mark.parametrize(("n", "rows"), [(2, 2), (7, 4), (7, 100)])
def test_is_the_definition(n: int, rows: int) -> None:
    x, z = points(n, 5, 0), unit(points(n, 3, 1))
    assert float(structure(x, z, rows=rows)) == pytest.approx(slow_structure(x, z, rows), rel=1e-9, abs=1e-15)


def test_nothing_is_lost_while_order_is_kept() -> None:
    x = points(9, 4, 0)
    assert float(structure(3 * x, unit(x), rows=9)) == 0  # length of an input does not count
    squeezed = torch.cat([unit(x), torch.full((9, 1), 2.0)], dim=1)  # all closer together, order as before
    assert float(structure(x, unit(squeezed), rows=9)) == 0


def test_order_turned_round_costs_twice_the_difference() -> None:
    """Clips at 0, .1 and 1 rad are put at 0, 1 and .1: clips 0 and 2 see their neighbours change places."""
    angle = torch.tensor([0.0, 0.1, 1.0])
    x = torch.stack([angle.cos(), angle.sin()], dim=1)
    cost = 2 * (np.cos(0.1) - np.cos(1.0)) + 2 * (np.cos(0.1) - np.cos(0.9))
    assert float(structure(x, x[[0, 2, 1]], rows=3)) == pytest.approx(cost / 6, rel=1e-5)


def test_a_single_clip_has_no_order() -> None:
    assert float(structure(points(1, 3, 0), unit(points(1, 2, 1)), rows=100)) == 0


def test_only_the_embedding_learns() -> None:
    x, z = points(6, 3, 0).requires_grad_(), unit(points(6, 3, 1)).requires_grad_()
    structure(x, z, rows=6).backward()
    assert x.grad is None
    assert z.grad is not None
    assert float(z.grad.abs().sum()) > 0
