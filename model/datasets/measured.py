"""The file of a finished ad in, what can be measured of it out: length, music, voice, landmarks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from model.artifact import sha256_of
from model.datasets.tracks import result_key, write_result
from model.datasets.workers import as_ready
from model.errors import MediaError
from model.features.landmarks import Landmarks, find_landmarks
from model.features.presence import music_presence
from model.features.sound import Sound
from model.features.spectrum import RATE_HZ
from model.features.voice import VoiceDetector
from model.media.audio import read_audio
from model.media.streams import VideoLimits, VideoRecipe
from model.media.video import read_video

MEASURES = 1  # raised when the same file gives other measures
PROBE = VideoRecipe(frames_per_s=0.1, min_frames=1, motion=False)  # enough to know that there is a picture
SILENT_PEAK = 1e-4  # full scale 1


@dataclass(frozen=True, slots=True)
class Measured:
    """What one file holds; numbers are 0 and there are no landmarks where it cannot be used."""

    fault: str  # why it cannot be used; "" if it can
    sha256: str
    length_s: float  # of the picture
    music_share: float  # of the picture's time, 0..1
    voice_share: float
    landmarks: Landmarks


@dataclass(frozen=True, slots=True)
class _Job:
    file: Path
    result: Path  # .npz to leave behind


def measure_ads(
    files: Sequence[Path],
    folder: Path,
    detector: VoiceDetector,
    processes: int,
    progress: Callable[[int, int], None],
) -> list[Measured]:
    """Measure files; what lies in `folder` already is not measured again.

    Args:
        files: of finished ads.
        folder: of one result for each file.
        detector: hears voices.
        processes: to run on.
        progress: told (files done, files in all).
    """
    recipe = {"measures": MEASURES, "voice": f"{detector.name}@{detector.version}"}
    jobs = [_Job(file, folder / f"{result_key(recipe, (file,))}.npz") for file in files]
    left = [job for job in jobs if not job.result.exists()]
    done = len(jobs) - len(left)
    progress(done, len(jobs))
    for _ in as_ready(partial(_measure, detector), left, processes):
        done += 1
        progress(done, len(jobs))
    return [_read(job.result) for job in jobs]


def _measure(detector: VoiceDetector, job: _Job) -> None:
    shares, length_s, marks, fault = (0.0, 0.0), 0.0, Landmarks.none(), ""
    try:
        length_s = read_video(job.file, PROBE, VideoLimits(decoder_threads=1)).info.duration_s
        sound = _sound(job.file, length_s)
        if float(np.abs(sound.samples).max(initial=0.0)) < SILENT_PEAK:
            fault = "its sound is silent"
        else:
            shares = music_presence(sound).share, detector(sound).share
            marks = find_landmarks(sound)
    except (MediaError, OSError) as error:
        fault = str(error)
    write_result(
        job.result,
        {
            "fault": np.array(fault, np.str_),
            "sha256": np.array(sha256_of(job.file), np.str_),
            "numbers": np.array([length_s, *shares]),
            "hashes": marks.hashes,
            "frames": marks.frames,
        },
    )


def _sound(file: Path, length_s: float) -> Sound:
    """What is heard under the picture: silence where the sound ends before it."""
    samples = read_audio(file, RATE_HZ, duration_s=length_s)
    return Sound(np.pad(samples, (0, max(0, round(length_s * RATE_HZ) - len(samples)))), RATE_HZ)


def _read(result: Path) -> Measured:
    with np.load(result, allow_pickle=False) as arrays:
        marks = Landmarks(arrays["hashes"], arrays["frames"])
        length_s, music_share, voice_share = arrays["numbers"].tolist()
        fault, digest = str(arrays["fault"]), str(arrays["sha256"])
        return Measured(fault, digest, length_s, music_share, voice_share, marks)
