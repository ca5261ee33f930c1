"""What a caller wants in, the request and how its answer is read out; nothing here does any I/O.

Each function is a method of `Client` and, awaited, of `AsyncClient`.
"""

import json
import uuid
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from time import time
from typing import Any, Generic, Literal, TypeVar, Unpack, cast
from urllib.parse import quote

from yuyin_client import answers
from yuyin_client.answers import KeptUpload as Upload
from yuyin_client.bodies import Body, Video, form, of_json, raw
from yuyin_client.errors import ServerFault
from yuyin_client.options import Event, Features, Licence, Options, TrackChanges

T = TypeVar("T")

_NAMED = ("upload_id", "features", "recipe", "duration_s", "cuts_s")  # of what is sent in a video's place
LONGEST_OPTIONS = 4096  # in an address: proxies refuse those of 8 KiB and more


@dataclass(frozen=True)
class Answer:
    """What came back; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def retry_after_s(self) -> float | None:
        """What `Retry-After` says: seconds, or a date."""
        said = self.headers.get("retry-after", "").strip()
        if said.isdecimal():
            return float(said)
        try:
            return max(0.0, parsedate_to_datetime(said).timestamp() - time())
        except (ValueError, OverflowError):
            return None

    def json(self) -> Any:
        """The body, read; None if it is no JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


@dataclass(frozen=True)
class Call(Generic[T]):
    """One request, however often it is sent."""

    method: str
    path: str
    read: Callable[[Answer], T]
    params: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Body | None = None
    repeat: Literal["freely", "keyed", "never"] = "freely"  # keyed: with an Idempotency-Key
    removes: bool = False  # so that a repeated one may find nothing

    @property
    def again(self) -> bool:
        """Whether it may be sent a second time."""
        return self.repeat != "never" and (self.body is None or self.body.again)


def _answer(answer: Answer) -> Any:
    found = answer.json()
    if not isinstance(found, dict):
        raise ServerFault(
            "no_json", f"the answer {answer.status} is no JSON: is this a YuYin server?", status=answer.status
        )
    return found


def _escaped(name: str, below: str = "") -> str:
    escaped = quote(name, safe="")
    if set(escaped) <= {"."}:  # `..` in a path means something else
        escaped = escaped.replace(".", "%2E")
    return f"{escaped}{below}"


