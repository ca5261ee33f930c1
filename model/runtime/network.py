"""What an extractor asks of a frozen network: a batch in, one vector for each of its items out."""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


class Network(Protocol):
    """A frozen network, wherever it runs; in shapes, b items of a batch and d features."""

    def __call__(self, x: NDArray[Any]) -> NDArray[np.float32]:
        """(b, ...) to (b, d), b >= 0; what else is in the batch changes no row beyond float noise."""
