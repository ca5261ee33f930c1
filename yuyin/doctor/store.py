"""A store in, whether it can be served from, and what lies in it out; nothing is written to it."""

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from shlex import quote

from rich.filesize import decimal

from yuyin.doctor.finding import Check, Finding, Group

PREVIEWS_LOOKED_AT = 5000  # of a larger catalogue, so many spread evenly
_VERIFY = "yuyin index verify"


def _build(store: Path) -> str:
    return f"yuyin index build YOUR_MUSIC --store {quote(str(store))}"


def snapshot(store: Path) -> Finding:
    """The current one and its bundle, hashed, opened and run as a server does."""
    from index_builder import layout
    from index_builder import snapshot as snapshots
    from model.errors import YuyinError
    from service.serving.current import open_serving
    from service.settings import read_settings

    if not store.is_dir():
        return Finding("missing", f"there is no folder {store}", f"`yuyin demo`, or `{_build(store)}`")
    named = snapshots.current(store)
    if named is None:
        return Finding("missing", f"{store} has no current snapshot", f"`yuyin demo`, or `{_build(store)}`")
    try:
        serving = open_serving(store, named, read_settings().backbones)
        failed = snapshots.failed_checks(layout.snapshots(store) / named)
    except (YuyinError, OSError, ValueError, RuntimeError) as error:  # all that a server refuses one for
        return Finding("missing", str(error), _other(store, named))
    tracks, segments = len(serving.snapshot.catalogue), len(serving.snapshot.segments)
    found = f"{named}: {tracks:,} tracks, {segments:,} segments, bundle {serving.bundle.id}, hashes agree"
    if failed:
        return Finding("degraded", f"{found}, but its gate failed: {', '.join(failed)}", _other(store, named))
    return Finding("ok", f"{found}, gate passed")


def _other(store: Path, broken: str) -> str:
    """An earlier snapshot that is there is the quicker way back."""
    from index_builder import snapshot as snapshots

    earlier = [each.id for each in snapshots.list_snapshots(store) if each.passed and each.id != broken]
    if earlier:
        return f"yuyin index activate {earlier[0]} --store {quote(str(store))}"
    return _build(store)


def previews(store: Path) -> Finding | None:
    """What the page plays, for every track of the current snapshot."""
    from index_builder import layout, previews
    from index_builder import snapshot as snapshots
    from index_builder.catalogue import Catalogue
    from model.errors import Corrupt

    named = snapshots.current(store)
    try:
        media = sorted(Catalogue.open(layout.snapshots(store) / str(named) / "catalogue.sqlite").media())
    except Corrupt:
        return None  # the snapshot's own line tells of it
    chosen = media[:: max(1, len(media) // PREVIEWS_LOOKED_AT)]
    lacking = sum(not previews.there(store, each) for each in chosen)
    looked = f"{len(chosen):,} files" if chosen == media else f"{len(chosen):,} of {len(media):,} files"
    if lacking:
        fix = f"{_build(store)}: it makes again only what is lacking"
        return Finding("degraded", f"{lacking:,} of {looked} have none: they cannot be heard", fix)
    return Finding("ok", f"there for {looked}")


def lease(store: Path) -> Finding | None:
    """Who is writing to the store."""
    if not store.is_dir():
        return None
    holder = _holder(store)
    return Finding("ok", f"process {holder} is building" if holder else "free: nobody is building")


def _holder(store: Path) -> str | None:
    """What the holder wrote of itself; None if there is none.

    A shared lock is taken for a moment: /proc/locks would leave it alone, but does not show locks of
    other containers.
    """
    with suppress(FileNotFoundError), (store / "lock").open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return file.read(32).decode("ascii", "replace").strip() or "unknown"
    return None


def leftovers(store: Path) -> Finding | None:
    """What a build that was killed left behind."""
    from model.artifact import ASIDE

    if not store.is_dir():
        return None
    found = sum(name.startswith(ASIDE) for _, folders, files in os.walk(store) for name in (*folders, *files))
    if not found or _holder(store):
        return Finding("ok", f"{found} unfinished, of the build that runs" if found else "none")
    return Finding(
        "degraded", f"{found} unfinished files or folders", f"yuyin index gc --store {quote(str(store))}"
    )


def contents(store: Path) -> Finding | None:
    """Snapshots, bundles and bytes by folder."""
    from index_builder import layout
    from index_builder import snapshot as snapshots
    from model.artifact import ASIDE

    if not store.is_dir():
        return None
    known = len(snapshots.list_snapshots(store))
    there = sum(not path.name.startswith(ASIDE) for path in layout.snapshots(store).glob("*"))
    sizes = {path.name: _bytes_in(path) for path in sorted(store.iterdir()) if path.is_dir()}
    parts = ", ".join(f"{name} {decimal(size)}" for name, size in sizes.items())
    found = f"snapshots: {known}; {parts or 'empty'}"
    if known < there:
        fix = f"yuyin index gc --store {quote(str(store))}"
        return Finding("degraded", f"{there - known} snapshots cannot be read; {found}", fix)
    return Finding("ok", found)


def _bytes_in(folder: Path) -> int:
    total = 0
    for parent, _, files in os.walk(folder):
        for name in files:
            with suppress(FileNotFoundError):  # a build may be moving it
                total += Path(parent, name).lstat().st_size
    return total


GROUP = Group(
    "store",
    (
        Check("snapshot", snapshot, _VERIFY, limit_s=60.0, unanswered="degraded"),
        Check("previews", previews, _VERIFY, unanswered="degraded"),
        Check("lease", lease, _VERIFY, unanswered="degraded"),
        Check("leftovers", leftovers, "yuyin index gc", unanswered="degraded"),
        Check("contents", contents, _VERIFY, unanswered="degraded"),
    ),
)
