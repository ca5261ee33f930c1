"""A folder of finished ads, made by us, with everything in it that a shop's folder may hold."""

import json
import shutil

import numpy as np
import pytest

from model.datasets.ads import prepare_ads
from model.datasets.extract import extract_features
from model.datasets.synth.music import render_track
from model.datasets.synth.pool import draw_pool
from model.datasets.synth.voice import babble
from model.datasets.table import Dataset
from model.errors import BadDataset
from model.features.profiles import load_profile
from model.features.spectrum import RATE_HZ
from model.features.voice import FluctuationVoice
from model.media.encode import VideoWriter, write_audio

LENGTH_S = 8


def write_ad(path, sound, seconds=LENGTH_S):
    path.parent.mkdir(parents=True, exist_ok=True)
    with VideoWriter(path, 64, 48, 10, sound=sound, sound_rate_hz=RATE_HZ) as video:
        for level in range(seconds * 10):
            video.write(np.full((48, 64, 3), level, np.uint8))


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """Usable ads: two of one track in suits/, one in hats/, one in the folder itself; and seven others."""
    folder = tmp_path_factory.mktemp("shop") / "ads"
    rng = np.random.default_rng(6)
    drawn = [track.factors for track in draw_pool(4, seed=3, longest_s=12.0)]
    one, two, three, _ = (render_track(factors, RATE_HZ, stereo=False) for factors in drawn)
    n = LENGTH_S * RATE_HZ
    voice = 0.5 * babble(LENGTH_S, RATE_HZ, rng)
    write_ad(folder / "suits" / "autumn" / "a.mp4", one[:n])
    write_ad(folder / "suits" / "b.mp4", 0.1 * one[2 * RATE_HZ :][:n] + voice)
    write_ad(folder / "hats" / "c.mp4", two[:n])
    write_ad(folder / "d.mp4", three[:n])
    shutil.copy(folder / "hats" / "c.mp4", folder / "suits" / "again.mp4")
    write_ad(folder / "hats" / "speech.mp4", voice)
    mostly = np.concatenate([three[: 2 * RATE_HZ], voice[2 * RATE_HZ :]])
    write_ad(folder / "hats" / "mostly.mp4", mostly)
    write_ad(folder / "hats" / "ends.mp4", two[: 3 * RATE_HZ])
    write_ad(folder / "hats" / "mute.mp4", None)
    write_ad(folder / "hats" / "silent.mp4", np.zeros(n, np.float32))
    write_audio(folder / "hats" / "sound.mp4", one[:n], RATE_HZ, codec="aac")
    (folder / "hats" / "broken.mov").write_text("no film at all")
    (folder / "hats" / ".hidden.mp4").write_text("not looked at")
    (folder / "notes.txt").write_text("not a video")
    return folder


LEFT_OUT = {
    "hats/broken.mov": "no media file",
    "hats/ends.mp4": "less than 50%",
    "hats/mostly.mp4": "less than 50%",
    "hats/mute.mp4": "no sound",
    "hats/silent.mp4": "silent",
    "hats/sound.mp4": "no moving picture",
    "hats/speech.mp4": "music in 0% of the time",
    "suits/again.mp4": "the same file as hats/c.mp4",
}


def ignore(done, total):
    pass


def prepared(folder, out, progress=ignore, processes=1, **options):
    given = {"mapping": None, "min_music": 0.5, "track_disjoint": False} | options
    return prepare_ads(
        folder, out, detector=FluctuationVoice(), processes=processes, progress=progress, **given
    )


@pytest.fixture(scope="module")
def out(shop, tmp_path_factory):
    """`shop`, prepared once, and its report."""
    folder = tmp_path_factory.mktemp("out") / "dataset"
    return folder, prepared(shop, folder)


def test_usable_ads_become_pairs_and_the_rest_is_told(shop, out):
    folder, report = out
    assert (report.kept, report.tracks, report.ignored) == (4, 3, 1)
    assert {ad.file: True for ad in report.dropped} == dict.fromkeys(LEFT_OUT, True)
    for ad in report.dropped:
        assert LEFT_OUT[ad.file] in ad.left_out, ad
    dataset = Dataset.open(folder)
    pairs = dataset.pairs
    names = ["d.mp4", "hats/c.mp4", "suits/autumn/a.mp4", "suits/b.mp4"]
    for video, music, name in zip(pairs["video_path"], pairs["music_path"], names, strict=True):
        assert (folder / video).samefile(shop / name)
        assert video == music
    assert pairs["tag"].tolist() == pairs["category"].tolist() == ["ads", "hats", "suits", "suits"]
    np.testing.assert_allclose(pairs["length_s"], LENGTH_S)
    assert not pairs["start_s"].any()
    assert pairs["track_id"][2] == pairs["track_id"][3]
    assert len(set(pairs["track_id"].tolist())) == 3
    assert report.splits == {name: int((pairs["split"] == name).sum()) for name in report.splits}
    assert set(pairs["split"].tolist()) == {"train", "evaluation", "test"}
    assert dataset.manifest["categories"] == ["ads", "hats", "suits"]
    assert not list(folder.rglob("*.mp4"))  # nothing is copied


def test_shares_of_music_and_voice_are_kept(out):
    ads = {ad["file"]: ad for ad in json.loads((out[0] / "ads.json").read_text())}
    assert len(ads) == 12
    for name, music, voice in (
        ("hats/c.mp4", 1, 0),
        ("suits/b.mp4", 1, 1),
        ("hats/speech.mp4", 0, 1),
        ("hats/mostly.mp4", 2 / 8, 6 / 8),
        ("hats/ends.mp4", 3 / 8, 0),
    ):
        assert ads[name]["music_share"] == pytest.approx(music, abs=0.13), name
        assert ads[name]["voice_share"] == pytest.approx(voice, abs=0.13), name
    assert ads["hats/mute.mp4"]["music_share"] == 0
    assert ads["hats/c.mp4"]["split"]
    assert ads["suits/again.mp4"]["split"] == ""


