"""What is pulled is whole, checked and pinned; what breaks is said in one sentence and gone on with.

Through the real huggingface_hub, from a hub on this machine.
"""

import errno
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from model.artifact import read_manifest
from model.backbones.catalogue import AST, BACKBONES, BERT, INCEPTION
from model.errors import BadOptions, Corrupt, NotFound, NotInstalled, StoreLocked, YuyinError
from model.hub import fetch
from model.hub.lock import LOCK, Lock
from model.hub.sources import writing

pytest.importorskip("huggingface_hub")

REPO = BERT.source.repo


def pull(models: Path, hub: Any, *names: str, **options: Any) -> Any:
    from model.hub.pull import pull_sources
    from model.hub.remote import Hub

    seen: list[tuple[str, int, int]] = []
    found = pull_sources(
        models, names or tuple(BACKBONES), lambda *at: seen.append(at), hub=Hub(hub.url), **options
    )
    assert all(here <= total for _, here, total in seen)
    return found


def refused(kind: type[YuyinError], models: Path, hub: Any, *names: str, **options: Any) -> str:
    """The sentence of a pull that fails; nothing half-installed may be left."""
    with pytest.raises(kind) as raised:
        pull(models, hub, *names, **options)
    assert not [path for path in (models / "sources").glob("*/*") if not path.name.startswith(".part-")]
    return str(raised.value)


