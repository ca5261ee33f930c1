"""What a recommendation answers."""

from typing import Any

from pydantic import BaseModel, Field

from service.schemas.rights import LicenceFacts


class VideoSeen(BaseModel):
    """What was seen of the video; of frames or features alone, null is what they do not tell."""

    sha256: str | None
    duration_s: float
    width_px: int | None = Field(description="As displayed: rotation and pixel shape applied.")
    height_px: int | None
    fps: float | None
    rotation: int | None = Field(description="Degrees clockwise that were applied.")
    frames_used: int | None
    cuts_s: list[float] | None = Field(description="Exact cut times; null where not every frame was read.")


class Segment(BaseModel):
    """A moment of the track that fits the picture."""

    start_s: float = Field(description="Start the music here, under the first frame of the picture.")
    end_s: float
    score: float
    ends_early: bool = Field(description="The track is shorter than the picture.")


class Reason(BaseModel):
    """One factor of what was asked that drove a match, found by asking again without it."""

    factor: str = Field(
        description="tempo (how the picture is cut), energy (how it moves), mood (its light and colour), "
        "category (what kind of product it looks like), text or reference; more may come."
    )
    strength: float = Field(
        ge=0,
        le=1,
        description="How much of the track's lead over the pool is lost without this factor: 1 all of it. "
        "Factors overlap, so the strengths of one track need not add up to 1.",
    )
    text: str = Field(description="The same in words, for people.")


class Result(BaseModel):
    """One recommended track."""

    rank: int
    track_id: str
    external_id: str | None
    title: str | None
    artist: str | None
    score: float = Field(
        description="What ranks: the mean cosine between what was asked and the segments that the best span "
        "covers."
    )
    cosine: float = Field(
        description="The same between the picture alone and the span of this track that suits it best; it is "
        "the score where neither text nor references are asked for."
    )
    percentile: float | None = Field(
        default=None,
        description="Share 0..1 of unrelated pictures of the same length that suit this track less, whatever "
        "text and references are asked for beside: those of the picture alone. For a track that has nothing "
        "to do with the picture any value is equally likely; the best of many tracks has a high one by "
        "choice alone.",
    )
    segments: list[Segment]
    bpm: float | None
    key: str | None
    loudness_lufs: float | None
    licence: LicenceFacts | None = None
    reasons: list[Reason] = Field(
        default=[],
        description="Which factors drove the match, the strongest first; empty where none did by a tenth, "
        "where the track hardly leads the pool, or where the bundle's features cannot be told apart.",
    )
    audio_url: str
    peaks_url: str


class Recommendation(BaseModel):
    """The answer: best track first. Fields that no released feature fills yet are null."""

    request_id: str
    snapshot: str
    bundle: str
    rights: str | None = None
    recipe: dict[str, Any]
    warnings: list[str]
    video: VideoSeen
    results: list[Result]
    no_good_match: bool | None = Field(
        default=None,
        description="The picture suits none of these tracks: every `cosine` is below a threshold that 5 % of "
        "videos fall short of even though their own track is in the pool. null where no track came out.",
    )
    excluded: dict[str, int] = Field(
        description="How many tracks were left out, by the first reason met: a filter, or max_per_artist."
    )
    timings_ms: dict[str, float]
