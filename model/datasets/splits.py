"""Categories and groups of pairs in, which pairs to train on and which to watch out."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

EVALUATION_SHARE = 0.15


def joined(*labels: NDArray[Any]) -> NDArray[np.int64]:
    """Number pairs (n,) so that two which share a label, or are linked by others that do, have one number."""
    n = len(labels[0])
    columns = []
    offset = n
    for label in labels:
        values, inverse = np.unique(label, return_inverse=True)
        columns.append(offset + inverse)
        offset += len(values)
    rows = np.tile(np.arange(n), len(labels))
    links = coo_array((np.ones(len(rows)), (rows, np.concatenate(columns))), shape=(offset, offset))
    return np.asarray(connected_components(links, directed=False)[1][:n], np.int64)


def split_groups(
    category: NDArray[Any], group: NDArray[Any], rng: np.random.Generator, share: float = EVALUATION_SHARE
) -> NDArray[np.str_]:
    """Split by whole groups, each category in proportion as well as groups allow.

    Args:
        category: (n,) labels to stratify by.
        group: (n,) labels that must not be torn apart.
        rng: orders the groups.
        share: wanted part of each category in the evaluation split.

    Returns:
        (n,) "train" or "evaluation"; with two groups or more neither is empty.
    """
    _, of_category = np.unique(category, return_inverse=True)
    _, of_group = np.unique(group, return_inverse=True)
    counts = np.zeros((of_group.max(initial=-1) + 1, of_category.max(initial=-1) + 1))
    np.add.at(counts, (of_group, of_category), 1)
    missing = share * counts.sum(axis=0)
    chosen = np.zeros(len(counts), np.bool_)
    for g in rng.permutation(len(counts)):
        if np.abs(missing - counts[g]).sum() < np.abs(missing).sum():
            chosen[g] = True
            missing = missing - counts[g]
    if len(counts) > 1 and not chosen.any():
        chosen[np.argmin(counts.sum(axis=1))] = True
    if len(counts) > 1 and chosen.all():
        chosen[np.argmax(counts.sum(axis=1))] = False
    return np.where(chosen[of_group], "evaluation", "train").astype(np.str_)
