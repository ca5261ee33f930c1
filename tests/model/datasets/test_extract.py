from dataclasses import dataclass, field

import numpy as np
import pytest

from model.datasets.extract import extract_features
from model.datasets.table import Dataset, features_folder, write_dataset
from model.errors import BadDataset
from model.features.extractors import Profile
from model.features.profiles import load_profile
from model.features.sequence import Sequence
from model.media.encode import VideoWriter, write_audio
from model.media.streams import VideoRecipe

RATE_HZ = 8_000
FPS = 10


@dataclass(frozen=True)
class MeanColour:
    """(t, 3) mean colour of each frame; notes each call."""

    calls: list = field(default_factory=list)
    name: str = "mean-colour"
    version: int = 1
    features: tuple = ("red", "green", "blue")

    def __call__(self, video):
        self.calls.append(1)
        return Sequence(video.frames.mean(axis=(1, 2)).astype(np.float32), video.frame_times_s)


@dataclass(frozen=True)
class Level:
    """(t, 1) peak of each whole second of the track."""

    calls: list = field(default_factory=list)
    name: str = "level"
    version: int = 1
    features: tuple = ("peak",)
    rate_hz: int = RATE_HZ

    def __call__(self, sound, segments_s):
        self.calls.append(1)
        seconds = len(sound.samples) // self.rate_hz
        blocks = np.abs(sound.samples[: seconds * self.rate_hz]).reshape(seconds, -1)
        return Sequence(blocks.max(axis=1, keepdims=True), np.arange(seconds) + 0.5)


@dataclass(frozen=True)
class SegmentLevel:
    """(n, 1) peak of each segment that is asked for."""

    name: str = "segment-level"
    version: int = 1
    features: tuple = ("peak",)
    rate_hz: int = RATE_HZ

    def __call__(self, sound, segments_s):
        spans = np.round(segments_s * self.rate_hz).astype(int)
        peaks = [np.abs(sound.samples[a:b]).max() for a, b in spans]
        return Sequence(np.array(peaks, np.float32)[:, None], segments_s.mean(axis=1))


def small_profile():
    return Profile(
        "small",
        VideoRecipe(frame_side_px=32),
        {"frames": MeanColour()},
        {"audio": Level(), "emotion": SegmentLevel()},
        load_profile("lite").text,
    )


def write_picture(path, seconds, level):
    with VideoWriter(path, 64, 48, FPS) as video:
        for _ in range(round(seconds * FPS)):
            video.write(np.full((48, 64, 3), level, np.uint8))


@pytest.fixture
def folder(tmp_path):
    """Five pairs of three tracks, one not decodable; second i of a track peaks at (i + 1) / 100."""
    lengths = [2.0, 21.0, 40.0, 3.0, 1.0]
    for i, seconds in enumerate(lengths):
        write_picture(tmp_path / f"v{i}.mp4", seconds, 30 * (i + 1))
    for name, seconds in (("a", 50), ("b", 8)):
        steps = np.repeat((np.arange(seconds) + 1) / 100, RATE_HZ).astype(np.float32)
        write_audio(tmp_path / f"{name}.wav", steps, RATE_HZ, codec="wav")
    (tmp_path / "c.wav").write_text("no sound")
    music = ["a.wav", "a.wav", "a.wav", "b.wav", "c.wav"]
    write_dataset(
        tmp_path,
        {},
        {
            "pair_id": np.array([f"p{i}" for i in range(5)]),
            "track_id": np.array(music),
            "group": np.array(music),
            "category": np.full(5, "food"),
            "tag": np.full(5, "food"),
            "split": np.full(5, "train"),
            "video_path": np.array([f"v{i}.mp4" for i in range(5)]),
            "music_path": np.array(music),
            "length_s": np.zeros(5),
            "start_s": np.array([30.0, 10.0, 0.0, 0.0, 0.0]),
        },
    )
    return tmp_path


def ignore(done, total):
    pass


