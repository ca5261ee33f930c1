import os
import subprocess
import sys
from pathlib import Path

import pytest

WORK = "from model.bundle import Bundle, shipped_bundle; Bundle.open(shipped_bundle())"


def home_after(code: str, home: Path, **more: str) -> list[Path]:
    """What a fresh process leaves in an empty home folder."""
    home.mkdir()
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in ("ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME")
    }
    environment = kept | {"HOME": str(home)} | more
    subprocess.run([sys.executable, "-P", "-c", code], env=environment, check=True)
    return [path for path in home.rglob("*") if path.is_file()]


@pytest.mark.parametrize("code", [WORK, f"import service.app, yuyin.cli.app, index_builder.build; {WORK}"])
def test_the_runtime_keeps_no_device_id_and_reports_to_nobody(tmp_path: Path, code: str) -> None:
    assert home_after(code, tmp_path / "quiet") == []


def test_the_check_above_sees_what_it_looks_for(tmp_path: Path) -> None:
    if not home_after("import onnxruntime", tmp_path / "as it comes"):
        pytest.skip("this onnxruntime has no telemetry, so there is nothing to switch off")
