import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from model.datasets.imports.imported import write_imported
from model.datasets.imports.muvi import read_muvi, shares, statistics
from model.datasets.table import Dataset
from model.errors import BadDataset
from model.training.sampler import read_pairs


def made(folder: Path, videos: int = 80, seed: int = 0, **changed: np.ndarray) -> Path:
    rng = np.random.default_rng(seed)
    offset = np.cumsum([0, *rng.integers(1, 40, videos)])
    seconds = int(offset[-1])
    arrays = {
        "id": np.array([f"{i:03d}" for i in range(videos)]),
        "artist_key": np.array([f"artist{i * i // 97}" for i in range(videos)]),
        "key": np.array(["C major", "A minor"])[rng.integers(0, 2, videos)],
        "clip_mean": rng.standard_normal((videos, 4)).astype(np.float16),
        "clip_std": rng.random((videos, 4)).astype(np.float16),
        "offset": offset,
        "loudness": rng.random(seconds).astype(np.float32),
        "note_density": rng.integers(0, 9, seconds).astype(np.float16),
        "motion": rng.random(seconds).astype(np.float16),
        "scene_offset": np.concatenate([np.arange(n) for n in np.diff(offset)]).astype(np.int16),
        "emotion6": rng.random((seconds, 6)).astype(np.float16),
        "chord": rng.integers(0, 3, seconds).astype(np.int16),
        "chord_names": np.array(["C", "G", "N"]),
    }
    np.savez(folder / "muvi.npz", **(arrays | changed))
    return folder / "muvi.npz"


def slow_statistics(x):
    mean = math.fsum(x) / len(x)
    std = math.sqrt(math.fsum((y - mean) ** 2 for y in x) / len(x))
    step = math.fsum(abs(b - a) for a, b in pairwise(x)) / max(1, len(x) - 1)
    ordered, quantiles = sorted(x), []
    for share in (0.1, 0.5, 0.9):
        place = share * (len(x) - 1)
        low = math.floor(place)
        high = min(low + 1, len(x) - 1)
        quantiles.append(ordered[low] + (place - low) * (ordered[high] - ordered[low]))
    return [mean, std, step, *quantiles]


@pytest.mark.parametrize("lengths", [[1], [1, 7, 2], [30, 5]])
def test_statistics_and_shares_equal_their_definitions(lengths):
    rng = np.random.default_rng(len(lengths))
    offset = np.cumsum([0, *lengths])
    x, codes = rng.standard_normal(offset[-1]), rng.integers(0, 4, offset[-1])
    parts = [slice(a, b) for a, b in pairwise(offset)]
    slow = [slow_statistics(x[part].tolist()) for part in parts]
    np.testing.assert_allclose(statistics(x, offset), slow, rtol=1e-5, atol=1e-6)
    slow = [[codes[part].tolist().count(c) / len(codes[part]) for c in range(4)] for part in parts]
    np.testing.assert_allclose(shares(codes, offset, 4), slow, rtol=1e-6)


def test_playing_everything_twice_changes_nothing(tmp_path):
    """Whatever counts, sums or grows with the length would change; only the step at the seam may, a bit."""
    rng = np.random.default_rng(0)
    once = rng.random(200)
    offset = np.array([0, 200])
    np.testing.assert_allclose(statistics(once, offset), statistics(np.tile(once, 2), 2 * offset), rtol=0.02)
    codes = rng.integers(0, 5, 200)
    np.testing.assert_allclose(shares(codes, offset, 5), shares(np.tile(codes, 2), 2 * offset, 5), rtol=1e-6)


def test_an_uncut_video_does_not_tell_its_length(tmp_path):
    lengths = np.array([1_000, 2_000, 4_000])
    offset = np.cumsum([0, *lengths])
    seconds = int(offset[-1])
    path = made(
        tmp_path,
        3,
        offset=offset,
        scene_offset=np.concatenate([np.arange(n) for n in lengths]).astype(np.int16),
        **{name: np.zeros(seconds, np.float32) for name in ("loudness", "note_density", "motion")},
        emotion6=np.zeros((seconds, 6), np.float32),
        chord=np.zeros(seconds, np.int16),
    )
    values = read_muvi(path, 0).features["scene_offset"].values
    np.testing.assert_allclose(values[:, [0, 3, 4, 5]], 20, atol=0.25)


