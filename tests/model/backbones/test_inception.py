"""Inception v3 against torchvision's, output by output; which checkpoints it takes and which it refuses."""

from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from model.backbones.catalogue import INCEPTION
from model.backbones.inception import InceptionV3, load_inception
from model.backbones.noise import noise
from model.errors import Mismatch


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
