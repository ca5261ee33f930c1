"""What comes in a folder is checked like what comes from the hub, and cannot reach beyond the folder."""

import hashlib
import json
import os
import resource
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from model.artifact import read_manifest, write_json
from model.backbones.catalogue import AST, BACKBONES, BERT, INCEPTION
from model.backbones.folder import Backbone, new_backbone
from model.errors import BadOptions, Corrupt, Mismatch, NotInstalled, YuyinError
from model.hub.imported import import_folder
from model.hub.installed import list_models
from model.hub.lock import LOCK, Lock
from model.hub.sources import pinned_source
from model.hub.verify import verify_models

GRAPH = b"\x08\x08\x3a\x03\x12\x01g"  # IR version 8 and a graph that is called g
TODAY = "0123456789abcdef0123456789abcdef01234567"


def write_checkpoint(made: Path, weights: bytes) -> Path:
    """As transformers saves it, with what else lies around in a clone."""
    made.mkdir()
    (made / "model.safetensors").write_bytes(weights)
    (made / "config.json").write_text("{}")
    (made / "vocab.txt").write_text("[PAD]\n")
    (made / "README.md").write_text("# mine")
    (made / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    return made


@pytest.fixture
def folder(tmp_path: Path, tensors: Callable[..., bytes]) -> Path:
    return write_checkpoint(tmp_path / "mine", tensors())


@pytest.fixture(scope="module")
def carried_once(tmp_path_factory: pytest.TempPathFactory, tensors: Callable[..., bytes]) -> Path:
    """A MODELS folder of another machine: AST pulled and exported, BERT imported."""
    folder = write_checkpoint(tmp_path_factory.mktemp("there") / "mine", tensors())
    made = folder.parent / "carried"
    import_folder(made, folder, BERT.name)
    source = made / "sources" / AST.name / TODAY
    source.mkdir(parents=True)
    for name in AST.source.files:
        shutil.copy(folder / ("config.json" if name.endswith("json") else name), source / name)
    hashes = {name: hashlib.sha256((source / name).read_bytes()).hexdigest() for name in AST.source.files}
    facts = {"repo": AST.source.repo, "revision": TODAY, "licence": AST.source.licence}
    write_json(source / "source.json", facts | {"files": hashes})
    lock = json.loads((made / LOCK).read_text())
    files = {name: {"sha256": hashes[name], "size": (source / name).stat().st_size} for name in hashes}
    lock["sources"][AST.source.repo] = {
        "revision": TODAY,
        "asked": "main",
        "licence": AST.source.licence,
        "files": files,
    }
    write_json(made / LOCK, lock)
    export(made, facts)
    return made


@pytest.fixture
def carried(carried_once: Path, tmp_path: Path) -> Path:
    """A copy that a test may harm."""
    return Path(shutil.copytree(carried_once, tmp_path / "carried"))


def export(models: Path, facts: dict[str, str], graph: bytes = GRAPH) -> str:
    with new_backbone(models, AST, "fp32", {"source": facts}) as aside:
        (aside / "model.onnx").write_bytes(graph)
    return Backbone.open(models, AST.name, "fp32").id


def tree(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "lock"
    }


def refused(kind: type[YuyinError], models: Path, *words: Any, **options: Any) -> str:
    """The sentence; what was there before must be there unchanged, and nothing else."""
    before = tree(models)
    with pytest.raises(kind) as raised:
        import_folder(models, *words, **options)
    assert tree(models) == before
    return str(raised.value)


def test_a_checkpoint_becomes_a_pinned_source(models: Path, folder: Path) -> None:
    (part,) = import_folder(models, folder, BERT.name)
    source = pinned_source(models, BERT.name)
    assert (part.fresh, part.part) == (True, f"sources/{BERT.name}/{source.pin.revision}")
    assert source.pin.revision.startswith("imported-")
    wanted = {name: (folder / name).read_bytes() for name in BERT.source.files}
    assert {path.name for path in source.folder.iterdir()} == wanted.keys() | {"source.json"}
    assert {name: (source.folder / name).read_bytes() for name in wanted} == wanted
    files = read_manifest(source.folder, "source.json")["files"]
    assert files == {name: hashlib.sha256(data).hexdigest() for name, data in wanted.items()}
    assert import_folder(models, folder, BERT.name)[0].fresh is False
    assert [each.state for each in verify_models(models, [BERT.name])] == ["whole", "absent"]


def test_a_graph_and_a_network_without_a_vocabulary(models: Path, folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "model.onnx")
    (folder / "model.onnx").write_bytes(GRAPH)
    (folder / "vocab.txt").unlink()
    import_folder(models, folder, INCEPTION.name)
    assert set(pinned_source(models, INCEPTION.name).pin.files) == {"model.onnx", "config.json"}
    assert "vocab.txt" in refused(BadOptions, models, folder, BERT.name)
    import_folder(models, folder, AST.name)
    assert set(pinned_source(models, AST.name).pin.files) == {"model.onnx", "config.json"}


def test_pickles_are_refused_with_the_cure(models: Path, folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    said = refused(BadOptions, models, folder, BERT.name)
    assert "pytorch_model.bin" in said
    assert "save_pretrained" in said
    assert "resnet" in refused(BadOptions, models, folder, "resnet")
    (folder / "pytorch_model.bin").rename(folder / "model.safetensors")
    assert "is no safetensors file" in refused(Corrupt, models, folder, BERT.name)
    assert "--as" in refused(BadOptions, models, folder)


@pytest.mark.parametrize("kind", ["file", "folder", "fifo", "directory", "dangling"])
def test_nothing_outside_the_folder_is_read(models: Path, folder: Path, tmp_path: Path, kind: str) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "config.json").write_text('{"secret": 1}')
    (folder / "config.json").unlink()
    match kind:
        case "file":
            (folder / "config.json").symlink_to(secret / "config.json")
        case "folder":
            (folder / "in").symlink_to(secret)
            (folder / "config.json").symlink_to("in/config.json")
        case "fifo":
            os.mkfifo(folder / "config.json")
        case "directory":
            (folder / "config.json").mkdir()
        case _:
            (folder / "config.json").symlink_to(folder / "nowhere")
    kinds = BadOptions if kind == "dangling" else Corrupt
    assert "config.json" in refused(kinds, models, folder, BERT.name)


def test_a_link_inside_the_folder_is_a_file(models: Path, folder: Path) -> None:
    (folder / "config.json").rename(folder / "config.real")
    (folder / "config.json").symlink_to("config.real")
    import_folder(models, folder, BERT.name)
    assert not (pinned_source(models, BERT.name).folder / "config.json").is_symlink()


def test_another_checkpoint_moves_the_pin_only_when_asked(models: Path, folder: Path) -> None:
    import_folder(models, folder, BERT.name)
    first = pinned_source(models, BERT.name).pin.revision
    (folder / "vocab.txt").write_text("[PAD]\n[UNK]\n")
    said = refused(BadOptions, models, folder, BERT.name)
    assert first in said
    assert "--update" in said
    import_folder(models, folder, BERT.name, update=True)
    assert pinned_source(models, BERT.name).pin.revision != first
    lines = {line.part: line for line in verify_models(models, [BERT.name])}
    assert lines[f"sources/{BERT.name}/{first}"].state == "spare"


def test_a_models_folder_is_taken_over_whole(models: Path, carried: Path) -> None:
    parts = import_folder(models, carried)
    assert all(part.fresh for part in parts)
    assert [part.part.split("/")[0] for part in parts] == ["sources", AST.name, "sources"]
    assert tree(models) == tree(carried)
    assert Lock.read(models).pins == Lock.read(carried).pins
    assert not any(part.fresh for part in import_folder(models, carried))
    assert [line.state for line in verify_models(models, [AST.name])] == ["whole", "whole"]
    states = {entry.name: entry.state for entry in list_models(models)}
    assert states == {INCEPTION.name: "not here", AST.name: "ready", BERT.name: "pulled"}


def test_what_only_runs_needs_no_checkpoints(models: Path, carried: Path) -> None:
    shutil.rmtree(carried / "sources")
    assert [part.part for part in import_folder(models, carried)] == [f"{AST.name}/fp32"]
    assert [line.state for line in verify_models(models, [AST.name])] == ["absent", "whole"]


def harm_lock(carried: Path, change: Callable[[dict[str, Any]], None]) -> None:
    lock = json.loads((carried / LOCK).read_text())
    change(lock["sources"][AST.source.repo])
    write_json(carried / LOCK, lock)


def lead_out(path: Path) -> None:
    outside = path.parents[4] / "elsewhere.json"
    outside.write_bytes(path.read_bytes())
    path.unlink()
    path.symlink_to(outside)


def keep_weights_outside(carried: Path) -> None:
    shutil.rmtree(carried / AST.name)
    tensor = b"\x6a\x00"  # of its field of external data, an empty one
    graph = b"\x2a" + bytes([len(tensor)]) + tensor
    export(carried, {}, b"\x08\x08\x3a" + bytes([len(graph)]) + graph)


SOURCE, EXPORTED = f"sources/{AST.name}/{TODAY}", f"{AST.name}/fp32"
HARMS: dict[str, Callable[[Path], Any]] = {
    "source": lambda at: (at / SOURCE / "config.json").write_text("[]"),
    "source cut": lambda at: (at / SOURCE / "model.safetensors").write_bytes(b""),
    "source gone": lambda at: (at / SOURCE / "config.json").unlink(),
    "graph": lambda at: (at / EXPORTED / "model.onnx").write_bytes(GRAPH[:-1] + b"h"),
    "stranger": lambda at: (at / EXPORTED / "more.txt").write_text("?"),
    "pickle": lambda at: (at / EXPORTED / "model.bin").write_bytes(b"\x80\x04."),
    "folder": lambda at: (at / EXPORTED / "more.txt").mkdir(),
    "no manifest": lambda at: (at / EXPORTED / "backbone.json").unlink(),
    "lock": lambda at: (at / LOCK).write_text("{"),
    "lock name": lambda at: harm_lock(
        at, lambda pin: pin["files"].update({"../../x.json": pin["files"]["config.json"]})
    ),
    "lock revision": lambda at: harm_lock(at, lambda pin: pin.update(revision="..")),
    "link": lambda at: lead_out(at / SOURCE / "config.json"),
    "link of a graph": lambda at: lead_out(at / EXPORTED / "backbone.json"),
    "outside": keep_weights_outside,
}


@pytest.mark.parametrize("harm", HARMS)
def test_harm_in_a_models_folder_is_refused(models: Path, carried: Path, harm: str) -> None:
    HARMS[harm](carried)
    with pytest.raises(Corrupt):
        import_folder(models, carried)
    assert not (models / EXPORTED).exists()
    assert not list(models.glob(".part-*"))


def test_the_same_revision_with_other_bytes_is_refused_with_both_hashes(models: Path, carried: Path) -> None:
    import_folder(models, carried)
    lock = json.loads((carried / LOCK).read_text())
    pinned = lock["sources"][AST.source.repo]["files"]["config.json"]
    ours, theirs = pinned["sha256"], hashlib.sha256(b"{ }").hexdigest()
    pinned["sha256"] = theirs
    (carried / LOCK).write_text(json.dumps(lock))
    (carried / SOURCE / "config.json").write_text("{ }")
    said = refused(Corrupt, models, carried, update=True)
    assert ours in said
    assert theirs in said


def test_a_folder_cannot_take_a_pin_away(models: Path, carried: Path) -> None:
    """The same revision with fewer files: what it does not list would be free from then on."""
    import_folder(models, carried)
    for keep in ("config.json", "model.safetensors"):
        harm_lock(carried, lambda pin, keep=keep: pin.update(files={keep: pin["files"][keep]}))  # type: ignore[misc]
        said = refused(Corrupt, models, carried, update=True)
        assert "preprocessor_config.json" in said
        shutil.copy(models / LOCK, carried / LOCK)
    shutil.rmtree(carried / "sources")
    harm_lock(carried, lambda pin: pin.update(files={"x.json": pin["files"]["config.json"]}))
    assert "model.safetensors" in refused(Corrupt, models, carried, update=True)


@pytest.mark.parametrize(
    "facts",
    [
        {"source": None},
        {"source": ["x"]},
        {"source": {"revision": "\ud800"}},
        {"name": ...},
        {"version": 2},
        {"precision": "int8"},
    ],
    ids=str,
)
def test_a_manifest_that_fits_its_own_id_may_still_be_odd(
    models: Path, carried: Path, facts: dict[str, Any]
) -> None:
    """Anybody can compute that id."""
    folder = carried / EXPORTED
    manifest = {**json.loads((folder / "backbone.json").read_text()), **facts, "id": ...}
    manifest = {key: value for key, value in manifest.items() if value is not ...}
    text = json.dumps(manifest, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    found = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    (folder / "backbone.json").write_text(json.dumps(manifest | {"id": found}))
    with pytest.raises((Corrupt, Mismatch)):
        import_folder(models, carried)
    assert not (models / EXPORTED).exists()
    assert [each.state for each in list_models(carried) if each.name == AST.name] == ["broken"]
    assert [line.state for line in verify_models(carried, [AST.name])] == ["whole", "changed"]


def test_a_full_disk_is_named_as_what_it_is(models: Path, carried: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(NotInstalled, match=r"no space is left for .*model.safetensors.* --models"):
            import_folder(models, carried)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list(models.rglob("*.safetensors"))


def test_another_export_replaces_ours_only_when_asked(models: Path, carried: Path) -> None:
    import_folder(models, carried)
    shutil.rmtree(carried / AST.name)
    other = export(carried, {"revision": TODAY}, GRAPH[:-1] + b"h")
    assert other in refused(BadOptions, models, carried)
    assert Backbone.open(models, AST.name, "fp32").id != other
    import_folder(models, carried, update=True)
    assert Backbone.open(models, AST.name, "fp32").id == other
    assert {path.name for path in (models / AST.name).iterdir()} == {"fp32"}


@pytest.mark.parametrize("where", ["source", "graph", "lock"])
def test_verify_sees_every_changed_byte(models: Path, carried: Path, where: str) -> None:
    import_folder(models, carried)
    assert {line.state for line in verify_models(models, list(BACKBONES))} == {"whole", "absent", "missing"}
    path = {
        "source": models / "sources" / AST.name / TODAY / "model.safetensors",
        "graph": models / AST.name / "fp32" / "model.onnx",
        "lock": models / LOCK,
    }[where]
    if where == "lock":
        pinned = Lock.read(models).pins[AST.source.repo].files["config.json"].sha256
        path.write_text(path.read_text().replace(pinned, pinned[::-1]))
    else:
        path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    changed = [line for line in verify_models(models, [AST.name]) if line.state == "changed"]
    assert len(changed) == 1
    assert changed[0].said


def test_verify_sees_a_graph_that_reads_other_files(models: Path, carried: Path) -> None:
    import_folder(models, carried)
    keep_weights_outside(models)
    (line,) = [line for line in verify_models(models, [AST.name]) if line.part == EXPORTED]
    assert (line.state, "another file" in line.said) == ("changed", True)


def test_verify_goes_on_after_a_file_that_the_disk_does_not_give(models: Path, carried: Path) -> None:
    import_folder(models, carried)
    weights = models / "sources" / AST.name / TODAY / "model.safetensors"
    weights.unlink()
    weights.symlink_to("/proc/self/mem")  # at whose beginning nothing can be read
    if not weights.is_file():
        pytest.skip("no /proc")
    source, exported = verify_models(models, [AST.name])
    assert (source.state, "check the disk" in source.said) == ("changed", True)
    assert exported.state == "whole"


def test_verify_names_what_a_killed_export_left(models: Path, carried: Path) -> None:
    import_folder(models, carried)
    left = models / AST.name / ".part-0123"
    left.mkdir()
    (left / "traced.onnx").write_bytes(GRAPH)
    (line,) = [line for line in verify_models(models, [AST.name]) if line.state == "spare"]
    assert (line.part, line.size) == (f"{AST.name}/.part-0123", len(GRAPH))
    assert "remove" in line.said


def test_verify_says_from_what_an_export_was_made(models: Path, carried: Path) -> None:
    import_folder(models, carried)
    shutil.rmtree(models / AST.name)
    export(models, {"revision": "f" * 40})
    (line,) = [line for line in verify_models(models, [AST.name]) if line.part == f"{AST.name}/fp32"]
    assert "f" * 40 in line.said
    assert TODAY in line.said
