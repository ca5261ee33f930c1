"""Inception v3 against torchvision's, and against what torchvision 0.28.0 gave where none is; checkpoints.

`python tests/model/backbones/test_inception.py` writes inception_reference.npz with the torchvision that is
there: of every block's output, computed in 64 bits from `drawn` weights, the means of its channels and every
so manieth value.
"""

import math
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from model.backbones.catalogue import INCEPTION
from model.backbones.inception import InceptionV3, load_inception
from model.backbones.noise import noise
from model.errors import Mismatch

REFERENCE = Path(__file__).with_name("inception_reference.npz")
KEPT = 600  # values of each block's output, about
BLOCKS = (
    *(f"Conv2d_{name}" for name in ("1a_3x3", "2a_3x3", "2b_3x3", "3b_1x1", "4a_3x3")),
    *(f"Mixed_{name}" for name in ("5b", "5c", "5d", "6a", "6b", "6c", "6d", "6e", "7a", "7b", "7c")),
)


def drawn(shapes: dict[str, torch.Size]) -> dict[str, Tensor]:
    """A number for every parameter, the same on every machine and for every numpy.

    The raw 64-bit words of PCG64(0), which numpy never changes, are drawn on and on, a tensor after the other
    in the order of their names; w becomes u = 2 (w >> 11) / 2^53 - 1, uniform between -1 and 1. A kernel is
    u sqrt(6 / fan in), which keeps the variance through a ReLU, a batch norm's weight and running variance
    1 + u / 2, its bias and running mean 0.3 u.
    """
    words = np.random.PCG64(0)
    found = {}
    for name in sorted(shapes):
        shape = shapes[name]
        u = 2 * (words.random_raw(math.prod(shape)) >> np.uint64(11)).astype(np.float64) / 2**53 - 1
        if name.endswith("conv.weight"):
            u *= math.sqrt(6 / math.prod(shape[1:]))
        elif name.endswith(("bn.weight", "bn.running_var")):
            u = 1 + u / 2
        else:
            u *= 0.3
        found[name] = torch.from_numpy(u).reshape(shape)
    return found


def draw(network: nn.Module) -> nn.Module:
    """The network in 64 bits with `drawn` weights, its classifiers left as they are."""
    shapes = {
        name: each.shape
        for name, each in network.state_dict().items()
        if not name.startswith(("fc.", "AuxLogits.")) and not name.endswith("num_batches_tracked")
    }
    network.double().eval().load_state_dict(drawn(shapes), strict=False)
    return network


