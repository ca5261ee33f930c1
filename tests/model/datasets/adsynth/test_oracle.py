from dataclasses import replace

import numpy as np
import pytest

from model.datasets.adsynth.oracle import FILE, known, levelled, oracle_scores, recalls, reference
from model.datasets.adsynth.probes import music_latents, parts_of, picture_latents
from model.datasets.synth.world import log_choice_probability, pmi_oracle, utility
from model.datasets.table import Dataset
from model.errors import BadDataset

N = 1_600


def slow_recall(scores, right, draws, rng):
    """R@10 with ties broken by lot, many times."""
    hits = []
    for _ in range(draws):
        for row, relevant in zip(scores, right, strict=True):
            order = np.lexsort([rng.random(len(row)), -row])
            hits.append(relevant[order[:10]].any())
    return np.mean(hits)


def test_recalls_break_ties_by_lot():
    rng = np.random.default_rng(0)
    track = rng.integers(0, 12, 30)
    scores = rng.integers(0, 4, (30, 30)).astype(np.float64)  # many ties
    found = recalls(scores, track)
    own, same = np.eye(30, dtype=bool), track[:, None] == track
    for name, side in (("V->M", scores), ("M->V", scores.T)):
        assert found[f"strict {name}"] == pytest.approx(slow_recall(side, own, 300, rng), abs=0.02)
        assert found[f"shared {name}"] == pytest.approx(slow_recall(side, same, 300, rng), abs=0.02)
        assert found[f"yuyin_batched {name}"] == found[f"strict {name}"]  # one batch


def test_batched_recall_asks_in_batches_of_1024_and_the_rest():
    n = 1_464
    scores = np.zeros((n, n))
    np.fill_diagonal(scores, -1)  # whoever is asked, all others come first
    scores[1_030, 1_024:] = -2.0
    scores[1_030, 1_030] = -1.5  # first in the second batch, not among the best ten of all
    found = recalls(scores, np.arange(n))
    assert found["strict V->M"] == 0
    assert found["yuyin_batched V->M"] == pytest.approx(1 / n)


def test_blind_scores_are_at_chance():
    assert recalls(np.zeros((200, 200)), np.arange(200))["strict V->M"] == pytest.approx(10 / 200)


def test_pmi_is_that_of_the_world(pairs_of):
    pairs = pairs_of("default", 500)
    found = known(pairs)
    test, train = pairs.rows("test"), pairs.rows("train")
    both = pairs.ads.take(np.concatenate([train, test]))
    suits = utility(pairs.laws, both, pairs.tracks)
    log_chosen = log_choice_probability(suits, pairs.tracks.log_popularity)
    np.testing.assert_allclose(found.posterior, log_chosen[len(train) :, pairs.chosen[test]], rtol=1e-9)
    share = np.exp(log_chosen[: len(train)]).mean(axis=0)[pairs.chosen[test]]
    np.testing.assert_allclose(found.pmi, found.posterior - np.log(share), rtol=1e-9)
    whole = pmi_oracle(
        suits[: len(train)], pairs.tracks.log_popularity
    )  # the same shares, by the world's own
    np.testing.assert_allclose(
        np.log(share),
        (log_chosen[: len(train)] - whole)[0, pairs.chosen[test]],
        rtol=1e-6,
    )


def test_catalogue_hits_are_those_of_the_whole_library(pairs_of):
    pairs = pairs_of("cold", 500)
    test, shelf = pairs.rows("test"), pairs.library["test"]
    suits = utility(pairs.laws, pairs.ads.take(test), pairs.tracks.take(shelf))
    score = suits + pairs.tracks.log_popularity[shelf]
    own = score[np.arange(len(test)), pairs.chosen[test] - shelf[0]]
    assert known(pairs).catalogue_hits == pytest.approx(np.mean((score > own[:, None]).sum(axis=1) < 10))


@pytest.fixture(scope="module")
def best(pairs_of):
    """The oracle of the default world, and the track of each of its clips."""
    pairs = pairs_of("default", N)
    return known(pairs), pairs.chosen[pairs.rows("test")]


def test_pmi_is_as_good_both_ways_and_better_than_the_posterior(best):
    found, track = best
    pmi, posterior = recalls(found.pmi, track), recalls(found.posterior, track)
    error = np.sqrt(2 * 0.25 / len(track))
    assert abs(pmi["strict V->M"] - pmi["strict M->V"]) < 3 * error
    assert pmi["strict V->M"] > posterior["strict V->M"] + 0.03
    assert pmi["strict V->M"] > 0.6
    for direction in ("V->M", "M->V"):
        assert pmi[f"strict {direction}"] <= pmi[f"shared {direction}"]


def test_where_music_is_dealt_out_anew_even_the_truth_is_at_chance(pairs_of):
    pairs = pairs_of("null", N)
    found = recalls(known(pairs).pmi, pairs.chosen[pairs.rows("test")])
    n = len(pairs.rows("test"))
    assert abs(found["strict V->M"] - 10 / n) < 4 * np.sqrt(10 / n / n)


