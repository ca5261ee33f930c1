"""Partials in, pitch classes, key, mode and harmonic change out."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from model.features.partials import Partials
from model.features.spectrum import SILENCE

PITCH_CLASSES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
C0_HZ = 440.0 * 2 ** (-57 / 12)
FADE = 10 * SILENCE**0.5  # -70 dB, the sum of amplitudes at which a frame counts half
HARMONIC_DECAY = 0.6  # amplitude of each harmonic of a typical note over that of the one before
FLAT = 0.02  # deviation of twelve shares that noise leaves in 15 s: correlations fade in above it
SMOOTHING_FRAMES = 3  # 0.3 s: shorter than a chord, longer than a drum

# Probe-tone ratings of Krumhansl and Kessler 1982, as given in Krumhansl 1990, from the tonic upwards.
MAJOR = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
MINOR = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)


@dataclass(frozen=True, slots=True)
class Keys:
    """How well each of the 24 keys explains some chroma rows; in shapes, n rows."""

    major: NDArray[np.float64]  # (n, 12) correlation with the major profile on each tonic
    minor: NDArray[np.float64]  # (n, 12)

    @property
    def majorness(self) -> NDArray[np.float64]:
        """(n,) best major minus best minor correlation: `mirmode` of Lartillot and Toiviainen 2007."""
        found: NDArray[np.float64] = self.major.max(axis=1) - self.minor.max(axis=1)
        return found

    @property
    def clarity(self) -> NDArray[np.float64]:
        """(n,) correlation of the best key, 0..1: key clarity of Lartillot and Toiviainen 2007."""
        found: NDArray[np.float64] = np.maximum(self.major.max(axis=1), self.minor.max(axis=1)).clip(0.0, 1.0)
        return found

    def name(self, row: int) -> str:
        """Such as `F# minor`."""
        if self.major[row].max() >= self.minor[row].max():
            return f"{PITCH_CLASSES[int(self.major[row].argmax())]} major"
        return f"{PITCH_CLASSES[int(self.minor[row].argmax())]} minor"


def chroma(partials: Partials) -> NDArray[np.float64]:
    """(f, 12) share of each pitch class in a frame's amplitude, C first; rows fade to 0 in silence.

    Harmonic pitch class profile of Gomez 2006, from spectral peaks; a peak between two
    classes is split by the squared cosine of its distance, so that no amplitude is lost. Every frame
    counts the same: what sounds on tells the key, not what was struck hardest.
    """
    frames = len(partials.hz)
    pitch = 12 * np.log2(np.maximum(partials.hz, 1.0).astype(np.float64) / C0_HZ)
    below = np.floor(pitch)
    to_upper = np.sin(0.5 * np.pi * (pitch - below)) ** 2
    row = np.arange(frames)[:, None] * 12
    lower = row + below.astype(np.intp) % 12
    upper = row + (below.astype(np.intp) + 1) % 12
    places = np.concatenate([lower.ravel(), upper.ravel()])
    amplitude = partials.amplitude.astype(np.float64)
    weights = np.concatenate([(amplitude * (1 - to_upper)).ravel(), (amplitude * to_upper).ravel()])
    found = np.bincount(places, weights, minlength=frames * 12).reshape(frames, 12).astype(np.float64)
    shares_of_frame: NDArray[np.float64] = found / (found.sum(axis=1, keepdims=True) + FADE)
    return shares_of_frame


def shares(profile: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, 12) mean chroma as shares of its sum; silence becomes twelve equal shares."""
    floor = 0.01 / 12
    found: NDArray[np.float64] = (profile + floor) / (profile + floor).sum(axis=1, keepdims=True)
    return found


def keys_of(profile: NDArray[np.float64]) -> Keys:
    """Correlate (n, 12) chroma shares with the 24 rotated key profiles: Krumhansl 1990.

    Listeners rated notes, chroma sees harmonics: each note of a profile brings its own, as in Gomez
    2006.
    """
    centred = profile - profile.mean(axis=1, keepdims=True)
    unit = centred / (np.linalg.norm(centred, axis=1, keepdims=True) + FLAT)
    found = []
    for ratings in (MAJOR, MINOR):
        heard = sum(np.roll(ratings, round(12 * np.log2(k))) * HARMONIC_DECAY ** (k - 1) for k in range(1, 9))
        template = np.asarray(heard) - np.mean(heard)
        rolled = np.stack([np.roll(template, tonic) for tonic in range(12)])
        found.append(unit @ (rolled / np.linalg.norm(template)).T)
    return Keys(*found)


def intervals(profile: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, 6) magnitude of Fourier coefficients 1..6 of (n, 12) chroma shares, 0..1, blind to transposition.

    Quinn 2006 and Amiot 2016: 1 chromatic, 2 tritones, 3 augmented and thirds, 4 diminished,
    5 diatonic, 6 whole-tone.
    """
    return np.abs(np.fft.rfft(profile, axis=1))[:, 1:7]


def harmonic_change(profile: NDArray[np.float64]) -> NDArray[np.float64]:
    """(f,) distance that the tonal centroid moves in 0.2 s: Harte, Sandler and Gasser 2006.

    Args:
        profile: (f, 12) chroma, 10 frames a second.
    """
    smooth = shares(gaussian_filter1d(profile, SMOOTHING_FRAMES, axis=0, mode="nearest", truncate=3.0))
    angles = 2 * np.pi * np.outer(np.arange(12), [7 / 12, 3 / 12, 4 / 12])  # fifths, minor and major thirds
    radii = np.array([1.0, 1.0, 0.5])
    basis = np.concatenate([radii * np.sin(angles), radii * np.cos(angles)], axis=1)
    centroid = np.pad(smooth @ basis, ((1, 1), (0, 0)), mode="edge")
    way: NDArray[np.float64] = np.linalg.norm(centroid[2:] - centroid[:-2], axis=1)
    return way
