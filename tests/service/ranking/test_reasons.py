"""Reasons against a tower whose inner life is known: each factor of the picture has its own direction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from index_builder.search import rank
from model.features.frames import LiteFrames
from model.features.motion import LiteMotion
from model.features.paper import profile as paper_profile
from model.features.sequence import Sequence as Rows
from service.ranking.blend import Part, blend
from service.ranking.reasons import COLUMNS, LEAST_STRENGTH, Asked, Reason, ablations, explain
from service.serving.pool import Pool

EXTRACTORS = {"frames": LiteFrames(), "motion": LiteMotion()}
FACTORS = ("tempo", "energy", "mood", "form")  # the last one has no name in the service
DIM = 8  # a direction for each of them, for a theme, and for what has nothing to do with any
FORM = ("edge_", "detail_", "symmetry_", "light_", "colour_", "centre_")  # "colourfulness" is no layout


def factor_of(column: str) -> str:
    for factor, beginnings in COLUMNS.items():
        if column.startswith(beginnings):
            return factor
    assert column.startswith(FORM), column
    return "form"


@dataclass
class KnownTower:
    """Mean over time of all columns of a factor, in its own direction; the training mean is 0."""

    runs: int = 0

    @property
    def widths(self) -> dict[str, int]:
        return {name: len(extractor.features) for name, extractor in EXTRACTORS.items()}

    def embed(self, batch: Sequence[Mapping[str, Rows]]) -> NDArray[np.float32]:
        self.runs += 1
        found = np.zeros((len(batch), DIM))
        found[:, -1] = 0.05
        for vector, sequences in zip(found, batch, strict=True):
            for name, extractor in EXTRACTORS.items():
                means = np.nan_to_num(sequences[name].values).mean(axis=0)
                for column, mean in zip(extractor.features, means, strict=True):
                    vector[FACTORS.index(factor_of(column))] += mean
        return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


def seen(**strengths: float) -> dict[str, Rows]:
    """A picture whose columns are the strength of their factor, shared out evenly, 1 unless given."""
    everything = [factor_of(one) for extractor in EXTRACTORS.values() for one in extractor.features]
    sequences = {}
    for name, extractor in EXTRACTORS.items():
        row = [strengths.get(f, 1.0) / everything.count(f) for f in map(factor_of, extractor.features)]
        sequences[name] = Rows(np.tile(np.array(row, np.float32), (3, 1)), np.arange(3.0))
    return sequences


@pytest.fixture(scope="module")
def tracks(make_tracks: Any) -> Any:
    """One track for each factor, and 100 of no particular kind."""
    rng = np.random.default_rng(0)
    vectors = [np.eye(DIM)[i][None] + 0.05 * rng.standard_normal((1, DIM)) for i in range(5)]
    return make_tracks([*vectors, *rng.standard_normal((100, 1, DIM))], [12.0] * 105)


def reasons_for(
    tracks: Any,
    track: int,
    sequences: Mapping[str, Rows],
    parts: tuple[Part, ...] = (),
    themes: Mapping[str, NDArray[np.float32]] = {},
    extractors: Mapping[str, Any] = EXTRACTORS,
) -> list[Reason]:
    tower, pool = KnownTower(), Pool.of(tracks.embeddings)
    picture = tower.embed([sequences])[0]
    query = blend(picture, parts, pool)
    (match,) = rank(tracks, query, 6.0, top_k=1, eligible=np.arange(105) == track)
    without = ablations(Asked(picture, parts, sequences), tower, extractors, themes, pool)
    assert tower.runs <= 4
    return explain(tracks, match, 6.0, pool.standard(query), without, pool)


def test_every_column_of_the_lite_profile_has_its_place() -> None:
    places = {one: factor_of(one) for extractor in EXTRACTORS.values() for one in extractor.features}
    for factor, beginnings in COLUMNS.items():
        for beginning in beginnings:
            assert any(one.startswith(beginning) for one in places), (factor, beginning)
    assert places["cut_rate"] == places["since_cut"] == "tempo"
    assert places["pan_speed"] == places["still_share"] == "energy"
    assert places["colourfulness"] == places["luma_p05"] == places["hue_330"] == "mood"
    assert places["colour_top_left"] == places["light_top_left"] == "form"


@pytest.mark.parametrize(("track", "factor"), [*enumerate(COLUMNS)])
def test_the_factor_that_drove_a_match_is_named_and_goes_when_it_is_perturbed(
    tracks: Any, track: int, factor: str
) -> None:
    (named, *others) = reasons_for(tracks, track, seen())
    assert (named.factor, named.strength) == (factor, pytest.approx(0.95, abs=0.06))
    assert all(one.strength < 0.3 for one in others)
    without = reasons_for(tracks, track, seen(**{factor: 0.0}))
    assert factor not in {one.factor for one in without}
    half = reasons_for(tracks, track, seen(**{factor: 0.4}))
    assert 0 < next(one.strength for one in half if one.factor == factor) <= named.strength + 0.05


def test_what_no_factor_drove_has_no_reason(tracks: Any) -> None:
    """The fourth track is met by forms only, which nobody has a name for."""
    assert {one.factor for one in reasons_for(tracks, 3, seen())} & set(COLUMNS) == set()


def test_strength_is_the_share_of_the_lead_that_is_lost(tracks: Any) -> None:
    """By z-scores over every segment, one after the other."""
    tower, sequences = KnownTower(), seen(tempo=0.7, mood=1.3)
    query = tower.embed([sequences])[0]

    def lead(q: NDArray[np.float32], track: int) -> float:
        scores = [float(row.astype(float) @ q.astype(float)) for row in tracks.embeddings]
        return (scores[track] - float(np.mean(scores))) / float(np.std(scores))

    compared = 0
    for track in range(105):
        before = lead(query, track)
        expected = {}
        for factor in COLUMNS:
            lost = (
                1
                - lead(tower.embed([seen(tempo=0.7, mood=1.3) | blind(sequences, factor)])[0], track) / before
            )
            if before >= 0.5 and lost >= LEAST_STRENGTH:
                expected[factor] = min(lost, 1.0)
        found = {one.factor: one.strength for one in reasons_for(tracks, track, sequences)}
        assert found == pytest.approx(expected, abs=6e-3)
        compared += len(found)
    assert compared > 10


def blind(sequences: Mapping[str, Rows], factor: str) -> dict[str, Rows]:
    """The training mean in the factor's columns."""
    changed = {}
    for name, rows in sequences.items():
        own = np.array([factor_of(one) == factor for one in EXTRACTORS[name].features])
        changed[name] = replace(rows, values=np.where(own, np.float32(0), rows.values))
    return changed


