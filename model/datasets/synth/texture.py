"""A period, an angle and a kind in, the grey ground of one scene out: (h, w) float32 in 0..1."""

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft2, rfft2

KINDS: tuple[str, ...] = ("cloud", "stripes", "dashes", "bokeh", "photo", "studio")
STRETCH = 3.0  # structures are this much longer along their angle than across


def draw_texture(
    kind: str, shape: tuple[int, int], period_px: float, angle_rad: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Draw one ground; every kind carries the same period and angle, since those mean something."""
    grain = grain_field(shape, period_px, angle_rad, rng)
    match kind:
        case "stripes":
            field = 0.6 * _stripes(shape, period_px, angle_rad, rng) + 0.4 * grain
        case "dashes":
            field = 0.6 * _dashes(shape, period_px, angle_rad, rng) + 0.4 * grain
        case "bokeh":
            field = 0.55 * _bokeh(shape, period_px, rng) + 0.45 * grain
        case "photo":
            field = 0.55 * _scenery(shape, rng) + 0.45 * grain
        case "studio":
            field = 0.65 * _backdrop(shape, rng) + 0.35 * grain
        case _:
            field = grain
    return _stretch(field)


def _stretch(field: NDArray[np.float32]) -> NDArray[np.float32]:
    low, high = np.quantile(field[::4, ::4], [0.01, 0.99])
    return np.asarray(np.clip((field - low) / max(high - low, 1e-6), 0, 1), np.float32)


def _coordinates(shape: tuple[int, int], angle_rad: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Pixels along and across the structures: two (h, w) float32."""
    y, x = np.meshgrid(*(np.arange(n, dtype=np.float32) for n in shape), indexing="ij")
    cos, sin = np.float32(np.cos(angle_rad)), np.float32(np.sin(angle_rad))
    return x * cos + y * sin, y * cos - x * sin


def grain_field(
    shape: tuple[int, int], period_px: float, angle_rad: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Random field with a bump of energy at the period over a 1/f floor, as natural images have.

    Field, van Hateren: amplitude spectra of natural scenes fall about as 1/f.
    """
    height, width = shape
    ky = np.fft.fftfreq(height)[:, None]
    kx = np.fft.rfftfreq(width)[None, :]
    along = STRETCH * (kx * np.cos(angle_rad) + ky * np.sin(angle_rad))
    across = ky * np.cos(angle_rad) - kx * np.sin(angle_rad)
    k = np.sqrt(along**2 + across**2)
    k[0, 0] = 1.0
    bump = np.exp(-0.5 * (np.log(k * period_px) / 0.5) ** 2) / k
    floor = 0.12 / (k + 0.004) * np.minimum(1, 0.05 / k)
    amplitude = (bump + floor).astype(np.float32)
    amplitude[0, 0] = 0
    noise = rng.standard_normal(shape, dtype=np.float32)
    return _stretch(irfft2(rfft2(noise) * amplitude, s=shape).astype(np.float32))


def _stripes(
    shape: tuple[int, int], period_px: float, angle_rad: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    along, across = _coordinates(shape, angle_rad)
    wave = rng.uniform(0, 0.5) * np.sin(along / (3 * period_px) + rng.uniform(0, 6))
    sharp = rng.uniform(1, 6)
    return np.asarray(0.5 + 0.5 * np.tanh(sharp * np.sin(2 * np.pi * across / period_px + wave)), np.float32)


def _dashes(
    shape: tuple[int, int], period_px: float, angle_rad: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    along, across = _coordinates(shape, angle_rad)
    lattice = np.cos(2 * np.pi * across / period_px) * np.cos(2 * np.pi * along / (STRETCH * period_px))
    return np.asarray(0.5 + 0.5 * np.tanh(rng.uniform(2, 8) * (lattice - 0.3)), np.float32)


def _bokeh(shape: tuple[int, int], period_px: float, rng: np.random.Generator) -> NDArray[np.float32]:
    field = np.zeros(shape, np.float32)
    radius_px = max(4.0, 0.6 * period_px)
    for _ in range(int(min(60, 0.5 * field.size / (np.pi * radius_px**2)))):
        r = radius_px * rng.uniform(0.5, 1.5)
        cy, cx = rng.uniform(0, shape[0]), rng.uniform(0, shape[1])
        rows = slice(max(0, int(cy - r)), int(cy + r) + 1)
        columns = slice(max(0, int(cx - r)), int(cx + r) + 1)
        y, x = np.ogrid[rows, columns]
        part = field[rows, columns]
        disc = (y - cy) ** 2 + (x - cx) ** 2 < r * r
        part += disc[: part.shape[0], : part.shape[1]] * np.float32(rng.uniform(0.2, 0.8))
    return _stretch(field)


def _backdrop(shape: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float32]:
    """One soft pool of light on a plain wall."""
    y, x = np.meshgrid(np.linspace(-1, 1, shape[0]), np.linspace(-1, 1, shape[1]), indexing="ij")
    far = (x - rng.uniform(-0.5, 0.5)) ** 2 + (y - rng.uniform(-0.5, 0.5)) ** 2
    return _stretch(np.exp(-far / rng.uniform(0.3, 2)).astype(np.float32))


def _scenery(shape: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float32]:
    """Sky, ground and a few large soft bodies, as a camera would see them."""
    y, x = np.meshgrid(np.linspace(0, 1, shape[0]), np.linspace(0, 2, shape[1]), indexing="ij")
    horizon = rng.uniform(0.3, 0.7)
    field = 0.8 / (1 + np.exp((y - horizon) * rng.uniform(8, 60)))
    for _ in range(int(rng.integers(2, 8))):
        cy, cx, ry, rx = rng.uniform(0, 1), rng.uniform(0, 2), rng.uniform(0.05, 0.4), rng.uniform(0.05, 0.3)
        body = 1 / (
            1 + np.exp(rng.uniform(4, 30) * (((y - cy) / ry) ** 2 + ((x - cx) / rx) ** 2 - 1).clip(-1, 2))
        )
        field += rng.uniform(-0.6, 0.6) * body
    return _stretch(field.astype(np.float32))
