"""A backbone's folder in, its checked manifest and graph out; and the other way round.

MODELS/<name>/<precision>/
  backbone.json   written last: schema, id, spec, precision, source, what made it, figures, and the
                  sha256 of every other file
  model.onnx      one file, weights inside: `x` (b, ...) -> `features` (b, d)
  vocab.txt       of a text backbone
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from model.artifact import content_id, hash_files, new_folder, read_manifest, replace, write_json
from model.backbones.catalogue import BackboneSpec, spec_of
from model.errors import Corrupt, Mismatch, NotInstalled

MANIFEST = "backbone.json"
GRAPH = "model.onnx"
VOCABULARY = "vocab.txt"
SCHEMA_VERSION = 1


def default_models() -> Path:
    """The MODELS folder where none is named."""
    return Path.home() / ".cache" / "yuyin" / "models"


@dataclass(frozen=True, slots=True)
class Backbone:
    """An installed backbone."""

    folder: Path
    spec: BackboneSpec
    manifest: dict[str, Any]

    @classmethod
    def open(cls, models: Path, name: str, precision: str, *, verify: bool = True) -> Self:
        """Read MODELS/<name>/<precision>.

        Raises:
            BadOptions: for an unknown name.
            NotInstalled: if nothing lies there.
            Corrupt: if a file is missing or differs from the manifest.
            Mismatch: if it was made for another version of our pre- and post-processing, or is of another
                precision than its place says.
        """
        spec = spec_of(name)
        folder = models / name / precision
        if not folder.exists():
            bits = precision != "fp32" and (models / name / "fp32").exists()
            how = f"export {name} --precision {precision}" if bits else "pull paper"
            raise NotInstalled(
                f"{name} ({precision}) is not in {models}: run `yuyin models {how}`, "
                "or point YUYIN_MODELS to where it is"
            )
        manifest = read_manifest(folder, MANIFEST, verify=verify)
        if not _intact(manifest):
            raise Corrupt(
                f"{folder / MANIFEST} was changed, or made by another version: export the backbone again"
            )
        found = tuple(manifest.get(key) for key in ("name", "version", "precision"))
        if found != (spec.name, spec.version, precision):
            raise Mismatch(
                f"{folder} holds {found[0]}@{found[1]} ({found[2]}), this version wants "
                f"{spec.name}@{spec.version} ({precision}): export it again"
            )
        return cls(folder, spec, manifest)

    @property
    def id(self) -> str:
        """Hash of the contents."""
        return str(self.manifest["id"])

    @property
    def precision(self) -> str:
        """How its weights are kept: fp32, fp16 or int8."""
        return str(self.manifest["precision"])

    @property
    def graph(self) -> Path:
        """The ONNX file."""
        return self.folder / GRAPH

    @property
    def vocabulary(self) -> Path:
        """The word pieces of a text backbone, one a line."""
        return self.folder / VOCABULARY


@contextmanager
def new_backbone(
    models: Path, spec: BackboneSpec, precision: str, facts: Mapping[str, Any]
) -> Iterator[Path]:
    """A folder aside to write `model.onnx` into; on leaving it takes the place of MODELS/<name>/<precision>.

    Args:
        models: the MODELS folder.
        spec: which backbone.
        precision: of the graph.
        facts: what else goes into the manifest: `source`, `made_by`, `figures`.
    """
    place = models / spec.name / precision
    with new_folder(place.parent) as aside:
        yield aside
        manifest = {
            "schema_version": SCHEMA_VERSION,
            **spec.described(),
            "precision": precision,
            **facts,
            "files": hash_files(aside, manifest=MANIFEST),
        }
        write_json(aside / MANIFEST, {**manifest, "id": content_id(manifest)})
        replace(aside, place)


def _intact(manifest: dict[str, Any]) -> bool:
    """Is it of this schema and its own id's; as JSON gives tuples back as lists, of what was read."""
    try:
        found = content_id({key: value for key, value in manifest.items() if key != "id"})
    except ValueError:  # half a surrogate pair
        return False
    known = manifest.get("schema_version") == SCHEMA_VERSION and isinstance(manifest.get("source", {}), dict)
    return known and found == manifest.get("id")
