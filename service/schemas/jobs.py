"""Long work: what is asked of it, and its durable record."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from service.schemas.asked import Asked


class ReindexRequest(Asked):
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
