import json

import numpy as np
import pytest

from model.artifact import sha256_of
from model.datasets.synth.dataset import MUSIC_RATE_HZ, render_dataset
from model.datasets.synth.draw import RENDERED, TRACKS_PER_AD, heard
from model.datasets.synth.world import CATEGORIES, choose, draw_ads, draw_tracks, utility
from model.datasets.table import Dataset
from model.errors import BadDataset
from model.media.audio import read_audio
from model.media.streams import VideoLimits, VideoRecipe
from model.media.video import read_video


def render(folder, pairs=2, seed=5, processes=1, **options):
    at = []
    render_dataset(
        folder, pairs=pairs, seed=seed, processes=processes, progress=lambda *n: at.append(n), **options
    )
    return at


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    folder = tmp_path_factory.mktemp("synth")
    return folder, render(folder)


def digests(folder):
    return {str(path.relative_to(folder)): sha256_of(path) for path in folder.rglob("*") if path.is_file()}


def test_a_rendered_dataset_holds_what_its_table_says(rendered):
    folder, progress = rendered
    dataset = Dataset.open(folder)
    composed = len(set(dataset.pairs["track_id"].tolist()))
    assert progress[-1][0] == progress[-1][1] == 2 + composed
    assert dataset.manifest["kind"] == "synth"
    for i in range(len(dataset)):
        recipe = VideoRecipe(motion=False)
        video = read_video(folder / dataset.pairs["video_path"][i], recipe, VideoLimits())
        assert video.info.duration_s == pytest.approx(dataset.pairs["length_s"][i], abs=1e-6)
        assert video.info.fps == pytest.approx(25)
        assert 6 <= video.info.duration_s <= 30
        music = read_audio(folder / dataset.pairs["music_path"][i], MUSIC_RATE_HZ)
        room_s = len(music) / MUSIC_RATE_HZ - dataset.pairs["start_s"][i]
        assert room_s >= dataset.pairs["length_s"][i]
        assert np.abs(music).max() > 0.05


def test_factors_are_those_of_the_world(rendered):
    folder, _ = rendered
    world = RENDERED
    with np.load(folder / "factors.npz", allow_pickle=False) as factors:
        rng = np.random.default_rng(np.random.SeedSequence([5, world.world_seed]))
        ads, tracks = draw_ads(world, 2, rng), heard(draw_tracks(world, 2 * TRACKS_PER_AD, rng))
        np.testing.assert_array_equal(factors["ads_style"], ads.style)
        chosen = choose(utility(world, ads, tracks), tracks.log_popularity, rng)
        np.testing.assert_array_equal(factors["chosen"], chosen)
        categories = np.array(CATEGORIES)[factors["ads_category"]]
    dataset = Dataset.open(folder)
    assert dataset.pairs["category"].tolist() == categories.tolist()
    tracks = json.loads((folder / "factors.json").read_text())
    assert set(tracks) == set(dataset.pairs["track_id"].tolist())


def test_a_second_run_renders_only_what_is_missing_and_the_same(rendered):
    folder, progress = rendered
    files = progress[-1][1]
    before = digests(folder)
    advert = sorted((folder / "adverts").iterdir())[0]
    advert.unlink()
    (folder / "dataset.json").unlink()
    assert [done for done, _ in render(folder)] == [files - 1, files]
    assert digests(folder) == before


def test_a_folder_begun_otherwise_is_refused(rendered, tmp_path):
    folder, _ = rendered
    with pytest.raises(BadDataset, match="empty folder"):
        render(folder, seed=6)
    with pytest.raises(BadDataset, match="at least 1"):
        render(tmp_path, pairs=0)


@pytest.mark.slow
def test_processes_change_nothing_and_test_only_marks_all_pairs(tmp_path):
    render(tmp_path / "one", pairs=3, processes=1, test_only=True)
    render(tmp_path / "two", pairs=3, processes=2, test_only=True)
    assert digests(tmp_path / "one") == digests(tmp_path / "two")
    assert set(Dataset.open(tmp_path / "one").pairs["split"].tolist()) == {"test"}
