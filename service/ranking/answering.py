"""One question of whatever kind in, its answer as bytes out, worked on once; for routes and jobs."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from model.media.child import Decoder
from service.metrics.counted import Metrics
from service.ranking.answers import answer, answer_sent, lasting, whole
from service.ranking.recommender import Stopwatch
from service.schemas.options import Options
from service.schemas.question import Question
from service.schemas.recommendation import Recommendation
from service.serving.answered import Answered, Begun, key_of
from service.serving.current import Current, Serving
from service.serving.rightsbook import Rightsbook, Ruling
from service.serving.workers import Workers
from service.settings import Settings

_VERSION = version("yuyin")  # replicas of several versions may share a cache for a while


@dataclass(frozen=True, slots=True)
class Film:
    """A video to find music for."""

    path: Path
    sha256: str
    options: Options


@dataclass(frozen=True, slots=True)
class Sent:
    """What came in the place of a video: a JSON body with frames or features, not parsed yet."""

    path: Path
    sha256: str


@dataclass(frozen=True, slots=True)
class Answer:
    """JSON of a `Recommendation`."""

    body: bytes
    hit: bool  # nothing was decoded or ranked for it


@dataclass(frozen=True)
class Answering:
    """What it takes to answer."""

    settings: Settings
    current: Current
    rights: Rightsbook
    decoder: Decoder
    workers: Workers
    answered: Answered
    metrics: Metrics

    async def answer(
        self, asked: Film | Sent, request_id: str, gone: Callable[[], Awaitable[bool]], clock: Stopwatch
    ) -> Answer:
        """Look it up, or work on it in a thread, on one (snapshot, bundle, rights) from here to the end.

        Args:
            asked: its files stay open until this returns.
            request_id: of the answer.
            gone: whether nobody waits for it any more.
            clock: running since the request came.

        Raises:
            YuyinError: as `answers.answer`, `answers.answer_sent`, `Workers.run` and `Workers.wait`.
        """
        serving, queued = self.current.take(), clock.start("queue")
        ruling = self.rights.take(serving.snapshot)
        epoch, until_s = ruling.epoch(datetime.now(UTC)), self.workers.until_s()

        def work() -> bytes:
            queued()
            found = self._found(serving, ruling, asked, request_id, clock)
            self.metrics.answered(found)
            return lasting(found)

        async def make() -> tuple[bytes, bool]:
            body = await self.workers.run(work, gone, until_s)
            return body, ruling.epoch(datetime.now(UTC)) == epoch

        async def wait(other: Begun) -> None:
            await self.workers.wait(other, gone, until_s)

        kept = await self.answered.once(self._key(serving, ruling, epoch, asked), make, wait)
        self.metrics.cache.labels("hit" if kept.hit else "miss").inc()
        return Answer(whole(kept.body, request_id, clock), kept.hit)

    def _found(
        self, serving: Serving, ruling: Ruling, asked: Film | Sent, request_id: str, clock: Stopwatch
    ) -> Recommendation:
        if isinstance(asked, Film):
            top_k = asked.options.top_k or self.settings.top_k_default
            return answer(
                serving,
                ruling,
                self.decoder,
                asked.path,
                asked.options,
                top_k,
                request_id,
                clock,
                sha256=asked.sha256,
            )
        with clock.stage("parse"):
            question = Question.parse(asked.path.read_bytes(), top_k_max=self.settings.top_k_max)
        top_k = question.options.top_k or self.settings.top_k_default
        return answer_sent(serving, ruling, self.decoder, question, top_k, request_id, clock)

    def _key(self, serving: Serving, ruling: Ruling, epoch: int, asked: Film | Sent) -> str:
        """Of all that the answer depends on; the text of a JSON body holds its options."""
        settings = self.settings
        return key_of(
            version=_VERSION,
            kind=type(asked).__name__,
            sha256=asked.sha256,
            options=asked.options.model_dump(mode="json") if isinstance(asked, Film) else None,
            snapshot=serving.snapshot.id,
            bundle=serving.bundle.id,
            rights=ruling.version,
            epoch=epoch,
            unknown_passes=ruling.unknown_passes,
            top_k=[settings.top_k_default, settings.top_k_max],
            limits=settings.limits.model_dump(mode="json"),
        )
