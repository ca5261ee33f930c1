"""One track in, its features, segment vectors and preview out: what a worker process does."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from index_builder import facts, previews
from index_builder.reader import Skipped
from model.backbones.loaded import Backbones
from model.bundle import Bundle
from model.errors import MediaError, NoAccelerator, NotInstalled
from model.features.extractors import MusicExtractor
from model.features.segments import segment_inputs
from model.features.sequence import Sequence
from model.features.sound import Sound
from model.media.audio import read_audio

FACTS = "facts"  # beside the extractors' names in what is stored of a track
FACTS_RATE_HZ = 22_050  # what model.features.measures wants
SHORTEST_S = 1.0  # less is no music


@dataclass(frozen=True, slots=True)
class TrackTask:
    """One media file and what is known of it already."""

    path: Path
    name: str  # below the pool, for messages
    media_sha256: str
    bundle: Path
    backbones: Backbones
    store: Path
    stored: dict[str, Sequence]  # by extractor's key in the profile, and FACTS


@dataclass(frozen=True, slots=True)
class TrackVectors:
    """What the index keeps of a media file; in shapes, n segments and d dimensions."""

    facts: facts.MeasuredFacts
    segments_s: NDArray[np.float64]  # (n, 2)
    embeddings: NDArray[np.float32]  # (n, d)
    computed: dict[str, Sequence]  # what was not stored
    cpu_s: dict[str, float]  # per stage: decode, features, facts, preview, tower
    warnings: tuple[str, ...] = ()  # such as that a GPU cannot be used: nobody reads a worker's log


@lru_cache(maxsize=1)
def _opened(folder: Path, backbones: Backbones) -> tuple[Bundle, dict[str, MusicExtractor]]:
    bundle = Bundle.open(folder, verify=False, threads=1)  # `build` verified it
    return bundle, bundle.music_extractors(bundle.load_profile(backbones, "music"))


def embed_track(task: TrackTask) -> TrackVectors | Skipped | NoAccelerator | NotInstalled:
    """Compute what is missing of a track, then its segments' vectors.

    Every batch of the music tower is one track, whatever else is in the pool: the same file gives the
    same bits in every build. What the machine lacks is returned, not raised: no file is at fault.
    """
    with _Warnings() as heard:
        try:
            found = _embedded(task)
        except (NoAccelerator, NotInstalled) as error:
            return error
    return replace(found, warnings=tuple(heard.said)) if isinstance(found, TrackVectors) else found


class _Warnings(logging.Handler):
    """Keeps what is warned of while it is entered."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one."""
        self.said.append(record.getMessage())

    def __enter__(self) -> Self:
        logging.getLogger("yuyin").addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger("yuyin").removeHandler(self)


def _embedded(task: TrackTask) -> TrackVectors | Skipped:
    bundle, extractors = _opened(task.bundle, task.backbones)
    track = _Track(task)
    try:
        if track.duration_s < SHORTEST_S:
            reason = f"{track.duration_s:.2f} s of sound: a track has at least {SHORTEST_S:g} s"
            return Skipped(task.name, "too_short", reason)
        segments_s = bundle.grid.segments(track.duration_s)
        computed = track.compute(extractors, segments_s)
    except (MediaError, OSError) as error:
        return Skipped(task.name, getattr(error, "code", "not_readable"), str(error))
    known = task.stored | computed
    music = {name: known[name] for name in extractors}
    with track.stage("tower"):
        embeddings = bundle.embed_music(segment_inputs(music, segments_s))
    return TrackVectors(facts.read(known[FACTS]), segments_s, embeddings, computed, track.cpu_s)


class _Track:
    """One file, decoded as often as its parts want it at another rate, and the CPU time of each stage."""

    def __init__(self, task: TrackTask) -> None:
        self._task = task
        self._sounds: dict[int, Sound] = {}
        self.cpu_s: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Charge what happens inside to `name`."""
        began_s = time.process_time()
        try:
            yield
        finally:
            self.cpu_s[name] = self.cpu_s.get(name, 0.0) + time.process_time() - began_s

    @cached_property
    def duration_s(self) -> float:
        """The one length that the grid is laid on, whatever rate an extractor wants."""
        stored = self._task.stored.get(FACTS)
        return facts.read(stored).duration_s if stored else self._sound(FACTS_RATE_HZ).duration_s

    def compute(
        self, extractors: dict[str, MusicExtractor], segments_s: NDArray[np.float64]
    ) -> dict[str, Sequence]:
        """Everything that is not stored; decodes nothing where all is."""
        task = self._task
        computed: dict[str, Sequence] = {}
        for name, extractor in extractors.items():
            if name not in task.stored:
                sound = self._sound(extractor.rate_hz)
                with self.stage("features"):
                    computed[name] = extractor(sound, segments_s)
        if FACTS not in task.stored:
            sound, stereo = self._sound(FACTS_RATE_HZ), self._stereo
            with self.stage("facts"):
                computed[FACTS] = facts.measure(sound, stereo, previews.RATE_HZ)
        if not previews.there(task.store, task.media_sha256):
            stereo = self._stereo
            with self.stage("preview"):
                previews.write(task.store, task.media_sha256, stereo)
        return computed

    def _sound(self, rate_hz: int) -> Sound:
        """Mono, decoded by the same call as in training."""
        if rate_hz not in self._sounds:
            with self.stage("decode"):
                self._sounds[rate_hz] = Sound(read_audio(self._task.path, rate_hz), rate_hz)
        return self._sounds[rate_hz]

    @cached_property
    def _stereo(self) -> NDArray[np.float32]:
        """(n, 2) at the preview's rate; mono is doubled, of more channels the front pair is heard."""
        with self.stage("decode"):
            channels = read_audio(self._task.path, previews.RATE_HZ, mono=False)
            return np.ascontiguousarray(channels[:, [0, -1 if channels.shape[1] < 2 else 1]])
