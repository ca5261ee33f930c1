"""A dataset with media and a profile in two precisions in; what the fewer bits change out.

The precision is part of a recipe: towers are trained on the bits that they are served with. So R@10 is that
of a closed form trained on the features of each precision, not that of towers which fewer bits take by
surprise. Its setting is the same for both, and nothing was chosen on the pairs that it is measured on.
"""

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model.backbones.quantise import cosines
from model.datasets.extract import extract_features
from model.datasets.scratch import pairs_id, scratch_view
from model.datasets.table import Dataset, Ragged
from model.errors import BadDataset
from model.evaluation.closed_form import found_in_ten
from model.evaluation.paired import compare
from model.evaluation.precision import FEWEST_PAIRS, MOST_LOST, Report, Retrieved, Turned
from model.features.extractors import Profile, identity

FEWEST_TRAINED = 2
ROWS = 8192  # at a time: bounds memory only
MEDIA_CHANGED = "put them back as they were, or delete the dataset's features of this profile"

Bar = Callable[[str], AbstractContextManager[Callable[[int, int], None]]]  # by label, a progress to be told


def work_of(folder: Path, profile: Profile) -> Path:
    """Where a measurement keeps what it has so far: inside the dataset, whose disk has room for features."""
    return folder / f".verify-{profile.precision}"


def measure(folder: Path, full: Profile, fewer: Profile, *, processes: int, bar: Bar) -> Report:
    """Extract the features of both precisions apart from the dataset's own, and compare.

    Finished features of the dataset that are of either recipe are used as they are. The rest is made in
    `work_of`, where a killed run goes on; it is removed at the end.

    Args:
        folder: a dataset with media.
        full: a profile whose networks are fp32.
        fewer: the same with fewer bits.
        processes: to extract on.
        bar: shows the progress of each extraction.

    Raises:
        BadDataset: if it has no media, or media were changed or lost since its features were made.
    """
    dataset = Dataset.open(folder)
    if any((dataset.pairs[name] == "").any() for name in ("video_path", "music_path")):
        raise BadDataset(f"{folder} has pairs without media to run over: name a dataset that has all of them")
    work = work_of(folder, fewer)
    views = work / pairs_id(dataset)
    of_full, of_fewer = (
        _extracted(dataset, profile, views / str(profile.precision), processes, bar)
        for profile in (full, fewer)
    )
    inputs = {
        name: extractor.name
        for name, extractor in (full.video | full.music).items()
        if identity(extractor) != identity((fewer.video | fewer.music)[name])
    }
    try:
        report = compared(of_full, of_fewer, full.name, str(fewer.precision), inputs)
    except BadDataset:  # nor would it fit together the next time
        shutil.rmtree(work)
        raise
    shutil.rmtree(work)
    return report


def _extracted(dataset: Dataset, profile: Profile, place: Path, processes: int, bar: Bar) -> Dataset:
    view = scratch_view(dataset, profile.name, place)
    with bar(f"extracting {profile.name} as {profile.precision}") as progress:
        extract_features(view, profile, processes=processes, progress=progress)
    return Dataset.open(view)


def compared(
    full: Dataset, fewer: Dataset, profile: str, precision: str, inputs: Mapping[str, str]
) -> Report:
    """Features of the same pairs in two precisions.

    Args:
        full: with features of fp32.
        fewer: with features of fewer bits.
        profile: of both.
        precision: of the latter.
        inputs: by feature that the precision changes, the network that it is of.

    Raises:
        BadDataset: if they are not of the same pairs and media, or features are missing.
    """
    if full.pairs["pair_id"].tolist() != fewer.pairs["pair_id"].tolist():
        raise BadDataset(
            f"some pairs have features in one precision only, so media are missing now: {MEDIA_CHANGED}"
        )
    turned = tuple(
        _turned(network, full.features(name, profile), fewer.features(name, profile))
        for name, network in inputs.items()
    )
    found = _retrieved(full, fewer, profile)
    return Report(precision, turned, found, (*_left_out(fewer, profile), *_notes(found)))


def _turned(network: str, full: Ragged, fewer: Ragged) -> Turned:
    if full.values.shape != fewer.values.shape or (full.offsets != fewer.offsets).any():
        raise BadDataset(
            f"{network} has other numbers of vectors in the two precisions, so media changed: {MEDIA_CHANGED}"
        )
    each = np.concatenate(
        [
            cosines(full.values[first : first + ROWS], fewer.values[first : first + ROWS])
            for first in range(0, len(full.values), ROWS)
        ]
    )
    return Turned(network, len(each), float(each.mean()), float(each.min()))


def _retrieved(full: Dataset, fewer: Dataset, profile: str) -> Retrieved | None:
    """On "test", or where there is none on "evaluation", since nothing is chosen on it here."""
    split = full.pairs["split"]
    held_out = next((name for name in ("test", "evaluation") if (split == name).any()), None)
    if held_out is None or (split == "train").sum() < FEWEST_TRAINED:
        return None
    hits, fewer_hits = (found_in_ten(each, profile, held_out) for each in (full, fewer))
    tracks = full.pairs["track_id"][split == held_out]
    change = compare(fewer_hits.mean(axis=0)[None], hits.mean(axis=0)[None], tracks)
    return Retrieved(held_out, len(tracks), _both(hits), _both(fewer_hits), change)


def _both(hits: NDArray[np.float64]) -> tuple[float, float]:
    """R@10 of either direction from hits (2, n)."""
    to_music, to_video = hits.mean(axis=1)
    return float(to_music), float(to_video)


def _left_out(dataset: Dataset, profile: str) -> Iterator[str]:
    for pair in dataset.made_by(profile).get("dropped", ()):
        yield f"left out: {pair['pair_id']}: {pair['reason']}"


def _notes(found: Retrieved | None) -> Iterator[str]:
    """What the figures cannot say."""
    if found is None:
        yield "no pairs to train on, or none held out: only the vectors were compared"
    elif not found.judged:
        yield (
            f"R@10 over {found.pairs} held-out pairs says nothing, it takes {FEWEST_PAIRS} or more: only the "
            "vectors were judged"
        )
    elif found.change.low < -MOST_LOST <= found.change.high:
        yield (
            f"{found.pairs} held-out pairs leave open whether R@10 falls by more than {MOST_LOST}, the 95 % "
            "interval holds both: more would tell"
        )