def bytes_below(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_is_pulled_is_what_the_hub_has(models: Path, fake_hub: Any) -> None:
    sources = pull(models, fake_hub)
    assert [source.name for source in sources] == list(BACKBONES)
    lock = json.loads((models / LOCK).read_text())
    for source, spec in zip(sources, BACKBONES.values(), strict=True):
        repo = fake_hub.repos[spec.source.repo]
        revision = repo.refs["main"]
        wanted = {name: repo.commits[revision][name] for name in spec.source.files}
        folder = models / "sources" / spec.name / revision
        assert source.folder == folder
        assert source.fresh
        assert source.size == sum(map(len, wanted.values()))
        assert bytes_below(folder).keys() == wanted.keys() | {"source.json"}, "nothing else was taken"
        assert {name: (folder / name).read_bytes() for name in wanted} == wanted
        hashes = {name: hashlib.sha256(data).hexdigest() for name, data in wanted.items()}
        assert read_manifest(folder, "source.json") == {
            "repo": spec.source.repo,
            "revision": revision,
            "licence": spec.source.licence,
            "files": hashes,
        }
        pin = lock["sources"][spec.source.repo]
        assert (pin["revision"], pin["licence"]) == (revision, spec.source.licence)
        assert pin["files"] == {name: {"sha256": hashes[name], "size": len(wanted[name])} for name in wanted}
    assert {path.name for path in models.iterdir()} == {"sources", "lock", LOCK}
    assert {path.name for path in (models / "sources").rglob("*")} & {
        ".cache",
        "evil.txt",
        "evil.json",
    } == set()


def test_a_file_that_the_lock_does_not_list_yet_is_added(models: Path, fake_hub: Any) -> None:
    """As of a version of YuYin that wanted fewer files."""
    first = pull(models, fake_hub, BERT.name)[0]
    lock = json.loads((models / LOCK).read_text())
    for name in ("vocab.txt", "model.safetensors"):
        fewer = json.loads(json.dumps(lock))
        del fewer["sources"][REPO]["files"][name]
        (models / LOCK).write_text(json.dumps(fewer))
        assert pull(models, fake_hub, BERT.name)[0].pin == first.pin
        assert json.loads((models / LOCK).read_text()) == lock


@pytest.mark.parametrize("password", ["sesame", "ses@me"])
def test_the_password_of_a_mirror_is_used_and_not_said(models: Path, fake_hub: Any, password: str) -> None:
    from model.hub.pull import pull_sources
    from model.hub.remote import Hub

    hub = Hub(fake_hub.url.replace("//", f"//me:{password}@"))
    fake_hub.status = {"/resolve/": 404}
    with pytest.raises(YuyinError) as raised:
        pull_sources(models, [BERT.name], lambda *_: None, hub=hub)
    assert fake_hub.url in str(raised.value)
    assert "me@" not in str(raised.value)
    assert all("authorization" in headers for headers in fake_hub.asked("/"))


def test_what_is_here_needs_no_network(models: Path, fake_hub: Any) -> None:
    first = pull(models, fake_hub)
    before = len(fake_hub.log)
    again = pull(models, fake_hub)
    assert len(fake_hub.log) == before
    assert [source.fresh for source in again] == [False] * 3
    assert [source.pin for source in again] == [source.pin for source in first]


def test_the_token_goes_to_the_hub_and_to_no_other_host(
    models: Path, fake_hub: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "good")
    fake_hub.repos[REPO].gated = True
    pull(models, fake_hub, BERT.name)
    assert {headers.get("authorization") for headers in fake_hub.asked("/resolve/")} == {"Bearer good"}
    assert {headers.get("authorization") for headers in fake_hub.asked("/cdn/")} == {None}
    assert not fake_hub.asked("agent-harnesses"), "nothing is told to anybody"


def test_a_branch_that_moves_moves_nothing_until_asked(models: Path, fake_hub: Any) -> None:
    repo = fake_hub.repos[REPO]
    old = repo.refs["main"]
    pull(models, fake_hub, BERT.name)
    new = repo.commit(repo.commits[old] | {"vocab.txt": b"other\n"})
    assert pull(models, fake_hub, BERT.name)[0].pin.revision == old
    shutil.rmtree(models / "sources")
    assert pull(models, fake_hub, BERT.name)[0].pin.revision == old, "the lock says which"
    moved = pull(models, fake_hub, BERT.name, update=True)[0]
    assert (moved.pin.revision, moved.fresh) == (new, True)
    assert pull(models, fake_hub, BERT.name)[0].pin.revision == new
    assert (moved.folder / "vocab.txt").read_bytes() == b"other\n"


def test_a_revision_is_taken_once_and_then_only_with_update(models: Path, fake_hub: Any) -> None:
    repo = fake_hub.repos[REPO]
    main = repo.refs["main"]
    other = repo.commit(repo.commits[main] | {"vocab.txt": b"other\n"}, "refs/pr/9")
    first = pull(models, fake_hub, BERT.name, revisions={BERT.name: "refs/pr/9"})[0]
    assert first.pin.revision == other
    with pytest.raises(BadOptions, match=f"{other}.*{main}.*--update"):
        pull(models, fake_hub, BERT.name, revisions={BERT.name: "main"})
    back = pull(models, fake_hub, BERT.name, revisions={BERT.name: "main"}, update=True)
    assert back[0].pin.revision == main
    with pytest.raises(BadOptions, match="resnet"):
        pull(models, fake_hub, revisions={"resnet": "main"})
    with pytest.raises(BadOptions, match=AST.name):
        pull(models, fake_hub, BERT.name, revisions={AST.name: "main"})


def test_other_bytes_under_a_pinned_commit_are_refused_with_both_hashes(models: Path, fake_hub: Any) -> None:
    repo = fake_hub.repos[REPO]
    revision = repo.refs["main"]
    pull(models, fake_hub, BERT.name)
    for name in ("model.safetensors", "vocab.txt"):
        shutil.rmtree(models / "sources")
        kept = repo.commits[revision]
        other = kept["model.safetensors"][:-1] + b"!" if name == "model.safetensors" else b"poison\n"
        repo.commits[revision] = kept | {name: other}
        fake_hub.log.clear()
        said = refused(Corrupt, models, fake_hub, BERT.name)
        assert hashlib.sha256(other).hexdigest() in said
        assert hashlib.sha256(kept[name]).hexdigest() in said
        assert name in said
        assert not (name == "model.safetensors" and fake_hub.asked("/cdn/")), "and is not downloaded"
        repo.commits[revision] = kept
    assert pull(models, fake_hub, BERT.name)[0].fresh


@pytest.mark.parametrize("harm", ["change", "remove", "add", "manifest", "folder"])
def test_a_damaged_source_is_mended_and_only_what_is_damaged_is_asked_for(
    models: Path, fake_hub: Any, harm: str
) -> None:
    source = pull(models, fake_hub, BERT.name)[0]
    before, log = bytes_below(source.folder), len(fake_hub.log)
    match harm:
        case "change":
            (source.folder / "vocab.txt").write_bytes(b'{"of": "chinese-bert-wwM"}')
        case "remove":
            (source.folder / "vocab.txt").unlink()
        case "add":
            (source.folder / "stranger.txt").write_bytes(b"?")
        case "folder":
            for place in (source.folder / "vocab.txt", source.folder / "strange" / "r"):
                place.unlink(missing_ok=True)
                place.mkdir(parents=True)
                (place / "x").touch()
        case _:
            (source.folder / "source.json").unlink()
    mended = pull(models, fake_hub, BERT.name)[0]
    assert mended.fresh
    assert bytes_below(mended.folder) == before
    paths = [path for _, path, _ in fake_hub.log[log:]]
    assert not [path for path in paths if "safetensors" in path]
    assert bool([path for path in paths if "vocab.txt" in path]) == (harm in ("change", "remove", "folder"))


def test_a_cut_connection_is_taken_up_where_it_broke(models: Path, fake_hub: Any) -> None:
    fake_hub.cuts = {"model.safetensors": [30_000, 20_000]}
    source = pull(models, fake_hub, INCEPTION.name)[0]
    ranges = [headers.get("range") for headers in fake_hub.asked("/cdn/")]
    assert ranges == [None, "bytes=30000-", "bytes=50000-"]
    assert hashlib.sha256((source.folder / "model.safetensors").read_bytes()).hexdigest() == (
        source.pin.files["model.safetensors"].sha256
    )


def test_a_hub_that_knows_no_parts_is_asked_for_the_whole(models: Path, fake_hub: Any) -> None:
    fake_hub.cuts, fake_hub.parts = {"model.safetensors": [30_000]}, False
    assert pull(models, fake_hub, INCEPTION.name)[0].fresh


def test_a_second_run_goes_on_from_the_first(
    models: Path, fake_hub: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "PAUSE_S", 0.0)
    fake_hub.cuts = {"model.safetensors": [40_000, 0, 0, 0]}
    said = refused(NotInstalled, models, fake_hub, INCEPTION.name)
    assert "goes on from what is there" in said
    assert "yuyin models import" in said
    part = next((models / "sources").glob("*/.part-*/model.safetensors"))
    assert part.stat().st_size == 40_000
    fake_hub.log.clear()
    assert pull(models, fake_hub, INCEPTION.name)[0].fresh
    assert [headers.get("range") for headers in fake_hub.asked("/cdn/")] == ["bytes=40000-"]
    assert not list((models / "sources").glob("*/.part-*"))


@pytest.mark.parametrize("left", ["wrong", "long", "full and wrong"])
def test_what_is_left_of_another_file_costs_a_second_download_and_no_more(
    models: Path, fake_hub: Any, left: str
) -> None:
    revision = fake_hub.repos[INCEPTION.source.repo].refs["main"]
    size = len(fake_hub.repos[INCEPTION.source.repo].commits[revision]["model.safetensors"])
    aside = models / "sources" / INCEPTION.name / f".part-{revision}"
    aside.mkdir(parents=True)
    (aside / "model.safetensors").write_bytes(
        b"x" * {"wrong": 1000, "long": size + 1, "full and wrong": size}[left]
    )
    assert pull(models, fake_hub, INCEPTION.name)[0].fresh


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_a_file_that_is_not_what_the_hub_lists_is_refused(models: Path, fake_hub: Any, name: str) -> None:
    data = next(iter(fake_hub.repos[INCEPTION.source.repo].commits.values()))[name]
    fake_hub.instead = {name: data[:-1] + b"?"}
    said = refused(Corrupt, models, fake_hub, INCEPTION.name)
    assert hashlib.sha256(data[:-1] + b"?").hexdigest() in said
    fake_hub.instead = {name: data + b"?"}
    assert pull(models, fake_hub, INCEPTION.name)[0].fresh, "what is too long is not read to its end"


def test_a_file_that_stays_too_short_ends_in_one_sentence(
    models: Path, fake_hub: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "PAUSE_S", 0.0)
    fake_hub.instead = {"config.json": b"{}"}
    assert "sends only 2 of" in refused(NotInstalled, models, fake_hub, INCEPTION.name)


def test_no_other_kind_of_file_passes_as_safetensors(models: Path, fake_hub: Any) -> None:
    repo = fake_hub.repos[REPO]
    repo.commit(repo.commits[repo.refs["main"]] | {"model.safetensors": b"PK\x03\x04 a pickle in disguise"})
    assert "is no safetensors file" in refused(Corrupt, models, fake_hub, BERT.name)
    assert not (models / LOCK).exists(), "and it is not pinned"


class TestPickles:
    """A repository without safetensors, with and without the bot's pull request."""

    @pytest.fixture
    def old(self, fake_hub: Any) -> Any:
        repo = fake_hub.repos[REPO]
        files = dict(repo.commits.pop(repo.refs["main"]))
        self.weights = files.pop("model.safetensors")
        self.main = repo.commit(files)
        return repo

    def test_alone_are_refused_with_the_cures(self, models: Path, fake_hub: Any, old: Any) -> None:
        said = refused(NotInstalled, models, fake_hub, BERT.name)
        assert "pytorch_model.bin" in said
        assert f"--revision {BERT.name}=" in said
        assert f"import FOLDER --as {BERT.name}" in said

    def test_converted_by_the_bot_are_taken_pinned_and_said(
        self, models: Path, fake_hub: Any, old: Any
    ) -> None:
        made = old.propose(old.commits[self.main] | {"model.safetensors": self.weights}, self.main)
        source = pull(models, fake_hub, BERT.name)[0]
        assert source.pin.revision == made
        assert source.pin.asked == "refs/pr/1"
        assert (source.folder / "model.safetensors").read_bytes() == self.weights
        (note,) = source.notes
        assert "SFconvertbot" in note
        assert made[:8] in note
        old.requests[0]["status"] = "closed"
        shutil.rmtree(models / "sources")
        assert pull(models, fake_hub, BERT.name)[0].pin.revision == made, "a pinned commit needs no request"

    @pytest.mark.parametrize(
        "facts",
        [
            {"author": "somebody"},
            {"title": "Adding `safetensors` variant of this model "},
            {"status": "closed"},
            {"files": {"vocab.txt": b"other\n"}},
            {"on": "elsewhere"},
        ],
        ids=lambda facts: next(iter(facts)),
    )
    def test_a_request_that_is_not_the_bot_s_own_is_not_taken(
        self, models: Path, fake_hub: Any, old: Any, facts: dict[str, Any]
    ) -> None:
        files = old.commits[self.main] | {"model.safetensors": self.weights} | facts.pop("files", {})
        on = self.main
        if facts.pop("on", None):
            on = old.commit(old.commits[self.main] | {"README.md": b"more"}, "refs/heads/x", self.main)
        old.propose(files, on, **facts)
        refused(NotInstalled, models, fake_hub, BERT.name)

    def test_of_a_request_named_by_hand_are_taken(self, models: Path, fake_hub: Any, old: Any) -> None:
        made = old.propose(
            old.commits[self.main] | {"model.safetensors": self.weights}, self.main, author="somebody"
        )
        source = pull(models, fake_hub, BERT.name, revisions={BERT.name: "refs/pr/1"})[0]
        assert source.pin.revision == made
        assert source.notes == ()


def test_another_licence_is_said(models: Path, fake_hub: Any) -> None:
    fake_hub.repos[REPO].licence = ["cc-by-nc-4.0", "other"]
    source = pull(models, fake_hub, BERT.name)[0]
    assert source.pin.licence == "cc-by-nc-4.0, other"
    assert Lock.read(models).pins[REPO] == source.pin
    assert "cc-by-nc-4.0, other" in source.notes[0]
    fake_hub.repos[INCEPTION.source.repo].licence = [1, "mit\x1b[2J\n"]
    assert pull(models, fake_hub, INCEPTION.name)[0].pin.licence == "1, mit[2J", (
        "a terminal obeys nothing of it"
    )
    fake_hub.repos[AST.source.repo].licence = None
    assert pull(models, fake_hub, AST.name)[0].pin.licence == AST.source.licence


def test_a_gated_repository_says_how_to_get_in(models: Path, fake_hub: Any) -> None:
    fake_hub.repos[REPO].gated = True
    said = refused(NotInstalled, models, fake_hub, BERT.name)
    assert "gated" in said
    assert "HF_TOKEN" in said


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        (401, NotInstalled, "HF_TOKEN"),
        (403, NotInstalled, "HF_TOKEN"),
        (404, NotInstalled, "HF_ENDPOINT"),
        (429, NotInstalled, "try again later"),
        (503, NotInstalled, "try again later"),
    ],
)
@pytest.mark.parametrize("where", ["/api/models", "/resolve/"])
def test_what_the_hub_refuses_is_one_sentence(
    models: Path,
    fake_hub: Any,
    monkeypatch: pytest.MonkeyPatch,
    where: str,
    status: int,
    kind: Any,
    words: str,
) -> None:
    monkeypatch.setattr(fetch, "PAUSE_S", 0.0)
    fake_hub.status = {where: status}
    said = refused(kind, models, fake_hub, INCEPTION.name)
    assert words in said
    assert str(status) in said
    assert "\n" not in said


