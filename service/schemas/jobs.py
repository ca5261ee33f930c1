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
    """The durable record of long work; whoever runs it holds a lease on it, and renews it while alive."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    kind: Literal["reindex", "recommend"]
    state: Literal["queued", "running", "done", "failed", "cancelled"]
    progress: float = Field(ge=0, le=1)
    stage: str | None = None
    error: JobError | None = None
    result: dict[str, Any] | None = None
    created_at: str = Field(description="UTC, ISO 8601.")
    ended_at: str | None = None
    asked: dict[str, Any] = Field(default_factory=dict, description="What it was started with.")
    owner: str | None = Field(default=None, description="Name of the API key that asked; null without keys.")
    version: int = Field(default=1, ge=1, description="Grows with every change; the id of its SSE events.")
    attempt: int = Field(default=0, ge=0, description="How often it was taken up.")
    worker: str | None = Field(default=None, description="The process that runs it, or ran it last.")
    lease_until: str | None = Field(
        default=None, description="UTC; unless it is renewed by then, another worker may take the job up."
    )
    cancelling: bool = Field(default=False, description="Its cancellation was asked for.")

    @property
    def open(self) -> bool:
        """Not ended yet."""
        return self.state in ("queued", "running")
