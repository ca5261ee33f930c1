"""A rendered dataset with features in, the regression of its tracks' valence on their mood descriptors out.

python -m model.datasets.synth.valence DATASET    writes model/shipped/valence.json, prints R2
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich import print as say
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import GroupKFold, cross_val_predict

from model.artifact import write_json
from model.datasets.table import Dataset
from model.features.emotion import LiteMood
from model.features.extractors import identity
from model.features.valence import SHIPPED

PENALTIES = np.logspace(0, 4, 13)
FOLDS = 5


def fit_valence(dataset: Dataset) -> dict[str, Any]:
    """Fit on all pairs; the R2 is of tracks that were left out."""
    known = np.load(dataset.folder / "factors.npz", allow_pickle=False)
    valence = known["tracks_valence"][known["chosen"]]
    mood = np.stack([clip.values.mean(axis=0) for clip in dataset.features("emotion")]).astype(np.float64)
    mean, std = mood.mean(axis=0), np.maximum(mood.std(axis=0), 1e-9)
    z = np.clip((mood - mean) / std, -5, 5)
    by_track = GroupKFold(FOLDS)
    unseen: NDArray[np.float64] = cross_val_predict(
        RidgeCV(PENALTIES), z, valence, cv=by_track, groups=known["chosen"]
    )
    fitted = RidgeCV(PENALTIES, fit_intercept=False).fit(z, valence - valence.mean())
    return {
        "extractor": identity(LiteMood()),
        "features": list(LiteMood().features),
        "mean": [float(f"{x:.6g}") for x in mean],
        "std": [float(f"{x:.6g}") for x in std],
        "weights": [float(f"{x:.4g}") for x in fitted.coef_],
        "pairs": len(valence),
        "r2": round(1 - float(((valence - unseen) ** 2).sum() / ((valence - valence.mean()) ** 2).sum()), 3),
    }


if __name__ == "__main__":
    made = fit_valence(Dataset.open(Path(sys.argv[1])))
    write_json(Path(__file__).parents[2].joinpath(*SHIPPED), made)
    say(f"valence from mood descriptors: R2 {made['r2']} on unseen tracks, {made['pairs']} pairs")
