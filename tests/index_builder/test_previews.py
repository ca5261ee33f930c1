"""What a page plays is the track; what it draws encloses every sample."""

import json
from pathlib import Path

import numpy as np
import pytest

from index_builder import layout, previews
from model.media.audio import read_audio

SHA = "ab" * 32


@pytest.mark.parametrize("n", [1, 799, 800, 801, 100_003])
def test_peaks_enclose_every_sample(n: int) -> None:
    stereo = np.random.default_rng(n).uniform(-1, 1, (n, 2)).astype(np.float32)
    pairs = previews.peaks_of(stereo)
    assert pairs.shape == (min(n, previews.PAIRS), 2)
    for i, (least, most) in enumerate(pairs):
        part = stereo[i * n // len(pairs) : (i + 1) * n // len(pairs)]
        assert least == pytest.approx(part.min(), abs=5e-4 + 1e-9)
        assert most == pytest.approx(part.max(), abs=5e-4 + 1e-9)


def test_preview_and_peaks_are_written_once_and_whole(tmp_path: Path) -> None:
    t = np.arange(3 * previews.RATE_HZ) / previews.RATE_HZ
    stereo = np.stack([0.5 * np.sin(2 * np.pi * 440 * t), 0.2 * np.sin(2 * np.pi * 660 * t)], 1).astype(
        np.float32
    )
    assert not previews.there(tmp_path, SHA)
    previews.write(tmp_path, SHA, stereo)
    assert previews.there(tmp_path, SHA)
    heard = read_audio(layout.preview_file(tmp_path, SHA), previews.RATE_HZ, mono=False)
    assert heard.shape[1] == 2
    assert len(heard) == pytest.approx(len(stereo), abs=2048)  # AAC comes in frames of 1024
    both = min(len(heard), len(stereo))
    assert np.corrcoef(heard[:both, 0], stereo[:both, 0])[0, 1] > 0.99
    peaks = json.loads(layout.peaks_file(tmp_path, SHA).read_text())
    assert peaks["duration_s"] == 3.0
    assert len(peaks["peaks"]) == previews.PAIRS
    assert [path.name for path in layout.media(tmp_path).iterdir()] == [SHA]


def test_a_lost_file_is_written_again(tmp_path: Path) -> None:
    stereo = np.zeros((previews.RATE_HZ, 2), np.float32)
    previews.write(tmp_path, SHA, stereo)
    layout.peaks_file(tmp_path, SHA).unlink()
    assert not previews.there(tmp_path, SHA)
    previews.write(tmp_path, SHA, stereo)
    assert previews.there(tmp_path, SHA)
