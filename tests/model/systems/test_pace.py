"""Rhythm and flow as classes, by hand, and rows laid beside others of the same time."""

import numpy as np
import pytest
import torch

from model.systems.pace import PacedTokens, PaceEmbedding, flow_classes, rhythm_classes, spread


@pytest.mark.parametrize(
    ("measured", "classes"),
    [
        ((0, 3.0, 0.5), (0, 0, 64)),  # no beat: neither strength nor interval
        ((1, 3.4, 0.5), (1, 3, 64)),  # one beat has no interval
        ((2, 3.6, 0.5), (2, 4, 8)),  # 0.5 s in bins of 1/16 s
        ((8, 48.4, 0.0624), (8, 48, 0)),
        ((8, 480.0, 0.0626), (8, 48, 1)),
        ((40, -1.0, 9.0), (17, 0, 63)),
        ((np.nan, np.inf, np.nan), (0, 0, 64)),
    ],
)
def test_rhythm_has_the_code_s_classes(
    measured: tuple[float, float, float], classes: tuple[int, int, int]
) -> None:
    assert rhythm_classes(torch.tensor(measured, dtype=torch.float32)).tolist() == list(classes)


@pytest.mark.parametrize(
    ("flow_px", "expected"), [(0.0, 0), (4.9, 0), (5.1, 1), (319.0, 63), (999.0, 63), (np.nan, 0)]
)
def test_flow_has_bins_of_5_px(flow_px: float, expected: int) -> None:
    assert flow_classes(torch.tensor([flow_px])).tolist() == [expected]


def test_embeddings_have_the_paper_s_widths() -> None:
    rhythm, flow = PaceEmbedding("rhythm", 512), PaceEmbedding("flow", 512)
    assert [tuple(table.weight.shape) for table in rhythm.tables] == [(18, 256), (49, 128), (65, 128)]
    assert [tuple(table.weight.shape) for table in flow.tables] == [(65, 512)]
    classes = torch.tensor([[[3, 5, 64], [17, 48, 0]]])
    found = rhythm(classes)
    assert found.shape == (1, 2, 512)
    assert torch.equal(found[0, 1, 256:384], rhythm.tables[1].weight[48])


@pytest.mark.parametrize(("own", "count"), [(1, 1), (1, 5), (3, 3), (7, 3), (3, 7)])
def test_rows_are_spread_over_the_same_time(own: int, count: int) -> None:
    x = torch.arange(1, 9).reshape(1, 8, 1).expand(2, 8, 1)
    x_mask, mask = torch.arange(8) < own, torch.arange(9) < count
    found = spread(x, x_mask.expand(2, 8), mask.expand(2, 9))[:, :count, 0]
    expected = [1 + i * own // count for i in range(count)]
    assert found.tolist() == [expected, expected]


def test_view_standardises_what_is_seen_and_counts_how_it_moves() -> None:
    view = PacedTokens({"frames": 4, "flow": 1}, {"frames": 3, "flow": 1}, 5.0)
    raw = {
        "frames": (2 * torch.randn(50, 3, 4) + 1, torch.ones(50, 3).bool()),
        "flow": (torch.full((50, 2, 1), 12.0), torch.tensor([[True, False]]).expand(50, 2)),
    }
    view.fit([raw])
    prepared = view(raw)
    assert tuple(view.widths) == ("flow", "frames")
    assert prepared["flow"][:, :, 0].unique(dim=0).tolist() == [[2, 0]]  # never a pseudo-token
    frames = prepared["frames"].reshape(-1, 4)
    assert torch.allclose(frames.mean(0), torch.zeros(4), atol=1e-5)
    assert torch.allclose(frames.std(0, correction=0), torch.ones(4), atol=1e-4)
