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
