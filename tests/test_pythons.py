"""Python 3.11 is run here; the others are resolved, with binary wheels only, from the same constraints."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.slow
@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13", "3.14"])
def test_every_python_resolves_from_wheels(version: str, tmp_path: Path) -> None:
    out = tmp_path / "resolved.txt"
    command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--only-binary", ":all:"]
    command += ["--python-version", version, "--python-platform", "x86_64-manylinux_2_28"]
    command += ["--extra", "cpu", "--group", "dev", "--constraint", str(ROOT / "constraints.txt")]
    subprocess.run([*command, str(ROOT / "pyproject.toml"), "-o", str(out)], check=True, cwd=ROOT)
    resolved = {line.split("==")[0] for line in out.read_text("utf-8").splitlines() if "==" in line}
    assert {"av", "faiss-cpu", "fastapi", "numpy", "onnxruntime", "scipy"} <= resolved
