"""Pooling against loops, the z-score against numpy, tokens by hand, and what none of them may let through."""

import numpy as np
import pytest
import torch

from model.systems.batch import Padded
from model.systems.views import CHUNKS, Pooled, Standardise, Tokens, joined, pool_over_time, pooled_width

LENGTHS = (0, 1, 3, 6)


def ragged(seed: int, width: int = 5, rows: int = 6) -> Padded:
    """Sequences of 0, 1, 3 and 6 rows; behind each end NaN and what only looks like a value."""
    rng = np.random.default_rng(seed)
    x = torch.from_numpy(rng.normal(2, 3, (4, rows, width)).astype(np.float32))
    mask = torch.arange(rows) < torch.tensor(LENGTHS)[:, None]
    x[~mask] = torch.tensor([1e3, torch.nan, 7.0]).repeat(width)[:width]
    return x, mask


def cut(padded: Padded, rows: int) -> Padded:
    return padded[0][:, :rows], padded[1][:, :rows]


@pytest.mark.parametrize("rows", [1, 3, 60, 601])
def test_what_never_changes_within_a_video_has_no_spread(rows: int) -> None:
    """Not even that of rounding: a z-score over videos would make it as loud as anything."""
    values = torch.tensor([0.1, 2.6, -1 / 3, 1e4, 1e-7, 0.0])
    x, mask = values.expand(2, rows, 6), torch.ones(2, rows, dtype=torch.bool)
    found = pool_over_time(x, mask, "mean_std")
    assert torch.equal(found[:, 6:], torch.zeros(2, 6))
    torch.testing.assert_close(found[:, :6], values.expand(2, 6), rtol=1e-5, atol=0)
    if rows > 1:
        moving = x + 0.001 * values.abs() * torch.linspace(-1, 1, rows)[None, :, None]
        spread = 0.001 * values.abs() * float(torch.linspace(-1, 1, rows).std(correction=0))
        torch.testing.assert_close(pool_over_time(moving, mask, "mean_std")[0, 6:], spread, rtol=1e-2, atol=0)


@pytest.mark.parametrize("pool", ["mean", "mean_std"])
def test_pools_the_real_rows_only(pool: str) -> None:
    x, mask = ragged(0)
    found = pool_over_time(x, mask, pool).numpy()  # type: ignore[arg-type]  # parametrize knows no Literal
    assert found.shape == (4, pooled_width(5, pool, 6))  # type: ignore[arg-type]  # likewise
    assert (found[0] == 0).all()
    for i, rows in ((1, 1), (2, 3), (3, 6)):
        real = x[i, :rows].numpy()
        expected = real.mean(0) if pool == "mean" else np.concatenate([real.mean(0), real.std(0)])
        np.testing.assert_allclose(found[i], expected, rtol=1e-5, atol=1e-6)


def test_what_was_pooled_beforehand_has_no_deviation() -> None:
    assert pooled_width(5, "mean_std", 1) == 5
    view = Pooled({"a": 2, "b": 3}, {"a": 1, "b": 4}, "mean_std", 5.0)
    assert (view.out, view.width) == ({"a": 2, "b": 6}, 8)


def test_standardise_is_the_z_score_of_the_training_rows_in_any_chunks() -> None:
    rows = torch.from_numpy(np.random.default_rng(0).normal(3, 2, (101, 4)).astype(np.float32))
    whole, chunked = Standardise(4, clip=9.0), Standardise(4, clip=9.0)
    whole.fit([rows])
    chunked.fit(torch.split(rows, 7))
    expected = (rows.numpy() - rows.numpy().mean(0)) / rows.numpy().std(0)
    np.testing.assert_allclose(whole(rows).numpy(), expected, atol=1e-5)
    np.testing.assert_allclose(chunked(rows).numpy(), whole(rows).numpy(), atol=1e-6)
    np.testing.assert_allclose(whole.spread.numpy(), rows.numpy().std(0), rtol=1e-5)


def test_standardise_clips_and_replaces_what_is_not_finite_by_the_mean() -> None:
    layer = Standardise(3, clip=5.0)
    layer.fit([torch.tensor([[0.0, 0.0, 0.0], [2.0, 2.0, 2.0]])])
    odd = torch.tensor([[torch.nan, torch.inf, 1e9], [-1e9, -torch.inf, 1.5]])
    assert layer(odd).tolist() == [[0.0, 0.0, 5.0], [-5.0, 0.0, 0.5]]


def test_a_column_that_never_changed_in_training_stays_silent() -> None:
    layer = Standardise(2, clip=5.0)
    layer.fit([torch.tensor([[7.1, 0.0], [7.1, 1.0], [7.1, 2.0]])])
    assert layer(torch.tensor([[100.0, 1.0]])).tolist() == [[0.0, 0.0]]
    assert layer.spread[0] == 0


@pytest.mark.parametrize("size", [1e-37, 1e-30, 1e-12, 1e-10, 1.0, 1e12, 1e18])
def test_a_column_counts_however_small_or_large_its_numbers_are(size: float) -> None:
    drawn = np.random.default_rng(1).normal([0.0, 3.0, -1e4], 1, (500, 3))
    rows = torch.from_numpy((drawn * size).astype(np.float32))
    layer = Standardise(3, clip=9.0)
    layer.fit(torch.split(rows, 64))
    x = rows.numpy().astype(np.float64) / size
    np.testing.assert_allclose(layer(rows)[:, :2].numpy(), ((x - x.mean(0)) / x.std(0))[:, :2], atol=2e-5)
    np.testing.assert_allclose(layer.spread.numpy(), x.std(0) * size, rtol=1e-3)


