"""The shipped guess of valence: what it says of clips whose valence is known, and when it says nothing."""

import json
from importlib.resources import files

import numpy as np

from model.datasets.synth.valence import fit_valence
from model.datasets.table import Dataset, Ragged, features_folder, pairs_digest, write_dataset
from model.features.emotion import LiteMood
from model.features.extractors import identity
from model.features.valence import SHIPPED, guessed_valence

NAMES, MADE_BY = LiteMood().features, identity(LiteMood())


def test_is_the_linear_map_that_was_shipped_and_survives_odd_values() -> None:
    fitted = json.loads(files("model").joinpath(*SHIPPED).read_text("utf-8"))
    x = np.random.default_rng(0).normal(fitted["mean"], fitted["std"], (4, len(NAMES))).astype(np.float32)
    guess = guessed_valence(x, MADE_BY, NAMES)
    assert guess is not None
    for row, value in zip(x, guess, strict=True):
        terms = [
            w * max(-5.0, min(5.0, (float(v) - m) / s))
            for v, m, s, w in zip(row, fitted["mean"], fitted["std"], fitted["weights"], strict=True)
        ]
        assert abs(value - sum(terms)) < 1e-4
    x[0, 0], x[1, 1] = np.nan, np.inf
    odd = guessed_valence(x, MADE_BY, NAMES)
    assert odd is not None
    assert np.isfinite(odd).all()


def test_says_nothing_of_other_descriptors() -> None:
    x = np.zeros((2, len(NAMES)), np.float32)
    assert guessed_valence(x, "lite-mood@999", NAMES) is None
    assert guessed_valence(x, MADE_BY, NAMES[::-1]) is None
    assert guessed_valence(x[:, :5], MADE_BY, NAMES) is None


def test_the_fit_finds_a_law_that_is_there_and_reports_what_it_explains(tmp_path) -> None:
    rng, n = np.random.default_rng(1), 300
    mood = rng.normal(size=(n, len(NAMES)))
    truth = mood[:, 3] - 0.5 * mood[:, 7]
    valence = truth + 0.5 * rng.standard_normal(n)
    text = np.full(n, "x")
    ids = np.array([f"p{i}" for i in range(n)])
    names = ("pair_id", "track_id", "group")
    columns = dict.fromkeys(names, ids) | dict.fromkeys(("category", "tag", "video_path", "music_path"), text)
    times = {"length_s": np.full(n, 9.0), "start_s": np.zeros(n)}
    write_dataset(tmp_path, {"kind": "rendered"}, {**columns, **times, "split": np.full(n, "train")})
    order = rng.permutation(2 * n)[:n]  # which tracks of a larger library were chosen
    library = np.zeros(2 * n)
    library[order] = valence
    np.savez(tmp_path / "factors.npz", chosen=order, tracks_valence=library)
    into = features_folder(tmp_path, "lite")
    Ragged(mood.astype(np.float32), np.zeros(n), np.arange(n + 1)).write(into, "emotion")
    (into / "features.json").write_text(json.dumps({"pairs": pairs_digest(ids)}))
    fitted = fit_valence(Dataset.open(tmp_path))
    weights = np.array(fitted["weights"]) / np.array(fitted["std"])
    assert abs(weights[3] - 1) < 0.1
    assert abs(weights[7] + 0.5) < 0.1
    explained = truth.var() / valence.var()
    assert explained - 0.12 < fitted["r2"] < explained + 0.05
