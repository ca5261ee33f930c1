"""A dataset with its features in, the inputs that few systems read beside them out: rhythm, flow, voice.

`rhythm` is of the music under the picture, by windows of about 4 s; `flow` of the picture, likewise; `voice`
is what the profile's audio extractor says of the voice-over in the video's own sound. They lie in the folder
of the profile's features, and features.json lists under "extras" what made each of them.
"""

import json
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from model.artifact import write_json
from model.datasets.extract import SEGMENTS, clip_segments
from model.datasets.table import Dataset, Ragged, features_folder
from model.datasets.tracks import Arrays, TrackJob, keep, kept, track_jobs, work_off, write_result
from model.errors import BadDataset, BadOptions, MediaError, NoAudioStream
from model.features.beats import LiteRhythm
from model.features.extractors import Profile, identity
from model.features.flow import FLOW_RECIPE, DenseFlow
from model.features.profiles import load_profile
from model.features.sequence import Sequence
from model.features.sound import Sound
from model.features.spectrum import RATE_HZ
from model.features.stems import FluctuationSeparator
from model.features.voice import VoiceDetector
from model.features.voiceover import VoiceOver
from model.features.windows import clip_windows
from model.media.audio import read_audio
from model.media.streams import VideoLimits
from model.media.video import read_video

RHYTHM, FLOW, VOICE = EXTRAS = ("rhythm", "flow", "voice")


@dataclass(frozen=True, slots=True)
class ExtrasReport:
    """What was added to a dataset's features."""

    extras: tuple[str, ...]
    pairs: int
    soundless: tuple[str, ...]  # pair_ids of videos without sound; their voice-over is silence


@dataclass(frozen=True, slots=True)
class _Makers:
    """What makes each of the extras that are wanted and not there yet."""

    rhythm: LiteRhythm | None
    flow: DenseFlow | None
    voice: VoiceOver | None

    @property
    def names(self) -> dict[str, str]:
        """Extra -> identity of what makes it."""
        each = {RHYTHM: self.rhythm, FLOW: self.flow, VOICE: self.voice}
        return {name: identity(maker) for name, maker in each.items() if maker is not None}


def extract_extras(
    dataset_folder: Path,
    profile: str,
    names: Collection[str],
    detector: VoiceDetector,
    *,
    processes: int,
    progress: Callable[[int, int], None],
) -> ExtrasReport:
    """Extract further inputs for every pair of a dataset; a killed run goes on where it was.

    Args:
        dataset_folder: what `Dataset.open` takes, with finished features of `profile`.
        profile: beside whose features they go; `voice` is heard by its audio extractor.
        names: some of `EXTRAS`.
        detector: hears where there is a voice-over.
        processes: to run on.
        progress: told (pairs done, pairs in all).

    Raises:
        BadOptions: if a name is none of `EXTRAS`, what one of them needs is not installed, or the profile's
            audio extractor cannot hear a voice-over.
        BadDataset: if the dataset has no media or no features of the profile, or a file cannot be read.
    """
    check_extras(names)
    dataset = Dataset.open(dataset_folder)
    dataset.features(SEGMENTS, profile)  # raises unless finished, for these pairs
    folder = features_folder(dataset_folder, profile)
    made: dict[str, Any] = json.loads((folder / "features.json").read_text("utf-8"))
    there: dict[str, str] = made.get("extras", {})
    makers = _makers(names, profile, detector, there)
    soundless: tuple[str, ...] = ()
    if makers.names:
        jobs = track_jobs(dataset, folder / "unfinished", makers.names)
        work_off(partial(_extract_track, makers), jobs, processes, progress)
        soundless = _assemble(dataset, jobs, makers, folder)
        write_json(folder / "features.json", made | {"extras": there | makers.names})
        shutil.rmtree(folder / "unfinished")
    else:
        progress(len(dataset), len(dataset))
    return ExtrasReport(tuple(name for name in EXTRAS if name in names), len(dataset), soundless)


def check_extras(names: Collection[str]) -> None:
    """Raise `BadOptions` unless every name is one of `EXTRAS`."""
    unknown = sorted(set(names) - set(EXTRAS))
    if unknown:
        raise BadOptions(f"there is no extra input {', '.join(unknown)}: choose from {', '.join(EXTRAS)}")


