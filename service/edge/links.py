"""A track id in, a signature for an address that `<audio>` can play out; a browser cannot send it a key.

The secret lies in the store, so that every replica takes every other's addresses; it is made when it is
first needed. It is no hash of a key: who reads the configuration must not be able to sign.
"""

import hmac
import logging
import os
import secrets
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from model.errors import Corrupt, Forbidden

log = logging.getLogger("yuyin.service")

LIFE_S = 3600
SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class Link:
    """What an address carries."""

    expires: int  # Unix seconds, UTC
    signature: str  # hex


class Links:
    """Signs the media of tracks and checks what comes back; any thread may ask."""

    def __init__(self, store: Path) -> None:
        self._file = store / "media-links.key"
        self._lock = Lock()
        self._secret: bytes | None = None

    def sign(self, track_id: str) -> Link:
        """For an hour from now, rounded up to a minute so that a page gets the same address twice.

        Raises:
            Corrupt: if the store's secret can neither be read nor made.
        """
        expires = (int(time.time()) + LIFE_S) // 60 * 60 + 60
        return Link(expires, self._signature(track_id, expires))

    def check(self, track_id: str, link: Link) -> None:
        """Let a signature pass that is ours, for this track, and in time.

        Raises:
            Forbidden: if it is not.
            Corrupt: if the store's secret can neither be read nor made.
        """
        signed = self._signature(track_id, link.expires)
        if not hmac.compare_digest(signed.encode(), link.signature.encode()):
            raise Forbidden("the signature of this address is wrong: ask POST /v1/media-links for another")
        if link.expires <= time.time():
            raise Forbidden("this address has expired: ask POST /v1/media-links for another")

    def _signature(self, track_id: str, expires: int) -> str:
        return hmac.digest(self._key(), f"{expires}\n{track_id}".encode(), "sha256").hex()

    def _key(self) -> bytes:
        with self._lock:
            if self._secret is None:
                self._secret = _secret(self._file)
            return self._secret


def _secret(file: Path) -> bytes:
    try:
        secret = _read_or_make(file)
    except OSError as error:
        raise Corrupt(
            f"the secret for media addresses cannot be read or made: let the service's user write {file}: "
            f"{error}"
        ) from error
    if len(secret) != SECRET_BYTES:  # an empty one would let everybody sign
        raise Corrupt(f"{file} does not hold {SECRET_BYTES} bytes: delete it, the service makes another")
    return secret


def _read_or_make(file: Path) -> bytes:
    """The secret of a store; of several processes that make one at once, the first wins."""
    with suppress(FileNotFoundError):
        return _read(file)
    aside = file.with_name(f"{file.name}.{secrets.token_hex(8)}")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as out:
            out.write(secrets.token_bytes(SECRET_BYTES))
            out.flush()
            os.fsync(descriptor)
        with suppress(FileExistsError):
            os.link(aside, file)  # fails where it exists: never replaces another's
    finally:
        aside.unlink()
    return _read(file)


def _read(file: Path) -> bytes:
    """The secret, which nobody else may read: a copy of the store may have come with other rights."""
    with file.open("rb") as opened:
        if os.fstat(opened.fileno()).st_mode & 0o077:
            log.warning("the secret for media addresses could be read by others: now it cannot")
            with suppress(OSError):  # it is another user's, or the store is read-only
                os.fchmod(opened.fileno(), 0o600)
        return opened.read(SECRET_BYTES + 1)
