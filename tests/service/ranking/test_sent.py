"""Pictures in the place of a video, over a bundle that looks at no motion: near to what the video gives."""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from index_builder.snapshot import current
from model.backbones.loaded import Backbones
from model.errors import BadOptions
from model.features.sequence import Sequence
from model.media.child import Decoder
from model.media.streams import VideoLimits, VideoStreams
from service.ranking.answers import answer, answer_sent
from service.ranking.recommender import Stopwatch
from service.ranking.sent import streams_of
from service.schemas.options import Options
from service.schemas.question import Question
from service.schemas.recommendation import Recommendation
from service.serving.current import Serving, open_serving
from service.serving.rightsbook import Rightsbook


@dataclass(frozen=True)
class Nothing:
    """An extractor that looks at nothing, in the place of the one of motion."""

    features: tuple[str, ...]
    name: str = "nothing"
    version: int = 1

    def __call__(self, video: VideoStreams) -> Sequence:
        return Sequence(np.zeros((1, len(self.features)), np.float32), np.zeros(1))


@pytest.fixture(scope="module")
def serving(built_store: Path) -> Serving:
    found = open_serving(built_store, str(current(built_store)), Backbones(Path("no-models")))
    video: dict[str, Any] = {**found.profile.video, "motion": Nothing(found.profile.video["motion"].features)}
    recipe = replace(found.profile.recipe, motion=False)
    return replace(found, profile=replace(found.profile, video=video, recipe=recipe))


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    with Decoder(VideoLimits()) as running:
        yield running


@pytest.fixture(scope="module")
def book(built_store: Path) -> Rightsbook:
    found = Rightsbook(built_store)
    found.follow()
    return found


def shots_of(clip: Path, every: int) -> list[dict[str, Any]]:
    """Every so many frames of a clip as PNG, by another reader than ours."""
    shots = []
    with av.open(str(clip)) as container:
        for i, frame in enumerate(container.decode(video=0)):
            if i % every == 0:
                context = av.CodecContext.create("png", "w")
                context.width, context.height, context.pix_fmt = frame.width, frame.height, "rgb24"
                context.time_base = Fraction(1, 25)
                file = b"".join(bytes(one) for one in [*context.encode(frame.reformat(format="rgb24"))])
                file += b"".join(bytes(one) for one in context.encode(None))
                shots.append({"t_s": i / 25, "image": base64.b64encode(file).decode()})
    return shots


def body(**given: Any) -> Question:
    return Question.parse(json.dumps(given).encode(), top_k_max=100)


@pytest.mark.parametrize("part", [{}, {"start_s": 1.0, "end_s": 3.0}])
def test_the_frames_of_a_video_are_near_to_it(
    serving: Serving, decoder: Decoder, book: Rightsbook, clip: bytes, tmp_path: Path, part: dict[str, float]
) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(clip)
    ruling = book.take(serving.snapshot)
    whole = answer(serving, ruling, decoder, path, Options(**part), 5, "id", Stopwatch())
    question = body(frames=shots_of(path, 1), duration_s=4.0, options=part)
    sent: Recommendation = answer_sent(serving, ruling, decoder, question, 5, "id", Stopwatch())
    assert [one.track_id for one in sent.results] == [one.track_id for one in whole.results]
    for mine, theirs in zip(sent.results, whole.results, strict=True):
        assert mine.score == pytest.approx(theirs.score, abs=0.02)
    seen = sent.video
    assert (seen.width_px, seen.height_px) == (320, 180)
    assert (seen.sha256, seen.fps, seen.rotation, seen.cuts_s) == (None, None, None, None)
    assert seen.frames_used == whole.video.frames_used
    # the picture tells them apart at all: its first second alone is something else
    dark = body(frames=shots_of(path, 1)[:25], duration_s=4.0)
    other = answer_sent(serving, ruling, decoder, dark, 5, "id", Stopwatch())
    assert [one.score for one in other.results] != [one.score for one in sent.results]


@pytest.mark.parametrize(
    ("times_s", "named"), [([0.0, 0.0], "larger"), ([1.0, 0.5], "larger"), ([0.0, 4.0], "duration_s")]
)
def test_times_that_cannot_be_are_refused(
    serving: Serving, decoder: Decoder, times_s: list[float], named: str
) -> None:
    question = body(frames=[{"t_s": t, "image": "AAAA"} for t in times_s], duration_s=4.0)
    with pytest.raises(BadOptions, match=named):
        streams_of(serving, decoder, question)


def test_what_is_no_base64_is_named(serving: Serving, decoder: Decoder) -> None:
    with pytest.raises(BadOptions, match=r"frames\.0\.image"):
        streams_of(serving, decoder, body(frames=[{"t_s": 0, "image": "!"}], duration_s=1.0))
