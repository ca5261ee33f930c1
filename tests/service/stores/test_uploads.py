"""Kept uploads on disk: whole or not there, within their room over threads, gone after their time."""

import hashlib
import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import pytest

from model.errors import NotFound, UploadsFull
from service.stores.uploads import Stored, UploadStore

DATA = b"video" * 1000
DIGEST = hashlib.sha256(DATA).hexdigest()


def put(uploads: UploadStore, owner: str | None = "one", data: bytes = DATA) -> Stored:
    return uploads.put(BytesIO(data), len(data), hashlib.sha256(data).hexdigest(), "video", owner)


def names(store: Path) -> set[str]:
    return {path.name for path in (store / "uploads").iterdir()} - {"lock"}


def age(path: Path, seconds: float) -> None:
    then_s = time.time() - seconds
    os.utime(path, (then_s, then_s))


@pytest.mark.parametrize("data", [b"", b"x", DATA, DATA * 500])
def test_it_comes_back_as_it_was(tmp_path: Path, data: bytes) -> None:
    uploads = UploadStore(tmp_path, 60, 10_000_000)
    stored = put(uploads, data=data)
    found, file = UploadStore(tmp_path, 60, 10_000_000).open(stored.id, "one")  # another process
    uploads.remove(stored.id)
    with file:
        assert (found, file.read()) == (stored, data)  # whoever has it open is not disturbed
    assert names(tmp_path) == set()
    assert len(stored.id) == 32
    assert stored.sha256 == hashlib.sha256(data).hexdigest()


def test_others_and_strange_ids_find_nothing(tmp_path: Path) -> None:
    uploads = UploadStore(tmp_path, 60, 10_000_000)
    stored = put(uploads)
    (tmp_path / "CURRENT.json").write_text(json.dumps({}))
    for upload_id, owner in (
        (stored.id, "two"),
        (stored.id, None),
        ("0" * 32, "one"),
        ("../CURRENT", None),
        ("\0", "one"),
        ("", "one"),
    ):
        with pytest.raises(NotFound):
            uploads.get(upload_id, owner)
        with pytest.raises(NotFound):
            uploads.open(upload_id, owner)
    uploads.remove("../CURRENT")
    assert (tmp_path / "CURRENT.json").exists()


def test_the_room_is_never_exceeded_whoever_comes_at_once(tmp_path: Path) -> None:
    stores = [UploadStore(tmp_path, 60, 4 * len(DATA) + 3000) for _ in range(8)]  # records count a little

    def attempt(uploads: UploadStore) -> bool:
        try:
            put(uploads)
        except UploadsFull:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        kept = sum(threads.map(attempt, stores))
    assert kept == 4
    assert len(names(tmp_path)) == 8  # and nothing half written


def test_what_expired_or_was_never_finished_is_swept(tmp_path: Path) -> None:
    uploads, folder = UploadStore(tmp_path, 7200, 10_000_000), tmp_path / "uploads"
    uploads.sweep()  # nothing is there yet
    old, fresh = put(uploads), put(uploads)
    for path in folder.glob(f"{old.id}.*"):
        age(path, 7201)
    for name in (".part-dead", f"{'a' * 32}.bin"):  # of a process that was killed
        (folder / name).write_bytes(b"x")
        age(folder / name, 7201)
    (folder / ".part-at-work").write_bytes(b"x")
    with pytest.raises(NotFound):
        uploads.get(old.id, "one")
    uploads.sweep()
    assert names(tmp_path) == {".part-at-work", f"{fresh.id}.bin", f"{fresh.id}.json"}


def test_a_record_that_cannot_be_read_is_no_upload(tmp_path: Path) -> None:
    uploads = UploadStore(tmp_path, 60, 10_000_000)
    stored = put(uploads)
    record = tmp_path / "uploads" / f"{stored.id}.json"
    for text in ("", "[]", "{}", '{"id": 1}'):
        record.write_text(text)
        with pytest.raises(NotFound):
            uploads.get(stored.id, "one")
    put(uploads)
    (tmp_path / "uploads" / f"{stored.id}.bin").unlink()
    record.write_text(json.dumps({**json.loads("{}")}))
    with pytest.raises(NotFound):
        uploads.open(stored.id, "one")
