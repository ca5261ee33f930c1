"""The scripts that time frozen networks: each explains itself, and that for GPUs runs without one."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]


def run(script: str, *arguments: str) -> str:
    command = [sys.executable, str(CHECKOUT / "benchmarks" / script), *arguments]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("script", ["backbones.py", "gpu/backbones.py"])
def test_every_script_explains_itself(script: str) -> None:
    assert "?" in run(script, "--help")


@pytest.mark.slow
def test_the_one_for_gpus_runs_without_a_gpu() -> None:
    """Its CPU in fp32 is held against itself; bf16 is close; and the search finds what is there."""
    lines = run("gpu/backbones.py", "--device", "cpu", "--quick").splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| 2")]
    found = {(row[3], row[4]): row for row in rows}
    likeness = found["Inception v3, frames", "fp32"][8]
    assert likeness == "1.000000 / 1.000000"
    assert 0.9 < float(found["Inception v3, frames", "bf16"][8].partition(" / ")[0]) < 1
    assert found["2,000", "float32"][8:] == ["1.0000", "0.0e+00"]
    has_ast = importlib.util.find_spec("transformers") is not None
    assert (("AST, windows of 10.24 s", "fp32") in found) == has_ast


def test_the_one_for_gpus_says_that_there_is_none() -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    command = [sys.executable, str(CHECKOUT / "benchmarks/gpu/backbones.py")]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": str(CHECKOUT)}
    )
    assert done.returncode == 2
    assert "give --device cpu" in done.stderr


@pytest.mark.slow
def test_the_filter_banks_are_timed() -> None:
    pytest.importorskip("transformers")
    lines = run("backbones.py", "--what", "fbank", "--runs", "3").splitlines()
    ways = [line.split("|")[5].strip() for line in lines[2:]]
    assert ways == ["torchaudio", "numpy", "torch, batched"]
