"""Categories and groups of pairs in, which pairs to train on and which to watch out."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

EVALUATION_SHARE = 0.15
# Held out by the paper: 1,464 and 1,000 of 98,071 ads (docs/models.md 1.6). Of fewer than some 10,000 that is
# too little to measure anything by, so up to a tenth is, until these numbers are reached (our choice).
PAPER_SHARES = {"test": 1464 / 98_071, "evaluation": 1000 / 98_071}
LEAST_PAIRS = {"test": 150, "evaluation": 100}
LARGEST_SHARE = 0.1


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


def split_three_ways(
    category: NDArray[Any], tag: NDArray[Any], group: NDArray[Any], rng: np.random.Generator
) -> NDArray[np.str_]:
    """Split by whole groups in the paper's proportions, each tag in its share, every category in each split.

    Args:
        category: (n,) labels; one of three groups or more is in every split.
        tag: (n,) finer labels to stratify by.
        group: (n,) labels that must not be torn apart; all different for a split by pairs.
        rng: draws.

    Returns:
        (n,) "train", "evaluation" or "test".
    """
    split = np.full(len(group), "train", dtype="<U10")
    for name, others in (("test", 3), ("evaluation", 2)):
        left = np.flatnonzero(split == "train")
        share, least = PAPER_SHARES[name], LEAST_PAIRS[name]
        wanted = max(1, round(share * len(group)), min(least, int(LARGEST_SHARE * len(group))))
        drawn = _draw_groups(category[left], tag[left], group[left], wanted, others, rng)
        split[np.isin(group, drawn)] = name
    return split


def _draw_groups(
    category: NDArray[Any],
    tag: NDArray[Any],
    group: NDArray[Any],
    wanted: int,
    others: int,
    rng: np.random.Generator,
) -> NDArray[Any]:
    """Groups with about `wanted` pairs.

    Systematic sampling: every k-th of the groups in the order of their category and tag, from a random one
    on, which takes of each tag its share to within one group. Groups of more than half the wanted pairs stay,
    unless their category has no other; a category of less than `others` groups keeps them, unless all have.
    """
    groups, first, sizes = np.unique(group, return_index=True, return_counts=True)
    of_group = category[first]
    names, which, counts = np.unique(of_group, return_inverse=True, return_counts=True)
    spare = counts[which] >= others
    small = spare & (sizes <= max(1, wanted // 2))
    listed = np.flatnonzero(small)
    listed = listed[np.lexsort((rng.random(len(listed)), tag[first][listed], of_group[listed]))]
    chosen = np.zeros(len(groups), np.bool_)
    if len(listed):
        number = int(np.clip(round(wanted / sizes[listed].mean()), 1, len(listed)))
        places = (np.arange(number) + rng.random()) * len(listed) / number
        chosen[listed[places.astype(np.intp)]] = True
    for name in names:
        own = spare & (of_group == name)
        if own.any() and not chosen[own].any():
            lightest = np.flatnonzero(own & (sizes == sizes[own].min()))
            chosen[rng.choice(lightest)] = True
    if len(groups) >= others and not chosen.any():
        chosen[sizes.argmin()] = True
    return groups[chosen]
