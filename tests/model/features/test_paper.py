from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame

from model.bundle import recipe_of
from model.errors import NotInstalled
from model.features.extractors import identity
from model.features.lite import profile as lite
from model.features.paper import RECIPE, LoadedBackbone, profile
from model.features.pixels import pixels
from model.features.segments import segment_inputs
from model.features.sound import Sound
from model.grid import Grid
from model.media.audio import read_audio
from model.media.streams import VideoLimits, VideoRecipe
from model.media.video import read_video

WIDTHS = {"inception-v3": 2048, "ast": 768, "chinese-bert-wwm": 768}
IDS = {"inception-v3": "9f0c12ab" + 56 * "0", "ast": "11112222" + 56 * "a", "chinese-bert-wwm": 64 * "b"}


@pytest.fixture
def here(projection) -> dict[str, LoadedBackbone]:
    return {name: LoadedBackbone(projection(width), IDS[name]) for name, width in WIDTHS.items()}


def test_the_profile_is_described_with_nothing_installed():
    paper = profile()
    assert paper.name == "paper"
    assert paper.recipe == VideoRecipe(
        frames_per_s=1.0, min_frames=4, frame_side_px=299, frame_fit="short", motion=False
    )
    assert paper.recipe == RECIPE
    assert [len(each.features) for each in paper.video.values()] == [2048]
    assert [len(each.features) for each in paper.music.values()] == [768, 988]
    assert len(paper.text.features) == 768
    assert (paper.precision, profile(precision="int8").precision) == (None, "int8")
    assert {each.rate_hz for each in paper.music.values()} == {16_000}  # one decode
    assert recipe_of(paper, Grid())["extractors"] == {
        "frames": "inception-v3@1", "audio": "ast@1", "emotion": "opensmile-emobase@1",
        "text": "chinese-bert-wwm@1",
    }  # fmt: skip


def test_an_identity_names_the_weights_that_are_here(here):
    found = recipe_of(profile(here), Grid())["extractors"]
    assert found == {
        "frames": "inception-v3@1.9f0c12ab", "audio": "ast@1.11112222", "emotion": "opensmile-emobase@1",
        "text": "chinese-bert-wwm@1.bbbbbbbb",
    }  # fmt: skip
    assert identity(profile({"ast": here["ast"]}).video["frames"]) == "inception-v3@1"
    known = replace(here["ast"], network=None)
    assert identity(profile({"ast": known}).music["audio"]) == "ast@1.11112222"
    assert all("." not in identity(each) for each in (*lite().video.values(), *lite().music.values()))


def test_what_is_not_here_says_so(here):
    some = profile({name: here[name] for name in ("ast",)})
    sound = Sound(np.zeros(16_000, np.float32), 16_000)
    assert some.music["audio"](sound, np.zeros((0, 2))).values.shape == (1, 768)
    for call in (lambda: some.text("婚纱"), lambda: profile().music["audio"](sound, np.zeros((0, 2)))):
        with pytest.raises(NotInstalled, match="yuyin models pull paper"):
            call()


def write(path: Path, height: int, width: int, aspect: Fraction = Fraction(1), rotation: int = 0) -> Path:
    """5 s of one picture, its left half white."""
    picture = np.zeros((height, width, 3), np.uint8)
    picture[:, : width // 2] = 255
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=5, options={"crf": "1"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv444p"
        stream.codec_context.sample_aspect_ratio = aspect
        if rotation:
            stream.set_display_rotation(rotation)
        for _ in range(25):
            container.mux(stream.encode(VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(
    ("size", "how", "expected"),
    [
        ((360, 640), {}, (299, 532)),
        ((640, 360), {}, (532, 299)),
        ((36, 64), {}, (299, 532)),  # enlarged
        ((299, 299), {}, (299, 299)),
        ((333, 335), {}, (299, 301)),
        ((7, 11), {}, (299, 470)),
        ((64, 800), {}, (299, 1196)),  # of more than 4:1 the ends are left out
        ((288, 352), {"aspect": Fraction(16, 11)}, (299, 532)),
        ((360, 640), {"rotation": 90}, (532, 299)),
    ],
)
def test_frames_come_from_the_decoder_with_their_shorter_side_at_299(tmp_path, size, how, expected):
    """So that only the middle is cut out; the longer side is rounded here, torchvision rounds it down."""
    video = read_video(write(tmp_path / "clip.mp4", *size, **how), RECIPE, VideoLimits(decoder_threads=1))
    assert video.frames.shape[1:] == (*expected, 3)
    assert len(video.frames) >= 4
    assert video.motion.size == 0
    top, left = round((expected[0] - 299) / 2), round((expected[1] - 299) / 2)
    cut = video.frames[:, top : top + 299, left : left + 299]
    assert np.abs(pixels(video.frames) - (cut / 127.5 - 1).transpose(0, 3, 1, 2)).max() < 1e-6


def test_a_real_video_and_a_real_track_give_every_input(here, shared_data):
    pytest.importorskip("opensmile")
    paper = profile(here)
    video = read_video(
        shared_data / "video/sample-videos/bottle-detection.mp4", paper.recipe,
        VideoLimits(decoder_threads=1), end_s=6.0,
    )  # fmt: skip
    seen = {name: extractor(video) for name, extractor in paper.video.items()}
    assert seen["frames"].values.shape == (len(video.frames), 2048)
    path = shared_data / "music/kevin_macleod/fluffing_a_duck.mp3"
    sound = Sound(read_audio(path, 16_000, duration_s=33.0), 16_000)
    segments = Grid().segments(sound.duration_s)
    heard = {name: extractor(sound, segments) for name, extractor in paper.music.items()}
    parts = segment_inputs(heard, segments)
    assert len(parts) == len(segments) == 5
    assert [len(part["audio"].values) for part in parts] == [2, 3, 3, 4, 3]
    assert [len(part["emotion"].values) for part in parts] == [1] * 5
    assert all(np.isfinite(part[name].values).all() for part in parts for name in part)
