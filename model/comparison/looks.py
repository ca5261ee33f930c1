"""A trained YuYin and its data set in, what the paper's Figs. 5 to 7 and gates are drawn from out.

Fig. 6: densities of matched and unmatched cosines before the projection (h_v, m) and in the common space.
Fig. 5: flat map of the music representation m, some pairs of every category of the whole set, since the
rarest category has about 23 test pairs. Fig. 7: flat map of z_v and z_m of the same kind of draw.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from model.datasets.table import Dataset
from model.evaluation.inside import look_inside
from model.evaluation.similarity import Similarity, similarity
from model.evaluation.space import MOST_OF_A_CATEGORY, Separation, drawn_rows, flat_map, separation
from model.systems.system import System, embed_all
from model.training.sampler import Table, taken

MAP_PAIRS = 4_000  # of a map, over all categories: t-SNE of so many takes half a minute
Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Map:
    """A flat map, and how well categories keep apart in the vectors themselves."""

    points: NDArray[np.float64]  # (n, 2)
    labels: NDArray[np.str_]  # (n,) categories
    sides: NDArray[np.str_]  # (n,) video or music
    separation: Separation


@dataclass(frozen=True, slots=True)
class Looks:
    """What there is to see; None and {} where a system or a data set has none of it."""

    before: Similarity | None  # cosines of h_v and m
    after: Similarity | None  # of z_v and z_m
    gates: Mapping[str, NDArray[np.float64]]  # by input, (n,) of the test clips
    music: Map | None  # Fig. 5
    space: Map | None  # Fig. 7


def look(system: System, table: Table, scores: NDArray[np.float64], dataset: Dataset) -> Arrays:
    """Everything that `looks_of` makes a `Looks` of again.

    Args:
        system: in evaluation mode.
        table: all pairs as its views see them.
        scores: (n, n) of the test pairs.
        dataset: whose pairs they are.
    """
    rows = table.pairs.rows("test")
    tracks = dataset.pairs["track_id"][rows]
    seen = _packed_similarity("after", similarity(scores, tracks))
    inside = look_inside(system, *_inputs(table, rows))
    if inside is not None:
        seen |= _packed_similarity("before", similarity(inside.scores, tracks))
        seen |= {f"gate {name}": values for name, values in inside.gates.items()}
    return seen | _maps(system, table, dataset.pairs["category"])


def looks_of(arrays: Mapping[str, NDArray[Any]]) -> Looks:
    """Unpack what `look` gave."""
    gates = {name.removeprefix("gate "): x for name, x in arrays.items() if name.startswith("gate ")}
    return Looks(
        _similarity_of("before", arrays),
        _similarity_of("after", arrays),
        gates,
        _map_of("music", arrays),
        _map_of("space", arrays),
    )


def _inputs(
    table: Table, rows: NDArray[np.int64]
) -> tuple[Mapping[str, torch.Tensor], Mapping[str, torch.Tensor], NDArray[np.int64]]:
    """Prepared videos and segments of some pairs, and where each clip's segments begin."""
    device = table.labels["tag"].device
    segments = torch.from_numpy(table.pairs.all_segments(rows)).to(device)
    offsets = np.cumsum([0, *np.diff(table.pairs.offsets)[rows]], dtype=np.int64)
    return table.videos(torch.from_numpy(rows).to(device)), taken(table.music, segments), offsets


def _maps(system: System, table: Table, categories: NDArray[np.str_]) -> Arrays:
    count = len(np.unique(categories))
    if count < 2:
        return {}
    most = min(MOST_OF_A_CATEGORY, MAP_PAIRS // count)
    seen: Arrays = {}
    rows = drawn_rows(categories, most)
    inside = look_inside(system, *_inputs(table, rows))
    if inside is not None:
        seen |= _packed_map("music", inside.music, categories[rows], np.full(len(rows), "music"))
    rows = drawn_rows(categories, max(1, most // 2))
    video, music, offsets = _inputs(table, rows)
    z_v, z_m = (
        embed_all(system, side, inputs).double().cpu().numpy()
        for side, inputs in (("video", video), ("music", music))
    )
    clips = np.add.reduceat(z_m, offsets[:-1], axis=0)
    sides = np.repeat(["video", "music"], len(rows))
    both = np.concatenate([z_v, clips / np.linalg.norm(clips, axis=1, keepdims=True)])
    return seen | _packed_map("space", both, np.tile(categories[rows], 2), sides)


def _packed_map(
    name: str, vectors: NDArray[np.float64], labels: NDArray[np.str_], sides: NDArray[np.str_]
) -> Arrays:
    apart = separation(vectors, labels)
    if apart is None:
        return {}
    figures = np.array([apart.silhouette, apart.purity, apart.chance])
    parts = {"points": flat_map(vectors), "labels": labels, "sides": sides, "separation": figures}
    return {f"map {name} {part}": x for part, x in parts.items()}


def _map_of(name: str, arrays: Mapping[str, NDArray[Any]]) -> Map | None:
    if f"map {name} points" not in arrays:
        return None
    points, labels, sides, figures = (
        arrays[f"map {name} {part}"] for part in ("points", "labels", "sides", "separation")
    )
    return Map(points, labels, sides, Separation(*figures.tolist()))


def _packed_similarity(name: str, found: Similarity | None) -> Arrays:
    if found is None:
        return {}
    return {f"cosine {name} {part}": np.asarray(x) for part, x in asdict(found).items()}


def _similarity_of(name: str, arrays: Mapping[str, NDArray[Any]]) -> Similarity | None:
    if f"cosine {name} matched" not in arrays:
        return None
    parts: dict[str, Any] = {each.name: arrays[f"cosine {name} {each.name}"] for each in fields(Similarity)}
    return Similarity(**{part: x.item() if x.ndim == 0 else x for part, x in parts.items()})
