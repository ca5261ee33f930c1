"""A data set's sizes in; what a system reads and which labels it learns out: choices that many share."""

from typing import Literal

from torch import Tensor

from model.systems.batch import Batch, Dims
from model.systems.system import FUSED, MissingInput, picture_inputs, wanted, wanted_categories
from model.systems.views import Pool, Pooled

Heard = Literal["audio", "audio_emotion", "all"]  # `all`: audio and emotion, or the one that there is
Labels = Literal["emotion", "tag", "category"]  # `emotion`: polarity, or the tag where valence is not known


def pooled_views(dims: Dims, heard: Heard, pool: Pool, clip: float, system: str) -> tuple[Pooled, Pooled]:
    """Views of video and music for a system that takes one vector a side.

    Raises:
        MissingInput: if an input is not there.
    """
    music = wanted(dims.music, heard_names(dims, heard, system), system)
    return Pooled(picture_inputs(dims), dims.rows, pool, clip), Pooled(music, dims.rows, pool, clip)


def heard_names(dims: Dims, heard: Heard, system: str) -> tuple[str, ...]:
    """The music inputs that `heard` means; raises `MissingInput` if `all` of them are none."""
    match heard:
        case "audio":
            return ("audio",)
        case "audio_emotion":
            return FUSED
        case "all":
            found = tuple(name for name in FUSED if name in dims.music)
            if not found:
                raise MissingInput(f"{system} reads audio or emotion, and this data set has neither")
            return found


def known_labels(dims: Dims, labels: Labels, system: str) -> tuple[str, int]:
    """Which label of a `Batch` is meant, and how many values it has.

    Raises:
        MissingInput: if pairs have no such label.
    """
    match labels:
        case "emotion" if dims.valence:
            return "polarity", 3
        case "category":
            return "category", wanted_categories(dims, system)
        case _:
            if dims.tags == 0:
                raise MissingInput(f"{system} learns tags, which this data set does not have")
            return "tag", dims.tags


def label_of(batch: Batch, kind: str) -> Tensor:
    """(b,) int64; `kind` as `known_labels` has it."""
    label = {"polarity": batch.polarity, "tag": batch.tag, "category": batch.category}[kind]
    if label is None:
        raise MissingInput("nothing in this data set tells valence: choose the label tag or category")
    return label
