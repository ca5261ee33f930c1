"""What fewer bits change: features a known turn or noise away, and real extractors on small networks."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from model.backbones.loaded import LoadedBackbone
from model.backbones.quantise import cosines
from model.datasets.extract import extract_features
from model.datasets.layout import Layout, write_features
from model.datasets.table import Dataset, Ragged, features_folder, write_dataset
from model.errors import BadDataset
from model.evaluation.bits import compared, measure, work_of
from model.evaluation.closed_form import found_in_ten
from model.features.extractors import Profile
from model.features.paper import profile as paper
from model.features.sequence import Sequence
from model.media.encode import VideoWriter, write_audio

INPUTS = {"frames": "inception-v3", "audio": "ast"}
WIDTH = 6


def slow_cosine(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    dot = sum(float(x) * float(y) for x, y in zip(a, b, strict=True))
    sizes = [sum(float(x) ** 2 for x in side) ** 0.5 for side in (a, b)]
    return dot / (sizes[0] * sizes[1])


def test_cosines_are_of_rows() -> None:
    a, b = np.random.default_rng(0).standard_normal((2, 7, 5)).astype(np.float32)
    np.testing.assert_allclose(cosines(a, b), [slow_cosine(x, y) for x, y in zip(a, b, strict=True)])
    zero = np.zeros((1, 5), np.float32)
    assert cosines(zero, zero).tolist() == [1.0]
    assert cosines(zero, b[:1]).tolist() == cosines(b[:1], zero).tolist() == [0.0]
    assert cosines(zero[:0], zero[:0]).shape == (0,)


@dataclass(frozen=True)
class World:
    """Pairs whose sides share a hidden vector, and where their datasets are written."""

    folder: Path
    splits: NDArray[np.str_]
    offsets: NDArray[np.int64]
    frames: NDArray[np.float32]
    audio: NDArray[np.float32]

    def write(self, name: str, frames: NDArray[Any], audio: NDArray[Any]) -> Dataset:
        place, n = self.folder / name, len(self.splits)
        ids = np.array([f"p{i:03d}" for i in range(n)])
        text = dict.fromkeys(("category", "tag", "video_path", "music_path"), np.full(n, ""))
        times = dict.fromkeys(("length_s", "start_s"), np.zeros(n))
        own = {"pair_id": ids, "track_id": ids, "group": ids, "split": self.splits}
        write_dataset(place, {"kind": "features"}, {**text, **times, **own})
        features = {
            key: Ragged(
                values.astype(np.float32), np.arange(self.offsets[-1], dtype=np.float64), self.offsets
            )
            for key, values in (("frames", frames), ("audio", audio))
        }
        write_features(place, ids, "paper", Layout(("frames",), ("audio",)), features, None, {})
        return Dataset.open(place)


@pytest.fixture
def world(tmp_path: Path) -> Callable[..., World]:
    """`world(train, evaluation, test)`: pairs of 1 to 4 rows a side."""

    def make(*counts: int) -> World:
        rng = np.random.default_rng(5)
        n = sum(counts)
        lengths = rng.integers(1, 5, n)
        hidden = np.repeat(rng.standard_normal((n, 3)), lengths, axis=0)
        sides = [
            hidden @ rng.standard_normal((3, WIDTH)) + 0.5 * rng.standard_normal((len(hidden), WIDTH)) + 1
            for _ in range(2)
        ]
        offsets = np.cumsum([0, *lengths], dtype=np.int64)
        splits = np.repeat(["train", "evaluation", "test"], counts)
        return World(tmp_path, splits, offsets, *(side.astype(np.float32) for side in sides))

    return make


def turned_by(rows: NDArray[np.float32], angle: float) -> NDArray[np.float32]:
    """Every plane of two neighbouring columns turned: each row's cosine to itself is that of the angle."""
    c, s = np.cos(angle), np.sin(angle)
    turn = np.kron(np.eye(WIDTH // 2), [[c, -s], [s, c]])
    return (rows @ turn).astype(np.float32)


def test_a_known_turn_is_measured(world: Callable[..., World]) -> None:
    made = world(60, 10, 30)
    full = made.write("full", made.frames, made.audio)
    angle = np.arccos(0.97)
    halfway = made.audio.copy()
    halfway[::2] = turned_by(halfway[::2], angle)
    fewer = made.write("fewer", turned_by(made.frames, angle), halfway)
    report = compared(full, fewer, "paper", "int8", INPUTS)
    frames, audio = report.turned
    assert (frames.network, audio.network) == ("inception-v3", "ast")
    assert frames.rows == audio.rows == made.offsets[-1]
    assert (frames.mean, frames.least) == pytest.approx((0.97, 0.97), abs=1e-6)
    share = len(halfway[::2]) / len(halfway)
    assert (audio.mean, audio.least) == pytest.approx((0.97 * share + 1 - share, 0.97), abs=1e-6)
    assert report.refused is not None
    assert "inception-v3 turns to a mean cosine of 0.9700" in report.refused


def test_the_same_features_change_nothing(world: Callable[..., World]) -> None:
    made = world(60, 10, 30)
    full, fewer = (made.write(name, made.frames, made.audio) for name in ("full", "fewer"))
    report = compared(full, fewer, "paper", "int8", INPUTS)
    assert [(each.mean, each.least) for each in report.turned] == [pytest.approx((1, 1))] * 2
    found = report.retrieved
    assert found is not None
    assert (found.split, found.pairs, found.fp32) == ("test", 30, found.fewer)
    assert (found.change.value, found.change.low, found.change.high) == (0, 0, 0)
    assert (report.refused, report.notes) == (None, ())


def test_lost_recall_is_that_of_each_precision_s_own_form_and_refused(world: Callable[..., World]) -> None:
    """Offsets far larger than what the sides share: the vectors hardly turn, and nothing is found."""
    made = world(60, 10, 40)
    noise = np.random.default_rng(1).standard_normal(made.frames.shape)
    full = made.write("full", made.frames + 500, made.audio)
    fewer = made.write("fewer", 500 + noise, made.audio)
    report = compared(full, fewer, "paper", "int8", INPUTS)
    assert min(each.mean for each in report.turned) > 0.9999
    found = report.retrieved
    assert found is not None
    hits = [found_in_ten(each, "paper", "test") for each in (full, fewer)]
    for direction in (0, 1):
        assert found.fp32[direction] == sum(hits[0][direction]) / 40
        assert found.fewer[direction] == sum(hits[1][direction]) / 40
    assert found.change.value == pytest.approx(sum(found.fewer) / 2 - sum(found.fp32) / 2)
    assert found.change.low <= found.change.value <= found.change.high < -0.02
    assert sum(found.fp32) / 2 > 0.6
    assert sum(found.fewer) / 2 < 0.45
    assert report.notes == ()
    assert report.refused is not None
    assert f"R@10 falls by {-found.change.value:.4f} (at most 0.02)" in report.refused


@pytest.mark.parametrize(("seed", "refused", "open_"), [(2, True, True), (3, False, True), (4, False, False)])
def test_a_change_that_luck_may_explain_is_noted(
    world: Callable[..., World], seed: int, refused: bool, open_: bool
) -> None:
    """The bound is one of the figure; what the interval leaves open is said beside it."""
    made = world(60, 0, 40)
    slight = made.frames + 0.2 * np.random.default_rng(seed).standard_normal(made.frames.shape)
    full, fewer = made.write("full", made.frames, made.audio), made.write("fewer", slight, made.audio)
    report = compared(full, fewer, "paper", "int8", INPUTS)
    assert report.retrieved is not None
    change = report.retrieved.change
    assert (change.value < -0.02, change.low < -0.02 <= change.high) == (refused, open_), "choose other seeds"
    assert ("R@10 falls" in (report.refused or "")) == refused
    assert (report.notes != ()) == open_
    assert all("leave open" in note for note in report.notes)


@pytest.mark.parametrize(
    ("counts", "split", "said"),
    [
        ((60, 30, 0), "evaluation", None),  # nothing is chosen on it
        ((60, 30, 19), "test", "over 19 held-out pairs says nothing"),
        ((60, 0, 20), "test", None),
        ((2, 0, 1), "test", "over 1 held-out pairs says nothing"),
        ((60, 0, 0), None, "only the vectors"),
        ((1, 0, 30), None, "only the vectors"),
    ],
)
def test_what_a_split_cannot_say_is_noted(
    world: Callable[..., World], counts: tuple[int, int, int], split: str | None, said: str | None
) -> None:
    made = world(*counts)
    full, fewer = (made.write(name, made.frames, made.audio) for name in ("full", "fewer"))
    report = compared(full, fewer, "paper", "fp16", INPUTS)
    assert (report.retrieved.split if report.retrieved else None) == split
    assert (said is None and report.notes == ()) or (said is not None and said in report.notes[0])
    assert report.refused is None


def test_features_of_other_media_are_refused(world: Callable[..., World]) -> None:
    made = world(10, 0, 5)
    full = made.write("full", made.frames, made.audio)
    longer = replace(made, offsets=np.arange(0, 16 * 3, 3))
    rows = np.ones((45, WIDTH))
    with pytest.raises(BadDataset, match=r"other numbers of vectors.* put them back"):
        compared(full, longer.write("longer", rows, rows), "paper", "int8", INPUTS)
    pairs = full.pairs | {"pair_id": full.pairs["pair_id"][::-1]}
    for other in (pairs, {name: column[1:] for name, column in full.pairs.items()}):
        with pytest.raises(BadDataset, match=r"in one precision only.* put them back"):
            compared(full, replace(full, pairs=other), "paper", "int8", INPUTS)


class Small:
    """A network: 60 means of each item through a fixed random matrix, and a little of another one."""

    def __init__(self, width: int, noise: float) -> None:
        rng = np.random.default_rng(width)
        self.matrix = rng.standard_normal((60, width)) + noise * rng.standard_normal((60, width))
        self.items = 0

    def __call__(self, x: NDArray[Any]) -> NDArray[np.float32]:
        self.items += len(x)
        flat = np.asarray(x, np.float64).reshape(len(x), -1)
        flat = np.pad(flat, ((0, 0), (0, -flat.shape[1] % 60))).reshape(len(x), 60, -1).mean(axis=2)
        return np.asarray(flat @ self.matrix, np.float32)


class Loudness:
    """In the place of openSMILE: (n, 2) mean and peak of each segment."""

    name, version, rate_hz, features = "opensmile-emobase", 1, 16_000, ("mean", "peak")

    def __call__(self, sound: Any, segments_s: NDArray[np.float64]) -> Sequence:
        parts = [
            np.abs(sound.samples[slice(*span)]) for span in np.rint(segments_s * self.rate_hz).astype(int)
        ]
        rows = np.array([[part.mean(), part.max()] for part in parts], np.float32)
        return Sequence(rows, segments_s.mean(axis=1))


class Words:
    """In the place of BERT."""

    name, version, features = "chinese-bert-wwm", 1, ("length",)

    def __call__(self, text: str) -> NDArray[np.float32]:
        return np.array([len(text)], np.float32)


def profile_of(precision: str, noise: float) -> tuple[Profile, list[Small]]:
    """The paper's extractors over small networks."""
    networks = [Small(2048, noise), Small(768, noise)]
    ids = [f"{precision}-{i}" for i in range(2)]
    loaded = {
        name: LoadedBackbone(network, weights)
        for name, network, weights in zip(INPUTS.values(), networks, ids, strict=True)
    }
    made = paper(loaded, precision)
    return replace(made, music=made.music | {"emotion": Loudness()}, text=Words()), networks


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four pairs of two tracks, one of them broken."""
    rng = np.random.default_rng(0)
    ids, tracks = np.array(["p0", "p1", "p2", "p3"]), np.array(["a", "a", "b", "b"])
    for i, name in enumerate(ids[:3]):
        with VideoWriter(tmp_path / f"{name}.mp4", 64, 48, 5) as video:
            for _ in range(5):
                video.write(rng.integers(0, 60 * (i + 1), (48, 64, 3), dtype=np.uint8))
    (tmp_path / "p3.mp4").write_text("no picture")
    for i, name in enumerate("ab"):
        samples = 0.1 * (i + 1) * rng.standard_normal(2 * 16_000).clip(-1, 1)
        write_audio(tmp_path / f"{name}.wav", samples.astype(np.float32), 16_000, codec="wav")
    text = dict.fromkeys(("category", "tag"), np.full(4, "food"))
    paths = {"video_path": np.char.add(ids, ".mp4"), "music_path": np.char.add(tracks, ".wav")}
    times = dict.fromkeys(("length_s", "start_s"), np.zeros(4))
    own = {"pair_id": ids, "track_id": tracks, "group": tracks, "split": np.repeat(["train", "test"], 2)}
    write_dataset(tmp_path, {"kind": "prepared"}, {**text, **paths, **times, **own})
    return tmp_path


def bar_that(tell: Callable[[str, int], None]) -> Any:
    @contextmanager
    def bar(label: str) -> Iterator[Callable[[int, int], None]]:
        yield lambda done, _: tell(label, done)

    return bar


quiet = bar_that(lambda label, done: None)


def every_byte(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_both_precisions_are_extracted_apart_from_the_dataset_s_features(folder: Path) -> None:
    before = every_byte(folder)
    (full, _), (fewer, _) = profile_of("fp32", 0), profile_of("int8", 0.02)
    seen: list[str] = []
    bar = bar_that(lambda label, done: seen.append(label))
    report = measure(folder, full, fewer, processes=1, bar=bar)
    assert list(dict.fromkeys(seen)) == ["extracting paper as fp32", "extracting paper as int8"]
    assert every_byte(folder) == before, "nothing is left, and nothing was dropped from the pairs"
    assert not work_of(folder, fewer).exists()
    expected = {}
    for profile in (full, fewer):  # into the dataset itself, as a user would
        extract_features(folder, profile, processes=1, progress=lambda *_: None)
        dataset = Dataset.open(folder)
        expected[profile.precision] = {key: np.array(dataset.features(key, "paper").values) for key in INPUTS}
    for turned, key in zip(report.turned, INPUTS, strict=True):
        pairs = list(zip(expected["fp32"][key], expected["int8"][key], strict=True))
        each = [slow_cosine(a, b) for a, b in pairs]
        assert turned.rows == len(each)
        assert (turned.mean, turned.least) == pytest.approx((np.mean(each), min(each)), abs=1e-9)
        assert 0.99 < turned.least < 1
    assert report.retrieved is not None
    assert report.retrieved.pairs == 1
    assert any(note.startswith("left out: p3: p3.mp4") for note in report.notes)


@pytest.mark.parametrize("here", [0, 1], ids=["fp32", "int8"])
def test_the_dataset_s_own_features_are_used_where_they_fit(folder: Path, here: int) -> None:
    profiles = [profile_of("fp32", 0), profile_of("int8", 0.02)]
    own, _ = profile_of(*[("fp32", 0), ("int8", 0.02)][here])
    extract_features(folder, own, processes=1, progress=lambda *_: None)
    before = every_byte(folder)
    report = measure(folder, profiles[0][0], profiles[1][0], processes=1, bar=quiet)
    assert every_byte(folder) == before
    for i, (_, networks) in enumerate(profiles):
        assert [network.items > 0 for network in networks] == [i != here] * 2
    assert all(0.99 < turned.least < 1 for turned in report.turned)
    assert not any("left out" in note for note in report.notes), "it was, when the user extracted"


def test_a_killed_measurement_goes_on_where_it_was(folder: Path) -> None:
    own, _ = profile_of("fp16", 0.5)  # of neither
    extract_features(folder, own, processes=1, progress=lambda *_: None)
    before = every_byte(folder)
    (full, _), (fewer, networks) = profile_of("fp32", 0), profile_of("int8", 0.02)
    whole = measure(folder, full, fewer, processes=1, bar=quiet)
    everything = networks[0].items

    def kill(label: str, done: int) -> None:
        if "int8" in label and done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure(folder, full, fewer, processes=1, bar=bar_that(kill))
    left = every_byte(folder)
    assert {name: left[name] for name in before} == before
    assert work_of(folder, fewer).exists()
    (full, fp32), (fewer, networks) = profile_of("fp32", 0), profile_of("int8", 0.02)
    assert measure(folder, full, fewer, processes=1, bar=quiet) == whole
    assert [network.items for network in fp32] == [0, 0], "it was finished"
    assert 0 < networks[0].items < everything
    assert every_byte(folder) == before


def test_another_split_or_other_media_begin_anew(folder: Path) -> None:
    (full, _), (fewer, _) = profile_of("fp32", 0), profile_of("int8", 0.02)

    def kill(label: str, done: int) -> None:
        if "int8" in label:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure(folder, full, fewer, processes=1, bar=bar_that(kill))
    dataset = Dataset.open(folder)
    splits = np.array(["train", "train", "evaluation", "evaluation"])
    write_dataset(folder, {"kind": "prepared"}, dataset.pairs | {"split": splits})
    report = measure(folder, full, fewer, processes=1, bar=quiet)
    assert report.retrieved is not None
    assert (report.retrieved.split, report.retrieved.pairs) == ("evaluation", 1)
    assert not work_of(folder, fewer).exists(), "what was begun before is gone too"


def test_media_that_are_gone_since_are_said(folder: Path) -> None:
    (full, _), (fewer, _) = profile_of("fp32", 0), profile_of("int8", 0.02)
    extract_features(folder, full, processes=1, progress=lambda *_: None)
    (folder / "p1.mp4").rename(folder / "gone.mp4")
    with pytest.raises(BadDataset, match="put them back"):
        measure(folder, full, fewer, processes=1, bar=quiet)
    (folder / "gone.mp4").rename(folder / "p1.mp4")
    assert measure(folder, full, fewer, processes=1, bar=quiet).retrieved is not None


def test_a_dataset_without_media_is_refused(folder: Path) -> None:
    dataset = Dataset.open(folder)
    write_dataset(folder, {"kind": "features"}, dataset.pairs | {"video_path": np.full(4, "")})
    (full, _), (fewer, _) = profile_of("fp32", 0), profile_of("int8", 0.02)
    before = every_byte(folder)
    with pytest.raises(BadDataset, match=f"^{folder} has pairs without media"):
        measure(folder, full, fewer, processes=1, bar=quiet)
    assert every_byte(folder) == before


def test_inputs_that_were_added_do_not_make_the_precisions_unlike(folder: Path) -> None:
    own, _ = profile_of("fp32", 0)
    extract_features(folder, own, processes=1, progress=lambda *_: None)
    place = features_folder(folder, "paper")
    for part in ("", ".times", ".offsets"):  # as if `--with rhythm` had been asked for
        (place / f"rhythm{part}.npy").write_bytes((place / f"emotion{part}.npy").read_bytes())
    made = json.loads((place / "features.json").read_text("utf-8"))
    (place / "features.json").write_text(json.dumps(made | {"extras": {"rhythm": "rhythm@1"}}), "utf-8")
    (full, networks), (fewer, _) = profile_of("fp32", 0), profile_of("int8", 0.0)
    found = measure(folder, full, fewer, processes=1, bar=quiet)
    assert networks[0].items == 0
    assert found.retrieved is not None
    assert found.retrieved.fp32 == found.retrieved.fewer
