"""The wire format: what callers may send and what they get, strictly typed and documented with examples."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from index_builder.search import Filters
from model.errors import BadOptions
from service.errors import explain

Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
TrackId = Annotated[str, Field(min_length=1, max_length=1000)]  # a length makes it valid Unicode, too
Names = Annotated[tuple[str, ...], Field(max_length=10_000)]


class _Asked(BaseModel):
    """Strict: an unknown field or a number in quotes is an error, never a silent default."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Range(_Asked):
    """Inclusive; either end may be missing."""

    min: Annotated[float, Field(allow_inf_nan=False)] | None = None
    max: Annotated[float, Field(allow_inf_nan=False)] | None = None

    @model_validator(mode="after")
    def _ordered(self) -> "Range":
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError("min is larger than max")
        return self

    def pair(self) -> tuple[float | None, float | None]:
        """As the search takes it."""
        return self.min, self.max


class AskedFilters(_Asked):
    """Facets are ANDed, lists mean any of, a fact that a track lacks does not match."""

    bpm: Range | None = Field(default=None, description="Tempo in beats per minute.")
    duration_s: Range | None = Field(default=None, description="Length of the track in seconds.")
    genres: Names | None = Field(default=None, description="Any of these genres.")
    moods: Names | None = Field(default=None, description="Any of these moods.")
    include_ids: Names | None = Field(default=None, description="Search only inside these track ids.")
    exclude_ids: Names | None = Field(default=None, description="Never return these track ids.")

    def for_search(self) -> Filters:
        """The same as the search takes it."""
        asked: dict[str, Any] = {}
        for name in type(self).model_fields:
            value = getattr(self, name)
            if value is not None:
                asked[name] = value.pair() if isinstance(value, Range) else value
        return Filters(**asked)


class Options(_Asked):
    """All optional."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"top_k": 5, "filters": {"bpm": {"min": 90, "max": 130}, "moods": ["happy"]}}]
        }
    )

    top_k: int | None = Field(
        default=None, ge=1, le=100, description="How many tracks to return; 10 unless set otherwise."
    )
    start_s: Seconds | None = Field(default=None, description="Use the video from here.")
    end_s: Seconds | None = Field(default=None, description="Use the video up to here.")
    filters: AskedFilters = Field(default=AskedFilters(), description="Which tracks may come out.")

    @model_validator(mode="after")
    def _ordered(self) -> "Options":
        if self.end_s is not None and self.end_s <= (self.start_s or 0.0):
            raise ValueError("end_s must be larger than start_s")
        return self

    @classmethod
    def parse(cls, text: str | None, *, top_k_max: int) -> "Options":
        """The options of a request; raises `BadOptions` that names every field at fault."""
        if text is None or not text.strip():
            return cls()
        try:
            options = cls.model_validate_json(text)
        except ValidationError as error:
            known = ", ".join(cls.model_fields)
            raise BadOptions(f"{explain(error.errors())}; options are a JSON object of {known}") from error
        if options.top_k is not None and options.top_k > top_k_max:
            raise BadOptions(f"'top_k': this server returns at most {top_k_max} tracks")
        return options


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


class Track(BaseModel):
    """What is known of a track; `measured` names the facts that we measured ourselves."""

    track_id: str
    external_id: str | None
    title: str | None
    artist: str | None
    genres: list[str]
    moods: list[str]
    bpm: float | None
    key: str | None
    loudness_lufs: float | None
    energy: float | None
    duration_s: float
    measured: list[str]
    audio_url: str
    peaks_url: str


class TrackPage(BaseModel):
    """Some tracks of the snapshot, in its order."""

    snapshot: str
    total: int
    offset: int
    tracks: list[Track]


class Facets(BaseModel):
    """What the tracks of the snapshot can be filtered by."""

    snapshot: str
    tracks: int
    genres: dict[str, int] = Field(description="How many tracks have each, in lower case.")
    moods: dict[str, int]
    bpm: Range | None = Field(description="The least and the greatest; null where no track has one.")
    duration_s: Range | None
    top_k_max: int = Field(description="Most tracks one answer may hold.")


class MediaLinksRequest(_Asked):
    """Which tracks to play."""

    track_ids: list[TrackId] = Field(max_length=500, description="At most 500.")


class MediaLink(BaseModel):
    """Addresses that need no key, for a while."""

    audio_url: str
    peaks_url: str
    expires_at: str = Field(description="UTC, ISO 8601; ask again before.")


class Sample(BaseModel):
    """A cut to try the page with."""

    name: str
    title: str
    video_url: str


class SampleList(BaseModel):
    """All of them, by name."""

    samples: list[Sample]


class ReindexRequest(_Asked):
    """What to build the next snapshot from."""

    pool: str | None = Field(default=None, description="A configured name, never a path.")
    bundle: str | None = Field(
        default=None, description="Id of a bundle of the store; the current one unless given."
    )
    recompute: bool = Field(default=False, description="Compute features again although they are stored.")


class JobError(BaseModel):
    """Why a job failed."""

    code: str
    detail: str


class Job(BaseModel):
    """The durable record of long work."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    kind: Literal["reindex"]
    state: Literal["queued", "running", "done", "failed", "cancelled"]
    progress: float = Field(ge=0, le=1)
    stage: str | None = None
    error: JobError | None = None
    result: dict[str, Any] | None = None
    created_at: str = Field(description="UTC, ISO 8601.")
    ended_at: str | None = None

    @property
    def open(self) -> bool:
        """Not ended yet."""
        return self.state in ("queued", "running")


class SnapshotEntry(BaseModel):
    """One snapshot of the store."""

    id: str
    bundle: str
    tracks: int
    segments: int
    used_at: str = Field(description="When it was built or last activated; UTC, ISO 8601.")
    passed: bool = Field(description="Its gate; one that did not pass cannot be activated.")
    current: bool = Field(description="Named by CURRENT.")
    serving: bool = Field(description="What this server answers from right now.")


class SnapshotList(BaseModel):
    """All snapshots of the store."""

    snapshots: list[SnapshotEntry]


class Version(BaseModel):
    """What runs here."""

    version: str
    snapshot: str | None
    bundle: str | None
    system: str | None
    profile: str | None
    tags: list[str]
    recipe: dict[str, Any] | None


class Ready(BaseModel):
    """Every part is there."""

    status: Literal["ready", "degraded"]
    snapshot: str
    bundle: str
    parts: dict[str, str]
    devices: dict[str, str]


class Problem(BaseModel):
    """RFC 9457; `code` is stable and machine-readable."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str | None