def test_features_are_of_the_clip_under_the_picture(folder):
    seen = []
    report = extract_features(folder, small_profile(), processes=1, progress=lambda *at: seen.append(at))
    assert seen[0] == (0, 5)
    assert seen[-1] == (5, 5)
    assert [drop.pair_id for drop in report.dropped] == ["p4"]
    assert "c.wav" in report.dropped[0].reason
    dataset = Dataset.open(folder)
    assert dataset.pairs["pair_id"].tolist() == ["p0", "p1", "p2", "p3"]
    np.testing.assert_allclose(dataset.pairs["length_s"], [2, 21, 40, 3])
    frames = dataset.features("frames", "small")
    for i in range(4):
        np.testing.assert_allclose(frames.row(i).values, 30 * (i + 1), atol=3)
    segments = [row.values.tolist() for row in dataset.features("segments", "small")]
    assert segments == [
        [[30, 45]],  # a picture of 2 s has one segment
        [[10, 25], [15, 30]],  # 21 s from 10 s: starts 10 and 15, the last that end by 31
        [[5 * k, 5 * k + 15] for k in range(6)],
        [[0, 8]],  # the whole of a short track
    ]
    audio = [
        np.round(row.values[:, 0] * 100).astype(int).tolist() for row in dataset.features("audio", "small")
    ]
    assert audio == [list(range(31, 46)), list(range(11, 31)), list(range(1, 41)), list(range(1, 9))]
    assert dataset.features("audio", "small").row(0).times_s[0] == 30.5  # in the track's own time
    emotion = [
        np.round(row.values[:, 0] * 100).astype(int).tolist() for row in dataset.features("emotion", "small")
    ]
    assert emotion == [[45], [25, 30], [15, 20, 25, 30, 35, 40], [8]]


def test_a_track_is_decoded_once_and_a_second_run_does_nothing(folder):
    profile = small_profile()
    extract_features(folder, profile, processes=1, progress=ignore)
    assert len(profile.music["audio"].calls) == 2  # tracks a and b, not four clips
    assert len(profile.video["frames"].calls) == 5
    extract_features(folder, profile, processes=1, progress=ignore)
    assert len(profile.video["frames"].calls) == 5
    assert not (features_folder(folder, "small") / "unfinished").exists()


def test_a_killed_run_goes_on_where_it_was(folder):
    whole, stopped = small_profile(), small_profile()

    def stop(done, total):
        if done >= 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        extract_features(folder, stopped, processes=1, progress=stop)
    with pytest.raises(BadDataset, match="no finished"):
        Dataset.open(folder).features("frames", "small")
    extract_features(folder, whole, processes=1, progress=ignore)
    assert len(stopped.video["frames"].calls) == 3  # all of track a
    assert len(whole.video["frames"].calls) == 2
    assert len(Dataset.open(folder).features("frames", "small")) == 4


def test_a_changed_file_or_extractor_is_computed_again(folder):
    extract_features(folder, small_profile(), processes=1, progress=ignore)
    profile = small_profile()
    newer = Profile("small", profile.recipe, {"frames": MeanColour(version=2)}, profile.music, profile.text)
    extract_features(folder, newer, processes=1, progress=ignore)
    assert len(newer.video["frames"].calls) == 4


def test_a_clip_behind_the_end_of_its_track_is_dropped(folder):
    pairs = Dataset.open(folder).pairs
    write_dataset(folder, {}, pairs | {"start_s": np.array([60.0, 10, 0, 0, 0])})
    report = extract_features(folder, small_profile(), processes=1, progress=ignore)
    assert [drop.pair_id for drop in report.dropped] == ["p0", "p4"]
    assert "before 60 s" in report.dropped[0].reason


def test_without_media_there_is_nothing_to_extract(folder):
    pairs = Dataset.open(folder).pairs
    write_dataset(folder, {}, pairs | {"video_path": np.full(5, "")})
    with pytest.raises(BadDataset, match="without media"):
        extract_features(folder, small_profile(), processes=1, progress=ignore)
    write_dataset(folder, {}, pairs | {"video_path": np.full(5, "gone.mp4")})
    with pytest.raises(BadDataset, match="no pair"):
        extract_features(folder, small_profile(), processes=1, progress=ignore)


@pytest.mark.slow
def test_two_processes_give_what_one_gives(folder, tmp_path_factory):
    profile = load_profile("lite")
    extract_features(folder, profile, processes=2, progress=ignore)
    both = Dataset.open(folder)
    found = {name: both.features(name) for name in ("frames", "motion", "audio", "emotion", "segments")}
    (features_folder(folder, "lite") / "features.json").unlink()
    extract_features(folder, profile, processes=1, progress=ignore)
    for name, ragged in found.items():
        again = Dataset.open(folder).features(name)
        np.testing.assert_array_equal(ragged.values, again.values)
        np.testing.assert_array_equal(ragged.offsets, again.offsets)