def makers_of(profile: Profile) -> dict[str, str]:
    """How the identity of each extra's maker begins in this version; that of `voice` ends in its detector."""
    stems = FluctuationSeparator()
    over = f"{identity(profile.music['audio'])}+{stems.name}@{stems.version}+"
    return {RHYTHM: identity(LiteRhythm()), FLOW: identity(DenseFlow()), VOICE: over}


def _makers(
    names: Collection[str], profile: str, detector: VoiceDetector, there: Mapping[str, str]
) -> _Makers:
    hearing = load_profile(profile).music["audio"]
    if VOICE in names and hearing.rate_hz != RATE_HZ:
        raise BadOptions(
            f"a voice-over is taken out of the mixture at {RATE_HZ} Hz, and {hearing.name} of the profile "
            f"{profile!r} hears {hearing.rate_hz} Hz: leave 'voice' out of --with, or use the profile lite"
        )
    voice = VoiceOver(detector, FluctuationSeparator(), hearing)
    every = _Makers(LiteRhythm(), DenseFlow(), voice)
    left = {name for name in names if there.get(name) != every.names[name]}
    return _Makers(
        rhythm=every.rhythm if RHYTHM in left else None,
        flow=every.flow if FLOW in left else None,
        voice=every.voice if VOICE in left else None,
    )


def _extract_track(makers: _Makers, job: TrackJob) -> None:
    arrays: Arrays = {}
    heard = np.ones(len(job.rows), np.bool_)
    fault = ""
    try:
        for i, sequence in enumerate(_rhythm(makers.rhythm, job)):
            keep(arrays, f"{i}.{RHYTHM}", sequence)
        for i, video in enumerate(job.videos):
            if makers.flow is not None:
                seen = read_video(video, FLOW_RECIPE, VideoLimits(decoder_threads=1))
                keep(arrays, f"{i}.{FLOW}", makers.flow(seen))
            if makers.voice is not None:
                sound, heard[i] = _own_sound(video, makers.voice.rate_hz, job.lengths_s[i])
                keep(arrays, f"{i}.{VOICE}", makers.voice(sound))
    except (MediaError, OSError) as error:
        fault = f"{job.music.name} with {', '.join(video.name for video in job.videos)}: {error}"
    write_result(job.result, arrays | {"heard": heard, "fault": np.array(fault, np.str_)})


def _rhythm(maker: LiteRhythm | None, job: TrackJob) -> Iterator[Sequence]:
    """The beats under each picture of a track, by windows of the time that its music features describe."""
    if maker is None:
        return
    sound = Sound(read_audio(job.music, maker.rate_hz), maker.rate_hz)
    clips = [
        clip_segments(start_s, length_s, sound.duration_s)
        for start_s, length_s in zip(job.starts_s, job.lengths_s, strict=True)
    ]
    windows = [clip_windows(float(clip[0, 0]), float(clip[-1, 1])) for clip in clips]
    found = maker(sound, np.concatenate(windows))
    end = 0
    for each in windows:
        first, end = end, end + len(each)
        yield Sequence(found.values[first:end], found.times_s[first:end])


def _own_sound(video: Path, rate_hz: int, length_s: float) -> tuple[Sound, bool]:
    """What a video sounds like by itself, and whether it does; silence as long as the picture if not."""
    try:
        return Sound(read_audio(video, rate_hz, duration_s=length_s), rate_hz), True
    except NoAudioStream:
        return Sound(np.zeros(round(length_s * rate_hz), np.float32), rate_hz), False


def _assemble(dataset: Dataset, jobs: list[TrackJob], makers: _Makers, folder: Path) -> tuple[str, ...]:
    """Put the tracks' results together in the pairs' order; returns pairs without a sound of their own."""
    found: dict[int, dict[str, Sequence]] = {}
    soundless: list[int] = []
    faults: list[str] = []
    for job in jobs:
        with np.load(job.result, allow_pickle=False) as arrays:
            if str(arrays["fault"]):
                faults.append(str(arrays["fault"]))
                job.result.unlink()  # so that the next run tries again
                continue
            for i, row in enumerate(job.rows):
                found[row] = {name: kept(arrays, f"{i}.{name}") for name in makers.names}
            soundless += [row for row, heard in zip(job.rows, arrays["heard"], strict=True) if not heard]
    if faults:
        raise BadDataset(
            f"{len(faults)} tracks cannot be read ({faults[0]}): mend the files, or leave their pairs out"
        )
    for name in makers.names:
        Ragged.stack([found[row][name] for row in range(len(dataset))]).write(folder, name)
    return tuple(str(dataset.pairs["pair_id"][row]) for row in sorted(soundless))
