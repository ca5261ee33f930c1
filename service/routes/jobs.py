"""GET /v1/jobs/{id}: a job's id in, its record out."""

from fastapi import APIRouter, Depends

from service.deps import PartsDep, needs
from service.routes.responses import errors
from service.schemas.jobs import Job

router = APIRouter(prefix="/v1", tags=["jobs"], dependencies=[Depends(needs("admin"))])


@router.get("/jobs/{job_id}", responses=errors(401, 403, 404))
def job(job_id: str, parts: PartsDep) -> Job:
    """Poll a job: `done` means that its snapshot is in force."""
    return parts.jobs.get(job_id)
