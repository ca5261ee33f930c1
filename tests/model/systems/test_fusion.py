"""Each way to fuse against its equation in numpy."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from model.systems.fusion import Gated, fusion

WIDTHS, OUT = (5, 4), 3


def made(kind: str) -> tuple[torch.nn.Module, dict[str, NDArray[np.float64]]]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = fusion(kind, WIDTHS, OUT)  # type: ignore[arg-type]  # parametrize knows no Literal
    return module, {name: value.double().numpy() for name, value in module.state_dict().items()}


def affine(state: dict[str, NDArray[np.float64]], layer: str, x: NDArray[np.float64]) -> NDArray[np.float64]:
    name = f"{layer}." if layer else ""
    return np.asarray(x @ state[f"{name}weight"].T + state[f"{name}bias"])


def sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(1 / (1 + np.exp(-x)))


@pytest.mark.parametrize("kind", ["wfm", "concat", "add", "concat_wide", "scalar_gate"])
@pytest.mark.parametrize("n", [0, 1, 7])
def test_is_its_equation(kind: str, n: int) -> None:
    module, state = made(kind)
    x = np.random.default_rng(0).standard_normal((n, sum(WIDTHS)))
    match kind:
        case "wfm":
            expected = affine(state, "out", sigmoid(affine(state, "gate", x)) * x)
        case "concat":
            expected = affine(state, "", x)
        case "add":
            expected = affine(state, "maps.0", x[:, :5]) + affine(state, "maps.1", x[:, 5:])
        case "concat_wide":
            expected = affine(state, "2", np.maximum(affine(state, "0", x), 0))
        case _:
            weight = sigmoid(affine(state, "gate", x))
            assert weight.shape == (n, 2)
            expected = affine(state, "out", x * np.repeat(weight, WIDTHS, axis=1))
    found = module(torch.from_numpy(x.astype(np.float32))).detach().numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_gate_lies_between_0_and_1_and_sees_all_modalities() -> None:
    module, _ = made("wfm")
    assert isinstance(module, Gated)
    x = torch.from_numpy(np.random.default_rng(0).normal(0, 5, (50, 9)).astype(np.float32))
    gate = module.weights(x)
    assert gate.shape == x.shape
    assert ((gate > 0) & (gate < 1)).all()
    other = x.clone()
    other[:, 8] += 1  # of the second modality
    assert (module.weights(other)[:, :5] != gate[:, :5]).any(dim=1).all()


def test_concat_wide_has_as_many_parameters_as_the_wfm() -> None:
    sizes = [sum(each.numel() for each in made(kind)[0].parameters()) for kind in ("wfm", "concat_wide")]
    assert sizes[0] == sizes[1] == 9 * 9 + 9 + 9 * 3 + 3
