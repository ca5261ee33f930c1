"""A number of pairs and a seed in, who meets whom and for how long out; nothing is rendered yet."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from model.datasets.synth.advert import draw_duration_s
from model.datasets.synth.factors import TrackFactors, fold_tempo
from model.datasets.synth.repertoire import style_of
from model.datasets.synth.world import (
    TEMPO_BPM_AT_ZERO,
    AdLatents,
    TrackLatents,
    World,
    choose,
    draw_ads,
    draw_tracks,
    utility,
)
from model.grid import EPSILON_S, Grid

TRACKS_PER_AD = 8  # editors choose from a library larger than their own output; only those are rendered

# What rendered adverts let a listener of features see limits what can be learnt: with own conventions per
# category, of which pixels show next to nothing, and the looser choices of World(), even perfect use of the
# features finds the right clip of 200 among ten for 23 % of the ads (docs/log.md).
RENDERED = World(conventions="shared", pace="tempo", sigma_style=0.5, sigma_emotion=0.35)


@dataclass(frozen=True, slots=True)
class Draw:
    """n ads, m tracks, and the editors' choices."""

    ads: AdLatents
    tracks: TrackLatents
    chosen: NDArray[np.int64]  # (n,) row of the track
    factors: dict[int, TrackFactors]  # of the tracks that were chosen, by row
    length_s: NDArray[np.float64]  # (n,) of each picture
    start_s: NDArray[np.float64]  # (n,) where in its track each ad's clip begins


def draw_start_s(track_s: float, picture_s: float, rng: np.random.Generator) -> float:
    """A start on the grid with the picture's length of music left, as the service offers; else 0."""
    grid = Grid()
    starts = grid.starts(track_s)
    first, _ = grid.candidates(starts, track_s, picture_s)
    off_grid_s = np.mod(starts[first] + EPSILON_S, grid.hop_s)
    whole = starts[first][off_grid_s < 2 * EPSILON_S]  # the ending may lie off it
    return float(rng.choice(whole))


def heard(tracks: TrackLatents) -> TrackLatents:
    """The same tracks with the tempo that their style will play: others are felt in half or double time."""
    bpm = TEMPO_BPM_AT_ZERO * 2**tracks.log2_tempo
    played = [
        fold_tempo(float(tempo), *style_of((a, b, c, d, e, f)).tempo_bpm)
        for tempo, (a, b, c, d, e, f) in zip(bpm, tracks.genre.tolist(), strict=True)
    ]
    return replace(tracks, log2_tempo=np.log2(np.array(played) / TEMPO_BPM_AT_ZERO))


def draw(world: World, pairs: int, seed: int) -> Draw:
    """Draw ads and a library of tracks, let the editors choose, and place the clips."""
    rng = np.random.default_rng(np.random.SeedSequence([seed, world.world_seed]))
    ads = draw_ads(world, pairs, rng)
    tracks = heard(draw_tracks(world, TRACKS_PER_AD * pairs, rng))
    chosen = choose(utility(world, ads, tracks), tracks.log_popularity, rng)
    factors = {int(j): TrackFactors.from_latents(tracks, int(j), seed) for j in np.unique(chosen)}
    length_s = np.array([draw_duration_s(rng) for _ in range(pairs)])
    start_s = [
        draw_start_s(factors[int(j)].duration_s, s, rng) for j, s in zip(chosen, length_s, strict=True)
    ]
    return Draw(ads, tracks, chosen, factors, length_s, np.array(start_s, np.float64))
