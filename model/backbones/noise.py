"""A backbone in, random inputs of about the size of real ones out: for parity, speed, untrained networks."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.backbones.catalogue import BackboneSpec

FIRST_WORD = 104  # of a vocabulary, behind its special and unused lines
CLS, SEP = 101, 102
COARSE_PX = (3, 9, 27)  # grains of a picture


def noise(spec: BackboneSpec, count: int, seed: int = 0) -> NDArray[Any]:
    """(count, *spec.input_shape): pictures, spectrograms or ids, by what the backbone takes."""
    rng = np.random.default_rng(seed)
    if spec.reads_text:
        return _texts(rng, count, spec.input_shape[0], spec.preprocessing["vocabulary"])
    if spec.sees_pictures:
        return _pictures(rng, count, spec.input_shape)
    return _spectrograms(rng, count, spec.input_shape)


def _pictures(rng: np.random.Generator, count: int, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Coloured patches of several sizes in [-1, 1]; white noise would look alike to a network each time."""
    side = shape[1]
    x = rng.uniform(-0.6, 0.6, (count, shape[0], 1, 1)).astype(np.float32) * np.ones(shape, np.float32)
    for grains in COARSE_PX:
        patches = rng.uniform(-0.4, 0.4, (count, shape[0], grains, grains)).astype(np.float32)
        at = np.arange(side) * grains // side
        x += patches[:, :, at[:, None], at[None, :]]
    return np.clip(x, -1, 1)


def _spectrograms(rng: np.random.Generator, count: int, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Mean 0 and deviation 0.5, as AST normalises; a level per band and per frame, and noise."""
    frames, bands = shape
    x = 0.3 * rng.standard_normal((count, frames, bands), np.float32)
    x += 0.3 * rng.standard_normal((count, 1, bands), np.float32)
    x += 0.25 * rng.standard_normal((count, frames, 1), np.float32)
    return x


def _texts(rng: np.random.Generator, count: int, length: int, words: int) -> NDArray[np.int64]:
    """1 to `length` - 2 word pieces between [CLS] and [SEP], then [PAD]."""
    ids = np.zeros((count, length), np.int64)
    for row in ids:
        pieces = int(rng.integers(1, length - 1))
        row[: pieces + 2] = [CLS, *rng.integers(FIRST_WORD, words, pieces), SEP]
    return ids