def test_reasons_are_ordered_by_strength(tracks: Any) -> None:
    for track in range(105):
        strengths = [one.strength for one in reasons_for(tracks, track, seen())]
        assert strengths == sorted(strengths, reverse=True)
        assert all(LEAST_STRENGTH <= one <= 1 for one in strengths)


def test_a_theme_is_named_where_the_picture_and_the_track_share_it(tracks: Any) -> None:
    """Theme `shoes` lies in the direction of forms, which the picture and the fourth track have."""
    themes = {name: np.eye(DIM, dtype=np.float32)[i] for name, i in (("hats", 5), ("shoes", 3), ("food", 6))}
    (reason,) = [one for one in reasons_for(tracks, 3, seen(), themes=themes) if one.factor == "category"]
    assert "'shoes'" in reason.text
    assert reason.strength > 0.5  # not all: what the three themes share is not taken away
    away = reasons_for(tracks, 3, seen(form=0.0), themes=themes)  # the picture has nothing of shoes any more
    assert "category" not in {one.factor for one in away}
    other = reasons_for(tracks, 0, seen(), themes=themes)
    assert "category" not in {one.factor for one in other}
    single = {"shoes": themes["shoes"]}  # nothing to tell it from
    assert "category" not in {one.factor for one in reasons_for(tracks, 3, seen(), themes=single)}


def test_text_and_references_are_factors_too(tracks: Any) -> None:
    e = np.eye(DIM, dtype=np.float32)
    parts = (Part("text", e[4], 1.0), Part("reference", e[5], 1.0), Part("reference", e[6], 0.0))
    (first, *_) = reasons_for(tracks, 4, seen(), parts)  # the fifth track has only what the text asks for
    assert (first.factor, first.strength) == ("text", pytest.approx(1.0, abs=0.1))
    assert [one.factor for one in reasons_for(tracks, 0, seen(), parts)] == ["tempo"]
    silent = (Part("text", e[4], 0.0),)
    assert "text" not in {one.factor for one in reasons_for(tracks, 4, seen(), silent)}


def test_a_question_that_would_cancel_out_without_a_factor_still_has_an_answer(tracks: Any) -> None:
    picture = KnownTower().embed([seen()])[0]
    parts = (Part("text", np.eye(DIM, dtype=np.float32)[4], 1.0), Part("reference", picture, -1.0))
    found = {one.factor for one in reasons_for(tracks, 4, seen(), parts)}
    assert "text" not in found  # without it the picture would stand against itself
    assert found


def test_features_without_names_give_no_reasons(tracks: Any) -> None:
    """Of the paper profile it cannot be said which of 2048 columns sees what."""
    tower, pool = KnownTower(), Pool.of(tracks.embeddings)
    asked = Asked(
        tower.embed([seen()])[0], (), {"frames": Rows(np.ones((2, 2048), np.float32), np.arange(2.0))}
    )
    tower.runs = 0
    assert ablations(asked, tower, paper_profile().video, {}, pool) == []
    assert tower.runs == 0


def test_the_picture_is_not_changed_by_asking(tracks: Any) -> None:
    sequences = seen()
    before = {name: rows.values.copy() for name, rows in sequences.items()}
    reasons_for(tracks, 0, sequences)
    for name, rows in sequences.items():
        assert np.array_equal(rows.values, before[name])
