"""A decoded track in, what a page plays and draws of it out: an AAC preview and the peaks of its waveform."""

import json
import shutil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from index_builder import layout
from model.artifact import commit, new_folder
from model.media.encode import write_audio

RATE_HZ = 44_100
PAIRS = 800  # a waveform as wide as a page: more pixels than that nobody sees
SCHEMA_VERSION = 1


def there(store: Path, media_sha256: str) -> bool:
    """Whether a file's preview and peaks are written; either is whole or absent."""
    return all(
        path.is_file()
        for path in (layout.preview_file(store, media_sha256), layout.peaks_file(store, media_sha256))
    )


def write(store: Path, media_sha256: str, stereo: NDArray[np.float32]) -> None:
    """Write both; the folder appears whole.

    Args:
        store: whose media folder it goes to.
        media_sha256: of the file that was decoded.
        stereo: (n, 2) at 44.1 kHz.
    """
    place = layout.preview_file(store, media_sha256).parent
    peaks = {
        "schema_version": SCHEMA_VERSION,
        "duration_s": round(len(stereo) / RATE_HZ, 3),
        "peaks": peaks_of(stereo).tolist(),
    }
    with new_folder(place.parent) as aside:
        write_audio(aside / layout.PREVIEW, stereo, RATE_HZ, codec="aac")
        (aside / layout.PEAKS).write_text(json.dumps(peaks, separators=(",", ":")), "utf-8")
        shutil.rmtree(place, ignore_errors=True)  # one that somebody took a file from
        commit(aside, place)


def peaks_of(stereo: NDArray[np.float32]) -> NDArray[np.float64]:
    """Least and greatest sample of both channels in up to 800 equal parts: (p, 2), 3 decimals."""
    bounds = np.linspace(0, len(stereo), min(PAIRS, len(stereo)) + 1).astype(np.intp)[:-1]
    left, right = stereo.T  # a reduction over an axis of two costs ten times a comparison of two columns
    least = np.minimum.reduceat(np.minimum(left, right), bounds)
    most = np.maximum.reduceat(np.maximum(left, right), bounds)
    pairs: NDArray[np.float64] = np.stack([least, most], axis=1).astype(np.float64)
    return pairs.round(3)
