"""An API key in, the scopes it opens out; only hashes are kept and every comparison takes the same time."""

import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import TypeAdapter, ValidationError

from model.errors import BadOptions, Forbidden, Unauthenticated
from service.settings import SCOPES, KeyEntry, Scope, Settings

_FILE = TypeAdapter(dict[str, KeyEntry])
PREFIX = "yuyin_"  # lets a secret scanner recognise one


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
    """All configured keys; empty, every scope is open to loopback callers (`service.edge.fence`)."""

    entries: Mapping[str, KeyEntry]

    def __bool__(self) -> bool:
        return bool(self.entries)

    def scopes(self, key: str | None) -> frozenset[Scope]:
        """What `key` opens.

        Raises:
            Unauthenticated: if keys are configured and this is none of them.
        """
        if not self.entries:
            return frozenset(SCOPES)
        if key is None:
            raise Unauthenticated("send an API key as 'Authorization: Bearer KEY' or 'X-API-Key: KEY'")
        digest, found = sha256_of_key(key), None
        for entry in self.entries.values():  # to the end always: the time must not tell which one matched
            if hmac.compare_digest(digest, entry.sha256):
                found = entry.scopes
        if found is None:
            raise Unauthenticated("this API key is not known: ask whoever runs this server for one")
        return found

    def require(self, key: str | None, *scopes: Scope) -> None:
        """Raise `Unauthenticated` or `Forbidden` unless `key` opens one of `scopes`."""
        if self.scopes(key).isdisjoint(scopes):
            wanted = " or ".join(repr(scope) for scope in scopes)
            raise Forbidden(f"this API key lacks the scope {wanted}: use one that has it")


def load_keys(settings: Settings) -> Keyring:
    """The keys of the settings and of the keys file together.

    Raises:
        BadOptions: if the file cannot be used, or both define the same name.
    """
    if settings.keys_file is None:
        return Keyring(dict(settings.keys))
    try:
        listed = _FILE.validate_python(json.loads(settings.keys_file.read_text("utf-8")))
    except (OSError, ValueError, ValidationError) as error:
        raise BadOptions(
            f"YUYIN_KEYS_FILE cannot be used, it must be {{name: {{sha256, scopes}}}}: {error}"
        ) from error
    twice = sorted(set(listed) & set(settings.keys))
    if twice:
        raise BadOptions(f"these keys stand both in YUYIN_KEYS and in the keys file, name them once: {twice}")
    return Keyring({**settings.keys, **listed})
