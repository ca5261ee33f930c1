"""What a server answers, as it comes over the wire; later versions add fields and take none away."""

from typing import Any, Literal, TypedDict


class VideoSeen(TypedDict):
    """What was seen of the video."""

    sha256: str
    duration_s: float
    width_px: int
    height_px: int
    fps: float
    rotation: int
    frames_used: int
    cuts_s: list[float] | None


class Segment(TypedDict):
    """A moment of a track that fits the picture: start the music at `start_s`, under the first frame."""

    start_s: float
    end_s: float
    score: float
    ends_early: bool


class Reason(TypedDict):
    """One factor that drove a match."""

    factor: str
    strength: float
    text: str


class LicenceFacts(TypedDict):
    """What is known of the rights to a track; None where nobody said."""

    licence_id: str | None
    platforms: list[str] | None
    territories: list[str] | None
    account_kinds: list[str] | None
    product_link: bool | None
    exclusive_until: str | None
    valid_from: str | None
    valid_until: str | None
    withdrawn: bool
    unreadable: list[str]


class Result(TypedDict):
    """One recommended track."""

    rank: int
    track_id: str
    external_id: str | None
    title: str | None
    artist: str | None
    score: float
    cosine: float
    percentile: float | None
    segments: list[Segment]
    bpm: float | None
    key: str | None
    loudness_lufs: float | None
    licence: LicenceFacts | None
    reasons: list[Reason]
    audio_url: str
    peaks_url: str


class Recommendation(TypedDict):
    """Ranked tracks, best first."""

    request_id: str
    snapshot: str
    bundle: str
    rights: str | None
    recipe: dict[str, Any]
    warnings: list[str]
    video: VideoSeen
    results: list[Result]
    no_good_match: bool | None
    excluded: dict[str, int]
    timings_ms: dict[str, float]


class KeptUpload(TypedDict):
    """A video that may be asked about until `expires_at`, by whoever sent it."""

    upload_id: str
    sha256: str
    size_bytes: int
    expires_at: str


class Track(TypedDict):
    """What is known of a track; `measured` names the facts that the server measured itself."""

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
    licence: LicenceFacts | None
    audio_url: str
    peaks_url: str


class TrackPage(TypedDict):
    """Some tracks of the snapshot in force."""

    snapshot: str
    total: int
    offset: int
    tracks: list[Track]


class Facets(TypedDict):
    """What the tracks of the snapshot can be filtered by."""

    snapshot: str
    tracks: int
    genres: dict[str, int]
    moods: dict[str, int]
    bpm: dict[str, float | None] | None
    duration_s: dict[str, float | None] | None
    top_k_max: int


class MediaLink(TypedDict):
    """Addresses that need no key until `expires_at`."""

    audio_url: str
    peaks_url: str
    expires_at: str


class Obstacle(TypedDict):
    """One thing that keeps a track back."""

    reason: str
    detail: str


class Eligibility(TypedDict):
    """Whether a track may be returned, and everything that keeps it back."""

    track_id: str
    snapshot: str
    rights: str | None
    at: str
    eligible: bool
    reasons: list[Obstacle]
    licence: LicenceFacts | None
    patched: list[str]


class PatchedTrack(TypedDict):
    """The rights to a track after a change."""

    track_id: str
    rights: str
    licence: LicenceFacts
    patched: list[str]
    warnings: list[str]


class JobError(TypedDict):
    """Why a job failed."""

    code: str
    detail: str


class Job(TypedDict):
    """Long work; it has ended once `state` is done, failed or cancelled."""

    id: str
    kind: str
    state: Literal["queued", "running", "done", "failed", "cancelled"]
    progress: float
    stage: str | None
    error: JobError | None
    result: dict[str, Any] | None
    created_at: str
    ended_at: str | None
    version: int


class SnapshotEntry(TypedDict):
    """One snapshot of the store."""

    id: str
    bundle: str
    tracks: int
    segments: int
    used_at: str
    passed: bool
    current: bool
    serving: bool


class Ready(TypedDict):
    """The server can recommend; `degraded` says that a part is not as it should be."""

    status: str
    snapshot: str
    bundle: str
    parts: dict[str, str]


class Version(TypedDict):
    """What runs there, and the words that it understands."""

    version: str
    snapshot: str | None
    bundle: str | None
    system: str | None
    profile: str | None
    tags: list[str]
    recipe: dict[str, Any] | None