def test_sides_hold_what_was_measured_in_them(tmp_path):
    """Other music leaves the side of the picture as it is, and the other way round."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    path = made(tmp_path / "a")
    given = dict(np.load(path))
    heard = {name: given[name][::-1] for name in ("loudness", "note_density", "chord", "key")}
    one, other = read_muvi(path, 0), read_muvi(made(tmp_path / "b", **heard), 0)
    for name in one.layout.video:
        np.testing.assert_array_equal(one.features[name].values, other.features[name].values)
    assert (one.features["audio"].values != other.features["audio"].values).any()
    assert set(one.layout.video) == {"clip", "motion", "scene_offset", "emotion6"}


def test_no_artist_is_in_two_splits_and_sizes_are_exact(tmp_path):
    path = made(tmp_path)
    imported = read_muvi(path, 3)
    for artist in set(imported.group.tolist()):
        assert len(set(imported.split[imported.group == artist].tolist())) == 1
    assert (imported.split == "test").sum() == round(80 * 150 / 598)
    np.testing.assert_array_equal(imported.split, read_muvi(path, 3).split)
    assert (imported.split != read_muvi(path, 4).split).any()


def test_emobase_leaves_the_pairs_that_have_it(tmp_path):
    path = made(tmp_path)
    linked = np.array(["070", "", "003", "999", *(f"{i:03d}" for i in range(10, 60))])
    mean = np.arange(len(linked) * 2, dtype=np.float32).reshape(-1, 2)
    np.savez(tmp_path / "emobase.npz", muvi_sync_id=linked, emobase_mean=mean, emobase_std=-mean)
    imported = read_muvi(path, 0, tmp_path / "emobase.npz")
    assert imported.pair_id.tolist() == ["003", *(f"{i:03d}" for i in range(10, 60)), "070"]
    assert imported.layout.music == ("audio", "emotion")
    np.testing.assert_array_equal(imported.features["emotion"].values[0], [4, 5, -4, -5])
    np.testing.assert_array_equal(imported.features["emotion"].values[-1], [0, 1, -0.0, -1])
    whole = read_muvi(path, 0)
    np.testing.assert_array_equal(imported.features["clip"].values[0], whole.features["clip"].values[3])


def test_emobase_of_other_videos_is_refused(tmp_path):
    nothing = np.zeros((1, 2), np.float32)
    np.savez(tmp_path / "e.npz", muvi_sync_id=np.array([""]), emobase_mean=nothing, emobase_std=nothing)
    with pytest.raises(BadDataset, match=r"no video of .* is linked"):
        read_muvi(made(tmp_path), 0, tmp_path / "e.npz")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"offset": np.arange(10)}, "'offset' of .* has 10 rows, not 81"),
        ({"offset": np.zeros(81, int)}, "leaves a video without a second"),
        ({"chord": np.full(1, 3)}, "'chord' of .* has 1 rows"),
        ({"chord_names": np.array(["C"])}, "'chord' of .* goes beyond its 1 names"),
        ({"clip_std": np.zeros((80, 4)) * np.nan}, "'clip' of pair '000' holds NaN"),
        ({"clip_mean": np.full((80, 4), 1e300)}, "'clip' of pair '000' holds NaN, infinite or too large"),
        ({"clip_mean": np.zeros(80)}, "'clip_mean' of .* not numbers in 2 dimensions"),
        ({"chord": np.zeros(3)}, "'chord' of .* not whole numbers"),
        ({"id": np.zeros(0, "<U3")}, "'id' of .* not texts in 1 dimensions, at least one"),
        ({"id": np.full(80, "007")}, "two pairs have the pair_id '007'"),
        ({"offset": np.arange(81, dtype=np.uint64)[::-1]}, "leaves a video without a second"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, changed, said):
    with pytest.raises(BadDataset, match=said):
        write_imported(read_muvi(made(tmp_path, **changed), 0), tmp_path / "out")


def test_the_real_file_does_not_give_pairs_away_by_length(shared_data, tmp_path):
    """Guess the length from each side, match by the guess: no better than chance on unseen pairs."""
    file = shared_data / "features" / "muvi_sync_shared.npz"
    report = write_imported(read_muvi(file, 0), tmp_path / "muvi")
    assert sum(report.pairs.values()) == 598
    assert report.pairs["test"] == 150
    dataset = Dataset.open(tmp_path / "muvi")
    pairs = read_pairs(dataset, "muvi")
    length_s = np.diff(np.load(file)["offset"]).astype(float)
    sides = [
        np.hstack([np.asarray(each.values, float) for each in side.values()])
        for side in (pairs.video, pairs.music)
    ]
    train, test = pairs.rows("train"), pairs.rows("test")
    guessed = [_ridge(x[train], np.log(length_s[train]), x[test]) for x in sides]
    chance = 10 / len(test)
    assert _recall(guessed[0], guessed[1], 10) < chance + 0.05
    assert _recall(np.log(length_s[test]), np.log(length_s[test]), 10) > 0.95  # what lengths would give
    for x in sides:
        moving = x[:, x.std(axis=0) > 0]
        correlation = [abs(np.corrcoef(column, length_s)[0, 1]) for column in moving.T]
        assert max(correlation) < 0.5


def _ridge(x: np.ndarray, y: np.ndarray, unseen: np.ndarray) -> np.ndarray:
    mean, std = x.mean(axis=0), x.std(axis=0)
    x, unseen = ((each - mean) / np.where(std > 0, std, 1) for each in (x, unseen))
    weights = np.linalg.solve(x.T @ x + 3 * len(x) * np.eye(x.shape[1]), x.T @ (y - y.mean()))
    return unseen @ weights


def _recall(queries: np.ndarray, candidates: np.ndarray, k: int) -> float:
    apart = np.abs(queries[:, None] - candidates)
    own = np.diag(apart)[:, None]
    return float(((apart < own).sum(axis=1) < k).mean())
