"""A seed in, ads and tracks as latent numbers and the track each ad's editor chose out; no pixels, no sound.

The random-utility model of docs/models.md section 7.1. What is fixed about the world (what each tag looks and
feels like, each category's house style) comes from `World.world_seed`; who lives in it (brands, ads,
tracks) comes from the generator that is passed in. So training data and unseen test data are two draws
from one world: other ads, other tracks, other brands, the same laws.
"""

from dataclasses import dataclass, fields
from functools import cached_property
from typing import Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

CATEGORIES: tuple[str, ...] = ("clothing", "baby", "daily", "electronic")
CATEGORY_SHARES: tuple[float, ...] = (43_841 / 98_071, 25_860 / 98_071, 26_824 / 98_071, 1_546 / 98_071)
TAGS: tuple[str, ...] = (
    "sportswear",
    "wedding dresses",
    "women's t-shirts",
    "down jackets",
    "women's suits",
    "men's suits",
    "men's t-shirts",
    "baby care",
    "children's clothing",
    "daily necessities",
    "food",
    "cosmetics",
    "video games",
    "mobile phones",
    "tablets",
)
CATEGORY_OF_TAG: tuple[int, ...] = (0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 2, 2, 3, 3, 3)

STYLE_DIM = 6
CUTS_PER_S_AT_ZERO = 0.5  # cuts per s = 0.5 * 2 ** log2_cut_rate
TEMPO_BPM_AT_ZERO = 110.0  # tempo = 110 * 2 ** log2_tempo, before folding into a singable octave
TAG_WEIGHT, BRAND_WEIGHT, OWN_WEIGHT = 0.5, 0.5, 0.5**0.5  # squares sum to 1: latents keep unit variance
TEMPO_PER_CUT_OCTAVE = 0.4  # heard tempi span 1.5 octaves, cut rates about four
AROUSAL_TO_PACE = 0.5  # docs/models.md 7.1: cut rate and tempo both lean on arousal by this much


@dataclass(frozen=True, slots=True)
class AdLatents:
    """n ads; every number has about unit variance, log2_cut_rate is in octaves."""

    category: NDArray[np.int64]  # (n,) index into CATEGORIES
    tag: NDArray[np.int64]  # (n,) index into TAGS
    brand: NDArray[np.int64]  # (n,) 0 .. World.brands - 1; brands of two draws have nothing in common
    style: NDArray[np.float64]  # (n, 6)
    valence: NDArray[np.float64]  # (n,)
    arousal: NDArray[np.float64]  # (n,)
    log2_cut_rate: NDArray[np.float64]  # (n,)

    def __len__(self) -> int:
        return len(self.tag)

    def take(self, rows: ArrayLike) -> Self:
        """The ads of these rows, in this order."""
        index = np.asarray(rows, np.intp)
        return type(self)(**{field.name: getattr(self, field.name)[index] for field in fields(self)})


@dataclass(frozen=True, slots=True)
class TrackLatents:
    """m tracks; every number but log_popularity has about unit variance, log2_tempo is in octaves."""

    genre: NDArray[np.float64]  # (m, 6)
    valence: NDArray[np.float64]  # (m,)
    arousal: NDArray[np.float64]  # (m,)
    log2_tempo: NDArray[np.float64]  # (m,)
    log_popularity: NDArray[np.float64]  # (m,) in nats; the exponentials sum to 1

    def __len__(self) -> int:
        return len(self.log_popularity)

    def take(self, rows: ArrayLike) -> Self:
        """The tracks of these rows, in this order; their popularities no longer sum to 1."""
        index = np.asarray(rows, np.intp)
        return type(self)(**{field.name: getattr(self, field.name)[index] for field in fields(self)})