def test_what_the_hub_does_not_have_is_named(models: Path, fake_hub: Any) -> None:
    assert "'v9'" in refused(NotFound, models, fake_hub, AST.name, revisions={AST.name: "v9"})
    repo = fake_hub.repos[REPO]
    files = dict(repo.commits[repo.refs["main"]])
    del files["vocab.txt"]
    repo.commit(files)
    assert "vocab.txt" in refused(NotFound, models, fake_hub, BERT.name)
    del fake_hub.repos[REPO]
    assert REPO in refused(NotFound, models, fake_hub, BERT.name)


def test_a_page_of_a_hotel_is_no_hub(models: Path, fake_hub: Any) -> None:
    fake_hub.page = {"/api/models": b"<html>Welcome to our network</html>"}
    assert "as Hugging Face does" in refused(NotInstalled, models, fake_hub, INCEPTION.name)


@pytest.mark.parametrize(
    "change",
    [
        {"sha": "../../../etc"},
        {"sha": "a" * 40},
        {"sha": None},
        {"siblings": None},
        {"siblings": [{"rfilename": "model.safetensors"}]},
        {"siblings": [{"rfilename": "model.safetensors", "size": -1, "blobId": "0"}]},
    ],
    ids=repr,
)
def test_a_hub_that_answers_nonsense_gets_nothing_onto_the_disk(
    models: Path, fake_hub: Any, change: dict[str, Any]
) -> None:
    fake_hub.listed = lambda info: info.update(change)
    pinned = {AST.name: AST.source.revision}
    said = refused(NotInstalled, models, fake_hub, AST.name, revisions=pinned)
    assert "as Hugging Face does" in said
    assert not list(models.rglob("*.safetensors"))


