"""The folder that every page's commands run in: music, a cut, a list of finished ads, and a store."""

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from model.datasets.synth.pool import render_pool
from model.media.encode import write_audio

TRACKS, PAIRS = 8, 16
LONGEST_S = 50.0


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the pages take for granted, made by our own generator.

    music/            8 catalogued tracks, and old-song.flac without a row
    cut.mp4           a rendered advert
    pairs.csv         16 rendered adverts with the tracks under them
    datasets/rendered the same as `yuyin dataset synth` left it, so that no page renders it again
    store/            an index of music/, as somebody built it before
    """
    folder = tmp_path_factory.mktemp("docs") / "shop"
    music, rendered = folder / "music", folder / "datasets" / "rendered"
    render_pool(music, tracks=TRACKS, longest_s=LONGEST_S, processes=2, progress=lambda _done, _of: None)
    noise = np.random.default_rng(0).normal(0, 0.1, (44_100 * 20, 2)).astype(np.float32)
    write_audio(music / "old-song.flac", noise, 44_100, codec="flac")
    yuyin(folder, "dataset", "synth", "--pairs", str(PAIRS), "-o", "datasets/rendered")
    yuyin(folder, "index", "build", "music")
    shutil.copy(min((rendered / "adverts").glob("*.mp4")), folder / "cut.mp4")
    _list_pairs(folder, rendered)
    return folder


def yuyin(folder: Path, *words: str) -> None:
    """Run a command to its end."""
    done = subprocess.run(
        [sys.executable, "-m", "yuyin", *words], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def _list_pairs(folder: Path, rendered: Path) -> None:
    from model.datasets.table import Dataset  # pyarrow

    pairs = Dataset.open(rendered).pairs
    with (folder / "pairs.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["video", "music", "start_s", "category", "group"])
        for video, music, start_s, category, group in zip(
            *(pairs[name] for name in ("video_path", "music_path", "start_s", "category", "group")),
            strict=True,
        ):
            prefix = rendered.relative_to(folder)
            writer.writerow([prefix / video, prefix / music, start_s, category, group])
    assert json.loads((rendered / "dataset.json").read_text())["pairs"] == PAIRS
