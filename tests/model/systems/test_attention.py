"""Attention and Transformer layers against torch's own, and masks that hide what lies behind them."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from model.systems.attention import Attention, Block, Lift, Slices, positions, side_by_side
from model.systems.views import CHUNKS, Tokens


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def sequence(b: int, t: int, width: int) -> tuple[Tensor, Tensor]:
    """Rows, and a mask that leaves each at least one."""
    lengths = torch.randint(1, t + 1, (b, 1))
    return torch.randn(b, t, width), torch.arange(t) < lengths


def torch_s(own: Attention, width: int, heads: int) -> nn.MultiheadAttention:
    """torch's layer with the same weights."""
    theirs = nn.MultiheadAttention(width, heads, batch_first=True)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([own.query.weight, own.key.weight, own.value.weight]))
        theirs.in_proj_bias.copy_(torch.cat([own.query.bias, own.key.bias, own.value.bias]))
    theirs.out_proj.load_state_dict(own.out.state_dict())
    return theirs


@pytest.mark.parametrize(("t", "s"), [(1, 1), (3, 1), (1, 4), (5, 3)])
def test_attention_is_torch_s(t: int, s: int) -> None:
    own = Attention(12, 3, 4)
    (x, _), (y, mask) = sequence(2, t, 12), sequence(2, s, 12)
    expected, _ = torch_s(own, 12, 3)(x, y, y, key_padding_mask=~mask)
    assert torch.allclose(own(x, y, mask), expected, atol=1e-6)


@pytest.mark.parametrize("norm_first", [True, False])
def test_block_is_torch_s_encoder_layer(norm_first: bool) -> None:
    own = Block(12, 20, 3, norm_first=norm_first)
    theirs = nn.TransformerEncoderLayer(
        12, 3, 20, dropout=0.0, activation="gelu", batch_first=True, norm_first=norm_first
    )
    theirs.self_attn = torch_s(own.attention, 12, 3)
    theirs.linear1.load_state_dict(own.feed[0].state_dict())
    theirs.linear2.load_state_dict(own.feed[3].state_dict())
    for norm in (own.first_norm, own.second_norm):
        nn.init.normal_(norm.weight)
    theirs.norm1.load_state_dict(own.first_norm.state_dict())
    theirs.norm2.load_state_dict(own.second_norm.state_dict())
    x, mask = sequence(3, 5, 12)
    expected = theirs.train()(x, src_key_padding_mask=~mask)  # in training it takes no fast path
    assert torch.allclose(own(x, x, mask)[mask], expected[mask], atol=1e-5)


def test_heads_may_be_narrower_than_the_rows() -> None:
    own = Block(12, 20, 3, head_width=1, norm_first=True)
    x, mask = sequence(2, 4, 12)
    assert own(x, x, mask).shape == (2, 4, 12)
    assert own.attention.query.weight.shape == (3, 12)


@pytest.mark.parametrize("norm_first", [True, False])
def test_what_lies_behind_the_mask_changes_nothing(norm_first: bool) -> None:
    own = Block(8, 16, 2, norm_first=norm_first)
    x, mask = sequence(3, 5, 8)
    other = torch.where(mask.unsqueeze(2), x, 1e4 * torch.randn_like(x))
    longer, longer_mask = nn.functional.pad(x, (0, 0, 0, 7)), nn.functional.pad(mask, (0, 7))
    expected = own(x, x, mask)[mask]
    assert torch.allclose(own(other, other, mask)[mask], expected, atol=1e-6)
    assert torch.allclose(own(longer, longer, longer_mask)[:, :5][mask], expected, atol=1e-6)


def test_dropout_acts_in_training_only() -> None:
    own = Block(8, 16, 2, norm_first=True, dropout=0.5)
    x, mask = sequence(2, 3, 8)
    assert not torch.equal(own(x, x, mask), own(x, x, mask))
    own.eval()
    assert torch.equal(own(x, x, mask), own(x, x, mask))


def test_positions_are_sines_and_cosines_of_falling_rates() -> None:
    found = positions(torch.arange(5.0), 6)
    for t in range(5):
        for i in range(3):
            angle = t / 10_000 ** (2 * i / 6)
            assert float(found[t, 2 * i]) == pytest.approx(math.sin(angle), abs=1e-6)
            assert float(found[t, 2 * i + 1]) == pytest.approx(math.cos(angle), abs=1e-6)


def test_slices_have_a_linear_map_each() -> None:
    own, x = Slices(3, 5), torch.randn(2, CHUNKS, 3)
    found = own(x).detach().numpy()
    weight, bias = own.weight.detach().numpy(), own.bias.detach().numpy()
    for i in range(2):
        for chunk in range(CHUNKS):
            expected = x[i, chunk].numpy() @ weight[chunk] + bias[chunk, 0]
            np.testing.assert_allclose(found[i, chunk], expected, atol=1e-6)


def test_lift_lays_inputs_of_any_length_side_by_side() -> None:
    """A sequence of 4 rows, and a pooled input that the view splits into pseudo-tokens."""
    view = Tokens({"frames": 6, "pooled": 19}, {"frames": 4, "pooled": 1}, 5.0)
    lift = Lift(view, ("pooled", "frames"), 8)
    raw = {"frames": sequence(2, 4, 6), "pooled": (torch.randn(2, 1, 19), torch.ones(2, 1).bool())}
    prepared = view(raw)
    x, mask = side_by_side(lift(prepared))
    assert x.shape == (2, 4 + CHUNKS, 8)
    assert torch.equal(mask, torch.cat([raw["frames"][1], torch.ones(2, CHUNKS).bool()], dim=1))
    frames = lift.maps["frames"](prepared["frames"]) + positions(torch.arange(4.0), 8)
    assert torch.allclose(x[:, :4], frames)
