"""Data sets in, what they themselves know of the best that can be reached out: AdSynth knows its latents.

The names are those of `model.evaluation.ceiling`, which says what they mean.
"""

from model.comparison.plan import Data, Plan
from model.comparison.tables import Values, values_of
from model.evaluation.ceiling import KIND, NAMES
from model.evaluation.pool import Case, Pool, cases


def oracles(plan: Plan) -> dict[str, Values]:
    """By name; {} unless every data set is AdSynth's.

    Raises:
        BadDataset: if one has lost its oracle.
    """
    if any(data.dataset.manifest.get("kind") != KIND for data in plan.data):
        return {}
    found = [_oracles(data) for data in plan.data]
    return {name: values_of([[each[name]] for each in found]) for name in NAMES.values()}


def _oracles(data: Data) -> dict[str, tuple[Case, ...]]:
    from model.datasets.adsynth.oracle import oracle_scores

    pairs = data.dataset.pairs
    tracks, scores = pairs["track_id"], oracle_scores(data.dataset)
    test, train = pairs["split"] == "test", pairs["split"] == "train"
    return {
        label: tuple(cases(Pool(scores[name].astype("float64"), tracks[test], tracks[train])))
        for name, label in NAMES.items()
    }
