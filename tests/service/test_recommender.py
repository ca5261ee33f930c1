from pathlib import Path

import numpy as np
import pytest

from index_builder.search import Filters
from model.backbones.loaded import Backbones
from model.features.profiles import load_profile
from model.media.streams import VideoLimits, VideoStreams
from model.media.video import read_video
from service.recommender import Query, Stopwatch, recommend
from service.serving import Serving, open_serving


@pytest.fixture(scope="module")
def serving(built_store: Path) -> Serving:
    return open_serving(
        built_store, (built_store / "CURRENT").read_text().strip(), Backbones(Path("no-models"))
    )


@pytest.fixture(scope="module")
def video(clip: bytes) -> VideoStreams:
    return read_video(clip, load_profile("lite").recipe, VideoLimits())


def by_definition(serving: Serving, video: VideoStreams) -> list[tuple[float, str]]:
    """Design section 2 in plain loops: every start with enough music left, mean of the segments it covers."""
    snapshot, profile = serving.snapshot, load_profile("lite")
    query = serving.bundle.embed_video({name: extract(video) for name, extract in profile.video.items()})
    length_s = video.end_s - video.start_s
    best: list[tuple[float, str]] = []
    for row, track_id in enumerate(snapshot.catalogue.track_ids):
        duration_s = snapshot.durations_s[row]
        own = [
            (float(start_s), float(vector.astype(float) @ query.astype(float)))
            for (track, start_s, _), vector in zip(snapshot.segments, snapshot.embeddings, strict=True)
            if track == row
        ]
        starts = [start_s for start_s, _ in own if start_s + length_s <= duration_s + 1e-6]
        means = [
            np.mean([c for at_s, c in own if s <= at_s <= max(s, s + length_s - 15) + 1e-6]) for s in starts
        ]
        best.append((max(means) if means else float(np.mean([c for _, c in own])), track_id))
    return sorted(((round(float(score), 4), name) for score, name in best), key=lambda one: (-one[0], one[1]))


def test_the_ranking_is_that_of_the_definition(serving: Serving, video: VideoStreams) -> None:
    expected = by_definition(serving, video)
    for top_k in (1, 3, 5, 100):
        matches = recommend(serving, video, Query(top_k), Stopwatch()).matches
        found = [(match.score, serving.snapshot.catalogue.track_ids[match.track]) for match in matches]
        assert [name for _, name in found] == [name for _, name in expected[:top_k]]
        assert [score for score, _ in found] == pytest.approx([s for s, _ in expected[:top_k]], abs=1.01e-4)


def test_again_gives_the_same(serving: Serving, video: VideoStreams) -> None:
    first, second = (recommend(serving, video, Query(5), Stopwatch()) for _ in range(2))
    assert first == second


def test_the_picture_matters(serving: Serving, video: VideoStreams) -> None:
    """Another picture is another query: here the same one, black."""
    black = VideoStreams(
        frames=np.zeros_like(video.frames),
        frame_times_s=video.frame_times_s,
        motion=np.zeros_like(video.motion),
        motion_times_s=video.motion_times_s,
        start_s=video.start_s,
        end_s=video.end_s,
        info=video.info,
    )
    seen, unseen = (recommend(serving, one, Query(5), Stopwatch()) for one in (video, black))
    assert [m.score for m in seen.matches] != [m.score for m in unseen.matches]
    assert unseen.cuts_s == []


def test_every_excluded_track_is_counted_once_under_the_first_facet_it_fails(
    serving: Serving, video: VideoStreams
) -> None:
    filters = Filters(
        duration_s=(10.0, None), genres=("pop",), moods=("calm",), exclude_ids=("charlie", "none")
    )
    ranked = recommend(serving, video, Query(5, filters), Stopwatch())
    # alpha is too short; of the rest bravo and delta are rock; echo is happy; charlie is excluded by id
    assert ranked.excluded == {"duration_s": 1, "genres": 2, "moods": 1, "exclude_ids": 1}
    assert ranked.matches == []


def test_every_stage_is_timed(serving: Serving, video: VideoStreams) -> None:
    clock = Stopwatch()
    recommend(serving, video, Query(1), clock)
    assert set(clock.timings_ms) == {"features", "tower", "search"}
    assert all(spent_ms > 0 for spent_ms in clock.timings_ms.values())
