"""What an extractor is to whoever runs it, and what a profile's row holds."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from model.features.sequence import Sequence
from model.features.sound import Sound
from model.media.streams import VideoRecipe, VideoStreams


class Extractor(Protocol):
    """What identifies a frozen extractor; a changed number means a raised version."""

    @property
    def name(self) -> str:
        """Such as `lite-frames`."""

    @property
    def version(self) -> int:
        """Part of every feature key and recipe."""

    @property
    def features(self) -> tuple[str, ...]:
        """(d,) the name of every column."""


class VideoExtractor(Extractor, Protocol):
    """Decoded picture in, a sequence out."""

    def __call__(self, video: VideoStreams) -> Sequence:
        """(t, d), times in the video's own time."""


class MusicExtractor(Extractor, Protocol):
    """Decoded track in, a sequence out."""

    @property
    def rate_hz(self) -> int:
        """The sample rate it wants."""

    def __call__(self, sound: Sound, segments_s: NDArray[np.float64]) -> Sequence:
        """(t, d); a sequence extractor ignores `segments_s` (n, 2), a functional gives one row for each."""


class TextExtractor(Extractor, Protocol):
    """Text in, one vector out."""

    def __call__(self, text: str) -> NDArray[np.float32]:
        """(d,)."""


@dataclass(frozen=True, slots=True)
class Profile:
    """One row of the table in design section 4; the keys are the towers' input names."""

    name: str
    recipe: VideoRecipe
    video: dict[str, VideoExtractor]
    music: dict[str, MusicExtractor]
    text: TextExtractor
    precision: str | None = None  # of its pretrained networks; None where it has none


def identity(extractor: Extractor) -> str:
    """`name@version`, as it stands in recipes, feature keys and bundle.json.

    With `.` and the first 8 digits of its weights' id, where it runs a network whose weights are known.
    """
    weights = getattr(extractor, "weights", None)
    return f"{extractor.name}@{extractor.version}" + (f".{weights[:8]}" if weights else "")


def licence_notes(extractors: Iterable[Extractor]) -> list[str]:
    """What users of these extractors have to be told of licences: their `licence_note`, each note once."""
    notes = (getattr(extractor, "licence_note", None) for extractor in extractors)
    return list(dict.fromkeys(note for note in notes if note))


def without_weights(identity: str) -> str:
    """`name@version` of an identity that may also name the weights of a pretrained network."""
    return identity.partition(".")[0]
