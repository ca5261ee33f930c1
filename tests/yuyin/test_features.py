"""What `yuyin features extract` chooses before it starts: which filter bank makes AST's frames."""

import sys
from importlib.util import find_spec

import pytest

from model.features.ast import AstAudio
from model.features.fbank import fbank_batch
from model.features.paper import profile
from model.runtime.accelerator import Accelerator, Policy
from yuyin.cli.features import filter_bank


@pytest.mark.skipif(not (find_spec("torch") and find_spec("torchaudio")), reason="no torchaudio here")
@pytest.mark.parametrize("policy", ["require", "prefer", "cpu"])
@pytest.mark.parametrize("there", [False, True])
def test_ast_is_heard_on_a_gpu_that_torch_sees_unless_the_cpu_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, policy: Policy, there: bool
) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    found = filter_bank(Accelerator(policy, device=2))
    assert getattr(found, "device", None) == ("cuda:2" if there and policy != "cpu" else None)
    audio = profile(filter_bank=found).music["audio"]
    assert isinstance(audio, AstAudio)
    assert audio.filter_bank == (found or fbank_batch)


@pytest.mark.parametrize("package", ["torch", "torchaudio"])
def test_without_torch_a_gpu_may_still_be_required(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    if find_spec("torch"):
        import torch

        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setitem(sys.modules, package, None)
    assert filter_bank(Accelerator("require")) is None
