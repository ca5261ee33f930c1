from dataclasses import replace

import numpy as np
import pytest
import torch

from model.comparison.bench import open_bench
from model.comparison.looks import looks_of
from model.comparison.run import Job, Recipe, arrays_of, cases_of, execute, read_found
from model.evaluation.metrics import hits
from model.evaluation.pool import Pool, best_by_track, cases
from model.evaluation.protocol import score_clips
from model.systems.catalogue import load_system
from model.systems.system import embed_all
from model.training.loop import fit, score_pairs
from model.training.run import torch_state


@pytest.fixture
def folder(make_pairs, tmp_path):
    return make_pairs(tmp_path / "data")


def job(folder, tmp_path, name, preset, *, grid=False, looks=False, **training):
    chosen = load_system(name).presets[preset]
    chosen = replace(chosen, training=replace(chosen.training, **training))
    return Job(Recipe("data", "made", name, chosen, grid), folder, tmp_path / "out", looks)


def trained(made):
    """The same run by hand."""
    preset = made.recipe.preset
    bench = open_bench(made.folder, "made", torch.device("cpu"))
    with torch_state(preset.training.seed, 1):
        system = load_system(made.recipe.system).build(bench.pairs.dims, preset.system)
        table = bench.look(system)
        done = fit(system, table, preset.training, lambda so_far: None)
    return bench, system.eval(), table, done


def test_a_run_is_what_training_by_hand_gives(folder, tmp_path):
    made = job(folder, tmp_path, "baseline_connect", "paper", epochs=3, batch_size=32, seed=5)
    assert not made.finished
    assert execute(made) == made.recipe.id
    assert made.finished
    found = read_found(made.out, made.recipe.id)
    bench, system, table, done = trained(made)
    rows = bench.pairs.rows("test")
    tracks = bench.dataset.pairs["track_id"]
    scores = score_pairs(system, table, rows)
    videos, clips = (embed_all(system, side, getattr(table, side)).numpy() for side in ("video", "music"))
    everything = score_clips(videos[rows], clips, bench.pairs.offsets)
    by_track, names = best_by_track(everything, tracks)
    strict = {case.direction: case for case in found.cases if case.protocol == "strict"}
    for direction, matrix in (("V->M", scores), ("M->V", scores.T)):
        own = np.diag(matrix)
        np.testing.assert_array_equal(strict[direction].found.better, (matrix > own[:, None]).sum(axis=1))
        assert strict[direction].candidates.tolist() == [len(rows)] * len(rows)
    (catalogue,) = (case for case in found.cases if case.protocol == "catalog")
    for query, row in enumerate(rows):
        mine = by_track[query, names == tracks[row]]
        assert catalogue.found.better[query] == (by_track[query] > mine).sum()
    assert found.record["best_epoch"] == done.kept.number
    assert found.record["epochs"] == found.record["epochs_asked"] == 3
    mean = (done.kept.r10_video_to_music + done.kept.r10_music_to_video) / 2
    assert found.record["evaluation_r10"] == pytest.approx(mean)
    assert found.record["parameters"] == sum(each.numel() for each in system.parameters())


