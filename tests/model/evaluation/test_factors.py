"""What is said of a pair, against the numbers that it was rendered from, or that its features hold."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from model.artifact import write_json
from model.datasets.synth.dataset import render_dataset
from model.datasets.synth.draw import RENDERED, draw
from model.datasets.table import Dataset, Ragged, features_folder
from model.evaluation.factors import UNKNOWN, factors_of
from model.features.profiles import load_profile
from model.features.sequence import Sequence

SEED = 5


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rendered") / "data"
    render_dataset(folder, pairs=2, seed=SEED, processes=1, progress=lambda *_: None, test_only=True)
    return folder


def by_name(dataset: Dataset, rows: list[int]) -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
    found = factors_of(dataset, np.array(rows))
    return {factor.name: (factor.picture, factor.music) for factor in found.items}


def number(text: str) -> float:
    return float(text.split()[0].replace("\N{MINUS SIGN}", "-"))


def test_a_rendered_pair_is_described_by_the_numbers_it_was_drawn_with(rendered: Path) -> None:
    dataset, drawn = Dataset.open(rendered), draw(RENDERED, 2, SEED)
    assert "rendered" in factors_of(dataset, np.array([0])).source
    found = by_name(dataset, [1, 0])
    for place, i in enumerate((1, 0)):
        track = drawn.factors[int(drawn.chosen[i])]
        sides = {name: (picture[place], music[place]) for name, (picture, music) in found.items()}
        cuts_per_s = 0.5 * 2 ** drawn.ads.log2_cut_rate[i]
        wanted_bpm = 110 * 2 ** (0.4 * drawn.ads.log2_cut_rate[i])
        assert sides["pace"][0] == f"{cuts_per_s:.2f} cuts/s, asks for {wanted_bpm:.0f} bpm"
        assert sides["pace"][1] == f"{track.tempo_bpm:.0f} bpm"
        assert sides["style"][1] == track.style
        for name, ad, of_track in (
            ("mood", drawn.ads.valence[i], track.valence),
            ("energy", drawn.ads.arousal[i], track.arousal),
        ):
            assert number(sides[name][0]) == pytest.approx(ad, abs=0.0501)
            assert number(sides[name][1]) == pytest.approx(of_track, abs=0.0501)


def test_words_follow_the_sign(rendered: Path, tmp_path: Path) -> None:
    dataset = copied(rendered, tmp_path)
    tracks = json.loads((rendered / "factors.json").read_text("utf-8"))
    for (name, known), (valence, arousal) in zip(tracks.items(), ((-1.2, 0.9), (-0.04, -0.5)), strict=True):
        tracks[name] = known | {"valence": valence, "arousal": arousal}
    write_json(dataset.folder / "factors.json", tracks)
    rows = [dataset.pairs["track_id"].tolist().index(name) for name in tracks]
    found = by_name(dataset, rows)
    assert found["mood"][1] == ("−1.2 dark", "+0.0 neutral")
    assert found["energy"][1] == ("+0.9 lively", "−0.5 calm")


@pytest.mark.parametrize("damage", ["missing", "another track", "another advert"])
def test_falls_back_to_features_rather_than_guess(rendered: Path, tmp_path: Path, damage: str) -> None:
    dataset = copied(rendered, tmp_path)
    match damage:
        case "missing":
            (dataset.folder / "factors.npz").unlink()
        case "another track":
            write_json(dataset.folder / "factors.json", {})
        case _:
            dataset.pairs["pair_id"] = np.array(["mine-1", "mine-2"])
    found = factors_of(dataset, np.array([0, 1]))
    assert found.items == ()  # no features
    assert "neither 'lite' features to read them from nor the numbers" in found.source


def test_a_prepared_pair_is_described_by_its_features(
    tmp_path: Path, make_dataset: Callable[..., Path]
) -> None:
    dataset = Dataset.open(make_dataset(tmp_path / "data", counts=(0, 0, 2)))
    put(dataset, "motion", {"cut_count": np.log2([1.0, 3.0, 2.0]), "motion_mean": np.log2([2.0, 4.0, 6.0])})
    put(dataset, "frames", {"luma_p50": [0.25, 0.75]})
    put(
        dataset,
        "emotion",
        {
            "tempo_oct": [-1.0, 0.0, 0.0],
            "onset_rate_log2": np.log2([3.0, 4.0, 5.0]),
            "majorness": [-0.3, -0.1, -0.2],
            "loudness_lufs": [-14.0, -16.0, -15.0],
        },
    )
    cuts_per_s = 3 / dataset.pairs["length_s"][1]  # the rows hold 0, 2 and 1 cuts
    found = by_name(dataset, [1])
    assert found["pace"] == ((f"{cuts_per_s:.2f} cuts/s",), ("120 bpm",))
    assert found["activity"] == (("3.0 grey levels in 0.1 s",), ("3.0 onsets/s",))
    assert found["light and mode"] == (("50 % brightness",), ("minor (−0.20)",))
    assert found["loudness"] == ((UNKNOWN,), ("−15 LUFS",))


def test_features_of_another_width_are_not_read(tmp_path: Path, make_dataset: Callable[..., Path]) -> None:
    dataset = Dataset.open(make_dataset(tmp_path / "data", counts=(0, 0, 2)))  # 9 columns instead of 67
    assert by_name(dataset, [0, 1]) == {}


def test_a_factor_of_which_nothing_is_known_is_left_out(
    tmp_path: Path, make_dataset: Callable[..., Path]
) -> None:
    dataset = Dataset.open(make_dataset(tmp_path / "data", counts=(0, 0, 2)))
    put(dataset, "frames", {"luma_p50": [0.25, 0.75]})
    found = factors_of(dataset, np.array([0, 1]))
    assert "measured" in found.source
    assert [(each.name, each.music) for each in found.items] == [("light and mode", (UNKNOWN, UNKNOWN))]


def put(dataset: Dataset, source: str, columns: dict[str, list[float]]) -> None:
    """Write features of the extractor's own width, zero but for some columns, the same for every pair."""
    profile = load_profile("lite")
    names = (profile.video | profile.music)[source].features
    count = len(next(iter(columns.values())))
    rows = np.zeros((count, len(names)), np.float32)
    for name, values in columns.items():
        rows[:, names.index(name)] = values
    sequences = [Sequence(rows, np.arange(count) + 0.5) for _ in range(len(dataset))]
    Ragged.stack(sequences).write(features_folder(dataset.folder, "lite"), source)


def copied(rendered: Path, tmp_path: Path) -> Dataset:
    """The dataset without its media."""
    folder = tmp_path / "copy"
    folder.mkdir()
    for path in rendered.iterdir():
        if path.is_file():
            (folder / path.name).write_bytes(path.read_bytes())
    return Dataset.open(folder)
