import hashlib
import hmac
import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from model.errors import BadOptions, Forbidden, Unauthenticated
from service.edge import keys as module
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


def test_the_caller_is_the_name_of_the_key() -> None:
    ring = Keyring({"nle": entry("one", "recommend"), "ops": entry("two", "admin")})
    assert (ring.caller("one"), ring.caller("two")) == ("nle", "ops")
    assert Keyring({}).caller(None) is None
    assert Keyring({}).caller("anything") is None


@given(key=st.text(alphabet=st.characters(blacklist_categories=["Cs"]), max_size=100))
def test_nothing_but_the_key_opens(key: str) -> None:
    secret = "yuyin_0123456789abcdefghijABCDEFGHIJ-_0123456789a"
    ring = Keyring({"nle": entry(secret, "recommend")})
    attempts = {key, key + secret, secret + key, secret[: len(key)], secret.upper(), secret.lower()} - {
        secret
    }
    for attempt in attempts:
        with pytest.raises(Unauthenticated):
            ring.scopes(attempt)
    ring.require(secret, "recommend")


@pytest.mark.parametrize("key", ["one", "two", "three", "none of them", "x" * 30_000, "🔑"])
def test_every_entry_is_compared_in_constant_time_whichever_matches(
    key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither how many comparisons there are nor what is compared depends on the key."""
    ring = Keyring({name: entry(name, "recommend") for name in ("one", "two", "three")})
    compared: list[tuple[int, str]] = []
    real = hmac.compare_digest

    def counting(given: str, stored: str) -> bool:
        compared.append((len(given), stored))
        return real(given, stored)

    monkeypatch.setattr(module.hmac, "compare_digest", counting)
    with suppress(Unauthenticated):
        ring.scopes(key)
    assert compared == [(64, each.sha256) for each in ring.entries.values()]


def test_an_expired_key_opens_nothing() -> None:
    def until(when: datetime) -> Keyring:
        facts = entry("one", "admin").model_dump() | {"expires_at": when}
        return Keyring({"nle": KeyEntry.model_validate(facts)})

    now = datetime.now(UTC)
    until(now + timedelta(minutes=1)).require("one", "admin")
    for gone in (
        now,
        now - timedelta(days=400),
        (now - timedelta(seconds=1)).astimezone(timezone(timedelta(hours=9))),
    ):
        with pytest.raises(Unauthenticated, match="expired"):
            until(gone).require("one", "admin")
    with pytest.raises(ValidationError):  # an hour without a zone is another one for each reader
        KeyEntry.model_validate({"sha256": "0" * 64, "expires_at": "2026-01-01T00:00:00"})


def test_a_locked_ring_without_keys_opens_nothing() -> None:
    ring = Keyring({}, locked=True)
    assert ring
    for key in (None, "", "one"):
        with pytest.raises(Unauthenticated):
            ring.require(key, "recommend")


@pytest.mark.parametrize("text", ["", "{}", " ", "[" * 100_000, '{"a": {"sha256": "%s"}}' % ("q" * 64)])
def test_a_start_with_a_file_that_holds_no_key_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "keys.json"
    file.write_text(text)
    with pytest.raises(BadOptions, match="YUYIN_KEYS_FILE") as refused:
        load_keys(Settings(keys_file=file))
    assert "qqqq" not in str(refused.value), "what stands in the place of a hash may be a key"


def test_a_file_without_an_end_is_not_read_to_it() -> None:
    with pytest.raises(BadOptions, match="bytes"):
        load_keys(Settings(keys_file=Path("/dev/zero")))
