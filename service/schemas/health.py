"""What runs here and how it is; and how every error is said."""

from typing import Any, Literal

from pydantic import BaseModel


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
    """Recommendations are answered; `parts` says what is not as it should be."""

    status: Literal["ready", "degraded", "busy"]
    snapshot: str
    bundle: str
    parts: dict[str, str]
    devices: dict[str, str]
    inside: int  # videos received, waiting or worked on, in the process that answers
    places: int  # how many may be; the next is answered 429


class Problem(BaseModel):
    """RFC 9457; `code` is stable and machine-readable."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str | None
