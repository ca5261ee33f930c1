"""A folder in, the rough cuts that the demo's page offers out: three rendered adverts without sound.

They lie in `model/shipped/cuts` (`make cuts`), so that `yuyin demo` has them without the drawing libraries.
Their seed is none that the shipped bundle was trained or measured on.
"""

from pathlib import Path

import numpy as np

from model.datasets.synth.draw import RENDERED
from model.datasets.synth.look import draw_look
from model.datasets.synth.shots import FPS, draw_frames
from model.datasets.synth.world import draw_ads
from model.media.encode import VideoWriter

SEED, ADS = 7, 400
CRF, PRESET = 27, "veryslow"
# file name, row among the ads of the seed, take, seconds; chosen by eye: quick and lively
# (2.3 cuts a second), calm and upright, dark and cool
CUTS = (
    ("1-quick-and-lively", 156, 0, 15.0),
    ("2-calm-and-upright", 147, 1, 18.0),
    ("3-dark-and-cool", 61, 0, 12.0),
)


def render_cuts(folder: Path) -> None:
    """Write each as an .mp4 of its name; the same bytes with the same encoder."""
    ads = draw_ads(RENDERED, ADS, np.random.default_rng(SEED))
    for name, row, take, duration_s in CUTS:
        rng = np.random.default_rng([SEED, row, take])
        look = draw_look(ads, row, rng)
        with VideoWriter(
            folder / f"{name}.mp4", look.width_px, look.height_px, FPS, crf=CRF, preset=PRESET
        ) as writer:
            for frame in draw_frames(look, duration_s, rng):
                writer.write(frame)


if __name__ == "__main__":
    render_cuts(Path(__file__).parents[2] / "shipped" / "cuts")
