"""What is said where a package is missing, and how tensors and names that do not fit are told."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from model.backbones.checkpoint import expect, fit, read_tensors, without
from model.backbones.kaldi import kaldi
from model.backbones.pretrained import quietly
from model.errors import Mismatch, NotInstalled


def enter_library() -> None:
    with quietly():
        pass


@pytest.mark.parametrize(
    ("package", "use"),
    [
        ("safetensors", lambda: read_tensors(Path())),
        ("transformers", enter_library),
        ("torchaudio", kaldi),
    ],
)
def test_a_missing_package_is_named(
    package: str, use: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(NotInstalled, match=f"{package}.* not here.*: pip install"):
        use()


def test_tensors_of_half_precision_are_read_as_float32(tmp_path: Path) -> None:
    pytest.importorskip("safetensors")
    from safetensors.torch import save_file

    kept = {"a": torch.rand(3).half(), "b": torch.rand(2).bfloat16(), "ids": torch.arange(4)}
    save_file(kept, tmp_path / "model.safetensors")
    found = read_tensors(tmp_path)
    assert {name: each.dtype for name, each in found.items()} == {
        "a": torch.float32, "b": torch.float32, "ids": torch.int64,
    }  # fmt: skip
    for name, each in kept.items():
        assert torch.equal(found[name], each.to(found[name].dtype))


def test_leaves_out_by_the_beginning_of_a_name() -> None:
    tensors = {name: torch.zeros(1) for name in ("fc.weight", "fc2.weight", "a.fc.weight", "head")}
    assert set(without(tensors, ("fc.", "head"))) == {"fc2.weight", "a.fc.weight"}


def test_tells_every_fault_in_one_sentence() -> None:
    wanted = {"a": torch.zeros(2), "b": torch.zeros(3), "c": torch.zeros(1)}
    found = {"b": torch.zeros(4), "c": torch.zeros(1), **{f"x{i}": torch.zeros(1) for i in range(5)}}
    said = (
        "this checkpoint is not one of N: it lacks a; it has the unknown x0, x1, x2 and others; "
        "of its shapes, b is (4,), not (3,); pull the one that `yuyin models list` names"
    )
    with pytest.raises(Mismatch) as caught:
        fit("N", wanted, found)
    assert str(caught.value) == said
    fit("N", wanted, dict(wanted))


def test_expects_values_of_a_configuration() -> None:
    expect("N", {"a": 1, "b": 2}, {"a": 1})
    with pytest.raises(Mismatch, match=r"says c = None, and N wants 3"):
        expect("N", {"a": 1}, {"a": 1, "c": 3})
