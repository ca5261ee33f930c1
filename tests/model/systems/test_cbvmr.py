"""CBVMR: the sizes of its code, and its loss put together by hand."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
import torch

from model.systems.cbvmr import CBVMR, PRESETS, CBVMRConfig
from model.training.sampler import Pairs


def test_towers_have_the_layers_of_its_code(make_pairs: Callable[..., Pairs]) -> None:
    pairs = make_pairs((1, 1, 1), video={"frames": 1024}, music={"audio": 1140, "emotion": 5})
    system = CBVMR(pairs.dims, PRESETS["paper"].system)
    for net, widths in (
        (system.video_net, (1024, 2048, 512)),
        (system.music_net, (1140, 2048, 1024, 512)),
    ):
        shapes = [tuple(each.shape) for each in net.parameters() if each.ndim == 2]
        assert shapes == [(after, before) for before, after in pairwise(widths)]
    first = system.music_net[0].weight.detach()
    deviation = np.sqrt(2 / 1140)
    assert float(first.abs().max()) <= 2 * deviation
    assert float(first.std()) == pytest.approx(0.8796 * deviation, rel=0.02)  # cut off at 2 sigma


def hinge(scores: np.ndarray) -> float:
    n, total = len(scores), []
    for i in range(n):
        wrong = np.sort(np.delete(scores[i], i))[::-1][:7]
        total.append(np.maximum(0, 0.1 + wrong - scores[i, i]).mean())
    return float(np.mean(total))


def flips(x: np.ndarray, z: np.ndarray) -> float:
    x = x / np.linalg.norm(x, axis=1, keepdims=True)
    near, far = (-(each @ each.T)[:7, :7] for each in (x, z))
    turned = np.sign(near[:, :-1] - near[:, 1:]) - np.sign(far[:, :-1] - far[:, 1:])
    return float((turned * (far[:, 1:] - far[:, :-1])).mean())


def test_loss_is_put_together_as_published(
    make_pairs: Callable[..., Pairs], look: Callable[..., tuple]
) -> None:
    pairs = make_pairs((12, 2, 2))
    system = CBVMR(pairs.dims, CBVMRConfig(hardest=7)).eval()
    _, batch = look(system, pairs)
    with torch.no_grad():
        found = system.loss(batch, 1)
        z_v, z_m = (
            z.double().numpy() for z in (system.embed_video(batch.video), system.embed_music(batch.music))
        )
    v = np.concatenate([batch.video["frames"], batch.video["motion"]], axis=1)
    m = batch.music["audio"].double().numpy()
    matching = 3 * hinge(z_m @ z_v.T) + hinge(z_v @ z_m.T)
    assert float(found.matching) == pytest.approx(matching, rel=1e-5)
    assert float(found.total) == pytest.approx(matching + 0.2 * (flips(m, z_m) + flips(v, z_v)), rel=1e-4)


def test_batch_norm_forgets_a_hundredth_a_batch(
    make_pairs: Callable[..., Pairs], look: Callable[..., tuple]
) -> None:
    pairs = make_pairs((50, 2, 2))
    system = CBVMR(pairs.dims, CBVMRConfig(dropout=0.0))
    _, batch = look(system, pairs)
    norm = system.music_net[-1]
    before = {}
    norm.register_forward_hook(lambda _, inputs, __: before.update(x=inputs[0].detach()))
    system.train().loss(batch, 1)
    np.testing.assert_allclose(norm.running_mean, 0.01 * before["x"].mean(0), atol=1e-6)
    assert norm.eps == 1e-3
