"""A recommend job in, its `Recommendation` out: an earlier upload is answered as a request would be."""

import asyncio
import json
import logging
from pathlib import Path
from typing import Any

from model.errors import Overloaded
from service.ranking.answering import Answer, Answering, Film, Sent
from service.ranking.recommender import Stopwatch
from service.schemas.jobs import Job
from service.schemas.options import Options
from service.stores.uploads import SWEEP_S, UploadStore
from service.work.jobs import LOOK_S, Tell

log = logging.getLogger("yuyin.service")

AT_ONCE = 2  # of one process; requests come first, whoever asks for a job can wait


class Recommending:
    """The work of a job of kind `recommend`."""

    def __init__(self, answering: Answering, uploads: UploadStore) -> None:
        self._answering = answering
        self._uploads = uploads

    async def __call__(self, job: Job, tell: Tell) -> dict[str, Any]:
        """Answer; the upload that the request brought with it is gone afterwards.

        Raises:
            YuyinError: as `Answering.answer`; `NotFound` if the upload's time is over.
        """
        try:
            stored, file = await asyncio.to_thread(self._uploads.open, job.asked["upload_id"], job.owner)
            with file:
                path = Path(f"/proc/self/fd/{file.fileno()}")
                tell(0.1, "answer")
                options = Options.model_validate_json(json.dumps(job.asked["options"]))
                asked = _asked(stored.kind, path, stored.sha256, options)
                found = await self._patiently(asked, job.id)
        except asyncio.CancelledError:  # `clean_up`, or whoever takes the job up next, needs to know of it
            raise
        except BaseException:
            await self.clean_up(job)
            raise
        await self.clean_up(job)
        recommendation: dict[str, Any] = json.loads(found.body)
        return recommendation

    async def _patiently(self, asked: Film | Sent, request_id: str) -> Answer:
        while True:
            try:
                return await self._answer(asked, request_id)
            except Overloaded:  # requests come first
                await asyncio.sleep(LOOK_S)

    async def _answer(self, asked: Film | Sent, request_id: str) -> Answer:
        """Cancelled, it ends only when the thread has let go of the file."""
        cancelled = False

        async def gone() -> bool:
            return cancelled

        work = asyncio.ensure_future(self._answering.answer(asked, request_id, gone, Stopwatch()))
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            cancelled = True
            await asyncio.wait({work})
            if not work.cancelled():
                work.exception()  # looked at: it need not be told of
            raise

    async def clean_up(self, job: Job) -> None:
        """Remove the upload that a job brought with it."""
        try:
            await asyncio.to_thread(let_go, self._uploads, job)
        except OSError as error:
            log.warning("the upload of a job is left to its time", extra={"reason": str(error)})


def let_go(uploads: UploadStore, job: Job) -> None:
    """Remove the upload that a job brought with it, unless it was there before."""
    if job.kind == "recommend" and not job.asked["keep"]:
        uploads.remove(job.asked["upload_id"])


def _asked(kind: str, path: Path, sha256: str, options: Options) -> Film | Sent:
    return Film(path, sha256, options) if kind == "video" else Sent(path, sha256)


async def sweep_now_and_then(uploads: UploadStore) -> None:
    """Remove what has expired; any process may."""
    while True:
        try:
            await asyncio.to_thread(uploads.sweep)
        except OSError as error:
            log.error("expired uploads could not be removed", extra={"reason": str(error)})
        await asyncio.sleep(SWEEP_S)
