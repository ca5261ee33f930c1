"""What is asked of a server, as it goes over the wire: every field is optional unless it is said."""

from typing import Any, Literal, Required, TypedDict


class Range(TypedDict, total=False):
    """Inclusive; either end may be missing."""

    min: float | None
    max: float | None


class Licence(TypedDict, total=False):
    """What the music is wanted for: a track must be licensed for all of it."""

    platform: str | None
    territory: str | None  # ISO 3166-1 alpha-2; * is the whole world
    account: str | None
    product_link: bool | None
    on_date: str | None  # the day on which the video runs, such as 2027-01-31


class Filters(TypedDict, total=False):
    """All must hold, lists mean any of, a fact that a track lacks does not match."""

    bpm: Range
    duration_s: Range
    energy: Range
    genres: list[str]
    moods: list[str]
    artists: list[str]
    key: list[str]
    vocals: bool
    explicit: bool
    include_ids: list[str]
    exclude_ids: list[str]
    licence: Licence


class Options(TypedDict, total=False):
    """What may be asked beside the video."""

    top_k: int
    start_s: float
    end_s: float
    text: str  # one of the tags that `version` lists
    reference_track_ids: list[str]
    weights: list[float]
    filters: Filters
    max_per_artist: int
    diversity: float
    segments_per_track: int


class Features(TypedDict, total=False):
    """What `yuyin features video` writes of a cut, which then never leaves the machine."""

    features: Required[dict[str, Any]]
    recipe: Required[dict[str, Any]]
    duration_s: Required[float]
    cuts_s: list[float]


class Event(TypedDict, total=False):
    """What somebody did with one track of one answer; say nothing of who it was."""

    request_id: Required[str]
    track_id: Required[str]
    event: Required[Literal["played", "rejected", "favourited", "exported", "kept"]]
    event_id: str  # unique; the client makes one unless it is given
    at: str  # such as 2027-01-31T18:00:00Z
    start_s: float  # where in the track the music begins under the first frame, as it was used
    video_sha256: str
    snapshot: str
    rank: int


class TrackChanges(TypedDict, total=False):
    """What to change of a track's rights: what is left out stays, None gives a fact back to the catalogue."""

    withdrawn: bool
    licence_id: str | None
    platforms: list[str] | None
    territories: list[str] | None
    account_kinds: list[str] | None
    product_link: bool | None
    exclusive_until: str | None
    valid_from: str | None
    valid_until: str | None
