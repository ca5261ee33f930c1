from dataclasses import replace

import pytest

from model.comparison.plan import Budget, Machine, Plan, open_data, open_development
from model.comparison.rows import all_rows
from model.comparison.run import Found
from model.errors import BadDataset, BadOptions

SYSTEMS = ("random", "cca", "baseline_connect", "cevar", "yuyin")


@pytest.fixture
def plan(make_pairs, tmp_path):
    folders = [make_pairs(tmp_path / f"{seed}", split_seed=seed) for seed in range(2)]
    rows = tuple(row for row in all_rows() if row.system in SYSTEMS)
    data = open_data(folders, None)
    return Plan.of(data, data, (rows, ("table2",)), Budget(3, 2, 5.0), Machine(), tmp_path / "out")


def found(reached):
    return Found({"evaluation_r10": reached}, (), {})


def test_every_tuned_system_gets_as_many_trials_on_every_data_set(plan):
    trials = plan.trials()
    assert len({job.recipe.id for job in trials}) == len(trials)
    for data in plan.data:
        of_system = {}
        for job in trials:
            if job.recipe.data == data.id:
                of_system.setdefault(job.recipe.system, []).append(job.recipe.preset.training)
        assert {name: len(jobs) for name, jobs in of_system.items()} == {
            "baseline_connect": 3,
            "cevar": 3,
            "yuyin": 3,
        }
    assert {job.recipe.preset.training.seed for job in trials} == {0}
    assert {job.recipe.preset.training.limit_s for job in trials} == {5.0}


def test_the_trial_with_the_best_evaluation_wins_the_first_of_equals(plan):
    trials = plan.trials()
    reached = [0.1, 0.4, 0.2, 0.5, 0.3, 0.5, 0.3, 0.2, 0.9, 0.2, 0.2, 0.1, 0.0, 0.1, 0.0, 0.3, 0.3, 0.4]
    records = {job.recipe.id: found(r10) for job, r10 in zip(trials, reached, strict=True)}
    winners = plan.winners(records)
    first, second = (data.id for data in plan.data)
    names = ("baseline_connect", "cevar", "yuyin")
    order = [name for name, _ in plan.tuned_systems(plan.data[0])]
    assert set(order) == set(names)
    by_hand = [1, 0, 2, 0, 1, 2]
    assert [winners[data, name] for data in (first, second) for name in order] == by_hand


def test_rows_take_what_won_their_system_on_their_data_set(plan):
    winners = {(data.id, name): number for number, data in enumerate(plan.data) for name in SYSTEMS}
    runs = plan.runs(winners)
    for number, data in enumerate(plan.data):
        for name in ("yuyin", "yuyin-wo_E", "yuyin-add"):
            jobs = runs[data.id, name]
            assert [job.recipe.preset.training.seed for job in jobs] == [0, 1]
            rates = {job.recipe.preset.training.learning_rate for job in jobs}
            assert rates == {(1e-4, 3e-4)[number]}
        literal = runs[data.id, "yuyin-literal"]
        assert {job.recipe.preset.training.learning_rate for job in literal} == {1e-4}
        assert {job.recipe.preset.training.keep for job in literal} == {"loss"}


def test_draws_of_random_differ_and_closed_forms_run_once(plan):
    runs = plan.runs({})
    first = plan.data[0].id
    dice = [job.recipe.preset.training.seed for data in plan.data for job in runs[data.id, "random"]]
    assert sorted(dice) == list(range(200))
    assert len(runs[first, "cca"]) == len(runs[first, "cca-plain"]) == 1
    assert [job.recipe.grid for job in (*runs[first, "cca"], *runs[first, "cca-plain"])] == [True, False]


def test_only_one_seed_of_one_data_set_is_looked_into(plan):
    looked = [job for jobs in plan.runs({}).values() for job in jobs if job.looks]
    assert {job.recipe.data for job in looked} == {plan.data[0].id}
    assert len(looked) == 3
    assert {job.recipe.preset.training.seed for job in looked} == {0}


def test_the_id_of_data_follows_split_and_features(make_pairs, tmp_path):
    folder = make_pairs(tmp_path / "a")
    same = open_data([make_pairs(tmp_path / "b")], None)[0]
    one = open_data([folder], None)[0]
    assert one.id == same.id
    made = folder / "features" / "made" / "features.json"
    made.write_text(made.read_text().replace("for tests", "otherwise"))
    assert open_data([folder], None)[0].id != one.id
    other = open_data([make_pairs(tmp_path / "c", split_seed=1)], None)[0]
    assert other.id != one.id
    assert replace(other, id="").folder == other.folder


def test_trials_can_be_run_on_a_development_world_whose_winners_every_row_takes(plan, make_pairs, tmp_path):
    development = make_pairs(tmp_path / "development", split_seed=7)
    where = open_development(development, plan.data, None)
    apart = replace(plan, tuned_on=where)
    trials = apart.trials()
    assert {job.recipe.data for job in trials} == {where[0].id}
    assert {job.folder for job in trials} == {development}
    reached = {job.recipe.id: found(float(number)) for number, job in enumerate(trials)}
    winners = apart.winners(reached)
    assert set(winners) == {(data.id, name) for data in plan.data for name, _ in plan.tuned_systems(data)}
    assert {winners[data.id, "yuyin"] for data in plan.data} == {2}  # the last of its three is the best
    runs = apart.runs(winners)
    for data in plan.data:
        assert {job.recipe.data for job in runs[data.id, "yuyin"]} == {data.id}


def test_a_development_world_of_other_inputs_is_refused(plan, make_pairs, tmp_path):
    other = make_pairs(tmp_path / "other", emotion=False)
    with pytest.raises(BadDataset, match="other inputs"):
        open_development(other, plan.data, None)


def test_a_development_world_of_other_labels_is_refused(plan, make_pairs, tmp_path):
    other = make_pairs(tmp_path / "other", categories=False)
    with pytest.raises(BadDataset, match="other labels"):
        open_development(other, plan.data, None)


def test_splits_that_read_other_inputs_are_refused(make_pairs, tmp_path):
    folders = [make_pairs(tmp_path / "a"), make_pairs(tmp_path / "b", split_seed=1, emotion=False)]
    with pytest.raises(BadDataset, match="other inputs"):
        open_data(folders, None)


def test_precision_is_part_of_every_recipe_and_checked(plan):
    with pytest.raises(BadOptions, match="float16"):
        Budget(precision="float16")
    half = replace(plan, budget=replace(plan.budget, precision="bfloat16"))
    assert {job.recipe.preset.training.precision for job in half.trials()} == {"bfloat16"}
    assert not {job.recipe.id for job in half.trials()} & {job.recipe.id for job in plan.trials()}
