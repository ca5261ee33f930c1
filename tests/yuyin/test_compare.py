import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from model.errors import BadDataset, BadOptions
from yuyin.cli.app import app


@pytest.fixture(scope="module")
def imported(tmp_path_factory):
    """A data set of 60 pairs, by `yuyin dataset import`."""
    folder = tmp_path_factory.mktemp("features")
    rng = np.random.default_rng(0)
    hidden = rng.standard_normal((60, 3))
    for name, width in (("clips", 8), ("songs", 6)):
        image = hidden @ rng.standard_normal((3, width)) + 0.3 * rng.standard_normal((60, width))
        np.save(folder / f"{name}.npy", image)
    rows = [f"ad{i},clips.npy:{i},songs.npy:{i}" for i in range(60)]
    (folder / "pairs.csv").write_text("\n".join(["pair_id,video.frames,music.audio", *rows]))
    asked = ["dataset", "import", str(folder / "pairs.csv"), "--as", "features", "-o", str(folder / "data")]
    assert CliRunner().invoke(app, asked, catch_exceptions=False).exit_code == 0
    return folder / "data"


def test_compare_prints_tables_and_writes_the_page(imported, tmp_path):
    asked = ["compare", str(imported), "--systems", "cca,cmvae", "-o", str(tmp_path / "out")]
    budget = ["--trials", "1", "--seeds", "1", "--limit-s", "0.05", "--processes", "1"]
    done = CliRunner().invoke(app, [*asked, *budget], catch_exceptions=False)
    assert done.exit_code == 0
    assert "Table 2: systems side by side" in done.output
    assert "CCA, tuned" in done.output
    assert "n/a (CMVAE reads text, which this data set does not have)" in done.output
    assert "runs to make, 1 at a time: about" in done.output
    assert (tmp_path / "out" / "report.html").stat().st_size > 10_000
    again = CliRunner().invoke(app, [*asked, *budget, "--json"], catch_exceptions=False)
    value = json.loads(again.stdout)
    assert value == json.loads((tmp_path / "out" / "compare.json").read_text())
    assert set(value["rows"]) == {
        "cca",
        "cca-audio",
        "cca-plain",
        "cmvae",
        "cmvae-wo_test_text",
        "cmvae-wo_text",
        "cmvae-means",
        "cmvae-means_wo_text",
    }


@pytest.mark.parametrize(
    ("asked", "error", "said"),
    [
        (["--systems", "magic"], BadOptions, "no system is called 'magic'"),
        (["--rows", "table9"], BadOptions, "no table is called 'table9'"),
        (["--trials", "99"], BadOptions, "--trials 99"),
        (["--systems", "dpvm", "--rows", "table2"], BadDataset, "none of the rows can be run"),
    ],
)
def test_what_cannot_be_compared_is_refused(imported, tmp_path, asked, error, said):
    with pytest.raises(error, match=said):
        CliRunner().invoke(
            app, ["compare", str(imported), "-o", str(tmp_path / "out"), *asked], catch_exceptions=False
        )


def children(process):
    return [
        int(each)
        for task in Path(f"/proc/{process}/task").iterdir()
        for each in (task / "children").read_text().split()
    ]


def gone(processes, within_s):
    """Have they all ended; zombies of a reaped parent have."""
    for _ in range(int(10 * within_s)):
        if not any(Path(f"/proc/{each}/cmdline").exists() for each in processes):
            return True
        time.sleep(0.1)
    return False


@pytest.mark.slow
def test_two_processes_make_the_same_tables_as_one(imported, tmp_path):
    """And a SIGKILL of all of them leaves nothing that is in the way."""
    found = []
    for processes in ("1", "2"):
        out = tmp_path / processes
        command = [sys.executable, "-m", "yuyin", "compare", str(imported), "-o", str(out), "--json"]
        command += ["--systems", "cca,baseline_connect", "--trials", "2", "--seeds", "2", "--limit-s", "0"]
        command += ["--processes", processes]
        if processes == "2":
            begun = subprocess.Popen(
                command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
            )
            while not list(out.glob("rows/*.json")) and begun.poll() is None:
                time.sleep(0.05)
            workers = children(begun.pid)
            begun.kill()
            begun.wait()
            assert workers
            assert gone(workers, within_s=10)
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
        value = json.loads(done.stdout)
        found.append({name: row["figures"] for name, row in value["rows"].items()})
    assert found[0] == found[1]
