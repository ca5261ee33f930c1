"""Decoding processes as they begin and end in, how many of each out; any thread may count."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock


class Tally:
    """What became of the children of one decoder."""

    def __init__(self) -> None:
        self._lock = Lock()
        self.alive = 0
        self.answered = 0  # a video's streams, or what is wrong with it
        self.killed = 0  # by a limit, or because nobody waited any more
        self.crashed = 0  # by a fault of its own, or from outside

    @contextmanager
    def child(self, *, kills: tuple[type[Exception], ...]) -> Iterator[None]:
        """Count one that lives as long as the block, and how it ends; `kills` say that it was killed."""
        with self._lock:
            self.alive += 1
        how = "crashed"
        try:
            yield
            how = "answered"
        except kills:
            how = "killed"
            raise
        finally:
            with self._lock:
                self.alive -= 1
                setattr(self, how, getattr(self, how) + 1)
