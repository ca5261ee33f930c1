import numpy as np
import pytest

from model.datasets.synth.look import draw_look
from model.datasets.synth.world import AdLatents


def ad(**changes):
    """One ad in the middle of everything, with changes."""
    fields = {
        "category": np.zeros(1, np.int64),
        "tag": np.zeros(1, np.int64),
        "brand": np.zeros(1, np.int64),
        "style": np.zeros((1, 6)),
        "valence": np.zeros(1),
        "arousal": np.zeros(1),
        "log2_cut_rate": np.zeros(1),
    }
    return AdLatents(**(fields | changes))


def style(column, value):
    numbers = np.zeros((1, 6))
    numbers[0, column] = value
    return ad(style=numbers)


def looks(ads, seeds=range(12)):
    return [draw_look(ads, 0, np.random.default_rng(seed)) for seed in seeds]


CUES = {
    "valence": ("palette.saturation", "palette.brightness", "roundness"),
    "arousal": (
        "palette.contrast",
        "pan_px_per_s",
        "zoom_per_s",
        "shake_px",
        "flashes_per_s",
        "grade.contrast",
    ),
    0: ("palette.hue",),
    1: ("texture_contrast",),
    2: ("angle_rad",),
    3: ("cards", "card_cover"),
    4: ("palette.spread", "text_lines"),
    5: ("light", "spot"),
    "log2_cut_rate": ("cuts_per_s",),
}


def value(look, path):
    for name in path.split("."):
        look = getattr(look, name)
    return look


@pytest.mark.parametrize("latent", CUES)
def test_each_latent_moves_its_cues_and_no_others(latent):
    def with_latent(x):
        return style(latent, x) if isinstance(latent, int) else ad(**{latent: np.array([x])})

    low, high = looks(with_latent(-1.5)), looks(with_latent(1.5))
    for path in CUES[latent]:
        for dull, strong in zip(low, high, strict=True):
            still = dull.pan_px_per_s == 0  # a tripod by chance: nothing moves, whatever the arousal
            assert value(dull, path) < value(strong, path) or (still and value(strong, path) == 0)
    for other in set(CUES) - {latent}:
        for path in CUES[other]:
            assert [value(look, path) for look in low] == [value(look, path) for look in high]


def test_cut_rate_is_half_a_cut_a_second_times_octaves():
    assert looks(ad(log2_cut_rate=np.array([2.0])))[0].cuts_per_s == 2.0
    assert looks(ad())[0].cuts_per_s == 0.5


def test_warmth_follows_valence():
    for cold, warm in zip(
        looks(ad(valence=np.array([-1.5]))), looks(ad(valence=np.array([1.5]))), strict=True
    ):
        assert warm.grade.gain[0] - warm.grade.gain[2] > cold.grade.gain[0] - cold.grade.gain[2]


def test_nuisance_covers_dark_grey_static_and_shaken():
    many = looks(ad(), range(300))
    assert sum(look.grade.exposure < 0.7 for look in many) > 15
    assert sum(look.grade.saturation < 0.3 for look in many) > 15
    assert sum(look.pan_px_per_s == 0 for look in many) > 10
    assert sum(look.nuisance.hand_held_px > 0 for look in many) > 40
    assert len({(look.width_px, look.height_px) for look in many}) == 3
