"""What a segment takes of a track's sequences; the same file gives the same bits in any company."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

from index_builder.build import BuildJob, BuildReport, _Embedded, build
from index_builder.embed import TrackTask, TrackVectors, embed_track
from index_builder.facts import MeasuredFacts
from index_builder.reader import Skipped
from index_builder.snapshot import Snapshot
from model.backbones.loaded import Backbones
from model.errors import NoAccelerator, NotInstalled
from model.features.profiles import load_profile
from model.features.sequence import Sequence
from model.features.sound import Sound
from model.grid import Grid
from model.media.audio import read_audio
from model.runtime.accelerator import Accelerator


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


@pytest.mark.skipif("CUDAExecutionProvider" in ort.get_available_providers(), reason="made for CPUs")
def test_what_the_machine_lacks_ends_a_build_and_no_file_is_blamed(
    tmp_path: Path,
    pool: Path,
    small_ast: Path,
    of_paper: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A GPU that is required, openSMILE: the first track says so, not each in turn."""
    bundle = of_paper(tmp_path / "audio", "audio", models=small_ast)
    gpu = Backbones(small_ast, accelerator=Accelerator("require"))
    with pytest.raises(NoAccelerator, match="a GPU is required"):
        build(BuildJob(pool, tmp_path / "store", bundle, processes=1, backbones=gpu), lambda _: None)
    (tmp_path / "without" / "opensmile").mkdir(parents=True)
    (tmp_path / "without" / "opensmile" / "__init__.py").write_text("raise ModuleNotFoundError")
    monkeypatch.syspath_prepend(tmp_path / "without")
    bundle = of_paper(tmp_path / "emotion", "emotion")
    cpu = Backbones(tmp_path, accelerator=Accelerator("cpu"))
    with pytest.raises(NotInstalled, match="pip install"):
        build(BuildJob(pool, tmp_path / "store", bundle, processes=1, backbones=cpu), lambda _: None)
    assert not (tmp_path / "store" / "CURRENT").exists()


@pytest.mark.skipif("CUDAExecutionProvider" in ort.get_available_providers(), reason="made for CPUs")
@pytest.mark.filterwarnings("ignore:Specified provider 'CUDAExecutionProvider'")
def test_a_gpu_that_does_not_start_is_told_with_the_track(
    tmp_path: Path,
    pool: Path,
    small_ast: Path,
    of_paper: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """onnxruntime lists CUDA and starts without it, in a process whose log nobody reads."""
    listed = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(ort, "get_available_providers", lambda: listed)
    bundle = of_paper(tmp_path / "bundle", "audio", models=small_ast)
    asked = replace(task(pool / "low.wav", tmp_path, bundle), backbones=Backbones(small_ast))
    found = embed_track(asked)
    assert isinstance(found, TrackVectors)
    (said,) = found.warnings
    assert "runs on the CPU: cuda cannot be used" in said
    assert embed_track(replace(asked, stored=found.computed)).warnings == ()


def test_what_workers_warn_of_stands_in_the_report_once() -> None:
    embedded = _Embedded([])
    for one in ("ab", "cd"):
        facts_of = MeasuredFacts(1.0, None, None, None, 0.0)
        vectors = TrackVectors(
            facts_of, np.zeros((1, 2)), np.zeros((1, 8), np.float32), {}, {}, ("on the CPU", one)
        )
        embedded.add(TrackTask(Path(), one, one, Path(), Backbones(Path()), Path(), {}), vectors)
    assert embedded.warnings == {"on the CPU", "ab", "cd"}
