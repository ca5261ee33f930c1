import numpy as np

from model.features.extractors import identity
from model.features.lite import profile
from model.features.profiles import load_profile
from model.features.sound import Sound
from model.grid import Grid
from model.media.streams import VideoRecipe

WIDEST = {"frames": 72, "motion": 32, "audio": 96, "emotion": 48}


def test_the_profile_keeps_its_promises():
    lite = profile()
    assert lite.name == "lite"
    assert lite.recipe == VideoRecipe()
    assert lite.recipe.motion
    extractors = lite.video | lite.music
    assert list(extractors) == list(WIDEST)
    for key, extractor in extractors.items():
        assert 0 < len(extractor.features) <= WIDEST[key]
    assert len(lite.text.features) == 128
    identities = [identity(extractor) for extractor in (*extractors.values(), lite.text)]
    assert len(set(identities)) == 5
    assert all(name.startswith("lite-") for name in identities)


def test_loading_by_name_gives_the_same_extractors():
    assert [identity(x) for x in load_profile("lite").music.values()] == [
        identity(x) for x in profile().music.values()
    ]


def test_music_extractors_share_one_rate_and_take_the_grid():
    music = profile().music
    (rate_hz,) = {extractor.rate_hz for extractor in music.values()}
    sound = Sound((0.1 * np.random.default_rng(9).normal(size=17 * rate_hz)).astype(np.float32), rate_hz)
    segments = Grid().segments(sound.duration_s)
    assert [len(extractor(sound, segments).values) for extractor in music.values()] == [17, len(segments)]
