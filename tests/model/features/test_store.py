"""The store against a dictionary; damaged and half-written shards; how the number of shards grows."""

import json
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.artifact import ASIDE
from model.errors import Mismatch
from model.features.sequence import Sequence
from model.features.store import FAN, FeatureKey, FeatureStore


def key(media: int, extractor: str = "lite-audio@1") -> FeatureKey:
    return FeatureKey(f"{media:064x}", extractor, "15s/5s", "fp32")


def rows(seed: int, count: int, width: int = 3) -> Sequence:
    rng = np.random.default_rng(seed)
    return Sequence(rng.standard_normal((count, width), np.float32), rng.uniform(0, 1e5, count))


def same(one: Sequence | None, other: Sequence | None) -> bool:
    if one is None or other is None:
        return one is other
    return one.values.tobytes() == other.values.tobytes() and one.times_s.tobytes() == other.times_s.tobytes()


def shards(root: Path) -> list[Path]:
    return sorted(path for path in root.glob("*/*") if path.name.isdigit())


ACTIONS = st.tuples(
    st.integers(0, 20), st.sampled_from([0, 1, 7]), st.sampled_from(["", "", "flush", "reopen"])
)


@settings(max_examples=15, deadline=None, derandomize=True, database=None)
@given(st.lists(ACTIONS, max_size=60))
def test_behaves_like_a_dictionary(actions: list[tuple[int, int, str]]) -> None:
    with TemporaryDirectory() as folder:
        store, oracle = FeatureStore(Path(folder)), {}
        for step, (media, count, then) in enumerate(actions):
            oracle[media] = rows(step, count)
            store.put(key(media), oracle[media])
            if then:
                store.flush()
            if then == "reopen":
                store = FeatureStore(Path(folder))
        for media in range(21):
            assert same(store.get(key(media)), oracle.get(media))
            assert (key(media) in store) == (media in oracle)


def test_what_was_flushed_survives_and_what_was_not_is_absent(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path)
    store.put(key(1), rows(1, 5))
    store.flush()
    store.put(key(2), rows(2, 5))
    again = FeatureStore(tmp_path)
    assert same(again.get(key(1)), rows(1, 5))
    assert again.get(key(2)) is None


def test_keys_differ_in_every_part(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path)
    keys = [
        key(1),
        key(2),
        key(1, "lite-audio@2"),
        FeatureKey(f"{1:064x}", "lite-audio@1", "10s/5s", "fp32"),
        FeatureKey(f"{1:064x}", "lite-audio@1", "15s/5s", "int8"),
    ]
    for i, one in enumerate(keys):
        store.put(one, rows(i, 2))
    store.flush()
    again = FeatureStore(tmp_path)
    assert all(same(again.get(one), rows(i, 2)) for i, one in enumerate(keys))


def test_shards_grow_with_the_logarithm(tmp_path: Path) -> None:
    """Fifteen shards of twenty rows, fifteen of one; one row more makes sixteen twice, and all become one."""
    store = FeatureStore(tmp_path)
    batches = [range(20 * i, 20 * i + 20) for i in range(FAN - 1)]
    batches += [range(300 + i, 301 + i) for i in range(FAN)]
    counts = []
    for batch in batches:
        for media in batch:
            store.put(key(media), rows(media, 2))
        store.flush()
        counts.append(len(shards(tmp_path)))
    assert counts == [*range(1, 2 * FAN - 1), 1]
    again = FeatureStore(tmp_path)
    assert all(same(again.get(key(media)), rows(media, 2)) for media in range(316))


def test_merging_keeps_the_newest_and_drops_the_damaged(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path)
    for i in range(FAN - 1):
        store.put(key(0), rows(i, 2))
        store.put(key(i + 1), rows(i, 2))
        store.flush()
    hurt = shards(tmp_path)[3] / "values.npy"
    hurt.write_bytes(hurt.read_bytes()[:-4] + b"hurt")  # media 4: the last of its shard
    again = FeatureStore(tmp_path)
    for media in (0, *range(100, 100 + FAN)):  # too large to be merged with the others
        again.put(key(media), rows(1000 + media, 2))
    again.flush()
    again.put(key(FAN), rows(FAN, 2))
    again.flush()
    assert len(shards(tmp_path)) == 2
    for store in (again, FeatureStore(tmp_path)):
        assert same(store.get(key(0)), rows(1000, 2))
        assert same(store.get(key(FAN - 1)), rows(FAN - 2, 2))
        assert store.get(key(4)) is None
        assert key(4) not in store


def test_a_damaged_row_is_absent_and_the_others_stay(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path)
    for media in range(3):
        store.put(key(media), rows(media, 4))
    store.flush()
    (shard,) = shards(tmp_path)
    whole = bytearray((shard / "values.npy").read_bytes())
    whole[-2 * 4 * 3 * 4 : -4 * 3 * 4] = bytes(4 * 3 * 4)  # the middle one of three, as after a lost write
    (shard / "values.npy").write_bytes(whole)
    again = FeatureStore(tmp_path)
    assert again.get(key(1)) is None
    assert key(1) not in again
    assert same(again.get(key(0)), rows(0, 4))
    assert same(again.get(key(2)), rows(2, 4))
    again.put(key(1), rows(1, 4))
    again.flush()
    assert same(FeatureStore(tmp_path).get(key(1)), rows(1, 4))


@pytest.mark.parametrize("file", ["shard.json", "values.npy", "times_s.npy"])
def test_a_shard_without_a_file_is_computed_again(tmp_path: Path, file: str) -> None:
    store = FeatureStore(tmp_path)
    store.put(key(1), rows(1, 4))
    store.flush()
    (shards(tmp_path)[0] / file).unlink()
    again = FeatureStore(tmp_path)
    assert again.get(key(1)) is None
    again.put(key(1), rows(1, 4))
    again.flush()
    assert same(FeatureStore(tmp_path).get(key(1)), rows(1, 4))


def test_leftovers_of_a_kill_are_not_read(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path)
    store.put(key(1), rows(1, 4))
    store.flush()
    (shard,) = shards(tmp_path)
    shutil.copytree(shard, shard.with_name(f"{ASIDE}0123"))
    (shard.with_name(f"{ASIDE}0123") / "shard.json").write_text(json.dumps({"media": ["half"]}))
    assert same(FeatureStore(tmp_path).get(key(1)), rows(1, 4))


def test_another_width_needs_another_version(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path)
    store.put(key(1), rows(1, 4, width=3))
    store.flush()
    with pytest.raises(Mismatch, match="raise its version"):
        FeatureStore(tmp_path).put(key(2), rows(2, 4, width=5))
