"""Options that several commands share."""

import pytest

from model.errors import BadOptions
from model.runtime.accelerator import Accelerator
from yuyin.cli.options import accelerator_of


def test_commands_heed_which_gpu_the_settings_name(monkeypatch: pytest.MonkeyPatch) -> None:
    assert accelerator_of("cpu") == Accelerator("cpu")
    for name, value in (("DEVICE", "3"), ("PROVIDERS", '["tensorrt", "cuda"]'), ("MEMORY_BYTES", "1000")):
        monkeypatch.setenv(f"YUYIN_ACCELERATOR_{name}", value)
    monkeypatch.setenv("YUYIN_ACCELERATOR", "prefer")  # the option has the last word
    assert accelerator_of("require") == Accelerator("require", ("tensorrt", "cuda"), 3, memory_bytes=1000)
    monkeypatch.setenv("YUYIN_ACCELERATOR_DEVICE", "first")
    with pytest.raises(BadOptions, match="YUYIN_ACCELERATOR_DEVICE"):
        accelerator_of("cpu")
