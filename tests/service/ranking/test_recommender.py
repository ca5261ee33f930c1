from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from index_builder.search import Filters, Match
from model.backbones.loaded import Backbones
from model.errors import BadOptions, NotInstalled
from model.features.profiles import load_profile
from model.media.streams import VideoLimits, VideoStreams
from model.media.video import read_video
from model.runtime.session import Session
from service.ranking.recommender import Query, Ranked, Stopwatch, recommend
from service.serving.current import Serving, open_serving
from service.serving.rightsbook import Rightsbook
from service.serving.texts import Texts


@pytest.fixture(scope="module")
def serving(built_store: Path) -> Serving:
    return open_serving(
        built_store, (built_store / "CURRENT").read_text().strip(), Backbones(Path("no-models"))
    )


@pytest.fixture(scope="module")
def video(clip: bytes) -> VideoStreams:
    return read_video(clip, load_profile("lite").recipe, VideoLimits())


def ranked(serving: Serving, video: VideoStreams, query: Query, clock: Stopwatch) -> Ranked:
    """Where nobody knows of any licence."""
    book = Rightsbook(Path("no-rights"))
    book.follow()
    return recommend(serving, book.take(serving.snapshot), video, query, clock)


def vector_of(serving: Serving, video: VideoStreams) -> NDArray[np.float32]:
    profile = load_profile("lite")
    return serving.bundle.embed_video({name: extract(video) for name, extract in profile.video.items()})


def by_definition(
    serving: Serving, video: VideoStreams, query: NDArray[np.float32] | None = None
) -> list[tuple[float, str]]:
    """Design section 2 in plain loops: every start with enough music left, mean of the segments it covers."""
    snapshot, query = serving.snapshot, vector_of(serving, video) if query is None else query
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
        matches = ranked(serving, video, Query(top_k), Stopwatch()).matches
        found = [(match.score, serving.snapshot.catalogue.track_ids[match.track]) for match in matches]
        assert [name for _, name in found] == [name for _, name in expected[:top_k]]
        assert [score for score, _ in found] == pytest.approx([s for s, _ in expected[:top_k]], abs=1.01e-4)


def test_again_gives_the_same(serving: Serving, video: VideoStreams) -> None:
    first, second = (ranked(serving, video, Query(5), Stopwatch()) for _ in range(2))
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
    seen, unseen = (ranked(serving, one, Query(5), Stopwatch()) for one in (video, black))
    assert [m.score for m in seen.matches] != [m.score for m in unseen.matches]
    assert unseen.cuts_s == []


def test_every_excluded_track_is_counted_once_under_the_first_facet_it_fails(
    serving: Serving, video: VideoStreams
) -> None:
    filters = Filters(
        duration_s=(10.0, None), genres=("pop",), moods=("calm",), exclude_ids=("charlie", "none")
    )
    found = ranked(serving, video, Query(5, filters), Stopwatch())
    # alpha is too short; of the rest bravo and delta are rock; echo is happy; charlie is excluded by id
    assert found.excluded == {"duration_s": 1, "genres": 2, "moods": 1, "exclude_ids": 1}
    assert found.matches == []