@pytest.mark.parametrize("name", [".json", ".npz"])
def test_what_cannot_be_read_back_is_made_again(folder, tmp_path, name):
    made = job(folder, tmp_path, "cca", "plain")
    execute(made)
    damaged = made.out / "rows" / f"{made.recipe.id}{name}"
    whole = damaged.read_bytes()
    for content in (b"", b"[]", b"{}", b"PK\x03\x04 cut off", b'{"schema": 0}', whole[: len(whole) // 2]):
        damaged.write_bytes(content)
        assert not made.finished
    assert not replace(made, looks=True).finished
    execute(made)
    assert made.finished
    assert not replace(made, looks=True).finished  # nobody has looked


def test_every_case_comes_back_from_the_file(folder, tmp_path):
    made = job(folder, tmp_path, "cca", "plain")
    execute(made)
    bench, system, table, _ = trained(made)
    rows, tracks = bench.pairs.rows("test"), bench.dataset.pairs["track_id"]
    expected = list(
        cases(Pool(score_pairs(system, table, rows), tracks[rows], tracks[bench.pairs.rows("train")]))
    )
    found = {(case.protocol, case.direction): case for case in read_found(made.out, made.recipe.id).cases}
    assert set(found) == {(case.protocol, case.direction) for case in expected} | {("catalog", "V->M")}
    for case in expected:
        back = found[case.protocol, case.direction]
        np.testing.assert_array_equal(back.queries, case.queries)
        for k in (1, 5, 10):
            np.testing.assert_allclose(hits(back.found, k), hits(case.found, k))
            np.testing.assert_allclose(hits(back.blind, k), hits(case.blind, k))


def test_ties_come_back_too():
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 3, (30, 30)).astype(float)
    tracks = np.array([f"t{i // 3}" for i in range(30)])
    expected = tuple(cases(Pool(scores, tracks, tracks[:6])))
    assert any((case.found.tied > case.found.relevant).any() for case in expected)
    for back, case in zip(cases_of(arrays_of(expected)), expected, strict=True):
        assert (back.protocol, back.direction) == (case.protocol, case.direction)
        for ranking in ("found", "blind"):
            for part in ("better", "tied", "relevant"):
                one, other = (getattr(getattr(each, ranking), part) for each in (back, case))
                np.testing.assert_array_equal(one, other)


def test_the_grid_is_tried_on_the_evaluation_part(folder, tmp_path):
    made = job(folder, tmp_path, "cca", "tuned", grid=True)
    execute(made)
    record = read_found(made.out, made.recipe.id).record
    reached = []
    for ridge in (0.01, 0.1, 1.0, 3.0, 10.0):
        for components in (8, 16, 32, 64, 128):
            for power in (0.0, 1.0, 2.0):
                config = replace(made.recipe.preset.system, ridge=ridge, components=components, power=power)
                preset = replace(made.recipe.preset, system=config)
                _, _, _, done = trained(replace(made, recipe=replace(made.recipe, preset=preset)))
                reached.append((done.kept.r10_video_to_music + done.kept.r10_music_to_video) / 2)
    assert record["evaluation_r10"] == pytest.approx(max(reached))
    assert record["preset"]["system"] != record["used"]["system"]


def test_what_diverges_is_recorded_not_raised(folder, tmp_path):
    made = job(folder, tmp_path, "yuyin", "paper", epochs=9, optimizer="sgd", learning_rate=1e30)
    execute(made)
    found = read_found(made.out, made.recipe.id)
    assert found.cases == ()
    assert found.record["stopped"] == "training diverged"
    assert found.record["evaluation_r10"] < 0


def test_seeds_of_random_are_other_draws(folder, tmp_path):
    found = []
    for seed in (0, 0, 1):
        made = job(folder, tmp_path / str(len(found)), "random", "paper", seed=seed)
        execute(made)
        cases_found = read_found(made.out, made.recipe.id).cases
        found.append(next(case.found.better for case in cases_found if case.protocol == "strict").tolist())
    assert found[0] == found[1] != found[2]


def test_ids_follow_from_everything_that_matters(folder, tmp_path):
    recipe = job(folder, tmp_path, "yuyin", "paper").recipe
    others = [
        replace(recipe, data="other"),
        replace(recipe, profile="other"),
        replace(recipe, grid=True),
        job(folder, tmp_path, "yuyin", "sym").recipe,
        job(folder, tmp_path, "yuyin", "paper", seed=1).recipe,
        job(folder, tmp_path, "yuyin", "paper", limit_s=9.0).recipe,
    ]
    assert len({recipe.id, *(other.id for other in others)}) == 1 + len(others)
    assert recipe.id == job(folder, tmp_path / "elsewhere", "yuyin", "paper").recipe.id


def test_what_is_looked_into_is_drawn_from_the_trained_system(folder, tmp_path):
    made = job(folder, tmp_path, "yuyin", "paper", epochs=2, looks=True)
    execute(made)
    seen = looks_of(read_found(made.out, made.recipe.id).looks)
    bench, system, table, _ = trained(made)
    rows = bench.pairs.rows("test")
    scores = score_pairs(system, table, rows)
    assert seen.after is not None
    assert seen.after.matched_pairs == len(rows)
    own = np.diag(scores)
    tracks = bench.dataset.pairs["track_id"][rows]
    others = [
        [own[i] > scores[a, b] for i in range(len(rows))]
        for a in range(len(rows))
        for b in range(len(rows))
        if tracks[a] != tracks[b]
    ]
    assert seen.after.matched_wins == pytest.approx(np.mean(others), abs=1e-9)
    assert seen.before is not None
    assert set(seen.gates) == {"audio", "emotion"}
    assert all(len(gate) == len(rows) for gate in seen.gates.values())
    assert seen.music is not None
    assert seen.music.points.shape == (len(seen.music.labels), 2)
    assert seen.space is not None
    assert sorted(set(seen.space.sides.tolist())) == ["music", "video"]
    with torch.no_grad():
        heard = {name: x[torch.from_numpy(rows)] for name, x in table.music.items()}
        gate = system.fusion.weights(torch.cat([heard["audio"], heard["emotion"]], dim=1))
    np.testing.assert_allclose(seen.gates["audio"], gate[:, :7].mean(dim=1), rtol=1e-5)


def test_a_run_that_is_to_be_looked_into_is_made_again_if_it_was_not(folder, tmp_path):
    made = job(folder, tmp_path, "cca", "plain")
    execute(made)
    assert made.finished
    assert not replace(made, looks=True).finished
    execute(replace(made, looks=True))
    assert replace(made, looks=True).finished
