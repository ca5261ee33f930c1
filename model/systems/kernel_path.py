"""Paired standardised rows of two sides in, what kernel CCA alone makes of them out: no gradient, seconds.

    x' = c D^p x                  columns brought nearer to their raw scale: D their raw deviations, p 0 to 1
    f  = k(x', L) K_LL^-1/2       features of a kernel at landmarks L (Nystroem: Williams and Seeger 2000)
    P  = ridge CCA of f_v, f_m    columns weighed by their correlations (`model.systems.cca`)
    path(x) = (f - mean f) P

c makes the mean of |x'|^2 one, and k is x'y' or exp(-|x' - y'|^2 / 4), a Gaussian as wide as two clips are
apart on average (kernel CCA: Hardoon et al. 2004). Why p: the columns of a network's features, and of a PCA
all the more, say by their deviation how much they matter, and a z-score throws that away; columns of mixed
units have to be made equal. So p, k and the ridge are chosen by cross-validation on the training pairs.

Where several ads use one track, every ad is paired with the mean of the track's clips (`sisters`): what was
mixed into one clip says nothing about another ad.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from model.systems.cca import Moments, canonical, moments

LANDMARKS = 1024  # of the final path; 2,048 gain nothing on 24,000 pairs
COMPONENTS = 128
SMALLEST = 1e-4  # of a kernel's largest eigenvalue: below, float32 would only add noise
ROWS = 8192  # of a kernel at a time: bounds memory only

EXPONENTS = (0.0, 0.5, 1.0)
RIDGES = (0.1, 0.3, 1.0, 3.0, 10.0)
FOLDS, FOLD_ROWS, FOLD_LANDMARKS = 4, 8_000, 384  # of the cross-validation: 20 s of one core at most

Matrix = NDArray[np.float64]
Rows = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Side:
    """Training rows of one side."""

    x: Rows  # (n, d) standardised
    spread: Matrix  # (d,) deviation of each column before that, 0 where one never changes


@dataclass(frozen=True, slots=True)
class PathChoice:
    """What cross-validation decides."""

    exponents: tuple[float, float] = (0.0, 0.0)  # p of video and music
    curved: bool = False  # the Gaussian kernel, else the linear one
    ridge: float = 1.0  # in units of the mean variance of a feature


class Path(nn.Module):
    """(b, d) standardised to (b, out), in buffers that `put` fills; 0 everywhere before."""

    scale: Tensor
    linear: Tensor
    landmarks: Tensor
    curved: Tensor
    offset: Tensor

    def __init__(self, width: int, out: int) -> None:
        """Both kernels have their place, since what is chosen depends on the data."""
        super().__init__()
        self.register_buffer("scale", torch.zeros(width))
        self.register_buffer("linear", torch.zeros(width, out))
        self.register_buffer("landmarks", torch.zeros(LANDMARKS, width))
        self.register_buffer("curved", torch.zeros(LANDMARKS, out))
        self.register_buffer("offset", torch.zeros(out))

    def forward(self, x: Tensor) -> Tensor:
        """(b, out) float32, not of unit length."""
        with torch.autocast(x.device.type, enabled=False):  # distances need all their digits
            x = x.float() * self.scale
            squares = x.square().sum(1, keepdim=True) + self.landmarks.square().sum(1)
            near = torch.exp((x @ self.landmarks.T - squares / 2) / 2).double()
            # Sums of large terms that nearly cancel: in float32 two runtimes differ by more than 1e-5.
            path = x.double() @ self.linear.double() + near @ self.curved.double() - self.offset.double()
            return path.float()

    def put(self, features: "Features", mean: Matrix, matrix: Matrix) -> None:
        """Become (features(x) - mean) @ matrix, whose columns may be fewer than `out`."""
        weights, points = features.white @ matrix, len(features.landmarks)
        columns = matrix.shape[1]
        for buffer in self.buffers():
            buffer.zero_()
        self.scale.copy_(torch.from_numpy(features.scale))
        self.offset[:columns] = torch.from_numpy(mean @ matrix)
        if features.curved:
            self.landmarks[:points] = torch.from_numpy(features.landmarks)
            self.curved[:points, :columns] = torch.from_numpy(weights)
        else:
            self.linear[:, :columns] = torch.from_numpy(features.landmarks.T @ weights)


@dataclass(frozen=True, slots=True)
class Features:
    """Rows in, rows whose inner products are the kernel's (exactly so between landmarks) out."""

    scale: Matrix  # (d,)
    landmarks: Matrix  # (l, d) scaled
    white: Matrix  # (l, r) K_LL^-1/2, without its directions below SMALLEST
    curved: bool

    def __call__(self, x: Rows) -> Rows:
        """(n, d) to (n, r)."""
        made = np.empty((len(x), self.white.shape[1]), np.float32)
        for first in range(0, len(x), ROWS):
            scaled = x[first : first + ROWS] * self.scale
            made[first : first + ROWS] = kernel(scaled, self.landmarks, curved=self.curved) @ self.white
        return made


