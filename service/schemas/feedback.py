"""What editors did with recommended tracks: one event or several in, the ids they are kept under out."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, BeforeValidator, Discriminator, Field, Tag, WithJsonSchema

from service.schemas.asked import Asked, Seconds, TrackId

Said = Literal["played", "rejected", "favourited", "exported", "kept"]

MOST_EVENTS = 100
_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


def _instant(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if not _INSTANT.fullmatch(value):
        raise ValueError("not an instant with its time zone, such as 2027-01-31T18:00:00Z")
    try:
        return datetime.fromisoformat(value.upper()).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"no instant of the calendar ({error})") from error


_At = Annotated[
    AwareDatetime, BeforeValidator(_instant), WithJsonSchema({"type": "string", "format": "date-time"})
]
_Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9._:-]+$", max_length=128)]
EventId = Annotated[str, Field(pattern=r"^[A-Za-z0-9._:-]+$", min_length=8, max_length=64)]


class FeedbackEvent(Asked):
    """What somebody did with one track of one answer. Nothing here says who: send nothing that would."""

    request_id: _Id = Field(min_length=1, description="Of the answer that recommended the track.")
    track_id: TrackId
    event: Said = Field(
        description="played: heard; rejected: not wanted here; favourited: marked for later; exported: went "
        "to the timeline or to a file; kept: is in the finished ad. Of one track under one video the last "
        "word counts; `played` is none."
    )
    event_id: EventId | None = Field(
        default=None,
        description="Yours, and unique, such as a UUID: however often an event comes under it, it counts "
        "once. Without it the server makes one, and an event that is sent again counts again.",
    )
    at: _At | None = Field(default=None, description="When; now unless given.")
    start_s: Seconds | None = Field(
        default=None,
        description="Where in the track the music begins under the first frame of the video, as it was used; "
        "without it, nobody can train on the event.",
    )
    video_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = Field(
        default=None,
        description="`video.sha256` of the answer: answers are not stored, so nothing else tells which video "
        "it was.",
    )
    snapshot: Annotated[str, Field(pattern=r"^[0-9a-f]{8,64}$")] | None = Field(
        default=None, description="`snapshot` of the answer: tells which file the track was then."
    )
    rank: int | None = Field(
        default=None, ge=1, le=100, description="Of the track in the answer: what stands first is heard more."
    )


_Events = Annotated[list[FeedbackEvent], Field(min_length=1, max_length=MOST_EVENTS)]
AskedFeedback = Annotated[
    Annotated[FeedbackEvent, Tag("event")] | Annotated[_Events, Tag("events")],
    Discriminator(lambda sent: "events" if isinstance(sent, list) else "event"),
]


class KeptFeedback(BaseModel):
    """All events are on disk."""

    event_ids: list[str] = Field(description="In the order in which the events were sent.")


class FeedbackRecord(BaseModel):
    """One line of STORE/feedback: what was sent, and when it came; no key, no address, no name."""

    event_id: str
    received_at: str = Field(description="UTC, ISO 8601.")
    at: str = Field(description="The same; when it happened, as the caller says.")
    request_id: str
    track_id: str
    event: Said
    start_s: float | None = None
    video_sha256: str | None = None
    snapshot: str | None = None
    rank: int | None = None
