"""DCCA: its last step against numpy, and that it begins anew before every look."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from model.losses.dcca import dcca
from model.systems import dcca as module
from model.systems.dcca import DCCA, PRESETS, DCCAConfig
from model.training.sampler import Pairs

SMALL = DCCAConfig(hidden=16, components=3, final_ridge=1e-6)


def test_settling_makes_the_outputs_canonical(
    make_pairs: Callable[..., Pairs], look: Callable[..., tuple], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ROWS", 25)
    pairs = make_pairs()
    system = DCCA(pairs.dims, SMALL)
    _, train = look(system, pairs)
    system.settle(train)
    with torch.no_grad():
        x = system.video_net(torch.cat([train.video[name] for name in ("frames", "motion")], 1)).double()
        y = system.music_net(torch.cat([train.music[name] for name in ("audio", "emotion")], 1)).double()
    u, v = (
        ((side - side.mean(0)) @ mapped.matrix.double()).numpy()
        for side, mapped in ((x, system.video_map), (y, system.music_map))
    )
    np.testing.assert_allclose(u.T @ u / 60, np.eye(3), atol=1e-4)  # but for the ridge
    np.testing.assert_allclose(v.T @ v / 60, np.eye(3), atol=1e-3)
    between = u.T @ v / 60
    np.testing.assert_allclose(between, np.diag(np.diag(between)), atol=1e-5)
    assert np.all(np.diff(np.diag(between)) < 0)
    assert -np.trace(between) == pytest.approx(float(dcca(x, y, ridge=1e-7)), abs=2e-3)
    np.testing.assert_allclose(
        system.embed_video(train.video).detach().numpy(),
        u / np.linalg.norm(u, axis=1, keepdims=True),
        atol=1e-4,
    )


def test_paper_preset_has_the_sizes_of_the_page(make_pairs: Callable[..., Pairs]) -> None:
    pairs = make_pairs((1, 1, 1), video={"frames": 2048}, music={"audio": 768, "emotion": 988})
    system = DCCA(pairs.dims, PRESETS["paper"].system)
    counts = [sum(each.numel() for each in net.parameters()) for net in (system.video_net, system.music_net)]
    beyond = 1024 * 1024 + 1024 + 1024 * 64 + 64
    assert counts == [2048 * 1024 + 1024 + beyond, 1756 * 1024 + 1024 + beyond]


def test_loss_is_of_the_raw_outputs(make_pairs: Callable[..., Pairs], look: Callable[..., tuple]) -> None:
    pairs = make_pairs()
    system = DCCA(pairs.dims, SMALL).eval()
    _, train = look(system, pairs)
    before = float(system.loss(train, 1).total.detach())
    system.settle(train)
    assert float(system.loss(train, 1).total.detach()) == before
    assert -3 < before < 0
