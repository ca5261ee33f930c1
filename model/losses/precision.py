"""A loss in, the same loss in float32 out, whatever precision the networks before it ran in."""

import functools
from collections.abc import Callable
from typing import Any, ParamSpec

import torch
from torch import Tensor

P = ParamSpec("P")


def full_precision(loss: Callable[P, Tensor]) -> Callable[P, Tensor]:
    """Run a loss with autocast off and its floating-point tensors as float32.

    Eight bits of mantissa are enough for a layer's products; divided by a temperature of .07 their
    rounding would be as large as the differences that a softmax has to tell apart.
    """

    @functools.wraps(loss)
    def exact(*args: P.args, **kwargs: P.kwargs) -> Tensor:
        wide: Any = ([_widened(each) for each in args], {key: _widened(each) for key, each in kwargs.items()})
        with torch.autocast("cpu", enabled=False), torch.autocast("cuda", enabled=False):
            return loss(*wide[0], **wide[1])

    return exact


def _widened(value: Any) -> Any:
    half = isinstance(value, Tensor) and value.dtype in (torch.bfloat16, torch.float16)
    return value.float() if half else value