def test_a_server_that_is_away_is_one_sentence(models: Path, fake_hub: Any) -> None:
    fake_hub.close()
    said = refused(NotInstalled, models, fake_hub, INCEPTION.name)
    assert fake_hub.url in said
    assert "yuyin models import" in said


def test_a_full_disk_keeps_what_came(models: Path, fake_hub: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    free = shutil.disk_usage(models.parent)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: free._replace(free=50_000))
    said = refused(NotInstalled, models, fake_hub, INCEPTION.name)
    assert "0 MB left" in said
    assert not fake_hub.asked("/cdn/"), "seen before the download"


def test_two_pulls_at_once_are_one_too_many(models: Path, fake_hub: Any) -> None:
    with writing(models), pytest.raises(StoreLocked, match="wait"):
        pull(models, fake_hub)
    assert len(pull(models, fake_hub)) == 3


@pytest.mark.parametrize(
    "text",
    ["", "[]", "[" * 100_000, '{"schema_version": 2}', '{"schema_version": 1, "sources": {"a/b": {}}}'],
)
def test_a_lock_that_cannot_be_read_is_not_ignored(models: Path, fake_hub: Any, text: str) -> None:
    models.mkdir()
    (models / LOCK).write_text(text)
    assert LOCK in refused(Corrupt, models, fake_hub)
    assert fake_hub.log == []


def test_a_lock_cannot_name_a_place_outside(models: Path, fake_hub: Any) -> None:
    pull(models, fake_hub, INCEPTION.name)
    lock = json.loads((models / LOCK).read_text())
    pin = lock["sources"][INCEPTION.source.repo]
    for change in (
        {"revision": "../../x"},
        {"licence": "mit\x1b[2J"},
        {"files": {"../x.json": pin["files"]["config.json"]}},
        {"files": {}},
    ):
        harmed = {"schema_version": 1, "sources": {INCEPTION.source.repo: pin | change}}
        (models / LOCK).write_text(json.dumps(harmed))
        with pytest.raises(Corrupt, match="cannot be used"):
            pull(models, fake_hub, INCEPTION.name)


def test_full_is_what_the_system_calls_full() -> None:
    assert set(fetch.FULL) == {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def test_a_terminal_that_would_block_is_no_other_pull(models: Path) -> None:
    with pytest.raises(BlockingIOError), writing(models):
        raise BlockingIOError
