"""Checkpoints that are here in, what runs out; what an export lacks is no failure of a download."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import typer
from rich.console import Console

from model.errors import BadOptions, NotInstalled

if TYPE_CHECKING:
    from model.backbones.folder import Backbone
    from model.hub.sources import Source

CALIBRATION_FRAMES = 128
EXTRAS = "'yuyin[train,paper]'"  # what an export needs


def from_checkpoint(models: Path, name: str) -> "Backbone":
    """The fp32 graph of the pinned checkpoint; raises `NotInstalled` without one."""
    from model.hub.sources import pinned_source

    source = pinned_source(models, name).folder
    from model.backbones.export import (
        export_backbone,
    )  # torch, which is not needed to say that nothing is here

    return export_backbone(models, name, source)


def fewer_bits(
    models: Path, name: str, precision: Literal["fp16", "int8"], videos: Sequence[Path] | None
) -> "Backbone":
    """The graph of fewer bits that is made from fp32; raises `NotInstalled` without that."""
    from model.backbones.catalogue import spec_of
    from model.backbones.folder import Backbone

    if spec_of(name).reads_text:
        raise BadOptions(f"{name} runs as fp32 always, since a handful of tags is all it reads: export that")
    full = Backbone.open(models, name, "fp32")
    if videos and not full.spec.sees_pictures:
        raise BadOptions(f"--calibrate is for networks that look at pictures, not {name}: leave it out")
    from model.backbones.quantise import to_fp16, to_int8
    from model.features.calibration import calibration_frames

    if precision == "fp16":
        return to_fp16(models, full)
    frames = calibration_frames(videos, CALIBRATION_FRAMES) if videos else None
    return to_int8(models, full, frames)


def export_sources(models: Path, sources: Sequence["Source"]) -> dict[str, str]:
    """Ids of what is ready, by name; says what is missing where that keeps it from being made."""
    ids: dict[str, str] = {}
    try:
        from model.backbones.export import export_backbone

        for source in sources:
            done = _exported(models, source)
            if done is None:
                with Console(stderr=True).status(f"exporting {source.name}"):
                    done = export_backbone(models, source.name, source.folder).id
            ids[source.name] = done
    except (ImportError, NotInstalled) as error:
        typer.echo(
            f"note: downloaded, but not made ready to run, which needs more packages ({error}): "
            f"pip install {EXTRAS}, then run `yuyin models export NAME`",
            err=True,
        )
    return ids


def _exported(models: Path, source: "Source") -> str | None:
    """Id of the graph that was made from just these files, if there is one."""
    from model.backbones.folder import Backbone
    from model.errors import ArtifactError

    try:
        backbone = Backbone.open(models, source.name, "fp32")
    except ArtifactError:
        return None
    made_from = backbone.manifest.get("source", {}).get("revision")
    return backbone.id if made_from == source.pin.revision else None
