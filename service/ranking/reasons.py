"""What was asked and the tracks that came out in, which factors of it drove each match, out.

Each factor is taken away and the question is asked again: a measured factor of the picture is set to the
training mean (a tower takes NaN as that), the picture's theme is projected out of its vector, text and
references are left out of the blend. What a track then loses of its lead over the pool, it owed to the
factor. Nothing is said of what was not measured: features of pretrained networks have no names, so no
factors.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from index_builder.search import Match, Searchable, places
from model.features.extractors import VideoExtractor
from model.features.sequence import Sequence as Rows
from service.ranking.blend import Part, mixed
from service.serving.pool import Pool

# By factor, how the names of its columns begin.
COLUMNS: dict[str, tuple[str, ...]] = {
    "tempo": ("cut_", "shot_length", "since_cut", "until_cut"),
    "energy": (
        *("motion_", "still_share", "moving_share", "pan_", "zoom", "roll_speed", "global_share"),
        *("flicker", "flash", "fade"),
    ),
    "mood": (
        *("luma_", "dark_share", "bright_share", "lab_", "chroma_", "saturation_", "colourfulness"),
        *("warmth", "red_blue", "hue_"),
    ),
}
TEXTS = {
    "tempo": "how the picture is cut speaks for this track",
    "energy": "how the picture moves speaks for this track",
    "mood": "the light and colour of the picture speak for this track",
    "category": "the bundle places the picture near {theme!r}, and this track too",
    "text": "the text that was asked for speaks for this track",
    "reference": "the reference tracks speak for this track",
}
LEAST_LEAD = 0.5  # standard deviations above the pool's mean: who leads by less leads by chance
LEAST_STRENGTH = 0.1  # of a factor that is worth a word


@dataclass(frozen=True, slots=True)
class Reason:
    """One factor that drove a match."""

    factor: str
    strength: float  # 0..1: how much of the lead over the pool is lost without it
    text: str


@dataclass(frozen=True, slots=True)
class Asked:
    """A whole question, to be asked again without one of its factors."""

    picture: NDArray[np.float32]  # (d,) unit
    parts: tuple[Part, ...]
    sequences: Mapping[str, Rows]  # that the picture's vector was made of


@dataclass(frozen=True, slots=True)
class Without:
    """The question without one factor."""

    factor: str
    query: NDArray[np.float64]  # (d,), see `Pool.standard`
    text: str


class VideoTower(Protocol):
    """What is asked of a bundle's video tower."""

    @property
    def widths(self) -> dict[str, int]:
        """Of its inputs, by name."""

    def embed(self, batch: Sequence[Mapping[str, Rows]]) -> NDArray[np.float32]:
        """The sequences of b pictures to (b, d) unit rows; NaN counts as the training mean."""


def ablations(
    asked: Asked,
    tower: VideoTower,
    extractors: Mapping[str, VideoExtractor],
    themes: Mapping[str, NDArray[np.float32]],
    pool: Pool,
) -> list[Without]:
    """The question without each of its factors, as far as they can be told apart."""
    pictures = _unmeasured(asked.sequences, tower, extractors)
    theme = _theme(asked.picture, themes)
    if theme:
        pictures["category"] = theme[1]
    left = {factor: (picture, asked.parts) for factor, picture in pictures.items()}
    for factor in dict.fromkeys(part.factor for part in asked.parts if part.weight):
        left[factor] = (asked.picture, tuple(part for part in asked.parts if part.factor != factor))
    queries = {factor: mixed(*rest, pool) for factor, rest in left.items()}
    return [
        Without(factor, pool.standard(query), TEXTS[factor].format(theme=theme and theme[0]))
        for factor, query in queries.items()
        if query is not None  # without it nothing would have been asked
    ]


def explain(
    snapshot: Searchable,
    match: Match,
    length_s: float,
    query: NDArray[np.float64],
    without: Sequence[Without],
    pool: Pool,
) -> list[Reason]:
    """Why a track came out, at the moment it is to start from: the strongest factor first.

    Args:
        snapshot: of the track.
        match: the track and its spans.
        length_s: of the picture.
        query: (d,), the whole question, see `Pool.standard`.
        without: the same without each of its factors.
        pool: of the snapshot.
    """
    above = _heard(snapshot, match, length_s) - pool.mean
    lead = float(query @ above)
    if lead < LEAST_LEAD:
        return []
    reasons = []
    for one in without:
        lost = (lead - float(one.query @ above)) / lead
        if lost >= LEAST_STRENGTH:
            reasons.append(Reason(one.factor, round(min(lost, 1.0), 2), one.text))
    return sorted(reasons, key=lambda reason: (-reason.strength, reason.factor))


def _heard(snapshot: Searchable, match: Match, length_s: float) -> NDArray[np.float64]:
    """(d,): the mean of the segments that the best span covers."""
    rows, starts, first, end = places(snapshot, match.track, length_s)
    chosen = int(np.flatnonzero(starts[first] == match.spans[0].start_s)[0])
    covered = np.asarray(snapshot.embeddings[rows][first[chosen] : end[chosen]])
    mean: NDArray[np.float64] = covered.mean(axis=0, dtype=np.float64)
    return mean


def _unmeasured(
    sequences: Mapping[str, Rows], tower: VideoTower, extractors: Mapping[str, VideoExtractor]
) -> dict[str, NDArray[np.float32]]:
    """The picture's vector without each measured factor, at a run of the tower each."""
    blinded: dict[str, dict[str, Rows]] = {}
    for factor, beginnings in COLUMNS.items():
        changed = {}
        for name in sorted(sequences.keys() & extractors.keys() & tower.widths.keys()):
            columns = [i for i, one in enumerate(extractors[name].features) if one.startswith(beginnings)]
            if columns:
                changed[name] = _blind(sequences[name], columns)
        if changed:
            blinded[factor] = {**sequences, **changed}
    # one by one, as the picture itself was: a batch rounds otherwise, and that must not count as a difference
    return {factor: tower.embed([changed])[0] for factor, changed in blinded.items()}


def _blind(rows: Rows, columns: list[int]) -> Rows:
    values = rows.values.copy()
    values[:, columns] = np.nan
    return replace(rows, values=values)


def _theme(
    picture: NDArray[np.float32], themes: Mapping[str, NDArray[np.float32]]
) -> tuple[str, NDArray[np.float32]] | None:
    """The tag that a picture is nearest to, and the picture without what sets that tag apart."""
    if len(themes) < 2:
        return None
    tags, vectors = list(themes), np.stack(list(themes.values())).astype(np.float64)
    cosines = np.round(vectors @ picture, 6)
    nearest = int(np.argmax(cosines))
    own = vectors[nearest] - vectors.mean(axis=0)
    length = float(np.linalg.norm(own))
    along = float(own @ picture) / length if length > 1e-6 else 0.0
    rest = picture - along * own / length
    left = float(np.linalg.norm(rest))
    return (tags[nearest], (rest / left).astype(np.float32)) if left > 1e-3 else None
