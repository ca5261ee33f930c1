"""What stays as it was while Hugging Face's library is in use, and what it says."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from model.backbones.ast import load_ast
from model.backbones.catalogue import BackboneSpec
from model.backbones.pretrained import UNUSED, quietly

if importlib.util.find_spec("transformers") is None:
    pytest.skip("no transformers on this machine", allow_module_level=True)


def test_says_nothing(small_ast: tuple[BackboneSpec, Path], capfd: pytest.CaptureFixture[str]) -> None:
    load_ast(small_ast[1], small_ast[0])
    assert capfd.readouterr() == ("", "")


def test_leaves_the_library_s_own_settings_alone() -> None:
    with quietly() as transformers:
        logs = transformers.utils.logging
    logs.set_verbosity_info()
    logs.enable_progress_bar()
    with quietly():
        assert not logs.is_progress_bar_enabled()
    assert logs.get_verbosity() == logs.INFO
    assert logs.is_progress_bar_enabled()
    logs.set_verbosity_warning()


def test_hides_packages_only_meanwhile() -> None:
    before = {name: sys.modules.get(name) for name in UNUSED}
    with quietly():
        pass
    assert {name: sys.modules.get(name) for name in UNUSED} == before
    assert not any(name in sys.modules for name, module in before.items() if module is None)


def test_works_where_the_library_was_imported_before() -> None:
    """Its own import fails beside packages of another torch, and it remembers that they are there."""
    code = (
        "from transformers.utils import is_torchaudio_available, is_torchvision_available\n"
        "is_torchaudio_available(), is_torchvision_available()\n"
        "from model.backbones.pretrained import quietly\n"
        "with quietly() as library: library.ASTModel, library.BertModel"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
