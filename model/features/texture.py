"""Area-averaged pictures in, measures of edges, detail, symmetry and layout out (one number a picture).

In shapes, t pictures of r x c cells; values run from 0 to 1.
"""

import numpy as np

from model.features.area import Planes, area_mean, flat
from model.features.colour import Amounts, Measures

DETAIL_LEVELS = 4  # octaves: structures of about 1/64 to 1/8 of the picture
GREY_LEVEL = 1 / 255  # the unit below which differences are coding noise
FLAT_EDGE, STRONG_EDGE = 0.03, 0.06  # per cell: softest shading, clear outline
EDGE_SHRINKAGE = 2e-3  # mean gradient at which a picture's orientations count half
VARIANCE_SHRINKAGE = 1e-4  # (1 % of the range) squared: symmetry of a plain picture is noise
PLACES = tuple(f"{row}_{side}" for row in ("top", "middle", "bottom") for side in ("left", "centre", "right"))


def levels(amount: Amounts) -> Amounts:
    """An amount of luma on a log scale that is 0 at 0: doublings above one grey level."""
    doublings: Amounts = np.log2(1 + amount / np.float32(GREY_LEVEL))
    return doublings


def evenness(parts: Amounts) -> Amounts:
    """(t, p) amounts >= 0 to (t,): entropy of their shares, 1 when all are equal or there is nothing."""
    amounts = parts + np.float32(GREY_LEVEL)
    shares = amounts / amounts.sum(axis=1, keepdims=True)
    entropy: Amounts = -(shares * np.log(shares)).sum(axis=1) / np.log(parts.shape[1])
    return entropy


def gradients(grey: Planes) -> tuple[Planes, Planes]:
    """(t, r, c) to rightward and downward slope a cell, central differences, each (t, r, c)."""
    padded = np.pad(grey, ((0, 0), (1, 1), (1, 1)), mode="edge")
    right = (padded[:, 1:-1, 2:] - padded[:, 1:-1, :-2]) / 2
    down = (padded[:, 2:, 1:-1] - padded[:, :-2, 1:-1]) / 2
    return right, down


def blur(grey: Planes) -> Planes:
    """(t, r, c) smoothed by the binomial kernel 1 4 6 4 1 of Burt & Adelson 1983."""
    wide = np.pad(grey, ((0, 0), (2, 2), (2, 2)), mode="edge")
    tall = (wide[:, :-4] + wide[:, 4:] + 4 * (wide[:, 1:-3] + wide[:, 3:-1]) + 6 * wide[:, 2:-2]) / 16
    return (
        tall[:, :, :-4] + tall[:, :, 4:] + 4 * (tall[:, :, 1:-3] + tall[:, :, 3:-1]) + 6 * tall[:, :, 2:-2]
    ) / 16


def detail_measures(grey: Planes) -> Measures:
    """Energy in octaves, finest first: what each level of a Laplacian pyramid takes away."""
    measures: Measures = {}
    for level in range(DETAIL_LEVELS):
        smooth = blur(grey)
        energy = flat((grey - smooth) ** 2).mean(axis=1)
        measures[f"detail_{level + 1}"] = levels(np.sqrt(energy))
        grey = area_mean(smooth, -(-grey.shape[1] // 2), -(-grey.shape[2] // 2))  # the same when mirrored
    return measures


def edge_measures(right: Planes, down: Planes, strength: Planes) -> Measures:
    """Amount, spread and direction of edges; `strength` is the length of (right, down)."""
    length = np.maximum(strength, 1e-9)
    upright = flat((right**2 - down**2) / length)  # length * cos of the doubled angle
    slanted = flat(2 * right * down / length)  # length * sin of it
    cells = flat(strength)
    total = (np.abs(upright) + np.abs(slanted)).mean(axis=1) + EDGE_SHRINKAGE
    return {
        "edge_density": levels(cells.mean(axis=1)),
        "edge_strong_share": np.sqrt(np.clip((cells - STRONG_EDGE) / STRONG_EDGE, 0, 1).mean(axis=1)),
        "edge_flat_share": np.clip(1 - cells / FLAT_EDGE, 0, 1).mean(axis=1),
        "edge_evenness": evenness(flat(area_mean(strength, 3, 3))),
        "edge_vertical": np.clip(upright, 0, None).mean(axis=1) / total,
        "edge_horizontal": np.clip(-upright, 0, None).mean(axis=1) / total,
        "edge_rising": np.clip(slanted, 0, None).mean(axis=1) / total,
        "edge_falling": np.clip(-slanted, 0, None).mean(axis=1) / total,
    }


def symmetry_measures(grey: Planes) -> Measures:
    """Correlation of the picture with its mirror image and with itself upside down."""
    centred = grey - flat(grey).mean(axis=1)[:, None, None]
    power = flat(centred**2).mean(axis=1) + VARIANCE_SHRINKAGE
    return {
        name: flat(centred * turned).mean(axis=1) / power
        for name, turned in (
            ("symmetry_left_right", centred[:, :, ::-1]),
            ("symmetry_top_bottom", centred[:, ::-1]),
        )
    }


def layout_measures(name: str, amount: Planes) -> Measures:
    """Where it lies: each ninth of the picture against the whole."""
    ninths = flat(area_mean(amount, 3, 3))
    relative = ninths - ninths.mean(axis=1, keepdims=True)
    return {f"{name}_{place}": relative[:, i] for i, place in enumerate(PLACES)}


def centre_mean(amount: Planes) -> Amounts:
    """(t,): mean under a Gaussian window of a quarter of the picture's sides."""
    rows, columns = amount.shape[1:]
    tall = np.exp(-(((np.arange(rows) + 0.5) / rows - 0.5) ** 2) / (2 * 0.2**2))
    wide = np.exp(-(((np.arange(columns) + 0.5) / columns - 0.5) ** 2) / (2 * 0.2**2))
    window = np.outer(tall, wide).astype(np.float32)
    mean: Amounts = flat(amount * (window / window.sum())).sum(axis=1)
    return mean


def centre_measures(grey: Planes, saturated: Planes, strength: Planes) -> Measures:
    """Middle against whole: light, colour, edges."""
    return {
        "centre_light": centre_mean(grey) - flat(grey).mean(axis=1),
        "centre_saturation": centre_mean(saturated) - flat(saturated).mean(axis=1),
        "centre_edges": np.log2(
            (centre_mean(strength) + GREY_LEVEL) / (flat(strength).mean(axis=1) + GREY_LEVEL)
        ),
    }
