"""A picture's vector, a text's and those of reference tracks in, one unit query out.

Cosines of two tracks live on another scale than those of a picture and a track: over a pool they vary by 0.56
against 0.34 in one bundle, by 0.27 against 0.23 in another. In a plain sum the references would drown the
picture. A score is linear in the query, so each part is divided by the standard deviation of its own cosines
over the pool's segments: parts of equal weight then tell the pool's tracks apart equally strongly, whatever
their scale, and how high all cosines of a kind lie makes no difference. Signed weights are Rocchio's (1971).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from index_builder.search import Searchable
from model.errors import BadOptions
from service.serving.pool import Pool

CANCELLED = 1e-3  # of the summed lengths of the parts: what is left of opposite ones is noise


@dataclass(frozen=True, slots=True)
class Part:
    """What is asked beside the picture."""

    factor: str  # `text` or `reference`
    vector: NDArray[np.float32]  # (d,) unit
    weight: float  # the picture's is 1; negative is away from


def blend(picture: NDArray[np.float32], parts: Sequence[Part], pool: Pool) -> NDArray[np.float32]:
    """The (d,) unit query of a picture and what is asked beside it; the picture itself where that is nothing.

    Raises:
        BadOptions: if the parts cancel each other out.
    """
    query = mixed(picture, parts, pool)
    if query is None:
        raise BadOptions("'weights': the references cancel out what else is asked: choose other weights")
    return query


def mixed(picture: NDArray[np.float32], parts: Sequence[Part], pool: Pool) -> NDArray[np.float32] | None:
    """The same, but None for parts that cancel each other out."""
    weighed = [(1.0, picture), *((part.weight, part.vector) for part in parts if part.weight)]
    if len(weighed) == 1:
        return picture
    scaled = [weight / pool.deviation(vector) * vector.astype(np.float64) for weight, vector in weighed]
    total = np.sum(scaled, axis=0)
    length = float(np.linalg.norm(total))
    if length <= CANCELLED * sum(float(np.linalg.norm(one)) for one in scaled):
        return None
    query: NDArray[np.float32] = (total / length).astype(np.float32)
    return query


def track_vector(snapshot: Searchable, track: int) -> NDArray[np.float32]:
    """(d,) unit: the mean of a track's segments, the one that is nearest to all of them together.

    So a reference asks for what sounds like all of that track, as the mean over the segments that a picture
    covers asks of a candidate. Of unit length, since a restless track's mean is short and would count less.
    """
    rows = slice(int(snapshot.first_segment[track]), int(snapshot.first_segment[track + 1]))
    mean = np.asarray(snapshot.embeddings[rows]).mean(axis=0, dtype=np.float64)
    vector: NDArray[np.float32] = (mean / max(float(np.linalg.norm(mean)), 1e-12)).astype(np.float32)
    return vector
