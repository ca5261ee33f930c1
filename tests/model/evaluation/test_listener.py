"""The audio distance against loops, with an encoder that can be followed by hand, and what may not listen."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from model.datasets.table import Dataset
from model.errors import BadDataset, BadOptions
from model.evaluation.listener import FeatureListener, audio_distance, open_listener


def test_it_is_the_distance_of_the_first_from_the_right_one() -> None:
    rng = np.random.default_rng(0)
    n = 25
    scores, vectors = rng.standard_normal((n, n)), rng.standard_normal((n, 4))
    tracks = rng.integers(0, 12, n).astype(str)
    found = audio_distance(scores, vectors, tracks, "ear")
    first = [
        np.linalg.norm(vectors[i] - vectors[max(range(n), key=lambda j: scores[i, j])]) for i in range(n)
    ]
    floor = [
        min(np.linalg.norm(vectors[i] - vectors[j]) for j in range(n) if tracks[j] != tracks[i])
        for i in range(n)
    ]
    assert found.value == pytest.approx(np.mean(first))
    assert found.floor == pytest.approx(np.mean(floor))
    assert found.chance == pytest.approx(np.mean([np.linalg.norm(a - b) for a in vectors for b in vectors]))
    assert found.low <= found.value <= found.high
    assert found.encoder == "ear"


def test_the_right_clip_first_is_no_distance_and_ties_are_their_mean() -> None:
    vectors, tracks = np.array([[0.0], [3.0], [5.0]]), np.array(["a", "b", "c"])
    assert audio_distance(np.eye(3), vectors, tracks, "").value == 0
    tied = audio_distance(np.zeros((3, 3)), vectors, tracks, "")
    assert tied.value == pytest.approx(tied.chance)
    two = audio_distance(np.array([[0.0, 1, 1], [0, 1, 0], [0, 0, 1]]), vectors, tracks, "")
    assert two.value == pytest.approx(((3 + 5) / 2 + 0 + 0) / 3)


def test_no_distance_at_all_may_be_luck() -> None:
    """Three right choices of three: others may lie as far as the farthest, after Wilson of 0 of 3."""
    vectors, tracks = np.array([[0.0], [3.0], [5.0]]), np.array(["a", "b", "c"])
    found = audio_distance(np.eye(3), vectors, tracks, "")
    assert (found.low, found.value) == (0, 0)
    assert found.high == pytest.approx(5 * 1.96**2 / (3 + 1.96**2), abs=1e-4)


def test_of_one_track_there_is_no_other_to_be_near() -> None:
    assert audio_distance(np.eye(2), np.eye(2), np.array(["a", "a"]), "").floor is None
    alone = audio_distance(np.array([[0.1]]), np.ones((1, 3)), np.array(["a"]), "")
    assert (alone.value, alone.chance, alone.floor) == (0, 0, None)


def test_features_listen_by_their_z_scored_means(tmp_path: Path, make_dataset: Callable[..., Path]) -> None:
    dataset = Dataset.open(make_dataset(tmp_path / "data", counts=(6, 2, 7)))
    found = open_listener(dataset, "lite/audio")
    assert found.name == "lite/audio"
    means = np.array(
        [each.values.astype(np.float64).mean(axis=0) for each in dataset.features("audio", "lite")]
    )
    expected = (means - means.mean(axis=0)) / means.std(axis=0)
    rows = np.array([9, 3, 14])
    np.testing.assert_allclose(found.embed(rows), expected[rows])


@pytest.mark.parametrize("asked", ["audio", "/audio", "lite/", "lite/a/b", "../audio"])
def test_a_listener_has_a_profile_and_a_feature(
    tmp_path: Path, make_dataset: Callable[..., Path], asked: str
) -> None:
    dataset = Dataset.open(make_dataset(tmp_path / "data", counts=(2, 2, 2)))
    with pytest.raises(BadOptions, match="PROFILE/FEATURE"):
        open_listener(dataset, asked)


def test_features_that_are_not_there(tmp_path: Path, make_dataset: Callable[..., Path]) -> None:
    dataset = Dataset.open(make_dataset(tmp_path / "data", counts=(2, 2, 2)))
    for name in ("vggish", "motion", ".."):  # what is seen is not heard
        with pytest.raises(BadOptions, match="choose one of audio, emotion"):
            FeatureListener(dataset, "lite", name)
    with pytest.raises(BadDataset, match="'paper'"):
        FeatureListener(dataset, "paper", "audio")