def kernel(x: Matrix, y: Matrix, *, curved: bool) -> Matrix:
    """(n, m) of scaled rows (n, d) and (m, d)."""
    inner = x @ y.T
    if not curved:
        return inner
    squares = np.square(x).sum(axis=1)[:, None] + np.square(y).sum(axis=1)
    near: Matrix = np.exp((inner - squares / 2) / 2)
    return near


def features(side: Side, rows: NDArray[np.int64], exponent: float, *, curved: bool) -> Features:
    """The features of a kernel whose landmarks are those training rows."""
    alive = side.spread > 0
    scale = np.where(alive, side.spread, 1.0) ** exponent * alive
    size = np.square(side.x * scale).sum(axis=1).mean()
    scale = scale / np.sqrt(size) if size > 0 else scale
    landmarks = side.x[rows] * scale
    values, vectors = np.linalg.eigh(kernel(landmarks, landmarks, curved=curved))
    kept = values > SMALLEST * values[-1]
    return Features(scale, landmarks, vectors[:, kept] * values[kept] ** -0.5, curved)


def sisters(y: Rows, track: NDArray[np.int64]) -> Rows:
    """(n, r) each row replaced by the mean of all rows of its track (n,)."""
    _, place, counts = np.unique(track, return_inverse=True, return_counts=True)
    order = np.argsort(place, kind="stable")
    sums = np.add.reduceat(y[order], np.cumsum(counts) - counts, axis=0)
    return np.asarray((sums / counts[:, None])[place], np.float32)


def paired_moments(x: Rows, y: Rows, track: NDArray[np.int64], *, shared: bool) -> Moments:
    """Moments for a CCA; if `shared`, the cross-covariance is with the mean of each track's clips."""
    found = moments(x, y)
    if not shared:
        return found
    middle = sisters(y, track) - found.y.mean.astype(np.float32)
    return replace(
        found, cross=((x - found.x.mean.astype(np.float32)).T @ middle).astype(np.float64) / len(x)
    )


def fit_paths(
    paths: tuple[Path, Path],
    sides: tuple[Side, Side],
    track: NDArray[np.int64],
    choice: PathChoice,
    order: NDArray[np.int64],
    *,
    shared: bool,
) -> None:
    """Set both paths from all training pairs.

    Args:
        paths: of video and music.
        sides: n pairs.
        track: (n,) equal where two clips are of one track.
        choice: exponents, kernel and ridge.
        order: (n,) rows in random order, whose first are the landmarks.
        shared: pair every video with the mean clip of its track.
    """
    chosen = [
        features(side, order[:LANDMARKS], exponent, curved=choice.curved)
        for side, exponent in zip(sides, choice.exponents, strict=True)
    ]
    x, y = (each(side.x) for each, side in zip(chosen, sides, strict=True))
    found = paired_moments(x, y, track, shared=shared)
    kept = min(COMPONENTS, *(len(path.offset) for path in paths))
    maps = canonical(found, choice.ridge).weighed(kept, 1.0)
    for path, each, made, mean, matrix in zip(
        paths, chosen, (x, y), (found.x.mean, found.y.mean), maps, strict=True
    ):
        length = np.linalg.norm((made - mean) @ matrix, axis=1).mean()
        path.put(each, mean, matrix / max(length, 1e-9))


