"""An API key in, who calls and what it opens out; only hashes are kept, comparisons take the same time."""

import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import TypeAdapter, ValidationError

from model.errors import BadOptions, Forbidden, Unauthenticated
from service.settings import SCOPES, KeyEntry, Scope, Settings

_FILE = TypeAdapter(dict[str, KeyEntry])
PREFIX = "yuyin_"  # lets a secret scanner recognise one
MOST_BYTES = 1 << 20  # of a keys file: thousands of keys


def sha256_of_key(key: str) -> str:
    """What the configuration holds of a key."""
    return hashlib.sha256(key.encode()).hexdigest()


def new_key() -> tuple[str, str]:
    """A fresh key of 256 random bits, to be shown once, and its sha256, to be stored.

    A plain hash is enough because the key is random: a slow password hash protects short secrets
    that people choose, and would cost every request.
    """
    key = PREFIX + secrets.token_urlsafe(32)
    return key, sha256_of_key(key)


@dataclass(frozen=True)
class Keyring:
    """All configured keys. With none, every scope is open to loopback callers (`service.edge.fence`).

    `locked` is for a server that was started with keys: without any left it opens nothing, rather than all.
    """

    entries: Mapping[str, KeyEntry]
    locked: bool = False

    def __bool__(self) -> bool:
        return self.locked or bool(self.entries)

    def caller(self, key: str | None) -> str | None:
        """The name under which `key` is configured; None for everybody where no keys are.

        Raises:
            Unauthenticated: if keys are configured and this is none of them, or it has expired.
        """
        if not self:
            return None
        if key is None:
            raise Unauthenticated("send an API key as 'Authorization: Bearer KEY' or 'X-API-Key: KEY'")
        digest, found = sha256_of_key(key), None
        for name, entry in self.entries.items():  # to the end always: the time must not tell which matched
            if hmac.compare_digest(digest, entry.sha256):
                found = name
        if found is None:
            raise Unauthenticated("this API key is not known: ask whoever runs this server for one")
        expires_at = self.entries[found].expires_at
        if expires_at is not None and expires_at <= datetime.now(UTC):
            raise Unauthenticated("this API key has expired: ask whoever runs this server for another")
        return found

    def scopes(self, key: str | None) -> frozenset[Scope]:
        """What `key` opens; raises `Unauthenticated` as `caller` does."""
        name = self.caller(key)
        return frozenset(SCOPES) if name is None else self.entries[name].scopes

    def require(self, key: str | None, *scopes: Scope) -> None:
        """Raise `Unauthenticated` or `Forbidden` unless `key` opens one of `scopes`."""
        if self.scopes(key).isdisjoint(scopes):
            wanted = " or ".join(repr(scope) for scope in scopes)
            raise Forbidden(f"this API key lacks the scope {wanted}: use one that has it")


def load_keys(settings: Settings) -> Keyring:
    """The keys of the settings and of the keys file together.

    Raises:
        BadOptions: if the file cannot be used or has no key, or both define the same name.
    """
    if settings.keys_file is None:
        return Keyring(dict(settings.keys))
    try:
        with settings.keys_file.open("rb") as file:
            written = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise BadOptions(f"YUYIN_KEYS_FILE cannot be read: {error}") from error
    ring = ring_of(settings, written)
    if not ring.entries:
        raise BadOptions(
            "YUYIN_KEYS_FILE has no key, and would open nothing: put one in (yuyin keys new), or unset it"
        )
    return ring


def ring_of(settings: Settings, written: bytes) -> Keyring:
    """The keys of the settings and of a keys file with these bytes, which may be none: then nothing opens.

    Raises:
        BadOptions: if the file has another form, or names a key of the settings; its values are not repeated.
    """
    try:
        if len(written) > MOST_BYTES:
            raise ValueError(f"more than {MOST_BYTES} bytes")
        listed = _FILE.validate_python(json.loads(written))
    except ValidationError as error:
        faults = [(".".join(map(str, fault["loc"])), fault["msg"]) for fault in error.errors()]
        places = ", ".join(f"{place} ({message})" for place, message in faults)
        raise BadOptions(
            f"YUYIN_KEYS_FILE cannot be used, it must be {{name: {{sha256, scopes}}}}: {places}"
        ) from error
    except (ValueError, RecursionError) as error:
        raise BadOptions(f"YUYIN_KEYS_FILE cannot be used, it must be a JSON object: {error}") from error
    twice = sorted(set(listed) & set(settings.keys))
    if twice:
        raise BadOptions(f"these keys stand both in YUYIN_KEYS and in the keys file, name them once: {twice}")
    return Keyring({**settings.keys, **listed}, locked=True)
