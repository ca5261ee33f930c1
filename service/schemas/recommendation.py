"""What a recommendation answers."""

from typing import Any

from pydantic import BaseModel, Field


class VideoSeen(BaseModel):
    """What was seen of the video."""

    sha256: str
    duration_s: float
    width_px: int = Field(description="As displayed: rotation and pixel shape applied.")
    height_px: int
    fps: float
    rotation: int = Field(description="Degrees clockwise that were applied.")
    frames_used: int
    cuts_s: list[float] | None = Field(description="Exact cut times; null where not every frame was read.")


class Segment(BaseModel):
    """A moment of the track that fits the picture."""

    start_s: float = Field(description="Start the music here, under the first frame of the picture.")
    end_s: float
    score: float
    ends_early: bool = Field(description="The track is shorter than the picture.")


class Result(BaseModel):
    """One recommended track."""

    rank: int
    track_id: str
    external_id: str | None
    title: str | None
    artist: str | None
    score: float = Field(description="What ranks.")
    cosine: float = Field(description="Mean cosine between the picture and the best segment of this track.")
    percentile: float | None = None
    segments: list[Segment]
    bpm: float | None
    key: str | None
    loudness_lufs: float | None
    licence: dict[str, Any] | None = None
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
    no_good_match: bool | None = None
    excluded: dict[str, int] = Field(description="How many tracks were left out, by the first reason met.")
    timings_ms: dict[str, float]
