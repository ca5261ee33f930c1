"""POST /v1/feedback: what editors did with what was recommended in, kept for training, ids out."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Body, Depends
from fastapi.concurrency import run_in_threadpool

from service.deps import PartsDep, needs, within_rate
from service.routes.responses import errors
from service.schemas.feedback import AskedFeedback, FeedbackEvent, KeptFeedback
from service.stores.feedback import record_of

router = APIRouter(
    prefix="/v1", tags=["feedback"], dependencies=[Depends(needs("recommend")), Depends(within_rate)]
)

_REQUEST = "0c1d5a7e9b3f42d68e20f4b7a9c61d35"
_EXAMPLES = {
    "an export": {
        "value": {
            "request_id": _REQUEST,
            "track_id": "demo-house-03",
            "event": "exported",
            "event_id": "0e3c8d52-6f4b-4c9a-9b2e-6f1d3a7c5b84",
            "start_s": 35.0,
            "video_sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        }
    },
    "several": {
        "value": [
            {"request_id": _REQUEST, "track_id": "demo-house-03", "event": "played", "rank": 1},
            {"request_id": _REQUEST, "track_id": "demo-rock-01", "event": "rejected", "rank": 2},
        ]
    },
}


@router.post("/feedback", status_code=201, responses=errors(401, 403, 413, 422, 429, 503))
async def feedback(
    asked: Annotated[AskedFeedback, Body(openapi_examples=_EXAMPLES)], parts: PartsDep
) -> KeptFeedback:
    """Tell what became of a recommended track: one event, or a list of at most 100; all are kept, or none.

    They are on disk when this answers; `yuyin dataset from-feedback` makes training pairs of them. What is
    sent is kept, and when it came; not the key, not the address.
    """
    events = [asked] if isinstance(asked, FeedbackEvent) else asked
    received = datetime.now(UTC)
    records = [record_of(event, received) for event in events]
    lines = [record.model_dump_json(exclude_none=True).encode() for record in records]
    await run_in_threadpool(parts.feedback.append, lines)
    await parts.shared.feedback.append(lines)
    return KeptFeedback(event_ids=[record.event_id for record in records])
