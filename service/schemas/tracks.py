"""Tracks, what they can be filtered by, and the addresses at which they are heard."""

from pydantic import BaseModel, Field

from service.schemas.asked import Asked, Range, TrackId
from service.schemas.rights import LicenceFacts


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
    licence: LicenceFacts | None = Field(description="null where nobody said anything.")
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


class MediaLinksRequest(Asked):
    """Which tracks to play."""

    track_ids: list[TrackId] = Field(max_length=500, description="At most 500.")


class MediaLink(BaseModel):
    """Addresses that need no key, for a while."""

    audio_url: str
    peaks_url: str
    expires_at: str = Field(description="UTC, ISO 8601; ask again before.")
