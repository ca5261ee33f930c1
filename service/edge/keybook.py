"""YUYIN_KEYS_FILE in, the keys in force out; read again and again, so that keys change without a restart."""

import logging

from model.errors import BadOptions
from service.edge.keys import MOST_BYTES, Keyring, ring_of
from service.settings import Settings

log = logging.getLogger("yuyin.service")

KEYS = "keys"  # the topic of its follower; nobody publishes it
FOLLOW_S = 0.5  # a key that was taken out opens nothing a second later


class Keybook:
    """Holds the keys in force; they are swapped whole. Any thread may ask, one looks.

    The file is read, not only looked at: it is a few hundred bytes, and its times cannot tell two writes
    within one tick of the kernel's clock apart.
    """

    def __init__(self, settings: Settings, ring: Keyring) -> None:
        """Args: `ring` is in force until the first look."""
        self._settings = settings
        self._ring = ring
        self._seen: bytes | None = None
        self._refused: str | None = None

    @property
    def ring(self) -> Keyring:
        """In force."""
        return self._ring

    @property
    def refused(self) -> str | None:
        """Why the file as it is now is not in force, its keys left out; None if it is."""
        return self._refused

    def follow(self) -> None:
        """Put in force what the file says now; one that is gone or broken changes nothing.

        One that holds no key, as JSON, is not broken: it takes every key away, and the server stays locked.
        """
        path = self._settings.keys_file
        if path is None:
            return
        try:
            with path.open("rb") as file:
                written = file.read(MOST_BYTES + 1)
            if written != self._seen:
                self._enforce(ring_of(self._settings, written))
        except (OSError, BadOptions) as error:
            self._refuse(str(error))
            return
        self._seen, self._refused = written, None

    def _enforce(self, ring: Keyring) -> None:
        changed = dict(ring.entries) != dict(self._ring.entries)
        self._ring = ring
        if changed:
            log.info("keys in force", extra={"keys": sorted(ring.entries)})

    def _refuse(self, reason: str) -> None:
        if reason != self._refused:  # it is looked at twice a second
            log.error("the keys file is refused: the keys before stay in force", extra={"reason": reason})
        self._refused = reason
