from itertools import count

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.media.streams import VideoRecipe
from model.media.targets import PacketTable, choose_frames


def table(times_ms, key, last_ms=40):
    times = np.array(times_ms, float) / 1000
    return PacketTable(times, np.array(key, bool), times[-1] + last_ms / 1000)


def slow_choice(times_ms, key, end_ms, recipe, start_ms, stop_ms):
    """The rule of the module's first lines, frame by frame, in whole milliseconds."""
    ends = [*times_ms[1:], end_ms]
    part = [i for i, (t, e) in enumerate(zip(times_ms, ends, strict=True)) if t < stop_ms and e > start_ms]
    part = part or [max(i for i, t in enumerate(times_ms) if t <= start_ms)]
    first, last, step = times_ms[part[0]], times_ms[part[-1]], round(1000 / recipe.frames_per_s)
    targets = [first]
    for k in count(1):
        if 2 * (first + k * step) >= 2 * last - step:
            break
        targets.append(first + k * step)
    targets.append(last)
    chosen = set()
    for target in targets:
        nearest_first = sorted(part, key=lambda i: (abs(times_ms[i] - target), times_ms[i]))
        near_keys = [
            i
            for i in nearest_first
            if key[i] and abs(times_ms[i] - target) <= 1000 * recipe.keyframe_within_s
        ]
        chosen.add((near_keys or nearest_first)[0])
    wanted = min(recipe.min_frames, len(part))
    if len(chosen) < wanted:
        spread = (len(part) - 1) / max(1, wanted - 1)
        chosen = {part[int(k * spread + 0.5)] for k in range(wanted)}
    return sorted(chosen)


@st.composite
def tables(draw):
    gaps = draw(st.lists(st.integers(1, 2500), max_size=60))
    times = [0, *np.cumsum(gaps, dtype=int).tolist()]
    key = [True, *draw(st.lists(st.booleans(), min_size=len(gaps), max_size=len(gaps)))]
    return times, key


@settings(max_examples=300, deadline=None)
@given(
    tables(),
    st.sampled_from([0.5, 1.0, 2.0, 4.0]),
    st.integers(0, 9),
    st.sampled_from([0.0, 0.25, 1.0]),
    st.data(),
)
def test_choice_is_the_slow_definition(made, rate, least, within, data):
    times, key = made
    end = times[-1] + 40
    start = data.draw(st.integers(0, end - 1))
    stop = data.draw(st.integers(start + 1, end))
    recipe = VideoRecipe(frames_per_s=rate, min_frames=least, keyframe_within_s=within)
    rows = choose_frames(table(times, key), recipe, start / 1000, stop / 1000)
    assert rows.tolist() == slow_choice(times, key, end, recipe, start, stop)


def test_one_frame_a_second_with_first_and_last():
    regular = table(range(0, 10_000, 40), [True] + [False] * 249)
    times_ms = np.rint(regular.times_s[choose_frames(regular, VideoRecipe(), 0, 10)] * 1000)
    assert times_ms.tolist() == [0, 1000, 2000, 3000, 4000, 5000, 6000, 7000, 8000, 9000, 9960]


def test_a_near_keyframe_stands_for_its_second():
    times = list(range(0, 3000, 40))
    key = [t in (0, 1200, 2280) for t in times]
    made = table(times, key)
    times_ms = np.rint(made.times_s[choose_frames(made, VideoRecipe(), 0, 3)] * 1000)
    assert times_ms.tolist() == [0, 1200, 2000, 2960]  # 2280 is 0.28 s away from 2 s


def test_of_two_equally_near_frames_the_earlier_stands():
    made = table([0, 900, 1100, 2000, 3000], [False] * 5)
    assert choose_frames(made, VideoRecipe(), 0, 3.04).tolist() == [0, 1, 3, 4]


@pytest.mark.parametrize(("frames", "rows"), [(1, [0]), (2, [0, 1]), (3, [0, 1, 2]), (5, [0, 1, 3, 4])])
def test_short_cuts_give_at_least_four_or_all(frames, rows):
    short = table(range(0, 40 * frames, 40), [True] + [False] * (frames - 1))
    assert choose_frames(short, VideoRecipe(), 0, short.duration_s).tolist() == rows


def test_part_begins_with_the_frame_that_is_on_the_screen():
    slides = table([0, 5000, 9000], [True] * 3, last_ms=3000)
    assert choose_frames(slides, VideoRecipe(), 6, 10).tolist() == [1, 2]
    assert choose_frames(slides, VideoRecipe(), 6, 7).tolist() == [1]
    assert slides.duration_s == 12


def test_rate_is_the_mean_over_presentation_times():
    assert table([0, 100, 400], [True] * 3).fps == pytest.approx(5)
    assert table([0], [True], last_ms=500).fps == pytest.approx(2)
    assert table([0], [True], last_ms=0).fps == 0
