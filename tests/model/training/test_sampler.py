"""Batches against `Sequence.between` and `pad`, the plain way to the same numbers."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from model.datasets.table import Dataset, Ragged, features_folder
from model.errors import BadDataset
from model.evaluation.embed import segments_of
from model.features.profiles import load_profile
from model.features.sequence import Sequence, pad
from model.training.sampler import Pairs, _covered, batches, read_pairs


@pytest.fixture
def dataset(tmp_path: Path, make_dataset: Callable[..., Path]) -> Dataset:
    return Dataset.open(make_dataset(tmp_path / "data", counts=(20, 5, 5)))


@pytest.fixture
def pairs(dataset: Dataset) -> Pairs:
    return read_pairs(dataset, load_profile("lite"))


def test_a_batch_holds_what_evaluation_embeds(dataset: Dataset, pairs: Pairs) -> None:
    rows = np.array([3, 0, 29])
    segments = pairs.middle_segments(rows)
    batch = pairs.batch(rows, segments)
    spans = dataset.features("segments")
    music = {name: dataset.features(name) for name in ("audio", "emotion")}
    items = [segments_of(music, spans, int(i))[len(spans.row(i).values) // 2] for i in rows]
    for name, (x, mask) in batch.music.items():
        expected, expected_mask = pad([item[name].values for item in items])
        np.testing.assert_array_equal(x.numpy(), expected)
        np.testing.assert_array_equal(mask.numpy(), expected_mask)
    for name, (x, mask) in batch.video.items():
        expected, expected_mask = pad([dataset.features(name).row(int(i)).values for i in rows])
        np.testing.assert_array_equal(x.numpy(), expected)
        np.testing.assert_array_equal(mask.numpy(), expected_mask)
    text = load_profile("lite").text
    for i, row in enumerate(rows):
        np.testing.assert_array_equal(batch.text[i].numpy(), text(str(dataset.pairs["tag"][row])))
        assert pairs.categories[batch.category[i]] == dataset.pairs["category"][row]


def test_covered_rows_are_those_of_between() -> None:
    rng = np.random.default_rng(0)
    times_s = np.sort(rng.uniform(0, 40, 25))
    starts = np.concatenate([rng.uniform(-5, 45, 40), times_s[:3]])
    spans = np.stack([starts, starts + rng.choice([0.01, 3.0, 15.0], len(starts))], axis=1)
    sequence = Sequence(np.arange(25, dtype=np.float32)[:, None], times_s)
    first, end = _covered(times_s, spans)
    for span, a, b in zip(spans, first, end, strict=True):
        assert sequence.between(*span).values[:, 0].tolist() == list(range(a, b))


def test_a_functional_gives_each_segment_its_own_row() -> None:
    spans = np.array([[2.0, 17.0], [7.0, 22.0], [12.0, 27.0]])
    first, end = _covered(spans.mean(1) + 1e-6, spans)  # `between` would give each of them all three
    assert (first.tolist(), end.tolist()) == ([0, 1, 2], [1, 2, 3])


def test_features_of_other_extractors_are_refused(dataset: Dataset) -> None:
    path = features_folder(dataset.folder, "lite") / "features.json"
    path.write_text(path.read_text("utf-8").replace("lite-mood@", "lite-mood@9"), "utf-8")
    with pytest.raises(BadDataset, match=r"lite-mood@9.*extract"):
        read_pairs(dataset, load_profile("lite"))


def test_an_epoch_shows_every_pair_once_and_drops_an_incomplete_batch(pairs: Pairs) -> None:
    rng = np.random.default_rng(0)
    train = pairs.rows("train")
    sizes = [len(batch.tag) for batch in batches(pairs, train, 8, rng)]
    assert sizes == [8, 8]
    (whole,) = batches(pairs, train, 1024, rng)
    assert sorted(whole.track.tolist()) == sorted(pairs.track[train].tolist())
    (lonely,) = batches(pairs, train[:1], 1, rng)
    assert lonely.track.tolist() == [pairs.track[train[0]]]


def test_segments_are_drawn_from_the_own_clip_all_equally_often(pairs: Pairs) -> None:
    counts = np.diff(pairs.offsets)
    row = int(np.argmax(counts))
    rng = np.random.default_rng(0)
    drawn = pairs.drawn_segments(np.full(4_000, row), rng) - pairs.offsets[row]
    share = np.bincount(drawn, minlength=counts[row]) / 4_000
    assert counts[row] > 1
    np.testing.assert_allclose(share, 1 / counts[row], atol=0.03)


def test_a_pair_without_tag_takes_its_category_s_name(dataset: Dataset) -> None:
    dataset.pairs["tag"][:] = ""
    pairs = read_pairs(dataset, load_profile("lite"))
    assert pairs.tags == pairs.categories == ("clothing", "food")
    assert torch.equal(torch.from_numpy(pairs.tag), torch.from_numpy(pairs.category))


@pytest.mark.parametrize("name", ["emotion", "frames", "segments"])
def test_rows_that_do_not_fit_the_segments_are_refused(dataset: Dataset, name: str) -> None:
    good = dataset.features(name)
    empty_first = good.offsets.copy()
    empty_first[1] = 0
    Ragged(good.values, good.times_s, empty_first).write(features_folder(dataset.folder, "lite"), name)
    with pytest.raises(BadDataset, match="extract"):
        read_pairs(dataset, load_profile("lite"))
