"""Latents, and what probes tell of them, in; the scores of whoever knows the truth, or reads it, out.

docs/models.md 7.1. `pmi` is the best there is in a pool of clips, `posterior` in a catalogue in which every
track stands once. `reference` plugs latents that ridge probes tell from the features into the true utility,
its variances wider by what the probes miss: no bound, but a level that can be reached.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import comb

from model.datasets.adsynth.pairs import BLOCK, Pairs
from model.datasets.adsynth.probes import Parts
from model.datasets.synth.world import (
    AdLatents,
    TrackLatents,
    World,
    log_choice_probability,
    utility,
)
from model.datasets.table import Dataset
from model.errors import BadDataset

SCORES = ("pmi", "posterior", "reference")
FILE = "oracle.npz"
AVERAGED_ADS = 8_000  # over which P(track) is the mean of P(track | ad)
ROUNDS = 20  # of levelling the two sides of a ratio of densities; it stands still after ten
BATCH = 1_024  # of the protocol `yuyin_batched`
CUTOFF = 10

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Known:
    """What the latents themselves give for the test split."""

    pmi: Array  # (n, n) ad i against clip j
    posterior: Array  # (n, n)
    catalogue_hits: float  # share of ads whose track is among the best 10 of its whole library


def known(pairs: Pairs) -> Known:
    """Score the clips of the test split with the generator's own utility."""
    test = pairs.rows("test")
    shelf = pairs.library["test"]
    tracks = pairs.tracks.take(shelf)
    column = np.searchsorted(shelf, pairs.chosen[test])  # a world that deals tracks out anew keeps to them
    log_share = log_track_share(pairs.laws, pairs.ads.take(pairs.rows("train")[:AVERAGED_ADS]), tracks)
    posterior, hits = [], []
    for block in np.split(np.arange(len(test)), range(BLOCK, len(test), BLOCK)):
        log_chosen = _log_chosen(pairs.laws, pairs.ads.take(test[block]), tracks)
        posterior.append(log_chosen[:, column])
        hits.append(_hits(log_chosen, np.arange(len(tracks)) == column[block, None]))
    scores = np.concatenate(posterior)
    return Known(scores - log_share[column], scores, float(np.concatenate(hits).mean()))


def log_track_share(laws: World, ads: AdLatents, tracks: TrackLatents) -> Array:
    """(m,) the log of how often each track is chosen by ads like these."""
    total = np.zeros(len(tracks))
    for first in range(0, len(ads), BLOCK):
        block = ads.take(np.arange(first, min(first + BLOCK, len(ads))))
        total += np.exp(_log_chosen(laws, block, tracks)).sum(axis=0)
    return np.asarray(np.log(total / len(ads)), np.float64)


def _log_chosen(laws: World, ads: AdLatents, tracks: TrackLatents) -> Array:
    return log_choice_probability(utility(laws, ads, tracks), tracks.log_popularity)


def reference(
    pairs: Pairs, parts: Parts, picture: Mapping[str, Array], music: Mapping[str, Array]
) -> Array:
    """Score the clips of the test split by what probes tell of both sides; the ad's category is given.

    The ratio of densities of a pair has mean 1 over either side. That levels it, on the held pairs: there is
    no library to sum over when tracks are known by their features only.

    Args:
        pairs: the truth, for the laws and for how wrong the probes are.
        parts: whom the probes speak of.
        picture: (rows, k) by name as `probes.picture_latents`, told from features.
        music: the same as `probes.music_latents`.

    Returns:
        (n, n) ad i against clip j.
    """
    rows, held = parts.rows, parts.held
    true_ads, true_music = pairs.ads.take(rows), pairs.tracks.take(pairs.chosen[rows])
    ads, tracks = _told_ads(true_ads, picture), _told_tracks(true_music, music)
    laws = _wider(pairs.laws, _missed(ads, true_ads, held), _missed(tracks, true_music, held))
    held_ads, held_tracks = (side.take(np.arange(len(rows))[held]) for side in (ads, tracks))
    test_ads, test_tracks = (side.take(np.arange(len(rows))[parts.test]) for side in (ads, tracks))
    return levelled(laws, held_ads, held_tracks, test_ads, test_tracks)
