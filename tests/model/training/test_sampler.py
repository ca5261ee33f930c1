"""Batches against `Sequence.between` and `pad`, the plain way to the same numbers."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from model.datasets.adsynth.generate import Plan, generate
from model.datasets.table import Dataset, Ragged, features_folder
from model.errors import BadDataset
from model.evaluation.embed import segments_of
from model.features.profiles import load_profile
from model.features.sequence import Sequence, pad
from model.systems.catalogue import chosen_preset, load_system
from model.systems.system import System
from model.systems.views import Tokens
from model.training.sampler import Pairs, Table, _covered, batches, prepare, read_pairs


@pytest.fixture
def dataset(tmp_path: Path, make_dataset: Callable[..., Path]) -> Dataset:
    return Dataset.open(make_dataset(tmp_path / "data", counts=(20, 5, 5)))


@pytest.fixture
def pairs(dataset: Dataset) -> Pairs:
    return read_pairs(dataset, "lite")


@pytest.fixture
def table(pairs: Pairs) -> Table:
    kind = load_system("yuyin")
    system = kind.build(pairs.dims, chosen_preset(kind, "lite", {"embedding": "8", "hidden": "8"}).system)
    return prepare(system, pairs, torch.device("cpu"), fit=True)


def test_sequences_are_what_evaluation_embeds(dataset: Dataset, pairs: Pairs) -> None:
    rows = np.array([3, 0, 29])
    segments = pairs.middle_segments(rows)
    spans = dataset.features("segments")
    music = {name: dataset.features(name) for name in ("audio", "emotion")}
    items = [segments_of(music, spans, int(i))[len(spans.row(i).values) // 2] for i in rows]
    for name, (x, mask) in pairs.segments(segments).items():
        expected, expected_mask = pad([item[name].values for item in items])
        np.testing.assert_array_equal(x.numpy(), expected)
        np.testing.assert_array_equal(mask.numpy(), expected_mask)
    for name, (x, mask) in pairs.videos(rows).items():
        expected, expected_mask = pad([dataset.features(name).row(int(i)).values for i in rows])
        np.testing.assert_array_equal(x.numpy(), expected)
        np.testing.assert_array_equal(mask.numpy(), expected_mask)


def test_a_batch_holds_what_the_views_make_of_each_pair_alone(pairs: Pairs) -> None:
    kind = load_system("yuyin")
    system = kind.build(pairs.dims, chosen_preset(kind, "lite").system)
    table = prepare(system, pairs, torch.device("cpu"), fit=True)
    rows = np.array([3, 0, 29])
    segments = pairs.all_segments(rows)
    whole = table.batch(np.repeat(rows, np.diff(pairs.offsets)[rows]), segments)
    assert len(whole) == len(segments) == sum(len(range(*pairs.offsets[i : i + 2])) for i in rows)
    expected = [s for i in rows for s in range(pairs.offsets[i], pairs.offsets[i + 1])]
    assert segments.tolist() == expected
    for i, segment in enumerate(segments):
        alone = system.music_view(pairs.segments(segments[i : i + 1]))
        for name, x in alone.items():
            torch.testing.assert_close(whole.music[name][i], x[0])
        assert pairs.offsets[whole.track[i]] <= segment  # one track a pair in this data
    batch = table.batch(rows, pairs.middle_segments(rows))
    text, view = load_profile("lite").text, system.text_view
    assert view is not None
    assert batch.text is not None
    for i, row in enumerate(rows):
        vector = torch.from_numpy(text(pairs.tags[pairs.tag[row]]))
        torch.testing.assert_close(batch.text[i], view(vector))


def test_sequences_are_padded_to_the_longest_of_all(pairs: Pairs) -> None:
    class Kept(System):
        def __init__(self) -> None:
            super().__init__()
            self.video_view = Tokens(pairs.dims.video, pairs.dims.rows, 5.0)
            self.music_view = Tokens(pairs.dims.music, pairs.dims.rows, 5.0)

    system = Kept()
    table = prepare(system, pairs, torch.device("cpu"), fit=True)
    for name in ("frames", "motion"):
        longest = int((pairs.video[name].end - pairs.video[name].first).max())
        assert table.video[name].shape[:2] == table.video[f"{name}_mask"].shape == (30, longest)
        assert torch.equal(table.video[name][~table.video[f"{name}_mask"]].abs().sum(), torch.tensor(0.0))
        alone = system.video_view(pairs.videos(np.array([7])))
        torch.testing.assert_close(table.video[name][7, : alone[name].shape[1]], alone[name][0])
    assert table.music["emotion"].shape[1] == 8  # a functional has one row a segment: pseudo-tokens


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
        read_pairs(dataset, "lite")


def test_an_epoch_shows_every_pair_once_and_drops_an_incomplete_batch(table: Table) -> None:
    rng, pairs = np.random.default_rng(0), table.pairs
    train = pairs.rows("train")
    sizes = [len(batch) for batch in batches(table, train, 8, rng, one_clip_per_track=False)]
    assert sizes == [8, 8]
    (whole,) = batches(table, train, 1024, rng, one_clip_per_track=False)
    assert sorted(whole.track.tolist()) == sorted(pairs.track[train].tolist())
    (lonely,) = batches(table, train[:1], 1, rng, one_clip_per_track=False)
    assert lonely.track.tolist() == [pairs.track[train[0]]]


def test_a_batch_may_hold_one_clip_of_each_track(table: Table) -> None:
    table.pairs.track[:] = np.arange(30) % 7
    rng, train = np.random.default_rng(0), table.pairs.rows("train")
    for batch in batches(table, train, 10, rng, one_clip_per_track=True):
        rows = batch.tag.shape[0]
        assert 1 <= rows <= 7
    with_all = next(batches(table, train, 20, rng, one_clip_per_track=True))
    assert len(with_all) == 7


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
    pairs = read_pairs(dataset, "lite")
    assert pairs.tags == pairs.categories == ("clothing", "food")
    assert torch.equal(torch.from_numpy(pairs.tag), torch.from_numpy(pairs.category))


@pytest.mark.parametrize("name", ["emotion", "frames", "segments"])
def test_rows_that_do_not_fit_the_segments_are_refused(dataset: Dataset, name: str) -> None:
    good = dataset.features(name)
    empty_first = good.offsets.copy()
    empty_first[1] = 0
    Ragged(good.values, good.times_s, empty_first).write(features_folder(dataset.folder, "lite"), name)
    with pytest.raises(BadDataset, match="extract"):
        read_pairs(dataset, "lite")


def test_imported_features_that_are_overwritten_with_no_number_are_refused(tmp_path: Path) -> None:
    world = tmp_path / "world"
    generate(world, Plan("default", 500, 3, "small", sequences=False), lambda done, of: None)
    dataset = Dataset.open(world)
    read_pairs(dataset, "adsynth")
    path = features_folder(world, "adsynth") / "audio.npy"
    values = np.load(path)
    for value in (np.nan, np.inf):
        values[17, 4] = value
        np.save(path, values)
        with pytest.raises(BadDataset, match=r"'audio' of pair '.+' holds NaN"):
            read_pairs(dataset, "adsynth")
