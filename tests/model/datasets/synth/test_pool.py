"""The demo pool: its catalogue, what a killed run leaves, what is written in each file."""

import csv
from collections import Counter
from pathlib import Path

import av
import numpy as np
import pyloudnorm
import pytest

from model.datasets.synth.pool import draw_pool, render_pool
from model.errors import BadOptions

COLUMNS = [
    *("path", "track_id", "external_id", "title", "artist", "genres"),
    *("moods", "bpm", "key", "vocals", "explicit"),
]


def decode(path: Path) -> tuple[np.ndarray, int]:
    """(n, channels) float, by PyAV itself."""
    with av.open(str(path)) as container:
        blocks = [frame.to_ndarray() for frame in container.decode(audio=0)]
        stream = container.streams.audio[0]
        joined = np.concatenate(blocks, axis=1).reshape(-1, stream.channels)
        return joined / float(np.iinfo(joined.dtype).max), stream.rate


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pool")
    render_pool(folder, tracks=3, longest_s=9.0, processes=2, progress=lambda done, wanted: None)
    return folder


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "catalogue.csv").open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        rows = list(reader)
    assert reader.fieldnames == COLUMNS
    return rows


def test_files_are_loud_clean_stereo(pool: Path) -> None:
    for row in rows_of(pool):
        samples, rate_hz = decode(pool / row["path"])
        assert rate_hz == 44_100
        assert samples.shape == (9 * 44_100, 2)
        assert np.abs(samples).max() <= 10 ** (-1 / 20)
        assert pyloudnorm.Meter(rate_hz).integrated_loudness(samples) == pytest.approx(-16, abs=1)
        assert np.abs(samples[-500:]).max() < 1e-3


def test_catalogue_lists_exactly_the_files(pool: Path) -> None:
    rows = rows_of(pool)
    assert {row["path"] for row in rows} == {path.name for path in pool.glob("*.flac")}
    for column in ("track_id", "external_id", "title"):
        assert len({row[column] for row in rows}) == len(rows)
    assert all(row[column] for row in rows for column in COLUMNS)
    assert all(60 <= float(row["bpm"]) < 180 for row in rows)


def test_a_second_run_renders_only_what_is_missing(pool: Path) -> None:
    files = sorted(pool.glob("*.flac"))
    whole = {path: path.read_bytes() for path in files}
    files[0].unlink()
    (pool / "catalogue.csv").unlink()
    (pool / ".part-left-by-a-kill").write_bytes(b"half a file")
    before = {path: path.stat().st_mtime_ns for path in files[1:]}
    seen: list[tuple[int, int]] = []
    render_pool(pool, tracks=3, longest_s=9.0, processes=1, progress=lambda *step: seen.append(step))
    assert seen == [(2, 3), (3, 3)]
    assert {path: path.read_bytes() for path in files} == whole
    assert {path: path.stat().st_mtime_ns for path in files[1:]} == before
    assert sorted(path.name for path in pool.iterdir()) == sorted([*(p.name for p in files), "catalogue.csv"])


def test_the_demo_pool_is_spread_evenly() -> None:
    tracks = draw_pool(64, 20_250)
    counts = Counter(track.factors.style for track in tracks)
    assert len(counts) >= 8
    assert max(counts.values()) - min(counts.values()) <= 1
    for style in counts:
        own = [track.factors for track in tracks if track.factors.style == style]
        assert np.ptp([f.valence for f in own]) > 1.5
        assert np.ptp([f.arousal for f in own]) > 1.3
        assert max(f.tempo_bpm for f in own) > 1.3 * min(f.tempo_bpm for f in own)
    assert all(45 <= t.factors.duration_s <= 120 for t in tracks)
    assert {t.factors.mode for t in tracks} == {"major", "minor"}
    assert len({t.title for t in tracks}) == 64


def test_more_tracks_keep_the_first_ones() -> None:
    assert draw_pool(500, 1)[:20] == draw_pool(20, 1)
    assert draw_pool(5, 1) != draw_pool(5, 2)


def test_nothing_to_render_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadOptions, match="at least 1 track"):
        render_pool(tmp_path, tracks=0, processes=1, progress=lambda done, wanted: None)
