"""Area-averaged RGB pictures in, measures of light and colour out (one number a picture).

In shapes, t pictures of r x c cells. Coded values (sRGB, BT.709 transfer) run from 0 to 1.
"""

import numpy as np
from numpy.typing import NDArray

from model.features.area import Planes, flat

Amounts = NDArray[np.floating]  # (t,)
Measures = dict[str, Amounts]  # name -> (t,)

LUMA_WEIGHTS = (0.2126, 0.7152, 0.0722)  # ITU-R BT.709-6, item 3.2
WHITE_D65 = (0.95047, 1.0, 1.08883)  # CIE 15:2018, 2 degree observer
HUES = 12  # bins of 30 degrees; bin 0 is centred on red
GREY_SATURATION = 0.04  # below it hue is noise of the chroma planes, not colour
HUE_SHRINKAGE = 0.03  # mean saturation at which a picture's hues count half
RARE_HUE = 0.01  # share below which a root would only magnify coding noise
DARK_FLOOR = 0.1  # added to the maximum in saturation: hue of near black is noise
WARM_RAD = np.pi / 6  # orange, 30 degrees, the warm pole of the warm-cool axis
LAB_SCALE = 100.0


def channels(rgb: Planes) -> Planes:
    """(t, 3, r, c) to (t, 3, r * c), also for no pictures at all."""
    return rgb.reshape(len(rgb), 3, rgb.shape[2] * rgb.shape[3])


def luma(rgb: Planes) -> Planes:
    """(t, 3, r, c) coded RGB to (t, r, c) luma Y' of BT.709."""
    red, green, blue = LUMA_WEIGHTS
    grey: Planes = np.float32(red) * rgb[:, 0] + np.float32(green) * rgb[:, 1] + np.float32(blue) * rgb[:, 2]
    return grey


def lab(rgb: Planes) -> Planes:
    """(t, 3, r, c) sRGB to CIE 1976 L*a*b* / 100, D65 (IEC 61966-2-1 and CIE 15:2018, 8.2.1)."""
    low = rgb / np.float32(12.92)
    linear = np.where(rgb <= 0.04045, low, ((rgb + np.float32(0.055)) / np.float32(1.055)) ** np.float32(2.4))
    red, green, blue = linear[:, 0], linear[:, 1], linear[:, 2]
    x = (0.4124564 * red + 0.3575761 * green + 0.1804375 * blue) / WHITE_D65[0]
    y = 0.2126729 * red + 0.7151522 * green + 0.0721750 * blue
    z = (0.0193339 * red + 0.1191920 * green + 0.9503041 * blue) / WHITE_D65[2]
    xyz = np.stack([x, y, z], axis=1).astype(np.float32)
    toe = np.float32(841 / 108) * xyz + np.float32(4 / 29)
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), toe)
    lightness = 116 * f[:, 1] - 16
    a, b = 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])
    return np.stack([lightness, a, b], axis=1).astype(np.float32) / np.float32(LAB_SCALE)


def saturation(rgb: Planes) -> Planes:
    """(t, 3, r, c) to (t, r, c): HSV saturation (Smith 1978) damped in the dark."""
    highest, lowest = rgb.max(axis=1), rgb.min(axis=1)
    share: Planes = (highest - lowest) / (highest + np.float32(DARK_FLOOR))
    return share


def hue_rad(rgb: Planes) -> Planes:
    """(t, 3, r, c) to (t, r, c): angle of the colour around the grey axis, -pi to pi, red is 0.

    atan2(sqrt(3) (G - B), 2 R - G - B) (Hanbury & Serra 2003); does not change when light is scaled.
    """
    red, green, blue = rgb[:, 0], rgb[:, 1], rgb[:, 2]
    return np.arctan2(np.float32(3**0.5) * (green - blue), 2 * red - green - blue)


