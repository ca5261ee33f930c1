"""Cuts: found to the frame on clips with known ones, and none where nothing is cut."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from model.errors import Mismatch
from model.features.motion import LiteMotion
from model.features.shots import cuts, find_cuts
from model.media.streams import VideoInfo, VideoLimits, VideoRecipe, VideoStreams
from model.media.video import read_video

HEIGHT, WIDTH, FPS = 36, 64, 25
NO_FRAMES = np.zeros((0, 90, 160, 3), np.uint8)

Frames = NDArray[np.uint8]


def streams(motion: Frames, times_s: NDArray[np.float64] | None = None) -> VideoStreams:
    times_s = np.arange(len(motion)) / FPS if times_s is None else times_s
    end_s = float(times_s[-1]) + 1 / FPS if len(times_s) else 0.0
    info = VideoInfo(end_s, WIDTH, HEIGHT, FPS, 0, "raw")
    return VideoStreams(NO_FRAMES, np.zeros(0), motion, times_s, 0.0, end_s, info)


def found(motion: Frames) -> list[int]:
    """First frames of new shots."""
    return np.rint(cuts(streams(motion)) * FPS).astype(int).tolist()


def canvas(seed: int, height: int = 144, width: int = 400) -> NDArray[np.float64]:
    """A large picture with structure at all sizes, as photographs have: amplitude falls with frequency."""
    rng = np.random.default_rng(seed)
    spectrum = np.fft.rfft2(rng.normal(size=(height, width)))
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    field = np.fft.irfft2(spectrum / np.maximum(frequency, 1 / width) ** 1.2, (height, width))
    return rng.uniform(80, 150) + rng.uniform(25, 50) * (field - field.mean()) / field.std()


def shot(seed: int, frames: int, pan_px: float = 0.0, tilt_px: float = 0.0) -> Frames:
    """A window that moves over a canvas by so many pixels a frame."""
    picture, rng = canvas(seed), np.random.default_rng(seed + 1000)
    y0, x0 = rng.integers(0, 40), rng.integers(0, 60)
    out = []
    for i in range(frames):
        y, x = round(y0 + tilt_px * i) % 108, round(x0 + pan_px * i) % 336
        out.append(picture[y : y + HEIGHT, x : x + WIDTH])
    return np.clip(np.stack(out), 0, 255).astype(np.uint8)


def sequence(lengths: list[int], seed: int, noise: float = 0.0) -> tuple[Frames, list[int]]:
    """Shots of these lengths, still or moving, and the first frames of all but the first."""
    rng = np.random.default_rng(seed)
    pans = rng.choice([0.0, 0.5, 1.0, 2.0], len(lengths))
    frames = np.concatenate([shot(seed * 100 + i, n, pans[i]) for i, n in enumerate(lengths)])
    noisy = np.clip(frames + rng.normal(0, noise, frames.shape), 0, 255).astype(np.uint8)
    return noisy, np.cumsum(lengths)[:-1].tolist()


def score(shortest: int, longest: int, noise: float) -> tuple[float, float]:
    """Recall and precision over several clips, to the very frame."""
    hits = known = claimed = 0
    for seed in range(1, 6):
        lengths = np.random.default_rng(seed).integers(shortest, longest + 1, 20).tolist()
        frames, true = sequence(lengths, seed, noise)
        claims = found(frames)
        hits, known, claimed = hits + len(set(true) & set(claims)), known + len(true), claimed + len(claims)
    return hits / known, hits / max(claimed, 1)


@pytest.mark.parametrize("noise", [0.0, 8.0])
@pytest.mark.parametrize(
    ("shortest", "longest", "least_recall"), [(3, 3, 0.95), (4, 8, 0.98), (10, 25, 0.98), (25, 60, 0.98)]
)
def test_cuts_are_found_to_the_frame(shortest: int, longest: int, least_recall: float, noise: float) -> None:
    recall, precision = score(shortest, longest, noise)
    assert recall >= least_recall
    assert precision >= 0.98


def test_two_cuts_two_frames_apart_are_two() -> None:
    frames = np.concatenate([shot(1, 20), shot(2, 2), shot(3, 20)])
    assert found(frames) == [20, 22]


def test_the_limit_where_every_shot_has_two_frames() -> None:
    """Stated in the module: most are found, and nothing else is claimed."""
    recall, precision = score(2, 2, 0.0)
    assert recall > 0.65
    assert precision > 0.95


def flash(frames: Frames, at: int, length: int, level: int = 255) -> Frames:
    lit = frames.copy()
    lit[at : at + length] = level
    return lit


def dissolve(frames: int) -> Frames:
    """One picture turns into another over the middle `frames`."""
    old, new = shot(5, 1)[0].astype(float), shot(6, 1)[0].astype(float)
    part = np.concatenate([np.zeros(20), np.linspace(0, 1, frames), np.ones(20)])[:, None, None]
    return np.rint(old * (1 - part) + new * part).astype(np.uint8)


def faded(frames: int) -> Frames:
    """Out to black, then in again."""
    part = np.concatenate([np.ones(20), np.linspace(1, 0, frames), np.linspace(0, 1, frames), np.ones(20)])
    return np.rint(shot(7, 1) * part[:, None, None]).astype(np.uint8)


def shaking(pixels: int) -> Frames:
    """A hand-held camera: the window jumps by up to so many pixels every frame."""
    picture, rng = canvas(8), np.random.default_rng(8)
    offsets = 40 + rng.integers(-pixels, pixels + 1, (80, 2))
    return (
        np.stack([picture[y : y + HEIGHT, x : x + WIDTH] for y, x in offsets]).clip(0, 255).astype(np.uint8)
    )


def jolt() -> Frames:
    """Still, then once 4 pixels aside (1/16 of the width), then still."""
    picture = canvas(9).clip(0, 255).astype(np.uint8)
    return np.stack([picture[30 : 30 + HEIGHT, x : x + WIDTH] for x in [20] * 30 + [24] * 30])


def lamp() -> Frames:
    """The same picture, at once half as bright."""
    part = np.concatenate([np.ones(30), np.full(30, 0.5)])[:, None, None]
    return np.rint(shot(10, 1) * part).astype(np.uint8)


@pytest.mark.parametrize(
    "frames",
    [
        np.full((60, HEIGHT, WIDTH), 77, np.uint8),
        np.random.default_rng(0).integers(0, 256, (60, HEIGHT, WIDTH), dtype=np.uint8),
        flash(shot(1, 60), 30, 1),
        flash(shot(1, 60, pan_px=1.0), 30, 3),
        flash(shot(2, 60), 20, 2, level=0),
        dissolve(12),
        dissolve(25),
        faded(10),
        faded(25),
        shot(3, 65, pan_px=4.0),
        shot(4, 60, pan_px=2.0, tilt_px=1.0),
        np.repeat(shot(3, 40, pan_px=4.0), 2, axis=0),
        np.repeat(shot(3, 30, pan_px=4.0), 3, axis=0),
        shaking(2),
        shaking(5),
        np.repeat(shaking(4), 2, axis=0),
        jolt(),
        lamp(),
        shot(1, 1),
        shot(1, 2),
    ],
    ids=[
        *("constant", "noise", "flash", "long flash over a pan", "black frames", "dissolve", "slow dissolve"),
        *(
            "fade",
            "slow fade",
            "pan",
            "pan and tilt",
            "pan on twos",
            "pan on threes",
            "shaking",
            "shaking hard",
            "shaking on twos",
            "jolt",
            "lamp",
        ),
        *("one frame", "two frames"),
    ],
)
def test_no_cut_where_nothing_is_cut(frames: Frames) -> None:
    assert found(frames) == []


def test_plain_cards_are_told_apart_by_their_light() -> None:
    cards = [np.full((15, HEIGHT, WIDTH), level, np.uint8) for level in (20, 230, 90)]
    assert found(np.concatenate(cards)) == [15, 30]


def test_a_cut_under_a_flash_is_one_cut() -> None:
    frames = flash(np.concatenate([shot(1, 30), shot(2, 30)]), 29, 1)
    assert len(found(frames)) == 1


def test_two_frames_cut_are_a_cut() -> None:
    assert found(np.concatenate([shot(1, 1), shot(2, 1)])) == [1]


def test_times_are_presentation_times_at_any_frame_rate() -> None:
    frames, true = sequence([20, 13, 30], 3)
    times_s = 7.0 + np.cumsum(np.random.default_rng(1).uniform(0.02, 0.06, len(frames)))
    np.testing.assert_array_equal(cuts(streams(frames, times_s)), times_s[true])


@pytest.mark.parametrize("gain", [0.5, 1.4])
def test_neither_gain_nor_mirror_moves_a_cut(gain: float) -> None:
    frames, true = sequence([20, 9, 15, 30], 4)
    assert found(np.clip(np.rint(frames * gain), 0, 255).astype(np.uint8)) == true
    assert found(frames[:, :, ::-1]) == true


def test_extractors_and_cuts_share_one_look_at_the_motion(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int] = []

    def noting(grey: NDArray[np.float32], times_s: NDArray[np.float64]) -> tuple[object, object]:
        looks.append(len(grey))
        return find_cuts(grey, times_s)

    monkeypatch.setattr("model.features.shots.find_cuts", noting)
    video = streams(sequence([20, 13], 3)[0])
    LiteMotion()(video)
    assert cuts(video) * FPS == pytest.approx([20])
    assert looks == [33]
    assert cuts(streams(sequence([13, 20], 3)[0])) * FPS == pytest.approx([13])  # not another video's


def test_without_the_motion_stream_there_is_an_error_that_says_so() -> None:
    with pytest.raises(Mismatch, match="motion"):
        cuts(streams(np.zeros((0, 0, 0), np.uint8), np.zeros(0)))


@pytest.mark.parametrize(
    ("clip", "expected_s"),
    [
        ("synthetic_ads/hat_01.mp4", [1.667, 3.267, 4.867, 6.467]),  # slides every 1.6 s, seen by eye
        ("synthetic_ads/shorts_07.mp4", [1.667, 3.267, 4.867, 6.467]),
        ("media/vp9/roadtrip-vp92-10bit.webm", [1.752, 2.878]),  # two landscapes, seen by eye
        ("decord/corrupted.mp4", []),
        ("decord/examples/flipping_a_pancake.mkv", []),
        ("torchcodec/av1_video.mkv", []),
    ],
)
def test_real_clips(shared_data: Path, clip: str, expected_s: list[float]) -> None:
    video = read_video(shared_data / "video" / clip, VideoRecipe(), VideoLimits())
    np.testing.assert_allclose(cuts(video), expected_s, atol=0.021)


@pytest.mark.parametrize(
    ("clip", "most"),
    [
        ("imageio-binaries/cockatoo.mp4", 2),  # no cut: dropped frames, a bird that fills the picture
        ("mmaction2/demo/demo_spatiotemporal_det.mp4", 3),  # one true jump: by hand, 6 frames a second
    ],
)
def test_the_hardest_real_clips_give_few_false_cuts(shared_data: Path, clip: str, most: int) -> None:
    assert len(cuts(read_video(shared_data / "video" / clip, VideoRecipe(), VideoLimits()))) <= most


def test_shots_that_are_set_up_alike_are_told_apart_by_their_detail() -> None:
    """The same light and the same large shapes over another fine pattern."""
    base = shot(11, 1)[0].astype(float)
    patterns = [np.clip(base + np.random.default_rng(k).normal(0, 12, base.shape), 0, 255) for k in range(3)]
    assert found(np.repeat(np.stack(patterns).astype(np.uint8), 20, axis=0)) == [20, 40]


def test_a_title_that_pops_up_is_no_cut() -> None:
    frames = shot(12, 60)
    frames[30:, 26:32, 8:40] = np.where(np.arange(32) % 4 < 2, 250, 20)
    assert found(frames) == []
