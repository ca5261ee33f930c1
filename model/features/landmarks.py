"""A sound in, landmarks of its music out: two clips of one recording share many, whatever was done to them.

Wang 2003, "An Industrial-Strength Audio Search Algorithm": the highest points of a spectrogram, each joined
to a few that follow it; the two frequencies and the time between them are one number, a landmark. A gain
changes none of them, a codec or a voice on top takes some away and adds others, and a clip that begins later
has the same ones, earlier. The sizes below are ours (our choice), set on rendered and real music, see
docs/log.md. A resampled clip (played faster or higher) has others.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter

from model.features.sound import Sound
from model.features.spectrum import FRAMES_PER_S, HOP, SILENCE, decibel, power_blocks

WINDOW = 2048  # samples, 93 ms: bins of 10.8 Hz
LOW_BIN, END_BIN = 30, 400  # 323 Hz to 4.3 kHz: above bass drums, which tracks of one tempo share
ALONE_BINS, ALONE_FRAMES = 12, 6  # a point is the highest within 130 Hz and 0.12 s
RANGE_DB = 60.0  # below the loudest point: what is softer is noise of a codec
FAN = 6  # landmarks that begin at a point
NEAREST_FRAMES, FARTHEST_FRAMES, FARTHEST_BINS = 2, 64, 63  # 0.04 to 1.28 s, 680 Hz
FOLLOWING = 80  # points tried for each
BLOCK_FRAMES = 512
APART_FRAMES = 5  # offsets that differ by more are different


@dataclass(frozen=True, slots=True)
class Landmarks:
    """The landmarks of a sound; n of them, none in silence."""

    hashes: NDArray[np.uint32]  # (n,) frequency, way to the second one, time to it
    frames: NDArray[np.int32]  # (n,) of 20 ms, in which they begin

    @classmethod
    def none(cls) -> "Landmarks":
        """Of silence."""
        return cls(np.zeros(0, np.uint32), np.zeros(0, np.int32))


def find_landmarks(sound: Sound) -> Landmarks:
    """The landmarks of a whole sound at 22,050 Hz, about 200 a second."""
    frame, tone = _points(sound.samples)
    joined: list[tuple[NDArray[np.intp], NDArray[np.intp]]] = []
    fans = np.zeros(len(frame), np.intp)
    for step in range(1, min(FOLLOWING, len(frame))):
        first = np.arange(len(frame) - step)
        apart, way = frame[step:] - frame[:-step], np.abs(tone[step:] - tone[:-step])
        near = (apart >= NEAREST_FRAMES) & (apart <= FARTHEST_FRAMES) & (way <= FARTHEST_BINS)
        first = first[near & (fans[: len(first)] < FAN)]
        fans[first] += 1
        joined.append((first, first + step))
    if not joined:
        return Landmarks.none()
    one, two = (np.concatenate(side) for side in zip(*joined, strict=True))
    way = tone[two] - tone[one] + FARTHEST_BINS
    hashes = tone[one] << 14 | way << 7 | frame[two] - frame[one]
    return Landmarks(hashes.astype(np.uint32), frame[one].astype(np.int32))


def _points(samples: NDArray[np.float32]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Frames and bins of the points that stand alone, in the order of time."""
    finite = np.nan_to_num(samples.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    blocks = power_blocks(finite, WINDOW, HOP, BLOCK_FRAMES)
    power = np.concatenate([block[:, LOW_BIN:END_BIN] for block in blocks])
    if float(power.max(initial=0.0)) <= SILENCE / END_BIN:
        return np.zeros(0, np.intp), np.zeros(0, np.intp)
    level_db = decibel(power + np.float32(1e-20))
    size = (2 * ALONE_FRAMES + 1, 2 * ALONE_BINS + 1)
    highest = level_db >= maximum_filter(level_db, size, mode="nearest")
    frame, tone = np.nonzero(highest & (level_db > level_db.max() - RANGE_DB))
    return frame, tone + LOW_BIN


@dataclass(frozen=True, slots=True)
class Likeness:
    """What two sounds have in common, at the one offset where that is most."""

    share: float  # of the different landmarks of the sound that has fewer, those that both have
    lead: float  # how many times as many as at any other offset: 1 for what merely repeats, such as drums
    cover: float  # share of the shorter sound's seconds in which a common landmark begins


def likeness(one: Landmarks, two: Landmarks) -> Likeness:
    """Compare two sounds; a landmark that recurs counts once at each offset.

    Offsets that differ by one frame count as one: clips begin at any time, frames only every 20 ms.
    """
    mine, theirs = _meetings(one, two)
    if not len(mine):
        return Likeness(0.0, 1.0, 0.0)
    offsets = two.frames[theirs].astype(np.int64) - one.frames[mine]
    offsets -= offsets.min()
    different = np.unique(offsets << 32 | one.hashes[mine].astype(np.int64)) >> 32
    votes = np.convolve(np.bincount(different), np.ones(3), "same")
    best = int(votes.argmax())
    elsewhere = np.concatenate([votes[: max(0, best - APART_FRAMES)], votes[best + APART_FRAMES + 1 :]])
    least = min(len(np.unique(one.hashes)), len(np.unique(two.hashes)))
    aligned = np.abs(offsets - best) <= 1
    lasts = min(_seconds(one.frames), _seconds(two.frames))
    return Likeness(
        share=float(votes[best]) / least,
        lead=float(votes[best]) / max(1.0, elsewhere.max(initial=0.0)),
        cover=min(1.0, _seconds(one.frames[mine[aligned]]) / lasts),
    )


def _meetings(one: Landmarks, two: Landmarks) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Every two landmarks, one of each sound, that have one hash: (k,) rows of `one` and of `two`."""
    order = np.argsort(two.hashes, kind="stable")
    first = np.searchsorted(two.hashes[order], one.hashes, "left")
    counts = np.searchsorted(two.hashes[order], one.hashes, "right") - first
    mine = np.repeat(np.arange(len(one.hashes)), counts)
    within = np.arange(len(mine)) - np.repeat(np.cumsum(counts) - counts, counts)
    return mine, order[np.repeat(first, counts) + within]


def _seconds(frames: NDArray[np.int32]) -> int:
    """In how many different seconds frames lie."""
    return len(np.unique(frames // FRAMES_PER_S))
