import numpy as np
import pytest
import torch

from model.comparison.bench import Bench
from model.errors import BadDataset
from model.systems.catalogue import load_system
from model.training.sampler import prepare

CPU = torch.device("cpu")


@pytest.fixture
def bench(make_pairs, tmp_path):
    return Bench(make_pairs(tmp_path / "data"), "made", CPU)


def build(bench, name, preset):
    kind = load_system(name)
    return kind.build(bench.pairs.dims, kind.presets[preset].system)


def states(system):
    return {
        name: value
        for name, value in system.state_dict().items()
        if name.startswith(("video_view", "music_view", "text_view"))
    }


@pytest.mark.parametrize(
    "second", [("yuyin", "paper"), ("yuyin", "wo_E"), ("cbvmr", "paper"), ("cca", "plain")]
)
def test_a_later_system_sees_what_it_would_see_alone(bench, second):
    bench.look(build(bench, "yuyin", "paper"))
    system, alone = build(bench, *second), build(bench, *second)
    table = bench.look(system)
    expected = prepare(alone, bench.pairs, CPU, fit=True)
    for side in ("video", "music"):
        assert set(getattr(table, side)) == set(getattr(expected, side))
        for name, x in getattr(expected, side).items():
            np.testing.assert_array_equal(getattr(table, side)[name], x)
    assert (table.text is None) == (expected.text is None)
    for name, value in states(alone).items():
        np.testing.assert_array_equal(states(system)[name], value)


def test_equal_views_look_once(bench):
    first = bench.look(build(bench, "yuyin", "paper"))
    assert bench.look(build(bench, "yuyin", "concat")) is first
    assert bench.look(build(bench, "yuyin", "wo_T")) is not first  # it has no text
    assert bench.look(build(bench, "yuyin", "paper")) is not first  # only the last one is kept


def test_views_that_differ_in_a_setting_are_not_alike(bench):
    kind = load_system("cca")
    tables = [bench.look(kind.build(bench.pairs.dims, kind.config(clip=clip))) for clip in (5.0, 0.5)]
    assert float(tables[0].video["frames"].abs().max()) > 0.5
    assert float(tables[1].video["frames"].abs().max()) == 0.5


def test_what_cannot_be_trained_on_is_refused(make_pairs, tmp_path, monkeypatch):
    import pyarrow.parquet as pq

    folder = make_pairs(tmp_path / "data")
    table = pq.read_table(folder / "pairs.parquet")
    column = table.column_names.index("split")
    pq.write_table(table.set_column(column, "split", [["test"] * len(table)]), folder / "pairs.parquet")
    with pytest.raises(BadDataset, match="split 'train'"):
        Bench(folder, "made", CPU)
