"""What a decorated loss is handed and gives back, under autocast and without."""

import pytest
import torch
from torch import Tensor

from model.losses.precision import full_precision


@full_precision
def energy(x: Tensor, scale: float, *, mask: Tensor, weight: Tensor | None = None) -> Tensor:
    """A product, for autocast to round; and a look at what came in."""
    assert mask.dtype == torch.bool
    assert weight is None or weight.dtype != torch.bfloat16
    return scale * (x @ x.T)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_tensors_are_widened_and_masks_left_alone(dtype: torch.dtype) -> None:
    x = torch.linspace(0, 1, 12).reshape(3, 4).to(dtype)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        product = energy(x, 2.0, mask=torch.tensor([True, False]), weight=x)
    assert product.dtype == torch.float32
    assert torch.equal(product, 2 * (x.float() @ x.float().T))


def test_float64_stays() -> None:
    x = torch.rand(3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert energy(x, 1.0, mask=torch.tensor([True])).dtype == torch.float64


def test_gradients_reach_the_half_tensor() -> None:
    x = torch.ones(2, 2, dtype=torch.bfloat16, requires_grad=True)
    total = energy(x, 1.0, mask=torch.tensor([True])).sum()
    (gradient,) = torch.autograd.grad(total, x)
    assert gradient.dtype == torch.bfloat16
    assert torch.equal(gradient.float(), torch.full((2, 2), 4.0))