def test_a_harder_world_has_a_lower_ceiling(pairs_of):
    strict = []
    for world in ("default", "hard"):
        pairs = pairs_of(world, 1_000)
        strict.append(recalls(known(pairs).pmi, pairs.chosen[pairs.rows("test")])["strict V->M"])
    assert strict[1] < strict[0] - 0.1


def truth(pairs, parts):
    """What perfect probes would tell."""
    ads, music = pairs.ads.take(parts.rows), pairs.tracks.take(pairs.chosen[parts.rows])
    return picture_latents(ads), music_latents(music)


def test_the_reference_of_perfect_probes_is_the_oracle(pairs_of, best):
    pairs = pairs_of("default", N)
    parts = parts_of(pairs)
    known_scores, track = best
    found = recalls(reference(pairs, parts, *truth(pairs, parts)), track)
    ceiling = recalls(known_scores.pmi, track)
    for direction in ("V->M", "M->V"):
        assert found[f"strict {direction}"] == pytest.approx(ceiling[f"strict {direction}"], abs=0.05)


@pytest.mark.parametrize(("world", "octaves_per_cut_octave"), [("default", 1.0), ("linear", 0.4)])
def test_the_reference_widens_each_law_by_what_its_probes_miss(pairs_of, world, octaves_per_cut_octave):
    pairs = pairs_of(world, 500)
    parts = parts_of(pairs)
    rng = np.random.default_rng(0)
    missed = {"style": 0.2, "genre": 0.3, "valence": 0.4, "arousal": 0.5, "cut rate": 0.6, "tempo": 0.7}
    picture, music = (
        {name: value + missed[name] * rng.choice([-1, 1], value.shape) for name, value in side.items()}
        for side in truth(pairs, parts)
    )
    emotion = (2 * 0.4**2 + 2 * 0.5**2) / 2  # both sides miss as much; one sigma is for valence and arousal
    laws = replace(
        pairs.laws,
        sigma_style=np.sqrt(0.8**2 + 0.2**2 + 0.3**2),
        sigma_emotion=np.sqrt(0.45**2 + emotion),
        sigma_tempo=np.sqrt(0.18**2 + (octaves_per_cut_octave * 0.6) ** 2 + 0.7**2),
    )
    ads, tracks = told_by(pairs, parts, picture, music)
    order = np.arange(len(parts.rows))
    sides = [(ads.take(order[part]), tracks.take(order[part])) for part in (parts.held, parts.test)]
    np.testing.assert_allclose(reference(pairs, parts, picture, music), levelled(laws, *sides), rtol=1e-6)


def told_by(pairs, parts, picture, music):
    """Ads and tracks as probes tell them; of the ad, its category is known."""
    ads, tracks = pairs.ads.take(parts.rows), pairs.tracks.take(pairs.chosen[parts.rows])
    ads = replace(
        ads,
        style=picture["style"],
        valence=picture["valence"][:, 0],
        arousal=picture["arousal"][:, 0],
        log2_cut_rate=picture["cut rate"][:, 0],
    )
    tracks = replace(
        tracks,
        genre=music["genre"],
        valence=music["valence"][:, 0],
        arousal=music["arousal"][:, 0],
        log2_tempo=music["tempo"][:, 0],
    )
    return ads, tracks


def test_levelled_scores_are_a_ratio_of_densities(pairs_of):
    pairs = pairs_of("default", N)
    rows = pairs.rows("train")[:400]
    sample = pairs.ads.take(rows), pairs.tracks.take(pairs.chosen[rows])
    ratio = np.exp(levelled(pairs.laws, sample, sample))
    np.testing.assert_allclose(ratio.mean(axis=1), 1, rtol=1e-6)  # the side that was levelled last
    np.testing.assert_allclose(ratio.mean(axis=0), 1, rtol=0.05)


def test_only_our_own_datasets_have_an_oracle(tmp_path):
    pairs = {"split": np.array(["train", "test", "test"])}
    dataset = Dataset(tmp_path, {"kind": "adsynth"}, pairs)
    with pytest.raises(BadDataset, match="has no oracle"):
        oracle_scores(dataset)
    np.savez(tmp_path / FILE, pmi=np.zeros((2, 2)), posterior=np.zeros((2, 2)))
    with pytest.raises(BadDataset, match="has no oracle"):
        oracle_scores(dataset)
    np.savez(tmp_path / FILE, pmi=np.zeros((2, 2)), posterior=np.zeros((3, 3)), reference=np.zeros((2, 2)))
    with pytest.raises(BadDataset, match="of other pairs"):
        oracle_scores(dataset)
    (tmp_path / FILE).write_bytes(b"not a zip")
    with pytest.raises(BadDataset, match="has no oracle"):
        oracle_scores(dataset)
