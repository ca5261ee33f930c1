"""The hinge against plain loops over anchors and sorted lists."""

import numpy as np
import pytest
import torch

from model.losses.hinge import hinge, products


def slow_hinge(scores: np.ndarray, margin: float, hardest: int | None) -> float:
    n = len(scores)
    means = []
    for i in range(n):
        wrong = sorted((scores[i, j] for j in range(n) if j != i), reverse=True)
        chosen = wrong if hardest is None else wrong[:hardest]
        means.append(np.mean([max(0.0, margin + s - scores[i, i]) for s in chosen]))
    return float(np.mean(means))


@pytest.mark.parametrize("n", [2, 3, 8])
@pytest.mark.parametrize("hardest", [None, 1, 3, 100])
def test_is_the_definition(n: int, hardest: int | None) -> None:
    scores = np.random.default_rng(n).uniform(-1, 1, (n, n))
    found = hinge(torch.from_numpy(scores), margin=0.3, hardest=hardest)
    assert float(found) == pytest.approx(slow_hinge(scores, 0.3, hardest), rel=1e-12)


def test_equal_scores_cost_the_margin() -> None:
    assert float(hinge(torch.zeros(5, 5), margin=0.25, hardest=2)) == pytest.approx(0.25)
    assert float(hinge(torch.zeros(5, 5), margin=0.25)) == pytest.approx(0.25)


def test_nothing_is_lost_when_every_wrong_partner_is_a_margin_away() -> None:
    scores = torch.eye(4) * 0.5
    assert float(hinge(scores, margin=0.5)) == 0
    assert float(hinge(scores, margin=0.6)) == pytest.approx(0.1)


@pytest.mark.parametrize("hardest", [None, 1])
def test_one_pair_has_nobody_to_confuse_it_with(hardest: int | None) -> None:
    scores = torch.ones(1, 1, requires_grad=True)
    loss = hinge(scores, margin=1.0, hardest=hardest)
    loss.backward()
    assert float(loss.detach()) == 0
    assert scores.grad is not None
    assert float(scores.grad) == 0


def test_pushes_only_the_hardest_away() -> None:
    scores = torch.tensor([[0.0, 0.9, 0.5], [0.0, 9.0, 0.0], [0.0, 0.0, 9.0]], requires_grad=True)
    hinge(scores, margin=0.1, hardest=1).backward()
    expected = torch.tensor([[-1 / 3, 1 / 3, 0], [0, 0, 0], [0, 0, 0]])
    assert scores.grad is not None
    assert torch.allclose(scores.grad, expected)


def test_products_are_exact_where_networks_are_not() -> None:
    x, y = (torch.randn(3, 64, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = products(x, y)
        assert (x @ y.T).dtype == torch.bfloat16
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found, x.double().numpy() @ y.double().numpy().T, atol=1e-5)
