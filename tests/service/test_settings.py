from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError

from model.errors import BadOptions
from model.media.streams import VideoLimits
from service.settings import KeyEntry, Limits, Settings, read_settings


def test_nested_variables_reach_their_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YUYIN_STORE", "/somewhere")
    monkeypatch.setenv("YUYIN_LIMITS__MAX_BYTES", "1000")
    monkeypatch.setenv("YUYIN_POOLS", '{"house": "/music"}')
    monkeypatch.setenv("YUYIN_KEYS", '{"nle": {"sha256": "%s", "scopes": ["admin"]}}' % ("0" * 64))
    settings = Settings()
    assert settings.store == Path("/somewhere")
    assert settings.limits.for_video() == VideoLimits(max_bytes=1000)
    assert settings.pools == {"house": Path("/music")}
    assert settings.keys["nle"].scopes == {"admin"}


def test_the_limits_are_those_of_the_design() -> None:
    limits = Limits()
    assert (limits.max_bytes, limits.max_duration_s) == (200_000_000, 600.0)
    assert (limits.max_side_px, limits.max_streams) == (8192, 64)
    assert (limits.max_memory_bytes, limits.max_cpu_s) == (2 * 1024**3, 120.0)


@pytest.mark.parametrize("model", [Settings, Limits, KeyEntry])
def test_every_setting_is_documented(model: type[BaseModel]) -> None:
    assert [name for name, field in model.model_fields.items() if not field.description] == []


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError):
        Settings().port = 1


@pytest.mark.parametrize(
    "values",
    [
        {"default_pool": "house"},
        {"top_k_default": 50, "top_k_max": 20},
        {"in_flight": 0},
        {"queue": -1},
        {"limits": {"max_bytes": 0}},
        {"nonsense": 1},
    ],
)
def test_settings_that_contradict_themselves_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Settings.model_validate(values)


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"PORT": "http", "QUEUE": "-1"}, ["YUYIN_PORT: ", "YUYIN_QUEUE: "]),
        ({"LIMITS__MAX_BYTES": "0"}, ["YUYIN_LIMITS__MAX_BYTES: "]),
        ({"KEYS": '{"editor": {"sha256": "yuyin_secret'}, ["YUYIN_KEYS: is no JSON"]),
    ],
)
def test_what_cannot_be_read_is_named_and_never_quoted(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], named: list[str]
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(f"YUYIN_{name}", value)
    with pytest.raises(BadOptions) as refused:
        read_settings()
    assert all(each in str(refused.value) for each in named)
    assert "secret" not in str(refused.value)
