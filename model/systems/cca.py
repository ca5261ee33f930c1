"""Canonical correlation analysis: paired rows of two sides in, linear maps that make them agree out.

YuYin's Table 2 has a CCA row and names no setting; so there are two. `tuned` is what it can do (a ridge,
few components, each weighed by its correlation; `tune_cca` chooses them on held-out pairs), `plain` what
a textbook gives (docs/models.md 3.2). scikit-learn's `CCA` is an iterative NIPALS without a ridge.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from model.systems.batch import Batch, Dims, Prepared
from model.systems.inputs import Heard, pooled_views
from model.systems.recipe import Preset, TrainConfig
from model.systems.system import Losses, System, unit
from model.systems.views import Pool, joined

Matrix = NDArray[np.float64]
ROWS = 8192  # at a time in float64: bounds memory only

RIDGES = (0.01, 0.1, 1.0, 3.0, 10.0)
COMPONENTS = (8, 16, 32, 64, 128)
POWERS = (0.0, 1.0, 2.0)


@dataclass(frozen=True, slots=True)
class Side:
    """One side's mean and covariance, the latter in its principal axes: any ridge is added to `variances`."""

    mean: Matrix  # (d,)
    variances: Matrix  # (d,) ascending
    axes: Matrix  # (d, d) columns

    def whitening(self, ridge: float) -> Matrix:
        """(d, d) C^-1/2 from the left in principal axes; directions without any variance get 0."""
        values = self.variances + ridge * self.variances.mean()
        alive = values > 1e-9 * values.max(initial=0)
        scaled: Matrix = self.axes * (np.where(alive, values, 1.0) ** -0.5 * alive)
        return scaled


@dataclass(frozen=True, slots=True)
class Moments:
    """Everything that a CCA needs to know of the training pairs, whatever its ridge."""

    x: Side
    y: Side
    cross: Matrix  # (d_x, d_y) x'y / n


@dataclass(frozen=True, slots=True)
class Canonical:
    """Maps whose columns pair up, best first."""

    a: Matrix  # (d_x, k) C_xx^-1/2 U
    b: Matrix  # (d_y, k) C_yy^-1/2 V
    correlations: Matrix  # (k,) descending

    def weighed(self, components: int, power: float) -> tuple[Matrix, Matrix]:
        """The first columns, each times its correlation to a power: how far a direction can be trusted."""
        weight = self.correlations[:components] ** power
        return self.a[:, :components] * weight, self.b[:, :components] * weight


def moments(x: NDArray[np.floating], y: NDArray[np.floating]) -> Moments:
    """Of (n, d_x) and (n, d_y), row i of one belonging with row i of the other; sums in float64."""
    mean_x, mean_y = (each.mean(axis=0, dtype=np.float64) for each in (x, y))
    xx, yy = (np.zeros((len(mean), len(mean))) for mean in (mean_x, mean_y))
    xy = np.zeros((len(mean_x), len(mean_y)))
    for first in range(0, len(x), ROWS):
        u, v = x[first : first + ROWS] - mean_x, y[first : first + ROWS] - mean_y
        xx += u.T @ u
        yy += v.T @ v
        xy += u.T @ v
    n = len(x)
    return Moments(Side(mean_x, *np.linalg.eigh(xx / n)), Side(mean_y, *np.linalg.eigh(yy / n)), xy / n)


def canonical(pairs: Moments, ridge: float) -> Canonical:
    """All canonical directions for one ridge, in units of the mean variance of a side's columns."""
    white_x, white_y = pairs.x.whitening(ridge), pairs.y.whitening(ridge)
    u, correlations, vt = np.linalg.svd(white_x.T @ pairs.cross @ white_y, full_matrices=False)
    return Canonical(white_x @ u, white_y @ vt.T, correlations)


def ridge_cca(
    x: NDArray[np.floating], y: NDArray[np.floating], *, ridge: float, components: int, power: float
) -> tuple[Matrix, Matrix]:
    """Regularised canonical correlation analysis (Hotelling 1936; ridge: Vinod 1976).

    Columns are centred first. With C_xx = x'x / n + ridge * (mean variance of x) * I, likewise C_yy,
    and U diag(s) V' the singular value decomposition of C_xx^-1/2 (x'y / n) C_yy^-1/2, the columns of
    A = C_xx^-1/2 U and B = C_yy^-1/2 V pair up with correlations s_i. Column i is scaled by s_i^power;
    with .5 the inner product of x A and y B weighs a direction by its correlation.

    Args:
        x: (n, d_x).
        y: (n, d_y), row i belongs with row i of `x`.
        ridge: in units of the mean variance of a column; more for fewer pairs.
        components: at most this many columns, best first.
        power: of the correlations.

    Returns:
        A (d_x, k) and B (d_y, k), k = min(components, d_x, d_y).
    """
    return canonical(moments(x, y), ridge).weighed(components, power)


