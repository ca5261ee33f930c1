"""A run that has no vectors of its own for either side, and a dataset in; the score of every pair out.

A re-ranker looks at video and music together, and a system that reads the query's tag cannot be exported:
both are scored by torch, as in training, and both can be measured but not served.
"""

from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from model.datasets.table import Dataset
from model.training.loop import score_pairs
from model.training.sampler import prepare, read_pairs

if TYPE_CHECKING:
    from model.training.run import Run


def score_together(run: "Run", dataset: Dataset, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """(n, n) video i against clip j, of the dataset's pairs `rows` (n,)."""
    pairs = read_pairs(dataset, run.config["profile"])
    table = prepare(run.system, pairs, torch.device("cpu"), fit=False)
    return score_pairs(run.system, table, rows)
