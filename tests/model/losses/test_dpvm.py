"""DPVM's losses against loops, known values, and what the polarity penalty must leave alone."""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cosine
from torch import Tensor

from model.losses.dpvm import contrastive, mean_distance, polarity_penalty


def rows(n: int, d: int, seed: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((n, d)))


def similarity(x: Tensor, y: Tensor) -> float:
    return float(1 - cosine(x.detach(), y.detach()))


@pytest.mark.parametrize("n", [1, 5])
def test_distance_is_scipy_s(n: int) -> None:
    x, y = rows(n, 3, 0), rows(n, 3, 1)
    assert float(mean_distance(x, y)) == pytest.approx(np.mean([cosine(x[i], y[i]) for i in range(n)]))


@pytest.mark.parametrize("other", [[0], [1, 0], [2, 0, 4, 1, 3], [1, 0, 2, 4, 3]])
def test_contrastive_is_equation_2(other: list[int]) -> None:
    n, margin = len(other), 0.7
    video, music = rows(n, 3, 0), rows(n, 3, 1)
    losses = [cosine(video[i], music[i]) ** 2 / 2 for i in range(n)]
    for i, j in enumerate(other):
        if i != j:
            losses.append(max(0.0, margin - cosine(video[i], music[j])) ** 2 / 2)
    found = contrastive(video, music, torch.tensor(other), margin)
    assert float(found) == pytest.approx(np.mean(losses))


def test_contrastive_is_content_with_equal_pairs_and_mismatches_past_the_margin() -> None:
    x = torch.eye(3, dtype=torch.float64)  # mismatched ones lie 1 apart
    other = torch.tensor([1, 2, 0])
    assert float(contrastive(x, x, other, 0.5)) == 0.0
    assert float(contrastive(x, x, other, 1.5)) == pytest.approx(0.5**2 / 2 / 2)


@pytest.mark.parametrize("n", [1, 2, 7])
def test_polarity_penalty_is_the_definition(n: int) -> None:
    video, music = rows(n, 3, 0), rows(n, 3, 1)
    label = np.random.default_rng(n).integers(0, 3, n)
    total = 0.0
    for k in range(n):
        own = similarity(video[k], music[k])
        for i in range(n):
            if i != k:
                phi = similarity(video[k], music[i])
                rho = 0 if phi < own else 1
                total += abs(int(label[k]) - int(label[i])) * rho * phi - own
    expected = total / (n * (n - 1)) if n > 1 else 0.0
    found = polarity_penalty(video, music, torch.from_numpy(label))
    assert float(found) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_polarity_penalty_gives_same_polarity_negatives_no_gradient() -> None:
    """Music 1 is closer to video 0 than its own: pushed away if its polarity differs, else left alone."""
    video = torch.tensor([[1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    music = torch.tensor([[0.5, 1.0], [1.0, 0.1]], dtype=torch.float64)

    def pull_on_first(polarity: list[int]) -> Tensor:
        """What the loss does to music 1 by way of video 0 alone."""
        leaf = music.clone().requires_grad_()
        whole = polarity_penalty(video, leaf, torch.tensor(polarity))
        own = torch.nn.functional.cosine_similarity(video, leaf, dim=1).mean()  # the term of right pairs
        return torch.autograd.grad(whole + own, leaf)[0][1]

    assert torch.allclose(pull_on_first([1, 1]), torch.zeros(2, dtype=torch.float64), atol=1e-12)
    assert pull_on_first([0, 1])[0] > 0.001  # a step against the gradient turns it away from (1, 0)
    once, twice = pull_on_first([0, 1]), pull_on_first([0, 2])
    assert torch.allclose(twice, 2 * once)  # two steps of polarity weigh twice


def test_polarity_penalty_pushes_nothing_that_is_farther_than_the_right_one() -> None:
    video = torch.eye(3, dtype=torch.float64)
    found = polarity_penalty(video, video, torch.tensor([0, 1, 2]))  # every wrong cosine is 0 < 1
    assert float(found) == pytest.approx(-1.0)