def summary(network: nn.Module, pool: str | None = None) -> dict[str, np.ndarray]:
    """What the reference keeps of every block, and of the pooled features: the output, or that of `pool`."""
    x = drawn({"x.weight": torch.Size((1, 3, 299, 299))})["x.weight"] / 0.3
    found = outputs(network, x, [*BLOCKS, pool] if pool else list(BLOCKS))
    if pool:
        found["pooled"] = found.pop(pool).flatten(1)
    else:
        with torch.inference_mode():
            found["pooled"] = network(x)
    kept = {}
    for name, out in found.items():
        kept[f"{name}.mean"] = out[0].flatten(1).mean(1).numpy() if out.ndim == 4 else out[0].numpy()
        values = out.flatten()
        kept[f"{name}.values"] = values[:: len(values) // KEPT | 1].numpy()  # odd: no row or channel twice
        kept[f"{name}.shape"] = np.array(out.shape)
    return kept


def far(found: dict[str, np.ndarray], wanted: dict[str, np.ndarray]) -> dict[str, float]:
    """By entry, the worst difference in shares of the largest value."""
    assert found.keys() == wanted.keys()
    return {
        name: float(np.abs(found[name] - wanted[name]).max() / np.abs(wanted[name]).max()) for name in wanted
    }


@pytest.fixture(scope="module")
def reference() -> dict[str, np.ndarray]:
    with np.load(REFERENCE, allow_pickle=False) as arrays:
        return dict(arrays)


def test_every_block_gives_what_torchvision_gave(reference: dict[str, np.ndarray]) -> None:
    """Made with torchvision 0.28.0, 64 bits both: what is left is that the reference is stored in 32."""
    assert len(reference) == 3 * (len(BLOCKS) + 1)
    assert all(reference[name].std() > 0.01 for name in reference if not name.endswith("shape"))
    off = far(summary(draw(InceptionV3())), reference)
    assert max(off.values()) <= 1e-7, max(off, key=lambda name: off[name])


def test_the_reference_is_what_torchvision_gives(
    torchvision_models: ModuleType, reference: dict[str, np.ndarray]
) -> None:
    off = far(torchvision_s(torchvision_models), reference)
    assert max(off.values()) <= 1e-7, max(off, key=lambda name: off[name])


def torchvision_s(models: ModuleType) -> dict[str, np.ndarray]:
    """`summary` of its network in eval mode, which leaves the auxiliary classifier out."""
    network = models.inception_v3(weights=None, aux_logits=True, transform_input=False, init_weights=False)
    return summary(draw(network), "avgpool")


@pytest.fixture(scope="module")
def published(torchvision_models: ModuleType) -> nn.Module:
    """torchvision's network with all of its heads, no two channels alike."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network: nn.Module = torchvision_models.inception_v3(
            weights=None, aux_logits=True, transform_input=False, init_weights=False
        )
        for each in network.modules():
            if isinstance(each, nn.Conv2d):
                nn.init.kaiming_normal_(each.weight, nonlinearity="relu")
            elif isinstance(each, nn.BatchNorm2d):
                nn.init.uniform_(each.weight, 0.5, 1.5)
                nn.init.normal_(each.bias, 0.0, 0.3)
                each.running_mean = torch.randn_like(each.weight) * 0.3
                each.running_var = torch.rand_like(each.weight) + 0.5
    return network.eval()


def outputs(network: nn.Module, x: Tensor, names: list[str]) -> dict[str, Tensor]:
    """What every named part of a network gives."""
    found: dict[str, Tensor] = {}
    parts = dict(network.named_modules())
    hooks = [
        parts[name].register_forward_hook(
            lambda _, __, out, name=name: found.__setitem__(name, out.detach().clone())
        )
        for name in names
    ]
    with torch.inference_mode():
        network(x)
    for hook in hooks:
        hook.remove()
    return found


@pytest.mark.parametrize("count", [1, 2])
def test_every_part_gives_what_torchvision_s_gives(published: nn.Module, count: int) -> None:
    ours = load_inception(published.state_dict())
    names = [name for name, each in ours.named_modules() if name and not isinstance(each, nn.BatchNorm2d)]
    assert sum(name.startswith("Mixed_") and "." not in name for name in names) == 11
    assert len([name for name in names if name.endswith(".conv")]) == 94
    x = torch.from_numpy(noise(INCEPTION, count, seed=count))
    found, wanted = outputs(ours, x, names), outputs(published, x, [*names, "avgpool"])
    for name in names:
        size = float(wanted[name].abs().max())
        assert float((found[name] - wanted[name]).abs().max()) <= 1e-5 * size, name
    with torch.inference_mode():
        features = ours(x)
    assert features.shape == (count, INCEPTION.width)
    pooled = wanted["avgpool"].flatten(1)
    assert float((features - pooled).abs().max()) <= 1e-5 * float(pooled.abs().max())
    assert float(features.std()) > 0


def test_has_the_parameters_of_the_published_one_without_its_heads(published: nn.Module) -> None:
    ours, theirs = (
        {name: tuple(each.shape) for name, each in network.state_dict().items()}
        for network in (InceptionV3(), published)
    )
    assert ours == {name: s for name, s in theirs.items() if not name.startswith(("fc.", "AuxLogits."))}
    assert sum(each.numel() for each in InceptionV3().parameters()) == 21_785_568


def test_takes_a_checkpoint_without_heads_and_without_step_counters(published: nn.Module) -> None:
    tensors = {
        name: each
        for name, each in published.state_dict().items()
        if not name.startswith(("fc.", "AuxLogits.")) and "num_batches" not in name
    }
    loaded = load_inception(tensors)
    assert not loaded.training
    for name, each in tensors.items():
        assert torch.equal(loaded.state_dict()[name], each)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"Mixed_6e.branch_pool.conv.weight": None}, "it lacks Mixed_6e.branch_pool.conv.weight"),
        ({"head.weight": torch.zeros(2)}, "it has the unknown head.weight"),
        (
            {"Mixed_5b.branch1x1.bn.bias": torch.zeros(63)},
            r"Mixed_5b.branch1x1.bn.bias is \(63,\), not \(64,\)",
        ),
        ({"Conv2d_1a_3x3.bn.running_mean": None}, "it lacks Conv2d_1a_3x3.bn.running_mean"),
    ],
)
def test_refuses_a_checkpoint_that_does_not_fit(change: dict[str, Any], said: str) -> None:
    tensors = {**InceptionV3().state_dict(), **change}
    with pytest.raises(Mismatch, match=said):
        load_inception({name: each for name, each in tensors.items() if each is not None})


def test_refuses_another_network_in_one_sentence(torchvision_models: ModuleType) -> None:
    other = torchvision_models.resnet18(weights=None)
    with pytest.raises(
        Mismatch, match=r"not one of Inception v3: it lacks .* and others; it has the unknown"
    ):
        load_inception(other.state_dict())


if __name__ == "__main__":
    from conftest import import_torchvision_models

    made = torchvision_s(import_torchvision_models())
    kept = {name: x if name.endswith("shape") else x.astype(np.float32) for name, x in made.items()}
    np.savez_compressed(REFERENCE, **kept)
