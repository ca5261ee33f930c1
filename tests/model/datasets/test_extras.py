"""Rhythm, flow and voice-over beside a profile's features."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from model.artifact import write_json
from model.datasets.extract import extract_features
from model.datasets.extras import extract_extras
from model.datasets.layout import read_layout
from model.datasets.synth.music import render_track
from model.datasets.synth.pool import draw_pool
from model.datasets.synth.voice import babble
from model.datasets.table import Dataset, features_folder, write_dataset
from model.errors import BadDataset, BadOptions
from model.features.audio import LiteAudio
from model.features.beats import find_beats
from model.features.profiles import load_profile
from model.features.sound import Sound
from model.features.spectrum import RATE_HZ
from model.features.voice import FluctuationVoice
from model.media.audio import read_audio
from model.media.encode import VideoWriter, write_audio

ALL = ("rhythm", "flow", "voice")
LENGTHS_S = (10.0, 6.0, 5.0)
STARTS_S = (3.0, 11.0, 0.0)


def write_picture(path, seconds, speed_px, sound):
    """A texture that moves right at so many px of 160 in a second."""
    stripes = np.random.default_rng(1).uniform(40, 210, (18, 90)).repeat(5, 0).repeat(5, 1)
    with VideoWriter(path, 160, 90, 20, sound=sound, sound_rate_hz=RATE_HZ) as video:
        for frame in range(round(seconds * 20)):
            shown = np.roll(stripes, round(speed_px * frame / 20), axis=1)[:, :160]
            video.write(np.repeat(shown[:, :, None], 3, axis=2).astype(np.uint8))


@pytest.fixture(scope="module")
def media(tmp_path_factory):
    """Three pictures, two over one track: with a voice and moving, without sound, with music alone."""
    folder = tmp_path_factory.mktemp("media")
    drawn = {track.factors.style: track.factors for track in draw_pool(12, seed=7, longest_s=24.0)}
    for name, style in (("one", "rock"), ("two", "folk")):
        track = render_track(drawn[style], RATE_HZ, stereo=False)
        write_audio(folder / f"{name}.flac", track, RATE_HZ, codec="flac")
    voice = babble(LENGTHS_S[0], RATE_HZ, np.random.default_rng(2))
    music = read_audio(folder / "two.flac", RATE_HZ, duration_s=LENGTHS_S[2])
    for name, seconds, speed_px, sound in zip(
        ("a", "b", "c"), LENGTHS_S, (40, 0, 0), (0.5 * voice, None, 0.8 * music), strict=True
    ):
        write_picture(folder / f"{name}.mp4", seconds, speed_px, sound)
    return folder


@pytest.fixture(scope="module")
def prepared(media, tmp_path_factory):
    """A dataset of the three with finished features."""
    folder = tmp_path_factory.mktemp("prepared") / "dataset"
    folder.mkdir()
    names = np.array(["a", "b", "c"])
    music = np.array([str(media / f"{name}.flac") for name in ("one", "one", "two")])
    text = dict.fromkeys(("category", "tag"), np.full(3, "food"))
    columns = text | {
        "pair_id": names,
        "track_id": music,
        "group": music,
        "split": np.full(3, "train"),
        "video_path": np.array([str(media / f"{name}.mp4") for name in names]),
        "music_path": music,
        "length_s": np.zeros(3),
        "start_s": np.array(STARTS_S),
    }
    write_dataset(folder, {}, columns)
    extract_features(folder, load_profile("lite"), processes=1, progress=ignore)
    return folder


@pytest.fixture
def folder(prepared, tmp_path):
    """A copy of it."""
    return Path(shutil.copytree(prepared, tmp_path / "dataset"))


def ignore(done, total):
    pass


def extracted(folder, names=ALL, progress=ignore, processes=1):
    return extract_extras(folder, "lite", names, FluctuationVoice(), processes=processes, progress=progress)


def test_extras_are_of_the_clip_and_the_picture(folder, media):
    report = extracted(folder)
    assert (report.extras, report.pairs, report.soundless) == (ALL, 3, ("b",))
    dataset = Dataset.open(folder)
    spans = dataset.features("segments")
    for i, rhythm in enumerate(dataset.features("rhythm")):
        track = Sound(read_audio(media / ("one.flac" if i < 2 else "two.flac"), RATE_HZ), RATE_HZ)
        beats_s = find_beats(track).times_s
        start_s, end_s = STARTS_S[i], float(spans.row(i).values[-1, 1])
        assert len(rhythm.times_s) == max(1, int((end_s - start_s) / 4 + 0.5))
        for k, row in enumerate(rhythm.values):
            window = (start_s + 4 * k, min(start_s + 4 * k + 4, end_s))
            assert row[0] == ((beats_s >= window[0]) & (beats_s < window[1])).sum()
            assert rhythm.times_s[k] == pytest.approx(np.mean(window))
    flow = [row.values[:, 0].tolist() for row in dataset.features("flow")]
    assert flow[0] == pytest.approx([80, 80, 80], rel=0.1)  # of 320 px
    assert flow[1] == pytest.approx([0, 0], abs=0.1)
    assert flow[2] == pytest.approx([0], abs=0.1)
    silence = LiteAudio()(Sound(np.zeros(10 * RATE_HZ, np.float32), RATE_HZ), np.zeros((0, 2))).values
    voices = [row.values for row in dataset.features("voice")]
    assert [len(voice) for voice in voices] == [10, 6, 5]
    assert np.abs(voices[0] - silence).max() > 1
    np.testing.assert_allclose(voices[1], silence[:6], atol=1e-6)
    np.testing.assert_allclose(voices[2], silence[:5], atol=1e-6)


def test_beside_the_papers_features_go_rhythm_and_flow_and_no_voice(folder):
    """Its audio network hears another rate than the voice is taken out of the mixture at."""
    shutil.copytree(features_folder(folder, "lite"), features_folder(folder, "paper"))
    lend = {"detector": FluctuationVoice(), "processes": 1, "progress": ignore}
    extract_extras(folder, "paper", ["rhythm"], **lend)
    assert len(Dataset.open(folder).features("rhythm", "paper")) == 3
    with pytest.raises(BadOptions, match=r"at 22050 Hz, and ast of the profile 'paper' hears 16000 Hz"):
        extract_extras(folder, "paper", ["voice"], **lend)


def test_they_are_listed_by_their_side_and_never_made_twice(folder):
    before = read_layout(Dataset.open(folder), "lite")
    for name in ALL:
        extracted(folder, [name])
    after = read_layout(Dataset.open(folder), "lite")
    assert set(after.video) == {*before.video, "flow", "voice"}
    assert set(after.music) == {*before.music, "rhythm"}
    assert after.tags == before.tags
    stamps = {path: path.stat().st_mtime_ns for path in features_folder(folder, "lite").iterdir()}
    extracted(folder)
    assert {path: path.stat().st_mtime_ns for path in features_folder(folder, "lite").iterdir()} == stamps
    assert not (features_folder(folder, "lite") / "unfinished").exists()


def test_features_that_are_made_again_forget_them_and_stay_valid(folder):
    extracted(folder, ["rhythm"])
    made = features_folder(folder, "lite") / "features.json"
    content = json.loads(made.read_text())
    write_json(made, content | {"recipe": {}})
    extract_features(folder, load_profile("lite"), processes=1, progress=ignore)
    assert set(read_layout(Dataset.open(folder), "lite").music) == {"audio", "emotion"}


@pytest.mark.parametrize("name", ALL)
def test_those_of_another_version_are_told(folder, name):
    extracted(folder, [name])
    made = features_folder(folder, "lite") / "features.json"
    content = json.loads(made.read_text())
    write_json(made, content | {"extras": {name: "older@0"}})
    with pytest.raises(BadDataset, match=f"--with {name}"):
        read_layout(Dataset.open(folder), "lite")
    extracted(folder, [name])
    read_layout(Dataset.open(folder), "lite")


def test_a_killed_run_goes_on_where_it_was(folder):
    def stop(done, total):
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        extracted(folder, ["rhythm"], stop)
    assert set(read_layout(Dataset.open(folder), "lite").music) == {"audio", "emotion"}
    told = []
    extracted(folder, ["rhythm"], lambda *at: told.append(at))
    assert told[0] == (2, 3)  # the track of two pairs came first
    assert len(Dataset.open(folder).features("rhythm")) == 3


def test_a_file_that_broke_is_named_and_can_be_mended(folder, media, tmp_path):
    broken, kept = media / "c.mp4", tmp_path / "kept"
    stat = broken.stat()
    broken.rename(kept)
    try:
        broken.write_bytes(bytes(stat.st_size))  # of the same size and time: a disk that fails for a while
        os.utime(broken, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        with pytest.raises(BadDataset, match=r"1 tracks cannot be read .*c\.mp4"):
            extracted(folder, ["flow"])
        assert read_layout(Dataset.open(folder), "lite").video == ("frames", "motion")
    finally:
        kept.replace(broken)
    assert extracted(folder, ["flow"]).pairs == 3


def test_unknown_names_and_datasets_without_features_are_refused(folder):
    with pytest.raises(BadOptions, match="mood: choose from rhythm, flow, voice"):
        extracted(folder, ["rhythm", "mood"])
    (features_folder(folder, "lite") / "features.json").unlink()
    with pytest.raises(BadDataset, match="features extract"):
        extracted(folder)


@pytest.mark.slow
def test_two_processes_give_what_one_gives(folder):
    extracted(folder, processes=2)
    both = {name: Dataset.open(folder).features(name).values.copy() for name in ALL}
    made = features_folder(folder, "lite") / "features.json"
    content = json.loads(made.read_text())
    write_json(made, content | {"extras": {}})
    extracted(folder)
    for name, values in both.items():
        np.testing.assert_array_equal(Dataset.open(folder).features(name).values, values)
