import numpy as np
import pytest

from model.datasets.splits import joined, split_groups


def slow_joined(*labels):
    """Merge until nothing changes."""
    number = list(range(len(labels[0])))
    for _ in number:
        for i in range(len(number)):
            for j in range(len(number)):
                if any(label[i] == label[j] for label in labels):
                    number[i] = number[j] = min(number[i], number[j])
    return number


def partition(numbers):
    return {tuple(np.flatnonzero(np.asarray(numbers) == n)) for n in set(np.asarray(numbers).tolist())}


@pytest.mark.parametrize("seed", range(5))
def test_joined_links_what_shares_any_label(seed):
    rng = np.random.default_rng(seed)
    one, other = rng.integers(0, 9, 14), rng.integers(0, 9, 14).astype(str)
    assert partition(joined(one, other)) == partition(slow_joined(one, other))


def test_no_group_is_torn_and_categories_keep_their_share():
    rng = np.random.default_rng(0)
    group = rng.integers(0, 400, 1000)
    category = np.array(["a", "b", "c"])[rng.choice(3, 1000, p=[0.6, 0.3, 0.1])]
    split = split_groups(category, group, np.random.default_rng(1))
    for g in set(group.tolist()):
        assert len(set(split[group == g].tolist())) == 1
    for c in "abc":
        assert (split[category == c] == "evaluation").mean() == pytest.approx(0.15, abs=0.02)
    np.testing.assert_array_equal(split, split_groups(category, group, np.random.default_rng(1)))


@pytest.mark.parametrize(
    ("groups", "evaluated"), [([], 0), ([0], 0), ([0, 0], 0), ([0, 1], 1), ([0, 0, 0, 1, 2], 1)]
)
def test_small_sizes(groups, evaluated):
    split = split_groups(np.full(len(groups), "a"), np.array(groups, int), np.random.default_rng(0))
    assert (split == "evaluation").sum() == evaluated
    assert split.dtype.kind == "U"
