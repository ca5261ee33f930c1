"""The sound of a finished ad in, what the music extractor says of its voice-over alone out: input `voice`.

The voice branch of MRCMV (docs/models.md 4.2) hears the voice-over by the same extractor as the music.

Beware of finished ads: their sound holds the very music that is to be found. No separator takes all of it
away, so that figures of systems that read `voice` flatter them on such pairs; where a shop has the dry
voice-over, that is what the pairs should name.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d, uniform_filter1d

from model.features.extractors import MusicExtractor
from model.features.sequence import Sequence
from model.features.sound import Sound
from model.features.stems import Separator
from model.features.voice import VoiceDetector

LEAST = 0.25  # probability below which the stem is silenced: whatever it holds then is music
AROUND_S = 0.2  # kept before and after a voice: consonants are softer than the vowels that are heard first
RAMP_S = 0.05
GATE_HZ = 100
CRUMB = 1e-9  # running sums leave some where nothing is


class VoiceOver:
    """Separates, silences what is no voice, extracts; the silence of an ad without a voice is silent."""

    version = 1

    def __init__(self, detector: VoiceDetector, separator: Separator, extractor: MusicExtractor) -> None:
        self._detector = detector
        self._separator = separator
        self._extractor = extractor

    @property
    def name(self) -> str:
        """Of all three, with their versions: another network hears other voices."""
        parts = (self._extractor, self._separator, self._detector)
        return "+".join(f"{part.name}@{part.version}" for part in parts)

    @property
    def features(self) -> tuple[str, ...]:
        """(d,) the name of every column, as of the extractor."""
        return self._extractor.features

    @property
    def rate_hz(self) -> int:
        """The sample rate it wants."""
        return self._extractor.rate_hz

    def stem(self, sound: Sound) -> Sound:
        """The voice-over alone."""
        voice = self._separator(sound).voice
        return Sound(voice * self._gate(sound, len(voice)), sound.rate_hz)

    def __call__(self, sound: Sound) -> Sequence:
        """(t, d) over the whole of an ad's own sound."""
        stem = self.stem(sound)
        return self._extractor(stem, np.array([[0.0, stem.duration_s]]))

    def _gate(self, sound: Sound, samples: int) -> NDArray[np.float32]:
        """(samples,) 1 around a voice, 0 elsewhere, with short ramps."""
        times_s = (np.arange(max(1, int(np.ceil(sound.duration_s * GATE_HZ)))) + 0.5) / GATE_HZ
        heard = (self._detector(sound).at(times_s) >= LEAST).astype(np.float64)
        wide = maximum_filter1d(heard, 2 * int(AROUND_S * GATE_HZ) + 1, mode="nearest")
        smooth = uniform_filter1d(wide, int(RAMP_S * GATE_HZ), mode="nearest")
        gate = np.interp(np.arange(samples) / sound.rate_hz, times_s, smooth)
        return np.where(gate < CRUMB, 0.0, gate).astype(np.float32)
