"""From events to pairs: the last word counts, what is missing is said, and no video is in two splits."""

import csv
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.artifact import sha256_of
from model.datasets.feedback import FeedbackReport, Music, dataset_from_feedback, verdicts
from model.datasets.table import Dataset
from model.errors import BadDataset
from model.media.encode import VideoWriter, write_audio


@dataclass(frozen=True)
class Said:
    event: str
    at: str = "2026-03-01T12:00:00.000+00:00"
    track_id: str = "m0"
    video_sha256: str | None = "v"
    start_s: float | None = None
    snapshot: str | None = None


def last(*events: Said) -> tuple[str, float | None]:
    (verdict,) = verdicts(events)
    return verdict.said, verdict.start_s


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([Said("played")], ("played", None)),
        ([Said("rejected"), Said("played")], ("rejected", None)),
        ([Said("rejected"), Said("exported", start_s=3)], ("exported", 3)),
        ([Said("exported", start_s=3), Said("rejected")], ("rejected", None)),
        ([Said("exported", start_s=3), Said("kept")], ("kept", 3)),
        ([Said("exported", start_s=3), Said("exported", start_s=5)], ("exported", 5)),
        ([Said("kept", start_s=3), Said("exported", start_s=5)], ("kept", 3)),
        ([Said("kept"), Said("exported", start_s=5)], ("kept", 5)),
        ([Said("exported", start_s=3), Said("rejected"), Said("favourited")], ("favourited", None)),
        ([Said("favourited", start_s=1), Said("played", start_s=9)], ("favourited", 1)),
        ([Said("kept", "2026-03-02", start_s=2), Said("rejected", "2026-03-01")], ("kept", 2)),
    ],
)
def test_the_last_word_counts(events: list[Said], expected: tuple[str, float | None]) -> None:
    assert last(*events) == expected


def slow(events: list[Said]) -> str:
    """Another way to say it: what stands after the last rejection, the strongest of it."""
    words = [one.event for one in sorted(events, key=lambda one: one.at)]
    if "rejected" in words:
        behind = words[len(words) - words[::-1].index("rejected") :]
        told = [word for word in behind if word != "played"]
        return max(told, key=("favourited", "exported", "kept").index) if told else "rejected"
    return max(words, key=("played", "favourited", "exported", "kept").index)


EVENTS = ("played", "rejected", "favourited", "exported", "kept")


@given(st.lists(st.tuples(st.sampled_from(EVENTS), st.integers(0, 9), st.sampled_from("ab")), max_size=12))
def test_every_track_under_every_video_has_one_verdict(drawn: list[tuple[str, int, str]]) -> None:
    events = [Said(event, f"2026-03-0{day}", track) for event, day, track in drawn]
    found = {one.track_id: one.said for one in verdicts(events)}
    tracks = {track for _, _, track in drawn}
    assert found == {track: slow([one for one in events if one.track_id == track]) for track in tracks}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """videos/hats/cut0..3.mp4 of 1 s and more, videos/top.mp4, and music/m0..2.wav of 6 s."""
    folder = tmp_path_factory.mktemp("shop")
    (folder / "videos" / "hats").mkdir(parents=True)
    (folder / "music").mkdir()
    rng = np.random.default_rng(0)
    for i, name in enumerate(("hats/cut0", "hats/cut1", "hats/cut2", "hats/cut3", "top")):
        with VideoWriter(folder / "videos" / f"{name}.mp4", 64, 48, 10) as video:
            for _ in range(10 + i):
                video.write(np.full((48, 64, 3), 40 * i, np.uint8))
    for i in range(3):
        sound = rng.normal(0, 0.1, 48_000).astype(np.float32)
        write_audio(folder / "music" / f"m{i}.wav", sound, 8_000, codec="wav")
    return folder


def sha(shop: Path, name: str) -> str:
    return sha256_of(shop / "videos" / f"{name}.mp4")


def used(shop: Path, video: str, track: str, **more: Any) -> Said:
    told = {"event": "exported", "start_s": 1.0} | more
    return Said(track_id=track, video_sha256=sha(shop, video), **told)


