"""A dataset's features in, what each of them is out: picture, music, words; and the way back.

`features.json` of features/<profile>/ says it. Features that our extractors made follow their profile;
features that came from elsewhere (`yuyin dataset import`, `yuyin dataset adsynth`) bring a layout.

An input's name is its role. On the side of the picture every name is something seen, except `flow`
(t, 1), the mean magnitude of optical flow in px, and `voice`, the voice-over, which only systems that ask
for them read. On the side of the music there are `audio`, `emotion` and `rhythm` (t, 3): beats, mean
onset strength at them, mean interval between them in s. `valence` (n, 1) is a label, never an input.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.artifact import write_json
from model.datasets.extras import makers_of
from model.datasets.table import Dataset, Ragged, features_folder, map_array, pairs_digest, write_array
from model.errors import BadDataset
from model.features.extractors import identity, without_weights
from model.features.profiles import load_profile
from model.features.valence import guessed_valence

VALENCE = "valence"
MUSIC_ROLES = ("audio", "emotion", "rhythm")


@dataclass(frozen=True, slots=True)
class Layout:
    """Which features a profile of a dataset has, by role."""

    video: tuple[str, ...]
    music: tuple[str, ...]
    tags: tuple[str, ...] = ()  # whose vectors stand in tags.npy, in this order; () if nothing is written
    valence: bool = False  # is there a feature `valence`


def write_features(
    folder: Path,
    pair_ids: NDArray[np.str_],
    profile: str,
    layout: Layout,
    features: Mapping[str, Ragged],
    tag_vectors: NDArray[np.float32] | None,
    made_by: Mapping[str, Any],
) -> None:
    """Write the features of a profile into a dataset folder; features.json last.

    Args:
        folder: the dataset's.
        pair_ids: (n,) of its pairs.
        profile: any name that is none of our own profiles.
        layout: the role of each feature.
        features: n blocks each, every name of `layout`, and `valence` if it has one.
        tag_vectors: (len(layout.tags), d).
        made_by: what made them, for the record.

    Raises:
        BadDataset: if a feature is missing, of other pairs, empty or not finite anywhere.
    """
    wanted = {*layout.video, *layout.music} | ({VALENCE} if layout.valence else set())
    if set(features) != wanted or not layout.video or not set(layout.music) <= set(MUSIC_ROLES):
        raise BadDataset(f"features {sorted(features)} do not fit {layout}: name each one's role")
    for name, ragged in features.items():
        check_rows(name, ragged, pair_ids)
    place = features_folder(folder, profile)
    for name, ragged in features.items():
        ragged.write(place, name)
    if tag_vectors is not None:
        write_array(place / "tags.npy", tag_vectors)
    made = {"layout": asdict(layout), "pairs": pairs_digest(pair_ids), "made_by": dict(made_by)}
    write_json(place / "features.json", made)


def check_rows(name: str, ragged: Ragged, pair_ids: NDArray[np.str_]) -> None:
    """Raise `BadDataset` unless every pair has rows of finite numbers."""
    if len(ragged) != len(pair_ids):
        raise BadDataset(
            f"feature {name!r} has rows for {len(ragged)} pairs, not {len(pair_ids)}: give one each"
        )
    empty = np.flatnonzero(np.diff(ragged.offsets) < 1)
    if len(empty):
        pair_id = str(pair_ids[empty[0]])
        raise BadDataset(f"feature {name!r} has no row for pair {pair_id!r}: give every pair at least one")
    step = 4096  # rows at a time: a mapped file of gigabytes is not read into memory
    for first in range(0, len(ragged.values), step):
        odd = ~np.isfinite(ragged.values[first : first + step]).all(axis=1)
        if odd.any():
            row = first + int(odd.argmax())
            pair_id = str(pair_ids[int(np.searchsorted(ragged.offsets, row, side="right")) - 1])
            raise BadDataset(
                f"feature {name!r} of pair {pair_id!r} holds NaN, infinite or too large values: "
                "leave the pair out, or extract it again"
            )


def check_given(dataset: Dataset, profile: str, layout: Layout) -> None:
    """Refuse features from elsewhere that have been overwritten with what is no number since their import.

    Our own are left alone: what an extractor cannot measure is NaN, and counts as the training mean.

    Raises:
        BadDataset: naming the feature and the pair.
    """
    if "layout" in dataset.made_by(profile):
        for name in (*layout.video, *layout.music):
            check_rows(name, dataset.features(name, profile), dataset.pairs["pair_id"])


def read_layout(dataset: Dataset, profile: str) -> Layout:
    """The roles of a profile's features.

    Raises:
        BadDataset: if there are none, or our own were made by other extractors than this version's.
    """
    made = dataset.made_by(profile)
    if "layout" in made:
        return _given_layout(dataset, profile, made["layout"])
    loaded = load_profile(profile)
    expected = {name: identity(each) for name, each in (loaded.video | loaded.music).items()}
    found = made.get("recipe", {}).get("extractors", {})
    if {name: without_weights(each) for name, each in found.items()} != expected:
        raise BadDataset(
            f"the {profile!r} features of {dataset.folder} were made by other extractors ({found}): "
            "run `yuyin features extract` again"
        )
    extras = made.get("extras", {})
    for name, maker in makers_of(loaded).items():
        if not extras.get(name, maker).startswith(maker):
            raise BadDataset(
                f"{name!r} of {dataset.folder} was made by another extractor ({extras[name]}): "
                f"run `yuyin features extract --with {name}` again"
            )
    music = (*loaded.music, *(name for name in extras if name in MUSIC_ROLES))
    video = (*loaded.video, *(name for name in extras if name not in MUSIC_ROLES))
    return Layout(video, music, tuple(np.unique(dataset.tags).tolist()))


def _given_layout(dataset: Dataset, profile: str, given: Any) -> Layout:
    try:
        video, music, tags = (tuple(given[key]) for key in ("video", "music", "tags"))
        whole = video and music and all(isinstance(name, str) for name in video + music + tags)
        layout = Layout(video, music, tags, bool(given["valence"]))
    except (KeyError, TypeError):
        whole = False
    if not whole:
        raise BadDataset(
            f"features.json of the {profile!r} features of {dataset.folder} does not say what is picture and "
            f"what is music: {dataset.cure}"
        )
    return layout


def tag_vectors(dataset: Dataset, profile: str, tags: Sequence[str]) -> NDArray[np.float32] | None:
    """(len(tags), d) the text vector of each tag; None if the profile has no text.

    Raises:
        BadDataset: if a tag has none.
    """
    made = dataset.made_by(profile)
    if "layout" not in made and "tags" not in made:  # our own text features need nothing but the words
        text = load_profile(profile).text
        return np.stack([text(tag) for tag in tags])
    known = made["tags"] if "tags" in made else read_layout(dataset, profile).tags
    if not known:
        return None
    unknown = sorted(set(tags) - set(known))
    if unknown:
        raise BadDataset(f"{dataset.folder} has no text vector for {', '.join(unknown)}: {dataset.cure}")
    path = features_folder(dataset.folder, profile) / "tags.npy"
    try:
        vectors = map_array(path)
    except (OSError, ValueError) as error:
        raise BadDataset(f"{path} cannot be read ({error}): {dataset.cure}") from error
    fits = vectors.dtype.kind in "fiu" and vectors.ndim == 2 and len(vectors) == len(known)
    if not (fits and np.isfinite(vectors).all()):
        raise BadDataset(
            f"{path} does not hold a vector of finite numbers for each of the {len(known)} tags: "
            f"{dataset.cure}"
        )
    return np.asarray(vectors[[known.index(tag) for tag in tags]], np.float32)


def valence_of(dataset: Dataset, profile: str, layout: Layout) -> NDArray[np.float64] | None:
    """(n,) how pleasant each pair is: known, else guessed from our own mood descriptors, else None."""
    if layout.valence:
        return np.asarray(dataset.features(VALENCE, profile).values[:, 0], np.float64)
    if "layout" in dataset.made_by(profile):
        return None
    mood = load_profile(profile).music["emotion"]
    clips = np.stack([clip.values.mean(axis=0) for clip in dataset.features("emotion", profile)])
    return guessed_valence(clips, identity(mood), mood.features)


def clip_spans(dataset: Dataset, profile: str) -> Ragged | None:
    """(sum n, 2) start and end of every clip's segments, in its track's time; None if a clip is one segment.

    Raises:
        BadDataset: if a clip has none.
    """
    if not (features_folder(dataset.folder, profile) / "segments.npy").exists():
        return None
    spans = dataset.features("segments", profile)
    if (np.diff(spans.offsets) < 1).any():
        raise BadDataset(f"{dataset.folder} has a clip without a segment: extract the features again")
    return spans


def chosen_profile(dataset: Dataset, asked: str | None) -> str:
    """The profile asked for, else the only one that the dataset has features of.

    Raises:
        BadDataset: if there is none, or several to choose from.
    """
    if asked is not None:
        return asked
    match found := dataset.profiles:
        case [one]:
            return one
        case []:
            raise BadDataset(f"{dataset.folder} has no finished features: {dataset.cure}")
        case _:
            raise BadDataset(f"{dataset.folder} has features {', '.join(found)}: choose with --profile")
