import numpy as np
import pytest

from model.datasets.splits import joined, split_groups, split_three_ways


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


def counts(split):
    return [int((split == name).sum()) for name in ("train", "evaluation", "test")]


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        (1, [1, 0, 0]),
        (2, [1, 1, 0]),
        (3, [1, 1, 1]),
        (30, [24, 3, 3]),
        (1000, [800, 100, 100]),
        (3000, [2750, 100, 150]),
        (98_071, [95_607, 1000, 1464]),  # the paper's own
    ],
)
def test_sizes_are_the_papers_or_what_small_sets_need(pairs, expected):
    same, rng = np.full(pairs, "a"), np.random.default_rng(0)
    assert counts(split_three_ways(same, same, np.arange(pairs), rng)) == expected


def test_every_tag_has_its_share_and_every_category_is_in_each_split():
    rng = np.random.default_rng(1)
    tag = np.repeat(["a1", "a2", "a3", "b1", "c1", "d1"], [400, 300, 200, 95, 3, 2])
    tag = rng.permutation(tag)
    category = np.array([each[0] for each in tag.tolist()])
    split = split_three_ways(category, tag, np.arange(len(tag)), np.random.default_rng(2))
    for name in ("evaluation", "test"):
        for each in ("a1", "a2", "a3", "b1"):
            assert abs((split[tag == each] == name).sum() - 0.1 * (tag == each).sum()) <= 1
        assert {"a", "b", "c"} <= set(category[split == name].tolist())
    assert set(split[category == "d"].tolist()) == {"train", "evaluation"}  # two ads fill no three splits
    again = split_three_ways(category, tag, np.arange(len(tag)), np.random.default_rng(2))
    np.testing.assert_array_equal(split, again)


@pytest.mark.parametrize("seed", range(4))
def test_three_ways_tear_no_group_and_keep_popular_tracks_in_training(seed):
    rng = np.random.default_rng(seed)
    group = np.concatenate([np.zeros(300, int), 1 + rng.integers(0, 400, 700)])
    category = np.array(["a", "b"])[group % 2]
    split = split_three_ways(category, category, group, rng)
    for each in set(group.tolist()):
        assert len(set(split[group == each].tolist())) == 1
    assert split[0] == "train"
    for name in ("evaluation", "test"):
        assert (split == name).sum() == pytest.approx(100, rel=0.25)


def test_two_tracks_fill_two_splits():
    group = np.repeat([0, 1], [9, 4])
    split = split_three_ways(np.full(13, "a"), np.full(13, "a"), group, np.random.default_rng(0))
    assert set(split[:9].tolist()) == {"train"}
    assert set(split[9:].tolist()) == {"evaluation"}
