"""The pairs of AVE (Tian et al. 2018, arXiv:1803.08842) as features in, pairs ready to be written out.

Real clips of picture and sound, 10 s each, of 28 kinds of events; not music. The picture is ResNet-101
after PCA to 512, its mean and deviation over the frames; the sound is VGGish, 10 rows of 128 numbers
quantised to 0..255, pooled likewise. Flattening the 10 rows instead was worse (docs/models.md 7.7).
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model.artifact import sha256_of
from model.datasets.imports.imported import (
    INTEGERS,
    NUMBERS,
    TEXTS,
    Imported,
    as_float32,
    check_lengths,
    draw_split,
    pooled,
    read_arrays,
)
from model.datasets.layout import Layout
from model.errors import BadDataset

ARRAYS = {
    "row": (INTEGERS, 1),
    "label": (INTEGERS, 1),
    "label_names": (TEXTS, 1),
    "vfeat_mean": (NUMBERS, 2),
    "vfeat_std": (NUMBERS, 2),
    "afeat": (NUMBERS, 3),
    "dup_group": (INTEGERS, 1),
}
TEST_SHARE = 0.28  # about 730 of 2,609 pairs, as the levels that are known were measured
EVALUATION_SHARE = 0.12  # of the rest


def read_ave(path: Path, seed: int) -> Imported:
    """Read an `ave_pairs` .npz file.

    Pairs that are copies of each other share a `dup_group`: they count as one track and are never torn.

    Raises:
        BadDataset: if it is no such file, or its arrays do not fit together.
    """
    arrays = read_arrays(path, ARRAYS)
    names = arrays.pop("label_names")
    check_lengths(path, arrays, len(arrays["row"]))
    label = arrays["label"]
    if not (label.min() >= 0 and label.max() < len(names)):
        raise BadDataset(f"'label' of {path} goes beyond its {len(names)} names: export it again")
    category = names[label].astype(np.str_)
    group = _numbered("ave-g", arrays["dup_group"])
    return Imported(
        kind="ave",
        pair_id=_numbered("ave-", arrays["row"]),
        track_id=group,
        category=category,
        tag=np.full(len(label), ""),
        split=draw_split(category, group, seed, test=TEST_SHARE, evaluation=EVALUATION_SHARE),
        group=group,
        layout=Layout(video=("frames",), music=("audio",)),
        features={
            "frames": pooled(np.hstack([arrays["vfeat_mean"], arrays["vfeat_std"]])),
            "audio": pooled(_mean_std(arrays["afeat"])),
        },
        tag_vectors=None,
        made_by={"import": "ave", "file_sha256": sha256_of(path), "seed": seed},
    )


def _numbered(prefix: str, numbers: NDArray[np.integer]) -> NDArray[np.str_]:
    return np.array([f"{prefix}{number:04d}" for number in numbers.tolist()])


def _mean_std(rows: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(n, t, d) to (n, 2 d)."""
    values = as_float32(rows)
    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is refused when it is written
        return np.hstack([values.mean(axis=1), values.std(axis=1)])
