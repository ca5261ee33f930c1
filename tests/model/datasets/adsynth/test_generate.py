import json
from dataclasses import replace

import numpy as np
import pytest

from model.datasets.adsynth import probes
from model.datasets.adsynth.generate import PROFILE, Plan, generate
from model.datasets.adsynth.oracle import oracle_scores
from model.datasets.adsynth.worlds import DIMS
from model.datasets.layout import read_layout, tag_vectors
from model.datasets.synth.world import TAGS
from model.datasets.table import Dataset
from model.errors import BadDataset, BadOptions

PLAN = Plan(world="default", pairs=500, seed=5, dims="tiny", sequences=True)
FEATURES = {"frames": 72, "flow": 1, "audio": 64, "emotion": 48, "rhythm": 3}


def silent(done, total):
    pass


@pytest.fixture(scope="module")
def cheap(tiny):
    """Small widths, and networks that are hardly trained."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(DIMS, "tiny", tiny)
        patch.setattr(probes, "PASSES", 0.05)
        yield


@pytest.fixture(scope="module")
def made(cheap, tmp_path_factory):
    folder = tmp_path_factory.mktemp("adsynth") / "default"
    told = []
    card = generate(folder, PLAN, lambda done, total: told.append((done, total)))
    return folder, card, told


@pytest.fixture(scope="module")
def short(cheap, tmp_path_factory):
    folder = tmp_path_factory.mktemp("adsynth") / "pooled"
    generate(folder, replace(PLAN, sequences=False), silent)
    return folder


def test_what_is_made_is_a_dataset_with_a_layout(made):
    dataset = Dataset.open(made[0])
    assert dataset.manifest["kind"] == "adsynth"
    assert dataset.manifest["knobs"]["kappa"] == 0.5
    layout = read_layout(dataset, PROFILE)
    assert set(layout.video) == {"frames", "flow"}
    assert set(layout.music) == {"audio", "emotion", "rhythm"}
    assert layout.valence
    for name, width in FEATURES.items():
        feature = dataset.features(name, PROFILE)
        assert feature.values.shape == (feature.offsets[-1], width)
        assert feature.values.dtype == np.float16
        assert set(np.diff(feature.offsets).tolist()) == set(range(8, 17))
    words = tag_vectors(dataset, PROFILE, TAGS)
    assert words.shape == (15, 8)
    assert {len(names) for names in (set(dataset.pairs["tag"]), set(dataset.pairs["category"]))} == {15, 4}


def test_features_of_one_side_have_its_length_and_the_other_side_its_own(made):
    dataset = Dataset.open(made[0])
    counts = {name: np.diff(dataset.features(name, PROFILE).offsets) for name in FEATURES}
    np.testing.assert_array_equal(counts["frames"], counts["flow"])
    np.testing.assert_array_equal(counts["audio"], counts["rhythm"])
    np.testing.assert_array_equal(counts["audio"], counts["emotion"])
    assert abs(np.corrcoef(counts["frames"], counts["audio"])[0, 1]) < 4 / np.sqrt(500)
    np.testing.assert_array_equal(dataset.pairs["length_s"], counts["frames"])


def test_pooled_features_are_the_means_of_the_sequences(made, short):
    long, pooled = Dataset.open(made[0]), Dataset.open(short)
    for name in FEATURES:
        rows, means = long.features(name, PROFILE), pooled.features(name, PROFILE)
        assert len(means.values) == 500
        wanted = [row.values.astype(np.float64).mean(axis=0) for row in rows]
        scale = rows.values.astype(np.float64).std(axis=0)
        np.testing.assert_allclose((means.values - wanted) / scale, 0, atol=0.02)  # float16, twice
    for name in ("pair_id", "track_id", "tag", "split"):
        np.testing.assert_array_equal(long.pairs[name], pooled.pairs[name])


def test_the_latents_beside_it_are_those_of_its_pairs(made):
    dataset = Dataset.open(made[0])
    with np.load(made[0] / "latents.npz") as latents:
        valence = dataset.features("valence", PROFILE).values[:, 0]
        np.testing.assert_allclose(valence, latents["ads_valence"], rtol=1e-6)
        np.testing.assert_array_equal(
            [int(name.rsplit("t", 1)[1]) for name in dataset.pairs["track_id"]], latents["chosen"]
        )
        np.testing.assert_array_equal(dataset.pairs["tag"], np.array(TAGS)[latents["ads_tag"]])
        assert latents["tracks_genre"].shape == (7_500, 6)


def test_the_card_ranks_truth_above_reading_above_chance(made):
    _, card, _ = made
    assert card == json.loads((made[0] / "probes.json").read_text())
    hits = card["recall_at_10"]
    assert hits["pmi"]["strict V->M"] > hits["reference"]["strict V->M"] > 2 * 10 / 75
    assert hits["posterior"]["catalog V->M"] > 10 / 75 / 2
    assert card["probes"]["frames"]["ridge"]["style"] > 0.5
    assert card["probes"]["emotion"]["ridge"]["genre"] < 0.1
    assert set(card["probes"]["rhythm"]["network"]) == {"genre", "valence", "arousal", "tempo"}


def test_the_oracles_scores_lie_beside_the_test_split(made):
    dataset = Dataset.open(made[0])
    scores = oracle_scores(dataset)
    assert set(scores) == {"pmi", "posterior", "reference"}
    for name, score in scores.items():
        assert score.shape == (75, 75)
        own = np.diag(score)[:, None]
        hits = np.mean((score > own).sum(axis=1) < 10)
        assert hits == pytest.approx(made[1]["recall_at_10"][name]["strict V->M"], abs=0.05)


def test_progress_ends_where_it_said(made):
    told = made[2]
    assert told == sorted(told)
    assert {total for _, total in told} == {1_500}
    assert told[-1] == (1_500, 1_500)


def test_the_same_again_is_not_made_again_and_something_else_is_refused(made):
    folder, card, _ = made
    before = (folder / "dataset.json").stat().st_mtime_ns
    assert generate(folder, PLAN, silent) == card
    assert (folder / "dataset.json").stat().st_mtime_ns == before
    for other in (replace(PLAN, seed=6), replace(PLAN, world="noE"), replace(PLAN, sequences=False)):
        with pytest.raises(BadDataset, match="choose an empty folder"):
            generate(folder, other, silent)


def test_a_seed_gives_the_same_bytes_again(short, cheap, tmp_path):
    (tmp_path / "again").mkdir()  # an empty folder is as good as none
    generate(tmp_path / "again", replace(PLAN, sequences=False), silent)
    names = {path.relative_to(short) for path in short.rglob("*") if path.is_file()}
    assert names == {
        path.relative_to(tmp_path / "again") for path in (tmp_path / "again").rglob("*") if path.is_file()
    }
    for name in names:
        assert (short / name).read_bytes() == (tmp_path / "again" / name).read_bytes(), name


def test_who_is_stopped_halfway_leaves_nothing_and_can_start_again(cheap, tmp_path):
    plan = replace(PLAN, sequences=False)

    def stop(done, total):
        if done > 700:  # in the middle of the features
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generate(tmp_path / "out", plan, stop)
    assert list(tmp_path.iterdir()) == []
    generate(tmp_path / "out", plan, silent)
    assert len(Dataset.open(tmp_path / "out")) == 500


def test_shuffled_tags_are_words_about_nobody(cheap, tmp_path, short):
    generate(tmp_path / "noT", replace(PLAN, world="noT", sequences=False), silent)
    shuffled, default = Dataset.open(tmp_path / "noT"), Dataset.open(short)
    assert sorted(shuffled.pairs["tag"]) == sorted(default.pairs["tag"])
    assert np.mean(shuffled.pairs["tag"] == default.pairs["tag"]) < 0.2  # by chance .11
    for name in ("category", "split", "track_id"):
        np.testing.assert_array_equal(shuffled.pairs[name], default.pairs[name])
    for name in ("frames", "audio", "emotion"):
        np.testing.assert_array_equal(
            shuffled.features(name, PROFILE).values, default.features(name, PROFILE).values
        )


@pytest.mark.parametrize(
    ("plan", "error"),
    [
        (replace(PLAN, world="nope"), "choose one of default, linear"),
        (replace(PLAN, dims="huge"), "choose one of paper, small"),
        (replace(PLAN, pairs=499), "ask for 500"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(tmp_path, plan, error):
    with pytest.raises(BadOptions, match=error):
        generate(tmp_path / "out", plan, silent)
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_way_is_refused(cheap, tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(BadDataset, match="choose an empty folder"):
        generate(tmp_path / "out", PLAN, silent)
    assert (tmp_path / "out").read_text() == "mine"
