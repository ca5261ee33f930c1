"""Pooling against loops, the z-score against numpy, and what neither may let through."""

import numpy as np
import pytest
import torch

from model.systems.pooling import Inputs, Standardise, pool_over_time, pooled_width


def ragged(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Sequences of 0, 1, 3 and 6 rows with NaN behind each end."""
    rng = np.random.default_rng(seed)
    x = torch.from_numpy(rng.standard_normal((4, 6, 5)).astype(np.float32))
    mask = torch.arange(6) < torch.tensor([0, 1, 3, 6])[:, None]
    x[~mask] = torch.nan
    return x, mask


@pytest.mark.parametrize("pool", ["mean", "mean_std"])
def test_pools_the_real_rows_only(pool: str) -> None:
    x, mask = ragged(0)
    found = pool_over_time(x, mask, pool).numpy()  # type: ignore[arg-type]  # parametrize knows no Literal
    assert found.shape == (4, pooled_width(5, pool))  # type: ignore[arg-type]  # likewise
    assert (found[0] == 0).all()
    for i, rows in ((1, 1), (2, 3), (3, 6)):
        real = x[i, :rows].numpy()
        expected = real.mean(0) if pool == "mean" else np.concatenate([real.mean(0), real.std(0)])
        np.testing.assert_allclose(found[i], expected, atol=1e-6)


def test_standardise_is_the_z_score_of_the_training_rows_in_any_chunks() -> None:
    rows = torch.from_numpy(np.random.default_rng(0).normal(3, 2, (101, 4)).astype(np.float32))
    whole, chunked = Standardise(4, clip=9.0), Standardise(4, clip=9.0)
    whole.fit([rows])
    chunked.fit(rows.split(7))
    expected = (rows.numpy() - rows.numpy().mean(0)) / rows.numpy().std(0)
    np.testing.assert_allclose(whole(rows).numpy(), expected, atol=1e-5)
    np.testing.assert_allclose(chunked(rows).numpy(), whole(rows).numpy(), atol=1e-6)


def test_standardise_clips_and_replaces_what_is_not_finite_by_the_mean() -> None:
    layer = Standardise(3, clip=5.0)
    layer.fit([torch.tensor([[0.0, 0.0, 0.0], [2.0, 2.0, 2.0]])])
    odd = torch.tensor([[torch.nan, torch.inf, 1e9], [-1e9, -torch.inf, 1.5]])
    assert layer(odd).tolist() == [[0.0, 0.0, 5.0], [-5.0, 0.0, 0.5]]


def test_a_column_that_never_changed_in_training_stays_silent() -> None:
    layer = Standardise(2, clip=5.0)
    layer.fit([torch.tensor([[7.1, 0.0], [7.1, 1.0], [7.1, 2.0]])])
    assert layer(torch.tensor([[100.0, 1.0]])).tolist() == [[0.0, 0.0]]


def test_rows_that_are_not_finite_do_not_spoil_the_statistics() -> None:
    clean, spoilt = Standardise(1, clip=5.0), Standardise(1, clip=5.0)
    clean.fit([torch.tensor([[1.0], [4.0]])])
    spoilt.fit([torch.tensor([[1.0], [torch.nan], [4.0], [torch.inf]])])
    assert torch.equal(clean.mean, spoilt.mean)
    assert torch.equal(clean.scale, spoilt.scale)


def test_inputs_are_concatenated_by_name_whatever_the_order_they_are_given_in() -> None:
    x, mask = torch.ones(1, 1, 2), torch.ones(1, 1, dtype=torch.bool)
    for widths in ({"b": 2, "a": 2}, {"a": 2, "b": 2}):
        found = Inputs(widths, "mean", 5.0)({"b": (2 * x, mask), "a": (x, mask)})
        assert found.tolist() == [[1.0, 1.0, 2.0, 2.0]]