class Chooser:
    """Cross-validation over the training pairs: folds share no track."""

    def __init__(self, sides: tuple[Side, Side], track: NDArray[np.int64], *, shared: bool) -> None:
        """At most FOLD_ROWS pairs of n, of whole tracks."""
        rng = np.random.default_rng(0)
        _, place = np.unique(track, return_inverse=True)
        ranked = rng.permutation(place.max(initial=-1) + 1)[place]
        rows = np.sort(np.argsort(ranked, kind="stable")[:FOLD_ROWS])
        self.sides = tuple(Side(side.x[rows], side.spread) for side in sides)
        self.track, self.fold, self.shared = track[rows], ranked[rows] % FOLDS, shared
        self.landmarks = rng.permutation(len(rows))[:FOLD_LANDMARKS]
        self._made: dict[tuple[int, float, bool], Rows] = {}
        self._values: dict[PathChoice, float] = {}

    def best(self, *, exponents: tuple[float, ...], curved: tuple[bool, ...]) -> PathChoice:
        """One coordinate after the other: exponents for either kernel, then the ridge."""
        tried = []
        for bent in curved:
            start = PathChoice(curved=bent)
            first = self._better(replace(start, exponents=(p, 0.0)) for p in exponents)
            tried.append(self._better(replace(first, exponents=(first.exponents[0], p)) for p in exponents))
        found = self._better(tried)
        return self._better(replace(found, ridge=ridge) for ridge in RIDGES)

    def _better(self, choices: "Iterator[PathChoice] | list[PathChoice]") -> PathChoice:
        return max(choices, key=self.value)

    def value(self, choice: PathChoice) -> float:
        """Mean reciprocal rank of held-out pairs, both directions, over the folds."""
        if choice not in self._values:
            self._values[choice] = float(np.mean([self._fold(choice, fold) for fold in range(FOLDS)]))
        return self._values[choice]

    def _fold(self, choice: PathChoice, fold: int) -> float:
        x, y = (self._features(i, choice.exponents[i], choice.curved) for i in (0, 1))
        train, held = self.fold != fold, self.fold == fold
        if not held.any() or not train.any():
            return 0.0
        found = paired_moments(x[train], y[train], self.track[train], shared=self.shared)
        a, b = canonical(found, choice.ridge).weighed(COMPONENTS, 1.0)
        z_v, z_m = (x[held] - found.x.mean) @ a, (y[held] - found.y.mean) @ b
        lengths = np.linalg.norm(z_v, axis=1)[:, None] * np.linalg.norm(z_m, axis=1)
        scores = z_v @ z_m.T / np.maximum(lengths, 1e-9)
        track = self.track[held]
        other_clip = (track[:, None] == track) & ~np.eye(len(track), dtype=np.bool_)
        scores[other_clip] = -np.inf
        return float(np.mean([reciprocal(scores), reciprocal(scores.T)]))

    def _features(self, i: int, exponent: float, curved: bool) -> Rows:
        key = (i, exponent, curved)
        if key not in self._made:
            side = self.sides[i]
            self._made[key] = features(side, self.landmarks, exponent, curved=curved)(side.x)
        return self._made[key]


def reciprocal(scores: Matrix) -> float:
    """Mean reciprocal rank of the diagonal of (n, n)."""
    return float((1 / (1 + (scores > np.diagonal(scores)[:, None]).sum(axis=1))).mean())