def light_measures(grey: Planes) -> Measures:
    """Distribution of the light: (t, r, c) luma in."""
    cells = flat(grey)
    marks = np.quantile(cells, (0.05, 0.25, 0.5, 0.75, 0.95), axis=1).astype(np.float32)
    measures = dict(zip(("luma_p05", "luma_p25", "luma_p50", "luma_p75", "luma_p95"), marks, strict=True))
    return measures | {
        "luma_std": cells.std(axis=1),
        "dark_share": np.clip(1 - cells / 0.35, 0, 1).mean(axis=1),
        "bright_share": np.clip((cells - 0.65) / 0.35, 0, 1).mean(axis=1),
    }


def lab_measures(rgb: Planes) -> Measures:
    """Mean and spread in a perceptual space: (t, 3, r, c) in."""
    cells = channels(lab(rgb))
    mean, std = cells.mean(axis=2), cells.std(axis=2)
    chroma = np.hypot(cells[:, 1], cells[:, 2])
    return {
        "lab_l_mean": mean[:, 0],
        "lab_a_mean": mean[:, 1],
        "lab_b_mean": mean[:, 2],
        "lab_a_std": np.sqrt(std[:, 1]),
        "lab_b_std": np.sqrt(std[:, 2]),
        "chroma_p90": np.sqrt(np.quantile(chroma, 0.9, axis=1)),
    }


def colourfulness(rgb: Planes) -> Amounts:
    """(t,): root of the colourfulness M^(3) of Hasler & Suesstrunk 2003, section 7, on values of 0 to 1."""
    cells = channels(rgb)
    red_green = cells[:, 0] - cells[:, 1]
    yellow_blue = (cells[:, 0] + cells[:, 1]) / 2 - cells[:, 2]
    spread = np.hypot(red_green.std(axis=1), yellow_blue.std(axis=1))
    shift = np.hypot(red_green.mean(axis=1), yellow_blue.mean(axis=1))
    root: Amounts = np.sqrt(spread + np.float32(0.3) * shift)
    return root


def hue_shares(hue: Planes, weight: Planes) -> NDArray[np.float32]:
    """(t, 12): how much of the weight lies near each hue, shared linearly between neighbouring bins.

    The shares of a picture sum to mean(weight) / (mean(weight) + shrinkage): 0 for a grey one.
    """
    position = (flat(hue) * (HUES / (2 * np.pi))) % HUES
    pictures, cells = position.shape
    lower = np.floor(position)
    upper_part = flat(weight) * (position - lower)
    lower_part = flat(weight) - upper_part
    first = np.arange(pictures)[:, None] * HUES
    bins = lower.astype(np.intp) % HUES
    total = np.bincount((first + bins).ravel(), lower_part.ravel(), pictures * HUES)
    total += np.bincount((first + (bins + 1) % HUES).ravel(), upper_part.ravel(), pictures * HUES)
    shares = total.reshape(pictures, HUES) / cells
    shrunk: NDArray[np.float32] = shares / (shares.sum(axis=1, keepdims=True) + HUE_SHRINKAGE)
    return shrunk.astype(np.float32)


def hue_measures(rgb: Planes, saturated: Planes) -> Measures:
    """Which colours there are: (t, 3, r, c) coded RGB and (t, r, c) saturation in."""
    hue = hue_rad(rgb)
    shares = hue_shares(hue, np.clip(saturated - np.float32(GREY_SATURATION), 0, None))
    total = shares.sum(axis=1)
    surprise = -(shares * np.log(np.maximum(shares, 1e-9))).sum(axis=1)
    mean = channels(rgb).mean(axis=2)
    cells = flat(saturated)
    return {
        "saturation_mean": np.sqrt(cells.mean(axis=1)),
        "saturation_p90": np.quantile(cells, 0.9, axis=1).astype(np.float32),
        "warmth": flat(saturated * np.cos(hue - np.float32(WARM_RAD))).mean(axis=1),
        "red_blue": np.log2((mean[:, 0] + DARK_FLOOR) / (mean[:, 2] + DARK_FLOOR)),
        "hue_variety": total * surprise / np.log(HUES),
    } | {f"hue_{30 * i:03d}": np.sqrt(shares[:, i] + RARE_HUE) - RARE_HUE**0.5 for i in range(HUES)}