def test_features_are_extracted_from_what_was_prepared(out):
    report = extract_features(out[0], load_profile("lite"), processes=1, progress=ignore)
    assert (report.pairs, report.dropped) == (4, ())
    audio = Dataset.open(out[0]).features("audio", "lite")
    assert [len(row.times_s) for row in audio] == [LENGTH_S] * 4


def test_another_mapping_or_share_measures_nothing_again(shop, out, tmp_path):
    folder = tmp_path / "dataset"
    shutil.copytree(out[0] / "measured", folder / "measured")
    before = {path: path.stat().st_mtime_ns for path in (folder / "measured").iterdir()}
    (tmp_path / "m.csv").write_text("tag,category\nsuits,clothing\nhats,clothing\nads,other\n")
    report = prepared(shop, folder, mapping=tmp_path / "m.csv", min_music=0.3, track_disjoint=True)
    assert {path: path.stat().st_mtime_ns for path in (folder / "measured").iterdir()} == before
    assert report.kept == 5  # ends.mp4 has music in 3 of 8 s
    pairs = Dataset.open(folder).pairs
    assert pairs["category"].tolist() == ["other", *["clothing"] * 4]
    for track in set(pairs["track_id"].tolist()):
        assert len(set(pairs["split"][pairs["track_id"] == track].tolist())) == 1


def test_a_killed_run_goes_on_where_it_was(shop, tmp_path):
    def stop(done, total):
        assert total == 12
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepared(shop, tmp_path / "out", stop)
    with pytest.raises(BadDataset, match="no finished dataset"):
        Dataset.open(tmp_path / "out")
    made = {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "measured").iterdir()}
    assert len(made) == 3
    told = []
    assert prepared(shop, tmp_path / "out", lambda *at: told.append(at)).kept == 4
    assert told[0] == (3, 12)
    assert told[-1] == (12, 12)
    assert all(path.stat().st_mtime_ns == at for path, at in made.items())


def test_a_changed_file_is_measured_again(shop, tmp_path):
    folder = tmp_path / "ads"
    (folder / "hats").mkdir(parents=True)
    for name in ("c.mp4", "mute.mp4"):
        shutil.copy(shop / "hats" / name, folder / "hats" / name)
    assert prepared(folder, tmp_path / "out").kept == 1
    shutil.copy(shop / "d.mp4", folder / "hats" / "mute.mp4")
    assert prepared(folder, tmp_path / "out").kept == 2


def test_pairs_are_named_by_what_they_hold(shop, out, tmp_path):
    (tmp_path / "ads" / "other").mkdir(parents=True)
    shutil.copy(shop / "d.mp4", tmp_path / "ads" / "other" / "renamed.mp4")
    prepared(tmp_path / "ads", tmp_path / "ads" / "dataset")  # a dataset inside of the ads is no ad
    report = prepared(tmp_path / "ads", tmp_path / "ads" / "dataset")
    assert (report.kept, report.ignored) == (1, 0)
    found = Dataset.open(tmp_path / "ads" / "dataset").pairs
    assert found["pair_id"][0] == Dataset.open(out[0]).pairs["pair_id"][0]
    assert report.warnings[-1].startswith("all ads have one category")


def test_what_cannot_be_a_dataset_is_refused(shop, tmp_path):
    with pytest.raises(BadDataset, match="is no folder"):
        prepared(tmp_path / "gone", tmp_path / "out")
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadDataset, match="holds no videos"):
        prepared(tmp_path / "empty", tmp_path / "out")
    shutil.copy(shop / "hats" / "broken.mov", tmp_path / "empty")
    with pytest.raises(BadDataset, match=r"no ad of .* can be used .broken.mov"):
        prepared(tmp_path / "empty", tmp_path / "out")
    (tmp_path / "m.csv").write_text("tag,category\nsuits,clothing\n")
    with pytest.raises(BadDataset, match="'hats' of hats/"):
        prepared(shop, tmp_path / "out", mapping=tmp_path / "m.csv")
    assert not (tmp_path / "out" / "dataset.json").exists()


@pytest.mark.slow
def test_two_processes_measure_what_one_does(shop, out, tmp_path):
    prepared(shop, tmp_path / "both", processes=2)
    one, both = (json.loads((folder / "ads.json").read_text()) for folder in (out[0], tmp_path / "both"))
    assert one == both


def test_the_slideshows_beside_the_checkout(shared_data, tmp_path):
    """Not real adverts; the manifest says which have music, a voice, both or no sound."""
    report = prepared(shared_data / "video" / "synthetic_ads", tmp_path / "out")
    ads = {ad["file"]: ad for ad in json.loads((tmp_path / "out" / "ads.json").read_text())}
    music = {"hat_01.mp4", "outwear_03.mp4", "shirt_05.mp4", "shorts_07.mp4", "t-shirt_09.mp4"}
    voice = {"longsleeve_02.mp4", "outwear_03.mp4", "shoes_06.mp4", "shorts_07.mp4"}
    assert {name for name, ad in ads.items() if not ad["left_out"]} == music
    assert {name for name, ad in ads.items() if ad["voice_share"] > 0.5} == voice
    assert {ad.file for ad in report.dropped if "no sound" in ad.left_out} == {
        "dress_00.mp4",
        "pants_04.mp4",
        "skirt_08.mp4",
    }
