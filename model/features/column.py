"""What one number of a hand-made extractor means: the row of documentation that each feature carries."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Column:
    """One feature."""

    name: str
    what: str  # what is measured
    unit: str
    range: tuple[float, float]  # values never leave it
    source: str  # paper, standard or section that defines it; "own" where the choice is ours


def names(columns: Iterable[Column]) -> tuple[str, ...]:
    """(d,) what an extractor calls its columns, in their order."""
    return tuple(column.name for column in columns)


def stack(columns: Sequence[Column], found: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
    """Put measured columns in order and hold each in its range.

    Args:
        columns: d of them.
        found: name -> (t,) for exactly these columns.

    Returns:
        (t, d) float32, finite if the measured numbers are.
    """
    if found.keys() != set(names(columns)):
        raise KeyError(f"columns and measurements differ: {sorted(found.keys() ^ set(names(columns)))}")
    rows = np.stack([np.asarray(found[column.name], np.float64) for column in columns], axis=1)
    low, high = np.array([column.range for column in columns], np.float64).T
    return np.clip(rows, low, high).astype(np.float32)
