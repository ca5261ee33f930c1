"""The scripts that fill benchmarks/RESULTS.md: each explains itself, and what they share works."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"
SCRIPTS = (
    "concurrency",
    "index_build",
    "inference_threads",
    "memory",
    "pool_size",
    "recommend",
    "rights",
    "sandbox",
    "startup",
)


def run(script: str, *arguments: str) -> str:
    command = [sys.executable, str(FOLDER / f"{script}.py"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_script_explains_itself(script: str) -> None:
    assert "?" in run(script, "--help")  # the question that it answers


def test_a_synthetic_pool_is_one_that_serves(tmp_path: Path) -> None:
    """Its snapshot passes the gate and a server answers from it."""
    code = (
        "import json, sys; sys.path.insert(0, sys.argv[1])\n"
        "from pathlib import Path; import pool_size, rows\n"
        "store = Path(sys.argv[2]); segments = pool_size.write(store, 7)\n"
        "with rows.serve(store) as server:\n"
        "    rss, pss = server.memory_mb()\n"
        "    print(json.dumps([segments, server.ready_s, rss, pss]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(FOLDER), str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    segments, ready_s, rss_mb, pss_mb = json.loads(done.stdout)
    assert 7 * 20 < segments < 7 * 60
    assert 0 < ready_s < 60
    assert 20 < pss_mb <= rss_mb < 2000
    gates = list(tmp_path.glob("snapshots/*/gate.json"))
    assert all(check["passed"] for gate in gates for check in json.loads(gate.read_text())["checks"])
    assert len(gates) == 1
