"""An ad's latents in, what its advert looks like in physical numbers out.

Every latent has at least two cues, so that no single nuisance hides it (docs/models.md 7.3):
    style 0 -> hue of ground and paper         style 1 -> period and strength of the texture
    style 2 -> angle of texture, layout, pan   style 3 -> number of cards, size of all subjects
    style 4 -> spread of hues, lines of text   style 5 -> light from above or below, spot light
    valence -> warmth, brightness, saturation, roundness
    arousal -> pan speed, zoom, shake, flashes, contrast
    log2_cut_rate -> lengths of shots          tag -> silhouette          brand -> logo, hue offset
Nuisance is wide on purpose: the features of real footage must fall inside the range seen in training.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from model.datasets.synth.colour import Grade, Palette
from model.datasets.synth.texture import KINDS
from model.datasets.synth.world import CUTS_PER_S_AT_ZERO, AdLatents

SIZES_PX = ((640, 360), (360, 640), (480, 480))
SIZE_SHARES = (0.8, 0.12, 0.08)
KIND_SHARES = (0.2, 0.13, 0.13, 0.13, 0.23, 0.18)
GOLDEN_TURN = 0.618  # spreads any run of brand numbers evenly over the circle


@dataclass(frozen=True, slots=True)
class Nuisance:
    """What differs between adverts and says nothing about the latents."""

    kinds: tuple[str, ...]  # of ground texture, one per scene
    card_share: float  # of shots that show cards; the others look like footage
    dark_paper: bool
    tripod_share: float  # of shots in which the camera stands still and the subjects move instead
    hand_held_px: float
    grain: int  # levels, half width
    blur_px: float
    bars_px: int  # letterbox, top and bottom
    subtitles: bool
    vignette: float  # levels taken from the corners
    side_light: float  # levels taken from the left (> 0) or the right
    crf: int


@dataclass(frozen=True, slots=True)
class Look:
    """Everything that the renderer needs to know, in physical units."""

    width_px: int
    height_px: int
    palette: Palette
    grade: Grade
    tag: int
    brand: int
    period_px: float
    texture_contrast: float  # 0..1
    angle_rad: float  # of the structures: 0 is horizontal
    cards: int
    card_cover: float  # share of the frame
    text_lines: int
    roundness: float  # 0..1
    light: float  # -1 lit from below .. 1 lit from above
    spot: float  # 0..1
    cuts_per_s: float
    pan_px_per_s: float
    zoom_per_s: float
    shake_px: float
    flashes_per_s: float
    nuisance: Nuisance


def draw_look(ads: AdLatents, row: int, rng: np.random.Generator) -> Look:
    """The look of ad `row`: its latents, blurred a little by taste, and a draw of nuisance."""
    style = ndtr(ads.style[row] + rng.normal(0, 0.1, 6))  # (6,) uniform in 0..1 over all ads
    valence, arousal = np.tanh(np.array([ads.valence[row], ads.arousal[row]]) / 1.5 + rng.normal(0, 0.05, 2))
    width_px, height_px = SIZES_PX[rng.choice(len(SIZES_PX), p=SIZE_SHARES)]
    nuisance = _draw_nuisance(rng, height_px)
    return Look(
        width_px=width_px,
        height_px=height_px,
        palette=_palette(style, valence, arousal, int(ads.brand[row]), rng),
        grade=_grade(valence, arousal, nuisance.grain, rng),
        tag=int(ads.tag[row]),
        brand=int(ads.brand[row]),
        period_px=float(150 * 0.06 ** style[1]),
        texture_contrast=float(0.35 + 0.65 * style[1]),
        angle_rad=float(style[2] * np.pi / 2),
        cards=1 + int(5.99 * style[3]),
        card_cover=float(0.06 + 0.56 * style[3]),
        text_lines=int(3.99 * style[4]),
        roundness=float((1 + valence) / 2),
        light=float(2 * style[5] - 1),
        spot=float(style[5] ** 2),
        cuts_per_s=float(CUTS_PER_S_AT_ZERO * 2 ** ads.log2_cut_rate[row]),
        **_motion(float(ads.arousal[row]), rng),
        nuisance=nuisance,
    )


def _motion(arousal: float, rng: np.random.Generator) -> dict[str, float]:
    pace = float(np.clip(arousal, -2.5, 2.5))
    still = rng.random() < 0.08  # a tripod and nothing else
    taste = 0.0 if still else float(np.exp(rng.normal(0, 0.25)))
    return {
        "pan_px_per_s": taste * 45 * 2**pace,
        "zoom_per_s": taste * 0.04 * 2**pace,
        "shake_px": taste * 0.8 * 2**pace,
        "flashes_per_s": 0.12 * 4**pace if pace > 0 else 0.06,
    }


def _palette(
    style: np.ndarray, valence: float, arousal: float, brand: int, rng: np.random.Generator
) -> Palette:
    offset = 0.06 * ((brand * GOLDEN_TURN) % 1 - 0.5)
    return Palette(
        hue=float(0.8 * style[0] + offset),
        spread=float(style[4]),
        saturation=float(np.clip(0.5 + 0.34 * valence + rng.normal(0, 0.05), 0.08, 0.95)),
        brightness=float(np.clip(0.58 + 0.32 * valence + rng.normal(0, 0.05), 0.15, 0.9)),
        contrast=float(np.clip(0.5 + 0.25 * arousal + rng.normal(0, 0.05), 0.15, 0.9)),
    )


def _grade(valence: float, arousal: float, grain: int, rng: np.random.Generator) -> Grade:
    tint = rng.normal(0, 0.02, 3)
    warmth = 0.28 * valence
    washed = rng.random() < 0.08  # nearly monochrome
    dark, high_key = rng.random(2) < 0.08
    return Grade(
        gain=(float(1 + warmth + tint[0]), float(1 + tint[1]), float(1 - warmth + tint[2])),
        saturation=float(rng.uniform(0.05, 0.3) if washed else np.exp(rng.normal(-0.25, 0.15))),
        contrast=float(np.exp(0.18 * arousal + rng.normal(0, 0.1))),
        gamma=float(np.exp(rng.normal(-0.9 if high_key else -0.1, 0.15))),
        exposure=float(rng.uniform(0.35, 0.7) if dark else np.exp(rng.normal(0, 0.08))),
        headroom=grain + 3,  # alpha blends round down by up to 2
    )


def _draw_nuisance(rng: np.random.Generator, height_px: int) -> Nuisance:
    scenes = int(rng.integers(3, 6))
    main = rng.choice(KINDS, p=KIND_SHARES)
    others = rng.choice(KINDS, p=KIND_SHARES, size=scenes - 1)
    return Nuisance(
        kinds=(str(main), *(str(main if rng.random() < 0.5 else other) for other in others)),
        card_share=float(rng.beta(3, 1)),
        dark_paper=bool(rng.random() < 0.3),
        tripod_share=float(rng.beta(0.6, 0.9)),
        hand_held_px=float(rng.uniform(1, 6)) if rng.random() < 0.25 else 0.0,
        grain=int(rng.integers(1, 9)) if rng.random() < 0.3 else 0,
        blur_px=float(rng.uniform(0.5, 3)) if rng.random() < 0.2 else 0.0,
        bars_px=int(height_px * rng.uniform(0.05, 0.14)) if rng.random() < 0.15 else 0,
        subtitles=bool(rng.random() < 0.3),
        vignette=float(rng.uniform(10, 90)) if rng.random() < 0.5 else 0.0,
        side_light=float(rng.uniform(-80, 80)) if rng.random() < 0.4 else 0.0,
        crf=int(rng.integers(25, 38)),
    )
