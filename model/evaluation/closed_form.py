"""A dataset's features in, whether a closed form that is trained on them finds each held-out pair out.

The closed form is CCA as it does best on AVE (`model.systems.cca`, preset `tuned`): it takes seconds, has no
seed and no epoch to choose, so that what differs between two sets of features of the same pairs is theirs.
"""

import numpy as np
import torch
from numpy.typing import NDArray

from model.datasets.table import Dataset
from model.evaluation.metrics import hits, rank
from model.evaluation.pool import directions
from model.systems.cca import CCA, PRESETS
from model.training.loop import score_pairs
from model.training.sampler import prepare, read_pairs

CUTOFF = 10


@torch.no_grad()
def found_in_ten(dataset: Dataset, profile: str, split: str) -> NDArray[np.float64]:
    """Strict hits at 10: (2, n) of the n pairs of a split, V->M and M->V, trained on split "train".

    Args:
        dataset: with features of the profile.
        profile: which ones.
        split: of n >= 1 pairs; at least 2 others are for training.

    Raises:
        BadDataset: if a feature is missing, empty or no number.
    """
    pairs = read_pairs(dataset, profile)
    system = CCA(pairs.dims, PRESETS["tuned"].system)
    table = prepare(system, pairs, torch.device("cpu"), fit=True)
    system.start(table.all_pairs(pairs.rows("train")))
    rows = pairs.rows(split)
    scores = score_pairs(system.eval(), table, rows)
    own = np.eye(len(rows), dtype=np.bool_)
    return np.stack([hits(rank(matrix, own), CUTOFF) for _, matrix in directions(scores)])