def _asked(
    video: Video | Upload | Features, options: Options | None, more: Options
) -> tuple[Body, dict[str, str]]:
    asked = {**(options or {}), **more}
    if isinstance(video, Mapping):
        named = {name: value for name, value in video.items() if name in _NAMED}
        return of_json({**named, "options": asked}), {}
    said = json.dumps(asked, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    if len(quote(said)) > LONGEST_OPTIONS:
        return form(video, asked), {}
    return raw(video), {"options": said} if asked else {}


def recommend(
    video: Video | Upload | Features, options: Options | None = None, **more: Unpack[Options]
) -> Call[answers.Recommendation]:
    """Rank the pool for a cut.

    Args:
        video: a path, its bytes, an open binary file, from where it stands; or what `upload` returned; or
            features that were computed elsewhere.
        options: as one mapping.
        more: options by name, which win.
    """
    body, params = _asked(video, options, more)
    return Call("POST", "/v1/recommend", _answer, params, body=body, repeat="keyed")


def recommend_async(
    video: Video | Upload | Features, options: Options | None = None, **more: Unpack[Options]
) -> Call[answers.Job]:
    """The same as a job: hand its id to `wait` or `follow`; its `result` is what `recommend` returns."""
    body, params = _asked(video, options, more)
    prefer = {"Prefer": "respond-async"}
    return Call("POST", "/v1/recommend", _answer, params, prefer, body, repeat="keyed")


def recommend_frames(
    frames: Iterable[tuple[float, bytes]],
    duration_s: float,
    options: Options | None = None,
    **more: Unpack[Options],
) -> Call[answers.Recommendation]:
    """Rank the pool for pictures: seconds and JPEG or PNG files, of a video that is `duration_s` long."""
    sent = [{"t_s": t_s, "image": b64encode(image).decode()} for t_s, image in frames]
    asked = {"frames": sent, "duration_s": duration_s, "options": {**(options or {}), **more}}
    return Call("POST", "/v1/recommend", _answer, body=of_json(asked), repeat="keyed")


def upload(video: Video) -> Call[Upload]:
    """Keep a video at the server for an hour, to ask about it more than once; hand this to `recommend`."""
    return Call("POST", "/v1/uploads", _answer, body=raw(video), repeat="keyed")


def uploaded(upload_id: str) -> Call[Upload]:
    """Whether an upload is still there, and until when."""
    return Call("GET", f"/v1/uploads/{_escaped(upload_id)}", _answer)


def delete_upload(upload_id: str) -> Call[None]:
    """Delete an upload before its time."""
    return Call("DELETE", f"/v1/uploads/{_escaped(upload_id)}", lambda answer: None, removes=True)


def tracks(*, offset: int = 0, limit: int = 50) -> Call[answers.TrackPage]:
    """The tracks of the snapshot in force, page by page; at most 500 at once."""
    return Call("GET", "/v1/tracks", _answer, {"offset": str(offset), "limit": str(limit)})


def track(track_id: str) -> Call[answers.Track]:
    """What is known of one track."""
    return Call("GET", f"/v1/tracks/{_escaped(track_id)}", _answer)


def eligibility(track_id: str, **use: Unpack[Licence]) -> Call[answers.Eligibility]:
    """Whether a track may be returned for such a use, and if not, everything that keeps it back."""
    said = {name: value for name, value in use.items() if value is not None}
    params = {name: json.dumps(v) if isinstance(v, bool) else str(v) for name, v in said.items()}
    return Call("GET", f"/v1/tracks/{_escaped(track_id, '/eligibility')}", _answer, params)


def facets() -> Call[answers.Facets]:
    """What the tracks can be filtered by."""
    return Call("GET", "/v1/facets", _answer)


def media_links(track_ids: Iterable[str]) -> Call[dict[str, answers.MediaLink]]:
    """Addresses below the server's at which tracks are heard without a key, for a while."""
    return Call("POST", "/v1/media-links", _answer, body=of_json({"track_ids": list(track_ids)}))


def feedback(events: Event | Sequence[Event]) -> Call[list[str]]:
    """Tell what became of recommended tracks, at most 100 events; returns the ids they are kept under."""
    several = [events] if isinstance(events, Mapping) else events
    named = [{"event_id": str(uuid.uuid4()), **event} for event in several]  # so that none counts twice
    return Call(
        "POST", "/v1/feedback", lambda a: cast("list[str]", _answer(a)["event_ids"]), body=of_json(named)
    )


def reindex(
    *, pool: str | None = None, bundle: str | None = None, recompute: bool = False
) -> Call[answers.Job]:
    """Build the next snapshot of a configured pool and put it in force."""
    asked = {"pool": pool, "bundle": bundle, "recompute": recompute}
    return Call("POST", "/admin/reindex", _answer, body=of_json(asked), repeat="keyed")


def job(job_id: str) -> Call[answers.Job]:
    """The record of a job."""
    return Call("GET", f"/v1/jobs/{_escaped(job_id)}", _answer)


def cancel_job(job_id: str) -> Call[answers.Job]:
    """Cancel a job; cancelling twice is fine."""
    return Call("DELETE", f"/v1/jobs/{_escaped(job_id)}", _answer)


def snapshots() -> Call[list[answers.SnapshotEntry]]:
    """Every snapshot of the store."""
    return Call(
        "GET", "/admin/snapshots", lambda a: cast("list[answers.SnapshotEntry]", _answer(a)["snapshots"])
    )


def activate(snapshot_id: str) -> Call[answers.SnapshotEntry]:
    """Put a snapshot in force."""
    return Call("POST", f"/admin/snapshots/{_escaped(snapshot_id)}/activate", _answer)


def patch_track(track_id: str, **changes: Unpack[TrackChanges]) -> Call[answers.PatchedTrack]:
    """Withdraw a track, give it back, or set facts of its licence: in force within a second."""
    return Call("PATCH", f"/admin/tracks/{_escaped(track_id)}", _answer, body=of_json(changes))


def readyz() -> Call[answers.Ready]:
    """Whether the server can recommend now; raises `NotReady`, at once, with `problem["parts"]` if not."""
    return Call("GET", "/readyz", _answer, repeat="never")


def version() -> Call[answers.Version]:
    """What runs there, and the tags that `text` may be."""
    return Call("GET", "/version", _answer)
