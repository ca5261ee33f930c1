"""Broken media, 500 of them, against a running server; `benchmarks/fuzz.py` posts as many as wanted."""

import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
MUTANTS = 500


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_broken_media_break_nothing_else(shop: Any, shared_data: Path) -> None:
    """Every answer is 200, 413, 415 or 422 and comes in time; nothing is left, and nothing has crashed."""
    command = [sys.executable, str(BENCHMARKS / "fuzz.py"), str(shop.store), str(shared_data / "video")]
    done = subprocess.run(
        [*command, "--files", str(MUTANTS), "--in-flight", "2"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]
    assert "**0**" in done.stdout
    assert "answered" in done.stdout  # some of them are videos still
    assert "cannot_decode" in done.stdout


@pytest.fixture
def mutants(benchmark_module: Callable[[str], ModuleType]) -> ModuleType:
    return benchmark_module("mutants")


def test_a_seed_always_makes_the_same_mutant(mutants: ModuleType) -> None:
    whole = [bytes(range(256)) * 40, b"\0\0\0\x18ftypisom" + bytes(3000), b"RIFF" + bytes(range(9)) * 50]
    made = [mutants.mutant(whole, seed) for seed in range(300)]
    assert made == [mutants.mutant(whole, seed) for seed in range(300)]
    assert len(set(made)) > 200
    assert all(0 < len(data) <= 2 * mutants.LARGEST_BYTES for data in made)
    assert sum(data in whole for data in made) < 30  # nearly all are broken


def test_every_mutation_changes_something_and_takes_the_smallest_files(mutants: ModuleType) -> None:
    whole = [b"\0\0\0\x18ftypisom\0\0\0\x10moov" + bytes(range(200)) * 30, b"x"]
    for mutation in set(mutants.MUTATIONS):
        changed = 0
        for seed in range(40):
            data = bytearray(whole[0])
            mutation(data, random.Random(seed), whole)
            changed += bytes(data) != whole[0]
            mutation(bytearray(), random.Random(seed), whole)
        assert changed > 10, mutation.__name__
