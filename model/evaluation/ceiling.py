"""What was measured in, what its data set itself knows of the best that can be reached out.

Only AdSynth knows (docs/models.md 7.1). `PMI oracle` ranks by the true pointwise mutual information, the
best there is in a pool of clips; `feature reference` plugs what ridge probes tell from the features into the
true utility: not a bound, but a level that can be reached.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from model.datasets.adsynth.oracle import oracle_scores
from model.errors import BadDataset
from model.evaluation.pool import Pool, cases
from model.evaluation.protocol import Result, result_of
from model.evaluation.run import Measurement

KIND, SPLIT = "adsynth", "test"  # the scores that lie beside such a data set are of this part
NAMES: Mapping[str, str] = {"pmi": "PMI oracle", "reference": "feature reference"}


@dataclass(frozen=True, slots=True)
class Ceiling:
    """How well one who knows ranks the same pool, protocol strict."""

    name: str
    result: Result


def ceilings(measured: Measurement) -> tuple[Ceiling, ...] | None:
    """Both of them both ways; () where nothing is known of this part, None where it was and is lost."""
    if measured.dataset.manifest.get("kind") != KIND or measured.evaluation.split != SPLIT:
        return ()
    try:
        scores = oracle_scores(measured.dataset)
    except BadDataset:
        return None
    tracks = measured.column("track_id")
    return tuple(
        Ceiling(name, result_of(case, tracks))
        for key, name in NAMES.items()
        for case in cases(Pool(scores[key].astype(np.float64), tracks), ["strict"])
    )
