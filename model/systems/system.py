"""What every system is: raw sequences seen through views in, embeddings, scores and a loss out.

A two-tower system embeds a video without a look at the music and the other way round, so its music can be
indexed beforehand and it can be exported and served. A system that cannot says so (`indexable`), scores
whole matrices and is trained, evaluated and compared like any other.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from model.errors import BadDataset
from model.systems.batch import Batch, Dims, Prepared
from model.systems.views import Standardise, View

APART = ("flow", "voice")  # on the side of the picture, read only by systems that ask for them
FUSED = ("audio", "emotion")  # on the side of the music; `rhythm` is read only by systems that ask for it


class MissingInput(BadDataset):
    """The data set lacks what a system reads: such a row of a table says n/a and why, by its `reason`."""

    @property
    def reason(self) -> str:
        """Without the advice."""
        return str(self.args[0])

    def __str__(self) -> str:
        """With what to do."""
        return f"{self.reason}: choose --system yuyin_plus, which does without, or a preset that does"


@dataclass(frozen=True, slots=True)
class Losses:
    """Of one batch, each () float32."""

    total: Tensor  # what is minimised
    matching: Tensor  # its part that brings pairs together
    prediction: Tensor  # its part that tells categories (tags, polarities) apart, 0 where there is none


class System(nn.Module):
    """Views and networks of one published system. In shapes b is a batch, d the common space's size."""

    indexable: bool = True  # does the music's embedding not depend on the query
    reads_query_text: bool = False  # does a video's embedding need its tag, also in tests

    video_view: View
    music_view: View
    text_view: Standardise | None

    def __init__(self) -> None:
        """Without text; a system that reads it sets its `text_view`."""
        super().__init__()
        self.text_view = None

    def embed_video(self, video: Prepared) -> Tensor:
        """(b, d) rows of L2 norm 1.

        A system that reads the query's text finds it under `text` (b, d_t), standardised.
        """
        raise NotImplementedError

    def embed_music(self, music: Prepared) -> Tensor:
        """(b, d) rows of L2 norm 1."""
        raise NotImplementedError

    def embed_text(self, text: Tensor) -> Tensor:
        """(b, d_t) standardised to (b, d) rows of L2 norm 1; only of systems with a `text_view`."""
        raise NotImplementedError

    def scores(self, video: Prepared, music: Prepared) -> Tensor:
        """(n, m) how well music j suits video i; a system that is not indexable has its own way."""
        return self.embed_video(video) @ self.embed_music(music).T

    def loss(self, batch: Batch, epoch: int) -> Losses:
        """Of one batch; `epoch` counts from 1."""
        raise NotImplementedError

    def start(self, pairs: Batch) -> None:
        """What follows in closed form from all training pairs, before the first step."""

    def settle(self, pairs: Batch) -> None:
        """What follows in closed form from all training pairs and the learned weights; before every look."""

    @property
    def learns(self) -> bool:
        """Is there anything for a gradient to do."""
        return any(parameter.requires_grad for parameter in self.parameters())


def picture_inputs(dims: Dims) -> dict[str, int]:
    """Widths of what is seen: all inputs on the side of the picture but flow and voice."""
    return {name: width for name, width in dims.video.items() if name not in APART}


def wanted(widths: Mapping[str, int], names: tuple[str, ...], system: str) -> dict[str, int]:
    """Those inputs, which `system` cannot do without.

    Raises:
        MissingInput: if one is not there.
    """
    for name in names:
        if name not in widths:
            raise MissingInput(f"{system} reads the input {name!r}, which this data set does not have")
    return {name: widths[name] for name in names}


def wanted_text(dims: Dims, system: str) -> int:
    """Width of the text vectors; raises `MissingInput` if there are none."""
    if dims.text == 0:
        raise MissingInput(f"{system} reads text, which this data set does not have")
    return dims.text


def wanted_categories(dims: Dims, system: str) -> int:
    """How many categories; raises `MissingInput` if pairs have none."""
    if dims.categories == 0:
        raise MissingInput(f"{system} learns categories, which this data set does not have")
    return dims.categories


def unit(x: Tensor) -> Tensor:
    """Rows of L2 norm 1."""
    return nn.functional.normalize(x, dim=1)


@torch.no_grad()
def embed_all(system: System, side: str, prepared: Prepared, chunk: int = 4096) -> Tensor:
    """(n, d) of any number of rows, a chunk at a time; `side` is video or music."""
    embed = system.embed_video if side == "video" else system.embed_music
    count = len(next(iter(prepared.values())))
    parts = [
        embed({name: x[first : first + chunk] for name, x in prepared.items()})
        for first in range(0, count, chunk)
    ]
    return torch.cat(parts)
