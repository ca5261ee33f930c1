"""What a segment takes of a track, against the sentence that says so, spelled out in loops."""

import numpy as np
import pytest

from model.features.segments import is_functional, segment_inputs
from model.features.sequence import Sequence
from model.grid import Grid


@pytest.mark.parametrize("duration_s", [3.2, 15.0, 22.7, 61.0])
def test_a_segment_takes_the_seconds_it_covers_and_its_own_mood(duration_s: float) -> None:
    segments_s = Grid().segments(duration_s)
    seconds = np.arange(int(np.ceil(duration_s))) + 0.5
    audio = Sequence(seconds[:, None].astype(np.float32), seconds)
    mood = Sequence(np.arange(len(segments_s), dtype=np.float32)[:, None], segments_s.mean(axis=1))
    found = segment_inputs({"audio": audio, "emotion": mood}, segments_s)
    assert len(found) == len(segments_s)
    for k, (start_s, end_s) in enumerate(segments_s):
        inside = [second for second in seconds if start_s <= second < end_s]
        assert found[k]["audio"].values[:, 0].tolist() == np.float32(inside).tolist()
        assert found[k]["audio"].times_s.tolist() == inside
        assert found[k]["emotion"].values.tolist() == [[k]]


def test_rows_at_the_middles_stand_for_segments_and_others_run_over_time() -> None:
    segments_s = np.array([[3_600.0, 3_615.0], [3_605.0, 3_620.0]])
    middles_s = segments_s.mean(axis=1)
    assert is_functional(middles_s, segments_s)
    assert is_functional(middles_s, segments_s.astype(np.float32).astype(np.float64) + 2e-4)
    assert not is_functional(middles_s + 0.01, segments_s)
    assert not is_functional(middles_s[:1], segments_s)
    assert is_functional(np.zeros(0), np.zeros((0, 2)))