@dataclass(frozen=True, slots=True)
class CCAConfig:
    """The defaults are the best of AVE, where .3 to 3 and 64 to 128 components are equal."""

    heard: Heard = "all"
    pool: Pool = "mean"
    clip: float = 5.0  # standard deviations an input may lie from the training mean
    ridge: float = 1.0  # in units of the mean variance of a column
    components: int = 128
    power: float = 1.0  # of its correlation, that a direction is weighed with on either side


class LinearMap(nn.Module):
    """(b, width) to unit rows (b, out): x less its mean, times a matrix that a closed form sets."""

    mean: Tensor
    matrix: Tensor

    def __init__(self, width: int, out: int) -> None:
        """Knows nothing yet."""
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("matrix", torch.zeros(width, out))

    def forward(self, x: Tensor) -> Tensor:
        """(b, out)."""
        return unit((x - self.mean) @ self.matrix)

    def put(self, mean: Matrix, matrix: Matrix) -> None:
        """Set both; what `matrix` has too few columns of stays 0."""
        self.mean.copy_(torch.from_numpy(mean))
        self.matrix.zero_()
        self.matrix[:, : matrix.shape[1]] = torch.from_numpy(matrix)


class CCA(System):
    """Two linear maps in closed form, no gradient."""

    def __init__(self, dims: Dims, config: CCAConfig) -> None:
        """Raises `MissingInput` for what the data set lacks."""
        super().__init__()
        self.config = config
        self.video_view, self.music_view = pooled_views(dims, config.heard, config.pool, config.clip, "CCA")
        widths = (self.video_view.width, self.music_view.width)
        kept = min(config.components, *widths)
        self.video, self.music = (LinearMap(width, kept) for width in widths)

    def start(self, pairs: Batch) -> None:
        """The maps, from all training pairs."""
        found = moments(*_sides(pairs.video, pairs.music))
        a, b = canonical(found, self.config.ridge).weighed(self.config.components, self.config.power)
        self.video.put(found.x.mean, a)
        self.music.put(found.y.mean, b)

    def embed_video(self, video: Prepared) -> Tensor:
        """(b, k) unit rows."""
        z: Tensor = self.video(joined(video))
        return z

    def embed_music(self, music: Prepared) -> Tensor:
        """(b, k) unit rows."""
        z: Tensor = self.music(joined(music))
        return z

    def loss(self, batch: Batch, epoch: int) -> Losses:
        """Nothing is learned step by step; for the record the mean cosine distance of right pairs."""
        z_v, z_m = self.embed_video(batch.video), self.embed_music(batch.music)
        apart = 1 - (z_v * z_m).sum(1).mean()
        return Losses(apart, apart, torch.zeros_like(apart))


def tune_cca(
    config: CCAConfig,
    pairs: Batch,
    video: Prepared,
    music: Prepared,
    figure: Callable[[Tensor, Tensor], float],
    progress: Callable[[int, int], None],
) -> CCAConfig:
    """The best setting of RIDGES x COMPONENTS x POWERS on held-out pairs.

    Second moments are taken once and decomposed once a ridge; the rest are products of small matrices.

    Args:
        config: what is not tuned.
        pairs: all training pairs, as `System.start` is given.
        video: the held-out videos as the fitted view prepares them, n of them.
        music: the segments of the held-out clips, s of them.
        figure: given unit rows (n, k) and (s, k), how good they are; R@10 of the evaluation part.
        progress: told how many ridges are done, of how many.
    """
    found, best, most = moments(*_sides(pairs.video, pairs.music)), config, -np.inf
    for done, ridge in enumerate(RIDGES):
        progress(done, len(RIDGES))
        for components, power, looked in _weighed(canonical(found, ridge), found, video, music):
            reached = figure(*looked)
            if reached > most:
                best = replace(config, ridge=ridge, components=components, power=power)
                most = reached
    progress(len(RIDGES), len(RIDGES))
    return best


def _weighed(
    maps: Canonical, found: Moments, video: Prepared, music: Prepared
) -> Iterator[tuple[int, float, tuple[Tensor, Tensor]]]:
    """What each number of components and power makes of both sides."""
    a, b = maps.weighed(max(COMPONENTS), 0.0)
    raw_x, raw_y = _sides(video, music)
    x, y = (raw_x - found.x.mean) @ a, (raw_y - found.y.mean) @ b
    for components, power in product(COMPONENTS, POWERS):
        weight = maps.correlations[:components] ** power
        sides = (torch.from_numpy(each[:, :components] * weight).float() for each in (x, y))
        z_v, z_m = (unit(side) for side in sides)
        yield components, power, (z_v, z_m)


def _sides(video: Prepared, music: Prepared) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    return joined(video).cpu().numpy(), joined(music).cpu().numpy()


_CLOSED = TrainConfig(epochs=1, keep="last")
PRESETS = {
    "tuned": Preset(CCAConfig(), _CLOSED),
    "plain": Preset(CCAConfig(ridge=1e-4, components=256, power=0.0), _CLOSED),
    "audio": Preset(CCAConfig(heard="audio"), _CLOSED),
}
