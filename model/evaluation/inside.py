"""A trained system and what its views made of some pairs in, what happens before the common space out.

Only systems that project a representation of each side, as YuYin does, have anything to show here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.datasets.table import Dataset
from model.evaluation.protocol import score_clips
from model.systems.batch import Padded, Prepared
from model.systems.fusion import Gated
from model.systems.system import System, unit
from model.systems.views import Pooled, View, joined, only
from model.training.run import Run
from model.training.sampler import read_pairs

CHUNK = 512  # blocks whose sequences are padded at a time: bounds memory only


@runtime_checkable
class Projects(Protocol):
    """A system whose embeddings are projections of something that can be looked at."""

    def before_projection(self, side: Literal["video", "music"], prepared: Prepared) -> Tensor:
        """(b, e): h_v, or the music representation m."""


@dataclass(frozen=True, slots=True)
class Inside:
    """Of n pairs."""

    scores: NDArray[
        np.float64
    ]  # (n, n) mean cosine of h_v and m over the clip's segments: Fig. 6, first panel
    music: NDArray[np.float64]  # (n, e) m, the mean over the clip's segments: Fig. 5
    gates: Mapping[str, NDArray[np.float64]]  # by input, (n,) mean gate over its columns; {} without a gate


def inside_of_run(run: Run, dataset: Dataset, rows: NDArray[np.int64]) -> Inside | None:
    """Look at some pairs of a dataset through a run's own views."""
    system = run.system
    if not isinstance(system, Projects):
        return None
    pairs = read_pairs(dataset, run.config["profile"])
    video = _seen(system.video_view, pairs.videos, rows)
    music = _seen(system.music_view, pairs.segments, pairs.all_segments(rows))
    offsets = np.cumsum([0, *np.diff(pairs.offsets)[rows]], dtype=np.int64)
    return look_inside(system, video, music, offsets)


@torch.no_grad()
def look_inside(
    system: System, video: Prepared, music: Prepared, offsets: NDArray[np.int64]
) -> Inside | None:
    """Compute what Figs. 5 and 6 show; None for a system that projects nothing.

    Args:
        system: in evaluation mode.
        video: n pairs.
        music: s segments.
        offsets: (n + 1,) segments of pair i: offsets[i] .. offsets[i + 1] - 1, at least one.
    """
    if not isinstance(system, Projects):
        return None
    seen, heard = system.before_projection("video", video), system.before_projection("music", music)
    scores = score_clips(_array(unit(seen)), _array(unit(heard)), offsets)
    gates = {name: _by_clip(gate, offsets) for name, gate in _gates(system, music).items()}
    return Inside(scores, _by_clip(heard, offsets), gates)


@torch.no_grad()
def _seen(
    view: View, padded: Callable[[NDArray[np.int64]], Mapping[str, Padded]], blocks: NDArray[np.int64]
) -> Prepared:
    """Blocks through a view that pools them, some at a time."""
    parts = [
        view(only(padded(blocks[first : first + CHUNK]), view.widths))
        for first in range(0, len(blocks), CHUNK)
    ]
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def _gates(system: System, music: Prepared) -> dict[str, Tensor]:
    """By input, (s,) mean over its columns of the weighted fusion module's gate."""
    fusion, view = getattr(system, "fusion", None), system.music_view
    if not isinstance(fusion, Gated) or not isinstance(view, Pooled):
        return {}
    weights = torch.split(fusion.weights(joined(music)), list(view.out.values()), dim=1)
    return {name: part.mean(dim=1) for name, part in zip(view.out, weights, strict=True)}


def _by_clip(x: Tensor, offsets: NDArray[np.int64]) -> NDArray[np.float64]:
    """(s, ...) to (n, ...): the mean over each clip's segments."""
    sums = np.add.reduceat(_array(x).astype(np.float64), offsets[:-1], axis=0)
    counts = np.diff(offsets).reshape(-1, *[1] * (sums.ndim - 1))
    return np.asarray(sums / counts, np.float64)


def _array(x: Tensor) -> NDArray[np.float32]:
    return np.asarray(x.float().cpu().numpy())