def made(shop: Path, out: Path, events: list[Said], **more: Any) -> FeedbackReport:
    def find(track_id: str, snapshot: str | None) -> list[Music]:
        path = shop / "music" / f"{track_id}.wav"
        known = {"m0", "m1", "m2", "gone", "changed"}
        digest = sha256_of(path) if path.is_file() else "0"
        if track_id == "changed":
            return [Music(shop / "music" / "m0.wav", "0" * 64)]
        return [Music(shop / "elsewhere" / path.name, digest), Music(path, digest)] * (track_id in known)

    given: dict[str, Any] = {"mapping": None, "favourited": False, "track_disjoint": False} | more
    return dataset_from_feedback(
        events, out, videos=shop / "videos", find=find, progress=lambda done, of: None, **given
    )


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_what_was_used_is_a_dataset_and_the_rest_is_listed(shop: Path, tmp_path: Path) -> None:
    events = [
        used(shop, "hats/cut0", "m0", event="kept", start_s=2.5),
        used(shop, "hats/cut1", "m1"),
        used(shop, "top", "m2"),
        used(shop, "hats/cut0", "m1", event="rejected", start_s=None),
        used(shop, "hats/cut0", "m2", event="played"),
        used(shop, "hats/cut1", "m0", event="favourited"),
        used(shop, "hats/cut1", "m2", start_s=None),
        used(shop, "hats/cut2", "unknown"),
        used(shop, "hats/cut2", "gone"),
        used(shop, "hats/cut2", "changed"),
        used(shop, "hats/cut3", "m0", start_s=60.0),
        replace(used(shop, "top", "m0"), video_sha256="f" * 64),
        replace(used(shop, "top", "m1"), video_sha256=None),
    ]
    out = tmp_path / "out"
    report = made(shop, out, events)
    assert (report.events, report.unnamed, report.prepared.kept, report.negatives) == (13, 1, 3, 1)
    reasons = [(one.verdict.track_id, one.verdict.said, one.reason, one.lost) for one in report.left_out]
    assert sorted((track, said, reason.split()[0], lost) for track, said, reason, lost in reasons) == [
        ("changed", "exported", "the", True),
        ("gone", "exported", "the", True),
        ("m0", "exported", "start_s", True),  # behind the end of the music
        ("m0", "exported", "the", True),  # under a video that is not there
        ("m0", "favourited", "only", False),
        ("m2", "exported", "no", True),
        ("m2", "played", "only", False),
        ("unknown", "exported", "no", True),
    ]
    said = " ".join(reason for *_, reason, _ in reasons)
    for words in ("another one now", "none of the pools", "no file with these bytes", "behind the end"):
        assert words in said
    assert report.lost == 6
    pairs = Dataset.open(out).pairs
    found = zip(pairs["video_path"], pairs["music_path"], pairs["start_s"], pairs["category"], strict=True)
    assert sorted((Path(v).name, Path(m).name, s, c) for v, m, s, c in found) == [
        ("cut0.mp4", "m0.wav", 2.5, "hats"),
        ("cut1.mp4", "m1.wav", 1.0, "hats"),
        ("top.mp4", "m2.wav", 1.0, "videos"),
    ]
    (rejected,) = rows(out / "negatives.csv")
    assert (out / rejected["video"]).samefile(shop / "videos/hats/cut0.mp4")
    assert (out / rejected["music"]).samefile(shop / "music/m1.wav")
    assert rejected["start_s"] == ""
    assert len(rows(out / "left_out.csv")) == len(report.left_out) == 8


def test_no_video_is_in_two_splits(shop: Path, tmp_path: Path) -> None:
    names = ("hats/cut0", "hats/cut1", "hats/cut2", "hats/cut3", "top")
    events = [used(shop, name, track, start_s=1.0) for name in names for track in ("m0", "m1")]
    made(shop, tmp_path / "out", events)
    pairs = Dataset.open(tmp_path / "out").pairs
    splits: dict[str, set[str]] = {}
    for video, split in zip(pairs["video_path"], pairs["split"], strict=True):
        splits.setdefault(str(video), set()).add(str(split))
    assert len(splits) == 5
    assert all(len(one) == 1 for one in splits.values())
    assert set().union(*splits.values()) == {"train", "evaluation"}  # although all videos share both tracks
    made(shop, tmp_path / "apart", events, track_disjoint=True)
    assert len(set(Dataset.open(tmp_path / "apart").pairs["split"].tolist())) == 1


def test_favourites_are_pairs_if_that_is_wanted(shop: Path, tmp_path: Path) -> None:
    events = [used(shop, "top", "m0"), used(shop, "top", "m1", event="favourited")]
    assert made(shop, tmp_path / "plain", events).prepared.kept == 1
    assert made(shop, tmp_path / "more", events, favourited=True).prepared.kept == 2


def test_a_mapping_gives_categories(shop: Path, tmp_path: Path) -> None:
    (tmp_path / "mapping.csv").write_text("tag,category\nhats,clothing\n")
    made(shop, tmp_path / "out", [used(shop, "hats/cut0", "m0")], mapping=tmp_path / "mapping.csv")
    pairs = Dataset.open(tmp_path / "out").pairs
    assert (pairs["category"].tolist(), pairs["tag"].tolist()) == (["clothing"], ["hats"])


@pytest.mark.parametrize(
    ("events", "sentence"),
    [
        ([], "no feedback yet"),
        ([Said("kept", video_sha256=None)], "send video_sha256"),
        ([Said("played")], "none was exported or kept"),
        ([Said("kept")], "no start_s"),
    ],
)
def test_nothing_to_learn_from_is_said(shop: Path, tmp_path: Path, events: list[Said], sentence: str) -> None:
    with pytest.raises(BadDataset, match=sentence):
        made(shop, tmp_path / "out", events)
    assert not (tmp_path / "out").exists()
