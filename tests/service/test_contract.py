"""Schemathesis asks a live server everything that its OpenAPI document allows, and much that it does not.

What is documented has to hold for each answer: status, content type, headers and body; data that the document
forbids has to be refused; nothing may be answered 500. Real ids and a real cut take the place of random ones
in every second valid case, so that successes are asked for as well.
"""

import json
import shutil
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from index_builder import snapshot as snapshots
from service.app import create_app
from service.settings import Settings

DOCUMENT = create_app(Settings(host="127.0.0.1", keys={}, keys_file=None)).openapi()
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
]
COMMON: dict[str, Any] = {
    "deadline": None,
    "derandomize": True,
    "database": None,
    "suppress_health_check": list(HealthCheck),
}


def described(**phases: bool) -> Any:
    wanted = {"phases": {name: {"enabled": enabled} for name, enabled in phases.items()}}
    config = schemathesis.Config.from_dict(wanted)
    return schemathesis.openapi.from_dict(json.loads(json.dumps(DOCUMENT)), config=config)


quick, thorough = described(coverage=False), described(coverage=True)


@dataclass(frozen=True)
class Real:
    """A server, and what is there."""

    url: str
    video: bytes
    ids: dict[str, str]  # by the name of a path's parameter

    def put_into(self, case: Any) -> None:
        """Real things in the place of made up ones, in about half of the valid cases."""
        if case.meta is None or not case.meta.generation.mode.is_positive:
            return
        for name, value in (case.path_parameters or {}).items():
            if name in self.ids and _even(value):
                case.path_parameters[name] = self.ids[name]
        if case.media_type == "application/octet-stream" and _even(case.body):
            case.body = self.video
        elif case.media_type == "multipart/form-data" and isinstance(case.body, dict):
            if "video" in case.body and _even(case.body["video"]):
                case.body["video"] = self.video
        elif isinstance(case.body, dict) and isinstance(case.body.get("upload_id"), str):
            case.body["upload_id"] = self.ids["upload_id"]


def _even(value: Any) -> bool:
    """As good as a coin, and the same each time."""
    return zlib.crc32(repr(value).encode()) % 2 == 0


@pytest.fixture(scope="module")
def real(
    built_store: Path, pool: Path, clip: bytes, tmp_path_factory: pytest.TempPathFactory, live_long: Any
) -> Real:
    folder = tmp_path_factory.mktemp("contract")
    shutil.copytree(built_store, folder / "store")
    (folder / "samples").mkdir()
    (folder / "samples" / "1-quick.mp4").write_bytes(clip)
    server = live_long(Settings(store=folder / "store", pools={"house": pool}, samples=folder / "samples"))
    job = requests.post(f"{server.url}/admin/reindex", json={"pool": "house"}, timeout=30).json()
    requests.delete(f"{server.url}/v1/jobs/{job['id']}", timeout=30)
    upload = requests.post(f"{server.url}/v1/uploads", data=clip, timeout=30).json()
    ids = {
        "track_id": "alpha",
        "job_id": job["id"],
        "upload_id": upload["upload_id"],
        "snapshot_id": str(snapshots.current(folder / "store")),
        "name": "1-quick.mp4",
    }
    return Real(server.url, clip, ids)


def ask(case: Any, real: Real) -> None:
    real.put_into(case)
    case.call_and_validate(base_url=real.url, checks=CHECKS, timeout=60)


@quick.parametrize()
@settings(max_examples=10, **COMMON)
def test_answers_are_as_documented(case: Any, real: Real) -> None:
    ask(case, real)


@pytest.mark.slow
@thorough.parametrize()
@settings(max_examples=100, **COMMON)
def test_answers_to_much_more_are_as_documented(case: Any, real: Real) -> None:
    ask(case, real)
