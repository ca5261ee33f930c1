"""YuYin+: what its switches do to a trained system, and that it exports what it computes."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import onnxruntime as ort
import pytest
import torch

from model.evaluation.metrics import hits, rank
from model.systems.graph import tower_graphs
from model.systems.hubness import EXTRA
from model.systems.kernel_path import COMPONENTS
from model.systems.recipe import Keep, TrainConfig
from model.systems.system import MissingInput
from model.systems.yuyin_plus import PRESETS, YuYinPlus, YuYinPlusConfig
from model.training.loop import Progress, fit, score_pairs
from model.training.sampler import Pairs, Table

SMALL = YuYinPlusConfig(embedding=32, hidden=16, common=24)
RECIPE = TrainConfig(epochs=12, batch_size=64, learning_rate=5e-3, schedule="one_cycle")

Look = Callable[..., tuple[Table, object]]


def trained(
    pairs: Pairs,
    look: Look,
    config: YuYinPlusConfig = SMALL,
    so_far: Progress | None = None,
    keep: Keep = "mrr",
) -> tuple[YuYinPlus, Table, Progress]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        system = YuYinPlus(pairs.dims, config)
        table, _ = look(system, pairs)
        progress = fit(system, table, replace(RECIPE, keep=keep), lambda _: None, so_far)
    return system.eval(), table, progress


def r10(system: YuYinPlus, table: Table) -> float:
    scores = score_pairs(system, table, table.pairs.rows("test"))
    own = np.eye(len(scores), dtype=np.bool_)
    return float(np.mean([hits(rank(matrix, own), 10).mean() for matrix in (scores, scores.T)]))


@pytest.mark.parametrize("name", PRESETS)
def test_every_ablation_finds_held_out_pairs(name: str, make_pairs: Callable[..., Pairs], look: Look) -> None:
    """Chance is 10 of 120; five standard errors above it is .21."""
    changed = replace(PRESETS[name].system, embedding=32, hidden=16, common=24)
    system, table, progress = trained(make_pairs((384, 40, 120)), look, changed)
    assert r10(system, table) > 10 / 120 + 5 * np.sqrt(10 / 120 * 110 / 120 / 120)
    assert len(progress.history) == (1 if name == "wo_learn" else RECIPE.epochs)


def test_each_ablation_is_one_switch() -> None:
    whole = PRESETS["full"]
    for name, preset in PRESETS.items():
        switches = {} if name == "full" else {name.removeprefix("wo_"): False}
        assert preset == replace(whole, system=replace(whole.system, **switches))
    assert len(PRESETS) - 1 <= 8


def test_it_starts_as_the_closed_form_and_keeps_it(make_pairs: Callable[..., Pairs], look: Look) -> None:
    """Before the first step the towers add nothing; after the last the path is still the same."""
    pairs, plain = make_pairs((120, 20, 20)), replace(SMALL, hubness=False)
    closed, table, _ = trained(pairs, look, replace(plain, learn=False))
    whole, _, _ = trained(pairs, look, plain, keep="last")
    fresh = YuYinPlus(pairs.dims, plain)
    look(fresh, pairs)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        fresh.start(table.all_pairs(pairs.rows("train")))
    scores = [each.eval().scores(table.video, table.music).detach() for each in (closed, fresh, whole)]
    torch.testing.assert_close(scores[1], scores[0], atol=0.02, rtol=0)  # other landmarks are drawn
    assert (scores[2] - scores[0]).abs().max() > 0.1
    for name, value in closed.state_dict().items():
        if "_linear." in name:
            torch.testing.assert_close(whole.state_dict()[name], value)


def test_all_clips_of_a_track_count_if_asked(make_pairs: Callable[..., Pairs], look: Look) -> None:
    pairs = make_pairs((120, 20, 20))
    pairs = replace(pairs, track=pairs.track // 3)
    plain = replace(SMALL, hubness=False, learn=False)
    paths = []
    for shared in (True, False):
        system, _, _ = trained(pairs, look, replace(plain, shared=shared, scale=False, curved=False))
        paths.append({name: value for name, value in system.state_dict().items() if "_linear." in name})
    assert any(not torch.allclose(value, paths[1][name], atol=1e-3) for name, value in paths[0].items())


def test_hubs_are_measured_without_dropout(make_pairs: Callable[..., Pairs], look: Look) -> None:
    pairs = make_pairs((120, 20, 20))
    system, table, _ = trained(pairs, look, keep="last")
    assert system.hubs is not None
    before = system.hubs.videos.clone()
    system.train()
    system.settle(table.all_pairs(pairs.rows("train")))
    torch.testing.assert_close(system.hubs.videos, before)


@pytest.mark.parametrize(
    ("given", "lacks"),
    [
        ({}, ()),
        ({"music": {"audio": 11}}, ("emotion",)),
        ({"words": False}, ("text",)),
        ({"labels": False, "words": False, "music": {"audio": 11}}, ("emotion", "text", "category")),
    ],
)
def test_it_does_without_what_a_data_set_lacks(
    given: dict[str, object], lacks: tuple[str, ...], make_pairs: Callable[..., Pairs]
) -> None:
    system = YuYinPlus(make_pairs((4, 2, 2), **given).dims, SMALL)
    for name in ("emotion", "text", "category"):
        assert getattr(system.config, name) == (name not in lacks)
    assert (system.text_view is None) == ("text" in lacks)


def test_without_audio_there_is_nothing_to_find(make_pairs: Callable[..., Pairs]) -> None:
    with pytest.raises(MissingInput, match="audio"):
        YuYinPlus(make_pairs((4, 2, 2), music={"emotion": 7}).dims, SMALL)


def test_the_same_twice_and_after_a_kill(make_pairs: Callable[..., Pairs], look: Look) -> None:
    pairs = make_pairs((120, 20, 20))
    first, table, _ = trained(pairs, look)
    second, _, _ = trained(pairs, look)
    for name, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[name]), name

    class Killed(Exception):
        pass

    left: list[Progress] = []

    def kill(progress: Progress) -> None:
        if len(progress.history) == 2:
            left.append(progress)
            raise Killed

    with torch.random.fork_rng():
        torch.manual_seed(0)
        stopped = YuYinPlus(pairs.dims, SMALL)
        look(stopped, pairs)
        with pytest.raises(Killed):
            fit(stopped, table, replace(RECIPE, keep="mrr"), kill)
    again, _, _ = trained(pairs, look, so_far=left[0])
    for name, value in first.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name


@pytest.mark.parametrize("curved", [False, True])
def test_exports_what_it_computes(curved: bool, make_pairs: Callable[..., Pairs], look: Look) -> None:
    pairs = make_pairs((60, 20, 20))
    system, _, _ = trained(pairs, look, replace(SMALL, learn=False, scale=curved, curved=curved))
    rows = np.arange(7)
    graphs = tower_graphs(system)
    for name, sequences, embed, view in (
        ("video", pairs.videos(rows), system.embed_video, system.video_view),
        ("music", pairs.segments(rows), system.embed_music, system.music_view),
    ):
        session = ort.InferenceSession(graphs[name].SerializeToString(), providers=["CPUExecutionProvider"])
        feed = {key: x.numpy() for key, (x, _) in sequences.items()}
        feed |= {f"{key}_mask": mask.numpy() for key, (_, mask) in sequences.items()}
        (found,) = session.run(["embedding"], feed)
        np.testing.assert_allclose(found, embed(view(sequences)).numpy(force=True), atol=1e-5)
        assert found.shape == (7, 24 + EXTRA)
    assert set(graphs) == {"video", "music", "text"}


def test_published_sizes(make_pairs: Callable[..., Pairs]) -> None:
    """YuYin's towers but for the 4 columns that hubs need; what is not learned is no parameter."""
    dims = make_pairs((4, 2, 2), video={"frames": 2048}, music={"audio": 768, "emotion": 988}).dims
    dims = replace(dims, text=768, categories=4, rows=dict.fromkeys(dims.rows, 1))
    system = YuYinPlus(dims, PRESETS["full"].system)
    learned = sum(each.numel() for each in system.parameters())
    assert learned == 9_739_504 - 3 * EXTRA * (512 + 1) - EXTRA * 4
    assert system.embed_video({"frames": torch.randn(1, 2048)}).shape == (1, 256)
    assert PRESETS["full"].system.common >= COMPONENTS
