"""What a segment takes of a track's sequences; the same file gives the same bits in any company."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from index_builder.build import BuildJob, BuildReport, build
from index_builder.embed import TrackTask, TrackVectors, embed_track
from index_builder.reader import Skipped
from index_builder.snapshot import Snapshot
from model.backbones.loaded import Backbones
from model.features.profiles import load_profile
from model.features.sequence import Sequence
from model.features.sound import Sound
from model.grid import Grid
from model.media.audio import read_audio


def task(path: Path, tmp_path: Path, bundle: Path, **stored: Sequence) -> TrackTask:
    return TrackTask(
        path, path.name, "ab" * 32, bundle, Backbones(tmp_path / "models"), tmp_path / "store", stored
    )


def test_embedding_is_the_tower_of_the_features(tmp_path: Path, pool: Path, bundle: Path) -> None:
    """By hand from the parts: decode, extract, cut, embed."""
    from model.bundle import Bundle

    found = embed_track(task(pool / "high.wav", tmp_path, bundle))
    assert isinstance(found, TrackVectors)
    sound = Sound(read_audio(pool / "high.wav", 22_050), 22_050)
    segments_s = Grid().segments(26.0)
    assert np.array_equal(found.segments_s, segments_s)
    music = {name: one(sound, segments_s) for name, one in load_profile("lite").music.items()}
    audio, mood = music["audio"], music["emotion"]
    inputs = [
        {
            "audio": audio.between(start_s, end_s),
            "emotion": Sequence(mood.values[k : k + 1], mood.times_s[k : k + 1]),
        }
        for k, (start_s, end_s) in enumerate(segments_s)
    ]
    assert np.array_equal(found.embeddings, Bundle.open(bundle).embed_music(inputs))
    assert set(found.computed) == {"audio", "emotion", "facts"}


def test_what_is_stored_is_not_computed(tmp_path: Path, pool: Path, bundle: Path) -> None:
    """The path leads nowhere: nothing may be decoded once all is there."""
    first = embed_track(task(pool / "low.wav", tmp_path, bundle))
    assert isinstance(first, TrackVectors)
    again = embed_track(task(tmp_path / "nowhere.wav", tmp_path, bundle, **first.computed))
    assert isinstance(again, TrackVectors)
    assert again.computed == {}
    assert np.array_equal(again.embeddings, first.embeddings)
    assert again.facts == first.facts


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "empty_body"),
        (b"this is no music", "not_media"),
        (b"RIFF\x24\0\0\0WAVEfmt ", None),
        (None, "not_readable"),
    ],
)
def test_a_bad_file_is_skipped_with_its_reason(
    tmp_path: Path, bundle: Path, content: bytes | None, code: str | None
) -> None:
    path = tmp_path / "bad.wav"
    if content is not None:
        path.write_bytes(content)
    found = embed_track(task(path, tmp_path, bundle))
    assert isinstance(found, Skipped)
    assert code in (None, found.code)
    assert found.reason


def test_a_blip_is_no_track(tmp_path: Path, bundle: Path, tone: Callable[..., Path]) -> None:
    found = embed_track(task(tone(tmp_path / "blip.wav", 0.4, 440.0, 1.0), tmp_path, bundle))
    assert isinstance(found, Skipped)
    assert found.code == "too_short"


def test_a_track_is_the_same_in_any_pool_and_any_process(
    tmp_path: Path, pool: Path, bundle: Path, built: tuple[Path, BuildReport]
) -> None:
    """Not the batch, not the order, not the number of workers."""
    (tmp_path / "alone").mkdir()
    (tmp_path / "alone" / "high.wav").write_bytes((pool / "high.wav").read_bytes())
    report = build(BuildJob(tmp_path / "alone", tmp_path / "store", bundle, processes=1), lambda _: None)
    alone = Snapshot.open(tmp_path / "store", report.snapshot)
    among = Snapshot.open(built[0], built[1].snapshot)
    track = among.catalogue.row_of("high")
    rows = slice(among.first_segment[track], among.first_segment[track + 1])
    assert np.array_equal(alone.embeddings, among.embeddings[rows])
