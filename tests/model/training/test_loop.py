"""What a recipe asks for reaches the optimizer: rate, its fall, momentum, decay, a longest gradient."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from model.systems.batch import Batch, Dims
from model.systems.recipe import TrainConfig
from model.systems.system import Losses
from model.systems.views import Pooled
from model.systems.yuyin import YuYin, YuYinConfig
from model.training.loop import Diverged, fit
from model.training.sampler import Pairs, Rows, prepare

STEEP = 1e3  # the gradient of every weight
N = 40


class Slope(YuYin):
    """A system whose loss is a slope of its one learned weight: each step can be worked out by hand."""

    def __init__(self, dims: Dims) -> None:
        super().__init__(dims, YuYinConfig(text=False, category=False, emotion=False, fusion="concat"))
        self.requires_grad_(False)
        self.weight = nn.Parameter(torch.ones(4))
        self.seen: list[Tensor] = []

    def loss(self, batch: Batch, epoch: int) -> Losses:
        if self.training:
            self.seen.append(self.weight.detach().clone())
        total = STEEP * self.weight.sum()
        return Losses(total, total, torch.zeros(()))


def pairs() -> Pairs:
    rng, at = np.random.default_rng(0), np.arange(N)
    rows = {name: Rows(rng.standard_normal((N, 3)).astype(np.float32), at, at + 1) for name in ("a", "v")}
    nothing = np.zeros(N, np.int64)
    split = np.repeat(["train", "evaluation", "test"], [N - 8, 4, 4])
    return Pairs(
        video={"frames": rows["v"]}, music={"audio": rows["a"]}, offsets=np.arange(N + 1), texts=None,
        tag=nothing, category=nothing, track=at, polarity=None, split=split, tags=("",), categories=(),
    )  # fmt: skip


def steps(config: TrainConfig) -> list[float]:
    """How far the weight went in each step but the last."""
    given = pairs()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        system = Slope(given.dims)
        assert isinstance(system.video_view, Pooled)
        fit(system, prepare(system, given, torch.device("cpu"), fit=True), config, lambda _: None)
    return [float((a - b)[0]) for a, b in zip(system.seen, system.seen[1:], strict=False)]


PLAIN = TrainConfig(
    epochs=3, batch_size=16, optimizer="sgd", learning_rate=1e-6, first_moment=0.0, keep="last"
)


def test_a_plain_step_is_rate_times_gradient() -> None:
    assert steps(PLAIN) == pytest.approx([1e-3] * 5, rel=1e-4)


def test_momentum_adds_what_was() -> None:
    wanted = [1e-3 * sum(0.5**i for i in range(n)) for n in range(1, 6)]
    assert steps(replace(PLAIN, first_moment=0.5)) == pytest.approx(wanted, rel=1e-3)


def test_the_rate_falls_after_every_thousand_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """2 here in the place of 1,000; without a decay it stays."""
    monkeypatch.setattr("model.training.loop.DECAY_STEPS", 2)
    assert steps(replace(PLAIN, decay=0.5)) == pytest.approx([1e-3, 1e-3, 5e-4, 5e-4, 2.5e-4], rel=1e-3)
    assert steps(PLAIN) == pytest.approx([1e-3] * 5, rel=1e-4)


def test_one_cycle_rises_and_falls() -> None:
    found = steps(replace(PLAIN, schedule="one_cycle", epochs=10))
    assert found[0] < max(found) / 5
    assert found[-1] < max(found) / 5
    assert max(found) == pytest.approx(1e-3, rel=0.05)


def test_a_gradient_is_cut_to_its_longest() -> None:
    """Four equal parts of a gradient of length 1 are .5 each."""
    assert steps(replace(PLAIN, clip_norm=1.0, learning_rate=1e-2)) == pytest.approx([5e-3] * 5, rel=1e-3)


@pytest.mark.parametrize("what", ["NaN", "inf", "no factorization"])
def test_what_are_no_numbers_any_more_diverged(monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    loss = Slope.loss

    def spoilt(system: Slope, batch: Batch, epoch: int) -> Losses:
        found = loss(system, batch, epoch)
        if what == "no factorization":
            torch.linalg.cholesky(torch.full((2, 2), torch.nan))
        return Losses(found.total.abs() * float(what), found.matching, found.prediction)

    monkeypatch.setattr(Slope, "loss", spoilt)
    with pytest.raises(Diverged, match="diverged in epoch 1: lower learning_rate"):
        steps(replace(PLAIN, keep="loss"))


def test_weights_shrink_by_rate_times_decay() -> None:
    """SGD adds the decay to the gradient; AdamW takes rate * decay of a weight beside a step of the rate."""
    assert steps(replace(PLAIN, weight_decay=100.0))[0] == pytest.approx(1e-6 * (STEEP + 100), rel=1e-3)
    adam = replace(PLAIN, optimizer="adam", learning_rate=1e-2)
    assert steps(adam)[0] == pytest.approx(1e-2, rel=1e-3)
    assert steps(replace(adam, weight_decay=0.5))[0] == pytest.approx(1e-2 + 1e-2 * 0.5, rel=1e-3)
