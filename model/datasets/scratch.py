"""A dataset in; a second one of the same pairs and media out, whose features are made apart from its own."""

import shutil
from pathlib import Path

import numpy as np

from model.artifact import content_id, write_json
from model.datasets.table import Dataset, features_folder, write_dataset
from model.errors import BadDataset

KEPT = ("recipe", "pairs", "tags")  # of features.json: neither what `--with` added nor what was once dropped


def pairs_id(dataset: Dataset) -> str:
    """Hash of everything that it says of its pairs: split, media and times too."""
    columns = {name: column.tolist() for name, column in dataset.pairs.items()}
    return content_id({"manifest": dataset.manifest, "pairs": columns})


def scratch_view(dataset: Dataset, profile: str, place: Path) -> Path:
    """Make `place` a dataset whose features may be written without touching those of the first one.

    Finished features of the profile are linked into it: `extract_features` takes them if they are of the
    recipe that it is asked for, and else puts its own in the links' places. What `--with` put beside them is
    left out, so that views of different recipes hold the same inputs. A view that is there already stays as
    it is, so that a killed extraction goes on in it, whatever became of the first one's features since.

    Args:
        dataset: whose pairs and media.
        profile: whose features.
        place: the folder; its parents are made.

    Returns:
        `place`.
    """
    if not (place / "dataset.json").exists():
        _link_features(dataset, profile, features_folder(place, profile))
        paths = {
            name: np.array([_whole(dataset.folder, path) for path in dataset.pairs[name].tolist()], np.str_)
            for name in ("video_path", "music_path")
        }
        write_dataset(place, dataset.manifest, dataset.pairs | paths)
    return place


def _whole(folder: Path, path: str) -> str:
    """Where a media file lies, as another folder may say it."""
    return str((folder / path).resolve()) if path else ""


def _link_features(dataset: Dataset, profile: str, into: Path) -> None:
    shutil.rmtree(into, ignore_errors=True)  # links of a run that was killed here
    try:
        made = dataset.made_by(profile)
    except BadDataset:
        return  # nothing finished is there to be taken
    into.mkdir(parents=True)
    for array in sorted(features_folder(dataset.folder, profile).glob("*.npy")):
        _link(array, into / array.name)
    write_json(into / "features.json", {key: made[key] for key in KEPT if key in made} | {"dropped": []})


def _link(array: Path, place: Path) -> None:
    """By a hard link, which keeps what it leads to when the first one's file is replaced."""
    try:
        place.hardlink_to(array.resolve())
    except OSError:  # on another disk, or not ours
        shutil.copyfile(array, place)
