"""The common space's figures against torch's distances and against layouts whose values are known."""

import numpy as np
import pytest
import torch

from model.evaluation import geometry as module
from model.evaluation.geometry import geometry


def unit(x: np.ndarray) -> np.ndarray:
    return np.asarray(x / np.linalg.norm(x, axis=1, keepdims=True))


@pytest.mark.parametrize("n", [2, 3, 57])
def test_is_what_torch_gets(n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAIRS_AT_ONCE", 100)  # several blocks, the last one uneven
    rng = np.random.default_rng(n)
    v, m = unit(rng.standard_normal((n, 5))), unit(rng.standard_normal((n, 5)) + 0.7)
    found = geometry(v, m)
    tv, tm = torch.from_numpy(v), torch.from_numpy(m)
    assert found.alignment == pytest.approx(float((tv - tm).norm(dim=1).pow(2).mean()))
    for value, side in ((found.uniformity_video, tv), (found.uniformity_music, tm)):
        assert value == pytest.approx(float(torch.pdist(side).pow(2).mul(-2).exp().mean().log()))
    assert found.modality_gap == pytest.approx(float((tv.mean(0) - tm.mean(0)).norm()))


def test_layouts_with_known_figures() -> None:
    square = np.array([[1.0, 0], [0, 1], [-1, 0], [0, -1]])
    same = geometry(square, square)
    assert (same.alignment, same.modality_gap) == (0, 0)
    assert same.uniformity_video == pytest.approx(np.log((2 * np.exp(-4) + np.exp(-8)) / 3))
    opposite = geometry(square, -square)
    assert (opposite.alignment, opposite.modality_gap) == (4, 0)
    collapsed = geometry(np.tile([[1.0, 0]], (3, 1)), np.tile([[-1.0, 0]], (3, 1)))
    assert collapsed.modality_gap == 2
    assert collapsed.uniformity_video == pytest.approx(0)


def test_one_pair_has_no_spread() -> None:
    found = geometry(np.array([[1.0, 0]]), np.array([[0.0, 1]]))
    assert (found.alignment, found.uniformity_video, found.uniformity_music) == (2, 0, 0)