@pytest.mark.parametrize("value", [0.0, 1e-44, -1e-30, 1e-10, 0.1, 7.1, -1e5, 1e18])
def test_a_column_that_changes_by_rounding_only_stays_silent(value: float) -> None:
    same = torch.full((500,), value)
    below, above = (torch.nextafter(same, torch.tensor(to)) for to in (-torch.inf, torch.inf))
    rounded = torch.where(torch.arange(500) % 3 == 0, below, above)
    layer = Standardise(2, clip=5.0)
    layer.fit(torch.split(torch.stack([same, rounded], dim=1), 7))
    assert layer.scale.tolist() == [0.0, 0.0]
    assert layer(torch.tensor([[1.0, 1e30]])).tolist() == [[0.0, 0.0]]
    assert layer.spread.tolist() == [0.0, 0.0]


def test_rows_that_are_not_finite_do_not_spoil_the_statistics() -> None:
    clean, spoilt = Standardise(1, clip=5.0), Standardise(1, clip=5.0)
    clean.fit([torch.tensor([[1.0], [4.0]])])
    spoilt.fit([torch.tensor([[1.0], [torch.nan], [4.0], [torch.inf]])])
    assert torch.equal(clean.mean, spoilt.mean)
    assert torch.equal(clean.scale, spoilt.scale)


def test_pooled_inputs_lie_side_by_side_by_name_whatever_the_order_they_are_given_in() -> None:
    a, b = ragged(0, width=2), ragged(1, width=3)
    for widths in ({"b": 3, "a": 2}, {"a": 2, "b": 3}):
        view = Pooled(widths, {"a": 6, "b": 6}, "mean_std", 50.0)
        view.fit([{"b": b, "a": a}])
        found = view({"b": b, "a": a})
        raw = np.concatenate([pool_over_time(*each, "mean_std").numpy() for each in (a, b)], axis=1)
        expected = (raw - raw.mean(0)) / raw.std(0)
        assert list(found) == ["a", "b"]
        np.testing.assert_allclose(joined(found).numpy(), expected, atol=1e-5)
        assert torch.equal(found["b"], joined(found)[:, 4:])
        mean, spread = view.statistics("b")
        np.testing.assert_allclose(mean.numpy(), raw[:, 4:7].mean(0), rtol=1e-5)
        np.testing.assert_allclose(spread.numpy(), raw[:, 4:7].std(0), rtol=1e-5)


@pytest.mark.parametrize("kind", ["pooled", "tokens"])
def test_padding_and_what_lies_in_it_change_nothing(kind: str) -> None:
    long = ragged(0, rows=9)
    rows = {"a": 6}
    view = Pooled({"a": 5}, rows, "mean_std", 5.0) if kind == "pooled" else Tokens({"a": 5}, rows, 5.0)
    view.fit([{"a": long}])
    short, padded = view({"a": cut(long, 6)}), view({"a": long})
    for name, x in short.items():
        assert not x.isnan().any()
        other = padded[name] if kind == "pooled" else padded[name][:, :6]
        assert torch.equal(x, other)
    if kind == "tokens":
        assert not padded["a"][:, 6:].any()
        assert not padded["a_mask"][:, 6:].any()


def test_tokens_are_the_z_scores_of_the_real_rows() -> None:
    x, mask = ragged(0)
    view = Tokens({"a": 5}, {"a": 6}, 5.0)
    view.fit([{"a": (x[:2], mask[:2])}, {"a": (x[2:], mask[2:])}])
    found = view({"a": (x, mask)})
    real = x[mask].numpy()
    expected = (real - real.mean(0)) / real.std(0)
    np.testing.assert_allclose(found["a"][mask].numpy(), expected, atol=1e-5)
    assert not found["a"][~mask].any()
    assert torch.equal(found["a_mask"], mask)
    mean, spread = view.statistics("a")
    np.testing.assert_allclose(mean.numpy(), real.mean(0), rtol=1e-5)
    np.testing.assert_allclose(spread.numpy(), real.std(0), rtol=1e-5)


@pytest.mark.parametrize("width", [1, CHUNKS, 19])
def test_a_vector_pooled_beforehand_becomes_pseudo_tokens(width: int) -> None:
    x = torch.from_numpy(np.random.default_rng(0).standard_normal((7, 1, width)).astype(np.float32))
    mask = torch.ones(7, 1, dtype=torch.bool)
    view = Tokens({"a": width}, {"a": 1}, 50.0)
    view.fit([{"a": (x, mask)}])
    found = view({"a": (x, mask)})
    each = -(-width // CHUNKS)
    assert found["a"].shape == (7, CHUNKS, each)
    assert view.out == {"a": each}
    assert found["a_mask"].all()
    flat = found["a"].reshape(7, -1).numpy()
    z = (x[:, 0].numpy() - x[:, 0].numpy().mean(0)) / x[:, 0].numpy().std(0)
    np.testing.assert_allclose(flat[:, :width], z, atol=1e-5)
    assert not flat[:, width:].any()


def test_no_pairs_at_all_are_fine() -> None:
    x, mask = torch.zeros(0, 4, 5), torch.zeros(0, 4, dtype=torch.bool)
    assert Pooled({"a": 5}, {"a": 4}, "mean", 5.0)({"a": (x, mask)})["a"].shape == (0, 5)
    assert Tokens({"a": 5}, {"a": 4}, 5.0)({"a": (x, mask)})["a"].shape == (0, 4, 5)
