"""The snapshots of a store."""

from pydantic import BaseModel, Field


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
