import math
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from service.metrics.exposure import Exposure


@given(
    answers=st.lists(st.lists(st.integers(0, 40), max_size=6), max_size=30),
    window=st.integers(1, 50),
    tracks=st.integers(0, 500),
)
def test_the_share_is_that_of_the_latest_returned(answers: list[list[int]], window: int, tracks: int) -> None:
    """The oracle: all that was returned in a list, its end cut off, counted anew."""
    exposure = Exposure(window)
    exposure.tracks = tracks
    returned: list[str] = []
    for answer in answers:
        ids = [str(i) for i in answer]
        exposure.add(ids)
        returned += ids
        latest = returned[-window:]
        counts = sorted(Counter(latest).values(), reverse=True)
        most = math.ceil(max(tracks, len(counts)) / 100)
        expected = sum(counts[:most]) / len(latest) if latest else 0.0
        assert exposure.share() == expected
    assert len(exposure._count) == len(set(returned[-window:])), "what fell out is forgotten"


def test_even_and_one_sided() -> None:
    even, one_sided = Exposure(), Exposure()
    for exposure in (even, one_sided):
        exposure.tracks = 200
    for i in range(200):
        even.add([str(i)])
        one_sided.add(["hub"] if i % 2 else [str(i)])
    assert even.share() == 0.01
    assert one_sided.share() == 0.505  # two tracks are one percent: the hub and one other
