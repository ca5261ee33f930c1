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
from model.datasets.adsynth.probes import Parts, music_latents, picture_latents
from model.datasets.synth.world import (
    TEMPO_PER_CUT_OCTAVE,
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


def reference(pairs: Pairs, parts: Parts, picture: Mapping[str, Array], music: Mapping[str, Array]) -> Array:
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
    ads, tracks = pairs.ads.take(parts.rows), pairs.tracks.take(pairs.chosen[parts.rows])
    missed = [
        {name: float(np.mean((told[name] - truth[name])[parts.held] ** 2)) for name in truth}
        for told, truth in ((picture, picture_latents(ads)), (music, music_latents(tracks)))
    ]
    told_ads, told_tracks = _told_ads(ads, picture), _told_tracks(tracks, music)
    order = np.arange(len(parts.rows))
    held, test = order[parts.held], order[parts.test]
    return levelled(
        _wider(pairs.laws, *missed),
        (told_ads.take(held), told_tracks.take(held)),
        (told_ads.take(test), told_tracks.take(test)),
    )


def _told_ads(ads: AdLatents, told: Mapping[str, Array]) -> AdLatents:
    valence, arousal, rate = (told[name][:, 0] for name in ("valence", "arousal", "cut rate"))
    return replace(ads, style=told["style"], valence=valence, arousal=arousal, log2_cut_rate=rate)


def _told_tracks(tracks: TrackLatents, told: Mapping[str, Array]) -> TrackLatents:
    valence, arousal, tempo = (told[name][:, 0] for name in ("valence", "arousal", "tempo"))
    return replace(tracks, genre=told["genre"], valence=valence, arousal=arousal, log2_tempo=tempo)


def _wider(laws: World, picture: Mapping[str, float], music: Mapping[str, float]) -> World:
    """The laws for latents of which so much variance is missed: what is not known of a distance widens it."""
    emotion = sum(side[name] for side in (picture, music) for name in ("valence", "arousal")) / 2
    per_octave = 1.0 if laws.pace == "octave" else TEMPO_PER_CUT_OCTAVE**2
    tempo = per_octave * picture["cut rate"] + music["tempo"]
    return replace(
        laws,
        sigma_style=float(np.sqrt(laws.sigma_style**2 + picture["style"] + music["genre"])),
        sigma_emotion=float(np.sqrt(laws.sigma_emotion**2 + emotion)),
        sigma_tempo=float(np.sqrt(laws.sigma_tempo**2 + tempo)),
    )


def levelled(
    laws: World, sample: tuple[AdLatents, TrackLatents], asked: tuple[AdLatents, TrackLatents]
) -> Array:
    """The log of P(ad, clip) / P(ad) P(clip), from the utility alone.

    The ratio is exp(u_ik) / (a_i b_k) with mean 1 over all clips for every ad, and over all ads for every
    clip; a and b of the sample are found by dividing each side by its mean in turn (Sinkhorn), and those of
    the pairs asked for follow from them.

    Args:
        laws: of the utility u.
        sample: m pairs, none of them asked for.
        asked: n pairs.

    Returns:
        (n, n).
    """
    suits = np.exp(utility(laws, *sample))
    of_clip = np.ones(len(suits))
    for _ in range(ROUNDS):
        of_ad = (suits / of_clip).mean(axis=1)
        of_clip = (suits / of_ad[:, None]).mean(axis=0)
    log_ad = np.log((np.exp(utility(laws, asked[0], sample[1])) / of_clip).mean(axis=1))
    log_clip = np.log((np.exp(utility(laws, sample[0], asked[1])) / of_ad[:, None]).mean(axis=0))
    return np.asarray(utility(laws, *asked) - log_ad[:, None] - log_clip, np.float64)


def recalls(scores: Array, track: NDArray[np.int64]) -> dict[str, float]:
    """R@10 of (n, n) scores in pools of clips: by protocol and direction, ties in random order.

    Args:
        scores: ad i against clip j.
        track: (n,) of clip j.
    """
    own, same = np.eye(len(track), dtype=np.bool_), track[:, None] == track
    found = {}
    for direction, side in (("V->M", scores), ("M->V", scores.T)):
        found[f"strict {direction}"] = float(_hits(side, own).mean())
        found[f"shared {direction}"] = float(_hits(side, same).mean())
        batches = [slice(first, first + BATCH) for first in range(0, len(track), BATCH)]
        hits = [_hits(side[batch, batch], own[batch, batch]) for batch in batches]
        found[f"yuyin_batched {direction}"] = float(np.concatenate(hits).mean())
    return found


def _hits(scores: Array, right: NDArray[np.bool_]) -> Array:
    """(q,) the probability that one of the right candidates (q, n) is among the first 10."""
    best = np.where(right, scores, -np.inf).max(axis=1, keepdims=True)
    tied = scores == best
    places = np.clip(CUTOFF - (scores > best).sum(axis=1), 0, tied.sum(axis=1))
    wrong = (tied & ~right).sum(axis=1)
    return np.asarray(1 - comb(wrong, places) / comb(tied.sum(axis=1), places), np.float64)


def oracle_scores(dataset: Dataset) -> dict[str, NDArray[np.float32]]:
    """What the generator left beside an AdSynth dataset: "pmi", "posterior" and "reference".

    Returns:
        (n, n) each, n pairs of the split "test" in the dataset's order, ad i against clip j; best is highest.

    Raises:
        BadDataset: if the dataset is of another kind, or the file is gone or of other pairs.
    """
    n = int((dataset.pairs["split"] == "test").sum())
    try:
        with np.load(dataset.folder / FILE, allow_pickle=False) as file:
            scores = {name: np.asarray(file[name], np.float32) for name in SCORES}
    except (OSError, ValueError, KeyError) as error:
        raise BadDataset(
            f"{dataset.folder} has no oracle ({error}): only `yuyin dataset adsynth` knows the truth"
        ) from error
    if any(score.shape != (n, n) for score in scores.values()):
        raise BadDataset(f"the oracle of {dataset.folder} is of other pairs: make the dataset again")
    return scores
