import hashlib
import json
from pathlib import Path

import pytest

from model.errors import BadOptions, Forbidden, Unauthenticated
from service.edge.keys import Keyring, load_keys, new_key
from service.settings import SCOPES, KeyEntry, Settings


def entry(key: str, *scopes: str) -> KeyEntry:
    return KeyEntry.model_validate(
        {"sha256": hashlib.sha256(key.encode()).hexdigest(), "scopes": list(scopes)}
    )


def test_new_keys_differ_carry_256_bits_and_hash_as_sha256() -> None:
    keys = {new_key()[0] for _ in range(100)}
    assert len(keys) == 100
    key, digest = new_key()
    assert digest == hashlib.sha256(key.encode()).hexdigest()
    assert len(key.removeprefix("yuyin_")) >= 43  # base64 of 32 bytes


def test_a_key_opens_its_scopes_and_no_other() -> None:
    ring = Keyring({"nle": entry("one", "recommend"), "ops": entry("two", "admin", "catalogue")})
    ring.require("one", "recommend")
    ring.require("two", "admin")
    with pytest.raises(Forbidden, match="admin"):
        ring.require("one", "admin")
    with pytest.raises(Forbidden):
        ring.require("two", "recommend")


@pytest.mark.parametrize("key", [None, "", "three", "ONE", "one "])
def test_an_unknown_key_opens_nothing(key: str | None) -> None:
    with pytest.raises(Unauthenticated):
        Keyring({"nle": entry("one", "recommend")}).scopes(key)


def test_the_hash_itself_is_no_key() -> None:
    with pytest.raises(Unauthenticated):
        Keyring({"nle": entry("one", "recommend")}).scopes(hashlib.sha256(b"one").hexdigest())


def test_without_keys_every_scope_is_open() -> None:
    assert Keyring({}).scopes(None) == set(SCOPES)


def test_keys_come_from_settings_and_file_together(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    file.write_text(json.dumps({"ops": {"sha256": hashlib.sha256(b"two").hexdigest(), "scopes": ["admin"]}}))
    ring = load_keys(Settings(keys={"nle": entry("one", "recommend")}, keys_file=file))
    assert ring.scopes("one") == {"recommend"}
    assert ring.scopes("two") == {"admin"}


@pytest.mark.parametrize(
    "text",
    [
        "not json",
        "[]",
        '{"a": {"sha256": "short"}}',
        '{"a": {"sha256": "%s", "scopes": ["root"]}}' % ("0" * 64),
        '{"nle": {"sha256": "%s"}}' % ("0" * 64),  # also in the settings
    ],
)
def test_a_keys_file_that_cannot_be_used_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "keys.json"
    file.write_text(text)
    with pytest.raises(BadOptions):
        load_keys(Settings(keys={"nle": entry("one")}, keys_file=file))


def test_a_missing_keys_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadOptions, match="KEYS_FILE"):
        load_keys(Settings(keys_file=tmp_path / "none.json"))
