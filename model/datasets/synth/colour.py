"""Hues and grades in, RGB out: the colours of a rendered advert."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)  # ITU-R BT.709 luma weights

NATURAL_SHARE = 0.2  # of scenes; real footage is a third skin, wood and sand


def _about_1(sigma: float, rng: np.random.Generator) -> float:
    return float(np.exp(rng.normal(0, sigma)))


def hsv_to_rgb(hue: ArrayLike, saturation: ArrayLike, value: ArrayLike) -> NDArray[np.float32]:
    """Colours of hue (turns), saturation and value (0..1), broadcast: (..., 3) float32 in 0..1."""
    h, s, v = np.broadcast_arrays(hue, saturation, value)
    phase = (np.asarray(h)[..., None] * 6 + np.array([5, 3, 1])) % 6
    dip = np.clip(np.minimum(phase, 4 - phase), 0, 1)
    return np.asarray(np.asarray(v)[..., None] * (1 - np.asarray(s)[..., None] * dip), np.float32)


@dataclass(frozen=True, slots=True)
class Grade:
    """What the colourist did: linear gain per channel, then saturation, contrast, gamma, exposure."""

    gain: tuple[float, float, float]
    saturation: float
    contrast: float  # about mid grey
    gamma: float
    exposure: float
    headroom: int  # levels left free at both ends, so that grain can be added without wrapping round

    def apply(self, rgb: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Grade (..., 3) float32 in 0..1 to uint8 in headroom .. 255 - headroom."""
        x: NDArray[np.floating] = rgb * np.asarray(self.gain, np.float32)
        grey = (x @ LUMA)[..., None]
        x = grey + np.float32(self.saturation) * (x - grey)
        x = np.float32(0.5) + np.float32(self.contrast) * (x - np.float32(0.5))
        x = np.clip(x, 0, 1) ** np.float32(self.gamma) * np.float32(self.exposure)
        span = 255 - 2 * self.headroom
        return np.asarray(np.clip(x, 0, 1) * span + (self.headroom + 0.5), np.uint8)


@dataclass(frozen=True, slots=True)
class Palette:
    """The colours of one advert, before grading."""

    hue: float  # turns; of the ground
    spread: float  # 0 one hue, 1 hues all round the circle
    saturation: float
    brightness: float
    contrast: float  # value range of the ground

    def scene(self, rng: np.random.Generator) -> "Palette":
        """The palette of another place: a little off, or now and then the browns of skin, wood and sand."""
        natural = rng.random() < NATURAL_SHARE
        return Palette(
            hue=float(rng.normal(0.08, 0.03) if natural else self.hue + rng.normal(0, 0.04)),
            spread=self.spread,
            saturation=float(
                min(1, rng.uniform(0.2, 0.6) if natural else self.saturation * _about_1(0.25, rng))
            ),
            brightness=float(min(0.95, self.brightness * _about_1(0.2, rng))),
            contrast=self.contrast * _about_1(0.2, rng),
        )

    def ground(self, turn: float = 0.0) -> NDArray[np.float32]:
        """Colour of a texture's level 0..255: (256, 3) float32; `turn` moves all hues along."""
        level = np.linspace(-0.5, 0.5, 256)
        hue = self.hue + turn + level * 0.6 * self.spread
        value = np.clip(self.brightness + self.contrast * level, 0.02, 1)
        return hsv_to_rgb(hue, np.clip(self.saturation * (1 - 0.4 * level), 0, 1), value)

    def accent(self, step: int) -> NDArray[np.float32]:
        """(3,) the colour of the step-th thing on the ground; steps go round the circle by the spread."""
        hue = self.hue + self.spread * (0.5 + 0.19 * step)
        value = np.clip(1.15 - 0.6 * self.brightness + 0.08 * (step % 3), 0.2, 1)
        return hsv_to_rgb(hue, min(1.0, self.saturation * 1.2), value)

    def paper(self, *, dark: bool) -> NDArray[np.float32]:
        """(3,) a card's colour: nearly white or nearly black, tinted with the hue."""
        return hsv_to_rgb(self.hue, 0.12 + 0.25 * self.saturation, 0.16 if dark else 0.96)
