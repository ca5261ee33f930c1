"""What every baseline of two towers has to keep to, whatever its loss."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import onnxruntime as ort
import pytest
import torch

from model.evaluation.metrics import hits, rank
from model.systems import cbvmr, cevar
from model.systems.batch import Dims
from model.systems.cbvmr import CBVMR, CBVMRConfig
from model.systems.cca import CCA, CCAConfig
from model.systems.cevar import CEVAR, CEVARConfig
from model.systems.cmvae import CMVAE, CMVAEConfig
from model.systems.dcca import DCCA, DCCAConfig
from model.systems.graph import tower_graphs
from model.systems.inputs import pooled_views
from model.systems.pairwise import CMMR, CMMRConfig, Connect, ConnectConfig
from model.systems.recipe import TrainConfig
from model.systems.system import MissingInput, System
from model.training.loop import fit, score_pairs
from model.training.sampler import Pairs, Table

BASELINES: dict[str, Callable[[Dims], System]] = {
    "cca": lambda dims: CCA(dims, CCAConfig()),
    "dcca": lambda dims: DCCA(dims, DCCAConfig(hidden=32, components=6)),
    "cevar": lambda dims: CEVAR(dims, CEVARConfig()),
    "cbvmr": lambda dims: CBVMR(dims, CBVMRConfig(norm_memory=0.9)),
    "cmvae": lambda dims: CMVAE(dims, CMVAEConfig(text="training", latent=16)),
    "baseline_connect": lambda dims: Connect(dims, ConnectConfig(hidden=32, common=16)),
    "cmmr": lambda dims: CMMR(dims, CMMRConfig(hidden=32, common=16, taught_epochs=1)),
}
RECIPE = TrainConfig(epochs=12, batch_size=64, learning_rate=2e-3, keep="r10")


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """The published widths are tested beside each system; here they would only cost time."""
    for module, video, music, common in (
        (cevar, (64, 64, 32, 32), (32, 32, 32, 32), 32),
        (cbvmr, (64,), (64, 32), 16),
    ):
        monkeypatch.setattr(module, "VIDEO", video)
        monkeypatch.setattr(module, "MUSIC", music)
        monkeypatch.setattr(module, "COMMON", common)


def made(name: str, dims: Dims) -> System:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return BASELINES[name](dims)


def ready(name: str, pairs: Pairs, look: Callable[..., tuple]) -> tuple[System, Table]:
    """With views fitted and closed forms set, not trained."""
    system = made(name, pairs.dims)
    table, train = look(system, pairs)
    system.start(train)
    system.settle(train)
    return system.eval(), table


@pytest.mark.parametrize("name", BASELINES)
def test_finds_held_out_pairs(
    name: str, make_pairs: Callable[..., Pairs], look: Callable[..., tuple]
) -> None:
    """Chance is 10 of 120; five standard errors above it is .21."""
    pairs = make_pairs((384, 40, 120))
    system = made(name, pairs.dims)
    table, _ = look(system, pairs)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        progress = fit(system, table, RECIPE, lambda _: None)
    assert progress.kept.r10_video_to_music > 0.25
    scores = score_pairs(system.eval(), table, pairs.rows("test"))
    own = np.eye(120, dtype=np.bool_)
    found = [hits(rank(matrix, own), 10).mean() for matrix in (scores, scores.T)]
    assert min(found) > 10 / 120 + 5 * np.sqrt(10 / 120 * 110 / 120 / 120), found


@pytest.mark.parametrize("name", BASELINES)
def test_rows_behind_the_mask_change_nothing(
    name: str, make_pairs: Callable[..., Pairs], look: Callable[..., tuple]
) -> None:
    pairs = make_pairs()
    system, _ = ready(name, pairs, look)
    rows = np.arange(5)
    embedded = []
    for extra in (0, 3):
        sides = []
        for view, sequences in (
            (system.video_view, pairs.videos(rows)),
            (system.music_view, pairs.segments(rows)),
        ):
            longer = {}
            for key, (x, mask) in sequences.items():
                x = torch.where(mask.unsqueeze(2), x, torch.nan)
                beyond = torch.full((5, extra, x.shape[2]), torch.nan)
                longer[key] = (
                    torch.cat([x, beyond], 1),
                    torch.cat([mask, torch.zeros(5, extra, dtype=torch.bool)], 1),
                )
            sides.append(view({key: longer[key] for key in view.widths}))
        with torch.no_grad():
            embedded.append((system.embed_video(sides[0]), system.embed_music(sides[1])))
            np.testing.assert_allclose(system.scores(*sides), embedded[-1][0] @ embedded[-1][1].T, atol=1e-6)
    for short, padded in zip(*embedded, strict=True):
        torch.testing.assert_close(short, padded)
        np.testing.assert_allclose(short.norm(dim=1), 1, atol=1e-5)


@pytest.mark.parametrize("name", BASELINES)
def test_a_row_does_not_depend_on_its_batch(
    name: str, make_pairs: Callable[..., Pairs], look: Callable[..., tuple]
) -> None:
    pairs = make_pairs()
    system, table = ready(name, pairs, look)
    with torch.no_grad():
        for embed, side in ((system.embed_video, table.video), (system.embed_music, table.music)):
            together = embed(side)
            alone = embed({key: x[3:4] for key, x in side.items()})
            torch.testing.assert_close(together[3:4], alone, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", BASELINES)
def test_exported_towers_are_the_modules(
    name: str, make_pairs: Callable[..., Pairs], look: Callable[..., tuple]
) -> None:
    pairs = make_pairs()
    system, _ = ready(name, pairs, look)
    graphs = tower_graphs(system)
    for rows in (np.arange(1), np.arange(2, 7)):
        for side, sequences, view, embed in (
            ("video", pairs.videos(rows), system.video_view, system.embed_video),
            ("music", pairs.segments(rows), system.music_view, system.embed_music),
        ):
            feed = {key: sequences[key][0].numpy() for key in view.widths}
            feed |= {f"{key}_mask": sequences[key][1].numpy() for key in view.widths}
            session = ort.InferenceSession(
                graphs[side].SerializeToString(), providers=["CPUExecutionProvider"]
            )
            (found,) = session.run(["embedding"], feed)
            np.testing.assert_allclose(found, embed(view(sequences)).numpy(force=True), atol=1e-5)


@pytest.mark.parametrize("name", [name for name in BASELINES if name != "cca"])
def test_learns_in_half_precision_what_it_learns_in_full(
    name: str, make_pairs: Callable[..., Pairs], look: Callable[..., tuple]
) -> None:
    pairs = make_pairs((64, 2, 2))
    system = made(name, pairs.dims).eval()  # without dropout and samples
    _, batch = look(system, pairs)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = system.loss(batch, 9).total
    half.backward()
    full = system.loss(batch, 9).total.detach()
    assert half.dtype == torch.float32
    assert float(half.detach()) == pytest.approx(float(full), rel=0.02)
    gradients = [each.grad for each in system.parameters() if each.grad is not None]
    assert gradients
    assert all(bool(torch.isfinite(each).all()) for each in gradients)


def test_what_is_heard(make_pairs: Callable[..., Pairs]) -> None:
    both = make_pairs((1, 1, 1)).dims
    audio, emotion = replace(both, music={"audio": 11}), replace(both, music={"emotion": 7})
    for heard, dims, names in (
        ("audio", both, ["audio"]),
        ("audio_emotion", both, ["audio", "emotion"]),
        ("all", both, ["audio", "emotion"]),
        ("all", audio, ["audio"]),
        ("all", emotion, ["emotion"]),
    ):
        assert list(pooled_views(dims, heard, "mean", 5.0, "It")[1].widths) == names
    for heard, dims, said in (
        ("audio", emotion, "'audio'"),
        ("audio_emotion", audio, "'emotion'"),
        ("all", replace(both, music={"rhythm": 3}), "neither"),
    ):
        with pytest.raises(MissingInput, match=f"It reads .*{said}"):
            pooled_views(dims, heard, "mean", 5.0, "It")
