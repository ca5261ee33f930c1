"""The folders of the store and of uploads in, whether there is room to write out; looked at now and then."""

import shutil
import tempfile
import time
from os import W_OK, access
from pathlib import Path

LOW_BYTES = 1 << 30  # free; a queue of uploads takes more
FOLLOW_S = 2.0
STALE_S = 10.0  # a look takes a millisecond, unless the disk does not answer
ROOM = "room"  # the topic of its follower; nobody publishes it


class Room:
    """What the last look found: a disk that hangs must not hang who asks how we are."""

    def __init__(self, store: Path) -> None:
        self._store = store
        self._found: tuple[float, dict[str, str]] | None = None

    def look(self) -> None:
        """Ask the disks; blocks."""
        found = {}
        if self._store.is_dir() and not access(self._store, W_OK):
            found["store"] = "read-only: no reindex, no change of rights, no feedback is kept"
        low = [name for name, path in self._places() if shutil.disk_usage(path).free < LOW_BYTES]
        if low:
            found["disk"] = f"less than 1 GiB is free for {' and '.join(low)}: make room"
        self._found = time.monotonic(), found

    def _places(self) -> list[tuple[str, Path]]:
        places = [("the store", self._store), ("uploads (TMPDIR)", Path(tempfile.gettempdir()))]
        return [(name, path) for name, path in places if path.is_dir()]

    @property
    def faults(self) -> dict[str, str]:
        """By part, in the words of /readyz; empty if all is well."""
        if self._found is None or time.monotonic() - self._found[0] > STALE_S:
            return {"store": "does not answer: look at the disk or the network behind it"}
        return self._found[1]