class Counted(Session):
    """A session that says how often it ran."""

    def __init__(self, session: Session) -> None:
        vars(self).update(vars(session))
        self.runs = 0

    def run(self, feed: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        self.runs += 1
        return super().run(feed)


def test_where_no_track_comes_out_nothing_is_computed_to_explain_it(
    serving: Serving, video: VideoStreams
) -> None:
    """The tower sees the picture, and again without each factor: of none, the picture is all there is."""
    towers = serving.bundle.towers
    runs = []
    for query in (Query(5), Query(5, Filters(include_ids=()))):
        session = Counted(towers.video.session)
        counted = replace(towers, video=replace(towers.video, session=session))
        ranked(replace(serving, bundle=replace(serving.bundle, towers=counted)), video, query, Stopwatch())
        runs.append(session.runs)
    assert runs[0] > 1
    assert runs[1] == 1


def test_every_stage_is_timed(serving: Serving, video: VideoStreams) -> None:
    clock = Stopwatch()
    ranked(serving, video, Query(1), clock)
    assert set(clock.timings_ms) == {"features", "tower", "search", "calibrate", "reasons"}
    assert all(spent_ms > 0 for spent_ms in clock.timings_ms.values())


def names_of(serving: Serving, matches: list[Match]) -> list[str]:
    return [serving.snapshot.catalogue.track_ids[match.track] for match in matches]


def test_percentiles_and_cosines_are_those_of_the_definition(serving: Serving, video: VideoStreams) -> None:
    nulls = serving.bundle.null_queries
    against = [{name: score for score, name in by_definition(serving, video, null)} for null in nulls]
    own = {name: score for score, name in by_definition(serving, video)}
    for query in (Query(5), Query(5, text="happy", references=(("bravo", -2.0), ("echo", 1.0)))):
        found = ranked(serving, video, query, Stopwatch())
        assert len(found.verdicts) == len(found.reasons) == 5
        for name, verdict in zip(names_of(serving, found.matches), found.verdicts, strict=True):
            assert verdict.cosine == pytest.approx(own[name], abs=1.01e-4)
            assert verdict.percentile == np.mean([each[name] < own[name] for each in against])


def test_the_score_is_the_cosine_of_the_picture_where_nothing_else_is_asked(
    serving: Serving, video: VideoStreams
) -> None:
    found = ranked(serving, video, Query(5), Stopwatch())
    assert [match.score for match in found.matches] == [one.cosine for one in found.verdicts]


def test_no_good_match_is_the_threshold_of_the_bundle(serving: Serving, video: VideoStreams) -> None:
    best = ranked(serving, video, Query(1), Stopwatch()).matches[0].score
    for threshold, expected in ((best + 1e-3, True), (best, False), (best - 1e-3, False)):
        manifest = serving.bundle.manifest | {"no_match_threshold": threshold}
        other = replace(serving, bundle=replace(serving.bundle, manifest=manifest))
        for top_k in (1, 5):
            assert ranked(other, video, Query(top_k), Stopwatch()).no_good_match is expected
    nothing = ranked(serving, video, Query(5, Filters(include_ids=())), Stopwatch())
    assert (nothing.matches, nothing.verdicts, nothing.no_good_match) == ([], [], None)


def test_blended_queries_rank_by_the_sum_of_z_scores(serving: Serving, video: VideoStreams) -> None:
    """Over every segment of the pool, in plain numpy."""
    snapshot = serving.snapshot
    rows = np.array(snapshot.embeddings, np.float64)
    track = snapshot.catalogue.row_of("delta")
    reference = rows[snapshot.segments["track"] == track].mean(axis=0)
    parts = [(1.0, vector_of(serving, video)), (1.0, serving.texts.vector("calm")), (-0.7, reference)]
    total = np.zeros(rows.shape[1])
    for weight, vector in parts:
        vector = vector / np.linalg.norm(vector)
        total += weight * vector / (rows @ vector).std()
    expected = by_definition(serving, video, (total / np.linalg.norm(total)).astype(np.float32))
    query = Query(5, text="Calm", references=(("delta", -0.7),))
    found = ranked(serving, video, query, Stopwatch()).matches
    assert names_of(serving, found) == [name for _, name in expected]
    assert [one.score for one in found] == pytest.approx([score for score, _ in expected], abs=1.01e-4)


def test_a_strong_reference_comes_first_and_a_repelled_one_does_not(
    serving: Serving, video: VideoStreams
) -> None:
    for name in ("alpha", "bravo", "charlie", "delta", "echo"):
        towards, away = (
            names_of(
                serving,
                ranked(serving, video, Query(5, references=((name, weight),)), Stopwatch()).matches,
            ).index(name)
            for weight in (10.0, -10.0)
        )
        assert towards == 0
        assert away >= 3


def test_extras_of_no_weight_change_nothing(serving: Serving, video: VideoStreams) -> None:
    plain = ranked(serving, video, Query(5), Stopwatch())
    idle = Query(5, references=(("alpha", 0.0),), diversity=0.0, max_per_artist=100, segments_per_track=1)
    assert ranked(serving, video, idle, Stopwatch()) == plain


def test_unknown_references_and_texts_are_named(serving: Serving, video: VideoStreams) -> None:
    references = (("alpha", 1.0), ("nobody", 1.0), ("nothing", -1.0))
    with pytest.raises(BadOptions, match="'nobody', 'nothing'"):
        ranked(serving, video, Query(5, references=references), Stopwatch())
    with pytest.raises(BadOptions, match="happy, calm"):
        ranked(serving, video, Query(5, text="sad"), Stopwatch())


def test_a_server_without_the_text_network_answers_all_other_questions(
    serving: Serving, video: VideoStreams
) -> None:
    paper = replace(serving.bundle, manifest=serving.bundle.manifest | {"profile": "paper"})
    without = replace(serving, texts=Texts(paper, Backbones(Path("no-models"))), themes={})
    assert len(ranked(without, video, Query(5), Stopwatch()).matches) == 5
    with pytest.raises(NotInstalled):
        ranked(without, video, Query(5, text="happy"), Stopwatch())


def test_one_track_of_an_artist_and_the_counts_add_up(serving: Serving, video: VideoStreams) -> None:
    """All five tracks of this pool are by one artist."""
    plain = ranked(serving, video, Query(5), Stopwatch())
    for most in (1, 2, 5):
        for top_k in (1, 3, 5):
            capped = ranked(serving, video, Query(top_k, max_per_artist=most), Stopwatch())
            assert capped.matches == plain.matches[: min(most, top_k)]
            assert sum(capped.excluded.values()) + most == 5
    filtered = Query(5, Filters(genres=("pop",), exclude_ids=("alpha",)), max_per_artist=1)
    capped = ranked(serving, video, filtered, Stopwatch())
    assert capped.excluded == {"genres": 2, "exclude_ids": 1, "max_per_artist": 1}
    assert len(capped.matches) == 1


def test_diversity_reorders_and_never_adds(serving: Serving, video: VideoStreams) -> None:
    plain = ranked(serving, video, Query(5), Stopwatch())
    diverse = ranked(serving, video, Query(5, diversity=1.0), Stopwatch())
    assert diverse.matches[0] == plain.matches[0]
    assert sorted(diverse.matches, key=lambda one: (-one.score, one.track)) == plain.matches
    assert names_of(serving, diverse.matches) != names_of(serving, plain.matches)
    for top_k in range(1, 5):  # chosen among all, not among as many as are wanted
        fewer = ranked(serving, video, Query(top_k, diversity=1.0), Stopwatch())
        assert fewer.matches == diverse.matches[:top_k]
    allowed = Query(5, Filters(genres=("pop",)), diversity=0.9)
    assert set(names_of(serving, ranked(serving, video, allowed, Stopwatch()).matches)) == {
        "alpha",
        "charlie",
        "echo",
    }


def test_more_moments_of_each_track(serving: Serving, video: VideoStreams) -> None:
    plain = ranked(serving, video, Query(5), Stopwatch())
    several = ranked(serving, video, Query(5, segments_per_track=4), Stopwatch())
    assert [match.spans[:1] for match in several.matches] == [match.spans for match in plain.matches]
    assert max(len(match.spans) for match in several.matches) > 1