@dataclass(frozen=True)
class World:
    """The knobs of docs/models.md 7.1, and the constants that follow from `world_seed` alone."""

    world_seed: int = 98_071
    brands: int = 1_500
    sigma_style: float = 0.8
    sigma_emotion: float = 0.45
    sigma_tempo: float = 0.18  # octaves
    popularity_exponent: float = 0.61  # 2.0 copies of a track per 1,464 test clips
    conventions: Literal["category", "shared"] = "category"  # shared: Q_c = I, one house style for all
    pace: Literal["octave", "tempo"] = "octave"  # cuts want beats modulo octave, or simply a faster tempo

    @cached_property
    def rotations(self) -> NDArray[np.float64]:
        """Q_c: (4, 6, 6), one random rotation per category, the house style that makes category useful."""
        if self.conventions == "shared":
            return np.tile(np.eye(STYLE_DIM), (len(CATEGORIES), 1, 1))
        rng = np.random.default_rng([self.world_seed, 0])
        orthogonal, triangular = np.linalg.qr(rng.standard_normal((len(CATEGORIES), STYLE_DIM, STYLE_DIM)))
        orthogonal *= np.sign(np.einsum("cii->ci", triangular))[:, None, :]  # makes the draw uniform (Haar)
        orthogonal[:, :, 0] *= np.linalg.det(orthogonal)[:, None]  # a rotation, no mirror
        return np.asarray(orthogonal, np.float64)

    @cached_property
    def tag_means(self) -> NDArray[np.float64]:
        """mu_tag: (15, 8), columns style 0..5, valence, arousal; mean 0, variance 1 over all ads."""
        rng = np.random.default_rng([self.world_seed, 1])
        means = rng.standard_normal((len(TAGS), STYLE_DIM + 2))
        shares = tag_shares()
        means = means - shares @ means
        return np.asarray(means / np.sqrt(shares @ means**2), np.float64)


def tag_shares() -> NDArray[np.float64]:
    """(15,) how often each tag occurs: the seed's category counts, uniform inside a category."""
    category = np.asarray(CATEGORY_OF_TAG)
    shares = np.asarray(CATEGORY_SHARES) / np.bincount(category)
    return np.asarray(shares[category], np.float64)


