"""A clip's mood descriptors in, a guess of its valence out: labels for systems that learn polarities.

A ridge regression on music of our own renderer, whose valence is known (`model.datasets.synth.valence`
fits it). On tracks it has not heard it explains about a third of the variance: enough to tell the upper
from the lower third more often than not, no measurement of mood. It is never an input of a tower.
"""

import json
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

SHIPPED = ("shipped", "valence.json")


def guessed_valence(
    descriptors: NDArray[np.float32], extractor: str, features: tuple[str, ...]
) -> NDArray[np.float64] | None:
    """(n,) about mean 0 and variance below 1; None if the regression was made for other descriptors.

    Args:
        descriptors: (n, d), the mean over each clip's segments.
        extractor: `name@version` of what made them.
        features: (d,) names of the columns.
    """
    fitted = _fitted()
    columns = descriptors.shape[1]
    if fitted["extractor"] != extractor or fitted["features"] != list(features) or columns != len(features):
        return None
    z = (descriptors - np.array(fitted["mean"])) / np.array(fitted["std"])
    return np.asarray(np.clip(np.nan_to_num(z), -5, 5) @ np.array(fitted["weights"]), np.float64)


@cache
def _fitted() -> dict[str, Any]:
    path = files("model").joinpath(*SHIPPED)
    fitted: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return fitted
