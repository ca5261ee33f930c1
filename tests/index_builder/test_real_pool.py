"""Five real tracks in three containers, from files to ranked tracks."""

from pathlib import Path

import numpy as np
import pytest

from index_builder import layout
from index_builder.build import BuildJob, build
from index_builder.search import Filters, eligible, rank
from index_builder.snapshot import Snapshot, activate, current, verify
from model.media.audio import read_audio


@pytest.mark.slow
def test_a_real_pool_is_indexed_and_rolled_over(
    shared_data: Path, tmp_path: Path, bundle: Path, other_bundle: Path
) -> None:
    pool, store = shared_data / "music" / "kevin_macleod", tmp_path / "store"
    first = build(BuildJob(pool, store, bundle), lambda _: None)
    assert (first.tracks, first.computed, first.skipped) == (5, 5, ())
    snapshot = Snapshot.open(store, first.snapshot)
    facts = [snapshot.catalogue.facts(row) for row in range(5)]
    assert {one["title"] for one in facts} == {
        "amazing_plan",
        "fluffing_a_duck",
        "hand_trolley",
        "scheming_weasel",
        "spazzmatica_polka",
    }
    for one in facts:
        assert one["measured"] == ["bpm", "key", "loudness_lufs", "energy", "duration_s"]
        assert 40 <= one["bpm"] <= 240
        assert -40 < one["loudness_lufs"] < 0
        preview = read_audio(layout.preview_file(store, one["media_sha256"]), 8000)
        assert len(preview) / 8000 == pytest.approx(one["duration_s"], abs=0.1)
    fast = eligible(snapshot.catalogue, Filters(bpm=(120.0, None)))
    assert fast.tolist() == [one["bpm"] >= 120 for one in facts]
    for row in range(0, len(snapshot.segments), 7):
        (best,) = rank(snapshot, np.array(snapshot.embeddings[row]), 15.0, top_k=1)
        assert best.score == 1.0
        assert best.track == snapshot.segments["track"][row]
    second = build(BuildJob(pool, store, other_bundle), lambda _: None)
    assert (second.computed, second.reused) == (0, 5)
    assert current(store) == second.snapshot
    activate(store, first.snapshot)
    verify(store, second.snapshot)