def _pace(arousal: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    own = rng.standard_normal(len(arousal))
    return np.asarray(AROUSAL_TO_PACE * arousal + np.sqrt(1 - AROUSAL_TO_PACE**2) * own, np.float64)


def draw_ads(world: World, n: int, rng: np.random.Generator) -> AdLatents:
    """Draw `n` ads of `world.brands` fresh brands, each brand of one tag."""
    shares = tag_shares()
    brand_tag = rng.choice(len(TAGS), size=world.brands, p=shares)
    brand_tag[: len(TAGS)] = np.arange(len(TAGS))[: world.brands]  # no tag without a brand
    brand_look = rng.standard_normal((world.brands, STYLE_DIM + 2))
    tag = rng.choice(len(TAGS), size=n, p=shares)
    of_tag = [np.flatnonzero(brand_tag == t) for t in range(len(TAGS))]
    brand = np.array([of_tag[t][int(u * len(of_tag[t]))] for t, u in zip(tag, rng.random(n), strict=True)])
    brand = brand.astype(np.int64)
    look = TAG_WEIGHT * world.tag_means[tag] + BRAND_WEIGHT * brand_look[brand]
    look = look + OWN_WEIGHT * rng.standard_normal((n, STYLE_DIM + 2))
    return AdLatents(
        category=np.asarray(CATEGORY_OF_TAG, np.int64)[tag],
        tag=tag.astype(np.int64),
        brand=brand,
        style=look[:, :STYLE_DIM],
        valence=look[:, STYLE_DIM],
        arousal=look[:, STYLE_DIM + 1],
        log2_cut_rate=_pace(look[:, STYLE_DIM + 1], rng),
    )


def draw_tracks(world: World, m: int, rng: np.random.Generator) -> TrackLatents:
    """Draw `m` tracks whose popularity falls with a random rank as rank ** -0.61."""
    genre = rng.standard_normal((m, STYLE_DIM))
    valence, arousal = rng.standard_normal((2, m))
    weight = (1.0 + rng.permutation(m)) ** -world.popularity_exponent
    return TrackLatents(genre, valence, arousal, _pace(arousal, rng), np.log(weight / weight.sum()))


def pace_mismatch(log2_cut_rate: NDArray[np.float64], log2_tempo: NDArray[np.float64]) -> NDArray[np.float64]:
    """delta(r, q) of docs/models.md 7.1: (n, m) octaves in -0.5 .. 0.5, how far cuts are from beats.

    Zero where cuts per s and beats per s differ by a power of two: cutting on every beat, every
    second one, or between beats is equally good.
    """
    cuts = log2_cut_rate + np.log2(CUTS_PER_S_AT_ZERO)
    beats = log2_tempo + np.log2(TEMPO_BPM_AT_ZERO / 60)
    octaves = cuts[:, None] - beats[None, :]
    return np.asarray(octaves - np.round(octaves), np.float64)


def tempo_mismatch(
    log2_cut_rate: NDArray[np.float64], log2_tempo: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(n, m) octaves between each track's tempo and the one that the cuts want: faster cuts, faster music."""
    return np.asarray(TEMPO_PER_CUT_OCTAVE * log2_cut_rate[:, None] - log2_tempo[None, :], np.float64)


def _squared_distance(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    total = np.zeros((len(x), len(y)))
    for column in range(x.shape[1]):  # (n, m) at a time: the (n, m, 6) array of 98k ads would not fit
        total += (x[:, column, None] - y[None, :, column]) ** 2
    return total


def utility(world: World, ads: AdLatents, tracks: TrackLatents) -> NDArray[np.float64]:
    """How well each track suits each ad, popularity and taste left out: (n, m) in nats, at most 0.

    u_ij = -1/2 [ |Q_c s_i - g_j|^2 / sigma_s^2 + |e_i - f_j|^2 / sigma_e^2 + delta(r_i, q_j)^2 / sigma_q^2 ]
    """
    wanted = np.einsum("nij,nj->ni", world.rotations[ads.category], ads.style)
    style = _squared_distance(wanted, tracks.genre) / world.sigma_style**2
    ad_emotion = np.stack([ads.valence, ads.arousal], axis=1)
    track_emotion = np.stack([tracks.valence, tracks.arousal], axis=1)
    emotion = _squared_distance(ad_emotion, track_emotion) / world.sigma_emotion**2
    mismatch = pace_mismatch if world.pace == "octave" else tempo_mismatch
    pace = (mismatch(ads.log2_cut_rate, tracks.log2_tempo) / world.sigma_tempo) ** 2
    return -0.5 * (style + emotion + pace)


def choose(
    utility: NDArray[np.float64], log_popularity: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.int64]:
    """The track each ad's editor picks: (n,) rows of the tracks; a conditional logit by the Gumbel trick."""
    taste = rng.gumbel(size=utility.shape)
    return np.asarray(np.argmax(utility + log_popularity + taste, axis=1), np.int64)


def log_choice_probability(
    utility: NDArray[np.float64], log_popularity: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The log of P(track | ad): (n, m), what `choose` draws from; the best score to rank whole tracks by."""
    score = utility + log_popularity
    score = score - score.max(axis=1, keepdims=True)
    return np.asarray(score - np.log(np.exp(score).sum(axis=1, keepdims=True)), np.float64)


def pmi_oracle(utility: NDArray[np.float64], log_popularity: NDArray[np.float64]) -> NDArray[np.float64]:
    """The log of P(track | ad) / P(track): (n, m), the best possible score for a pool of clips.

    In a pool of clips popular tracks also occur more often as wrong answers, so popularity has to be
    divided out (docs/models.md 7.1). P(track) is the mean over the n ads given: hand in many.
    """
    log_given_ad = log_choice_probability(utility, log_popularity)
    top = log_given_ad.max(axis=0, keepdims=True)
    log_mean = top + np.log(np.exp(log_given_ad - top).mean(axis=0, keepdims=True))
    return np.asarray(log_given_ad - log_mean, np.float64)
