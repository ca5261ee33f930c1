"""Requests, answers and batches in as they happen, counters and histograms out; one registry for each app."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector

from service.metrics.exposure import Exposure

REQUEST_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0)
STAGE_S = (0.001, 0.0025, *REQUEST_S)
ITEMS = (1, 2, 4, 8, 16, 32, 64, 128)


class Returned(Protocol):
    """What is needed of a track in an answer."""

    @property
    def track_id(self) -> str:
        """Its id."""


class Answered(Protocol):
    """What is needed of an answer."""

    @property
    def timings_ms(self) -> Mapping[str, float]:
        """By stage, and `total`."""

    @property
    def no_good_match(self) -> bool | None:
        """Whether nothing fits."""

    @property
    def results(self) -> Sequence[Returned]:
        """Tracks, best first."""


class Metrics:
    """Everything that is counted while it happens; `registry` also takes what is read at a scrape."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.requests = Counter(
            "yuyin_requests",
            "Requests answered, by route template; none: no route, or a file of the page.",
            ("method", "route", "status"),
            registry=registry,
        )
        self.seconds = Histogram(
            "yuyin_request_seconds",
            "From the first byte of a request to the last of its answer.",
            ("route",),
            registry=registry,
            buckets=REQUEST_S,
        )
        self.refusals = Counter(
            "yuyin_refusals", "Requests answered with an error, by its code.", ("code",), registry=registry
        )
        self.stages = Histogram(
            "yuyin_stage_seconds",
            "Stages of computed recommendations; cached ones have none.",
            ("stage",),
            registry=registry,
            buckets=STAGE_S,
        )
        self.answers = Counter("yuyin_recommendations", "Computed recommendations.", registry=registry)
        self.no_good_match = Counter(
            "yuyin_no_good_match", "Recommendations that say that nothing fits.", registry=registry
        )
        self.cache = Counter(
            "yuyin_cache", "Look-ups of finished answers: hit, miss.", ("result",), registry=registry
        )
        self.batches = Histogram(
            "yuyin_batch_items",
            "Items of each batch that a GPU computed; a CPU computes none.",
            registry=registry,
            buckets=ITEMS,
        )
        self.exposure = Exposure()
        registry.register(self.exposure)
        ProcessCollector(registry=registry)  # memory, processor time, open files

    def ended(self, method: str, route: str, status: int, code: str | None, seconds: float) -> None:
        """A request has its answer; `code` is of the error, if it is one. None of it is free text."""
        self.requests.labels(method, route, str(status)).inc()
        self.seconds.labels(route).observe(seconds)
        if code is not None:
            self.refusals.labels(code).inc()

    def answered(self, answer: Answered) -> None:
        """A recommendation was computed."""
        self.answers.inc()
        if answer.no_good_match:
            self.no_good_match.inc()
        for stage, took_ms in answer.timings_ms.items():
            self.stages.labels(stage).observe(took_ms / 1000)
        self.exposure.add([track.track_id for track in answer.results])
