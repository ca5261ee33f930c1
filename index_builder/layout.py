"""A store's folder in, the places of what lies in it out (design section 2)."""

from pathlib import Path

PREVIEW = "preview.m4a"
PEAKS = "peaks.json"


def current_file(store: Path) -> Path:
    """One line: the id of the snapshot in use."""
    return store / "CURRENT"


def bundles(store: Path) -> Path:
    """One folder a bundle, by id."""
    return store / "bundles"


def snapshots(store: Path) -> Path:
    """One folder a snapshot, by id."""
    return store / "snapshots"


def features(store: Path) -> Path:
    """The feature store."""
    return store / "features"


def media(store: Path) -> Path:
    """One folder a media file, by sha256: preview.m4a and peaks.json."""
    return store / "media"


def rights(store: Path) -> Path:
    """Licences and withdrawals: one JSON file a version, with its own CURRENT."""
    return store / "rights"


def preview_file(store: Path, media_sha256: str) -> Path:
    """AAC in MP4, which every browser plays."""
    return media(store) / media_sha256 / PREVIEW


def peaks_file(store: Path, media_sha256: str) -> Path:
    """JSON: duration_s and `peaks`, pairs of the least and the greatest sample."""
    return media(store) / media_sha256 / PEAKS
