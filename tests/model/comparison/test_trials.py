from dataclasses import replace

import pytest

from model.comparison.rows import all_rows
from model.comparison.trials import MOST_TRIALS, TRIALS, batch_size, in_words, tuned
from model.systems.catalogue import load_system
from model.systems.recipe import TrainConfig

TUNED = sorted({row.system for row in all_rows() if row.tuning == "tuned"})
LARGE = 100_000


@pytest.mark.parametrize("name", TUNED)
def test_the_first_trial_is_the_published_preset(name):
    for preset in load_system(name).presets.values():
        found = tuned(preset, 0, LARGE)
        assert found.system == preset.system
        assert found.training == replace(preset.training, keep="r10")


@pytest.mark.parametrize("name", TUNED)
def test_every_system_has_as_many_different_trials(name):
    """A setting that a system does not have must not leave it with fewer."""
    row = next(row for row in all_rows() if row.system == name and row.tuning == "tuned")
    preset = load_system(name).presets[row.preset]
    trials = [tuned(preset, number, LARGE) for number in range(MOST_TRIALS)]
    assert len(set(map(str, trials))) == MOST_TRIALS == len(TRIALS)
    assert {trial.training.epochs for trial in trials} == {preset.training.epochs}


def test_what_a_trial_sets():
    preset = load_system("cevar").presets["paper"]
    found = tuned(preset, 2, LARGE)
    assert (found.training.learning_rate, found.training.weight_decay) == (1e-3, 0.1)
    assert (found.system.dropout, found.system.margin) == (0.4, pytest.approx(0.4))
    assert found.training.clip_norm == preset.training.clip_norm
    said = in_words(found.as_dict(), 2)
    assert said == "trial 3: lr 0.001, weight decay 0.1, dropout 0.4, margin 0.4, batch 1024"


def test_rates_of_another_optimizer_are_multiples_of_its_own():
    preset = load_system("mrcmv").presets["paper"]
    assert preset.training.optimizer == "sgd"
    rates = [tuned(preset, number, LARGE).training.learning_rate for number in range(MOST_TRIALS)]
    assert rates[:3] == pytest.approx([1e-3, 3e-3, 1e-2])


@pytest.mark.parametrize(
    ("pairs", "asked", "given"), [(95_607, 1024, 1024), (1_654, 1024, 206), (390, 1024, 64), (390, 16, 16)]
)
def test_an_epoch_has_at_least_eight_batches_where_there_are_pairs_for_it(pairs, asked, given):
    assert batch_size(TrainConfig(batch_size=asked), pairs) == given


def test_what_estimates_covariances_keeps_the_rows_for_it():
    preset = load_system("dcca").presets["paper"]
    assert [tuned(preset, 0, pairs).training.batch_size for pairs in (95_607, 1_654)] == [1024, 512]


def test_a_grid_says_what_it_chose():
    preset = load_system("cca").presets["tuned"]
    assert in_words(preset.as_dict(), None) == "ridge 1, components 128, power 1"
