"""CEVAR: who is judged with whom, when classes count, and the sizes of its code."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from model.systems import cevar
from model.systems.batch import Batch
from model.systems.cevar import CEVAR, PRESETS, CEVARConfig
from model.systems.system import MissingInput
from model.training.sampler import Pairs


@pytest.fixture
def looked(
    make_pairs: Callable[..., Pairs], look: Callable[..., tuple], monkeypatch: pytest.MonkeyPatch
) -> tuple[CEVAR, Batch]:
    monkeypatch.setattr(cevar, "VIDEO", (32, 16))
    monkeypatch.setattr(cevar, "MUSIC", (16, 16))
    monkeypatch.setattr(cevar, "COMMON", 12)
    pairs = make_pairs()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        system = CEVAR(pairs.dims, CEVARConfig(penalty=1e-3)).eval()
        for layer in system.modules():
            if isinstance(layer, torch.nn.Linear):
                torch.nn.init.normal_(layer.bias, std=0.1)
    return system, look(system, pairs)[1]


def test_towers_have_the_layers_of_its_code(make_pairs: Callable[..., Pairs]) -> None:
    pairs = make_pairs((1, 1, 1), video={"frames": 1024}, music={"audio": 128})
    system = CEVAR(pairs.dims, PRESETS["paper"].system)
    for net, widths in (
        (system.video_net, (1024, 2000, 2000, 700, 700, 250)),
        (system.music_net, (128, 450, 450, 250, 250, 250)),
    ):
        shapes = [tuple(each.shape) for each in net.parameters() if each.ndim == 2]
        assert shapes == [(after, before) for before, after in pairwise(widths)]
    assert system.classifier is not None
    assert system.classifier.weight.shape == (4, 250)  # the tags


def test_embeddings_are_never_negative(looked: tuple[CEVAR, Batch]) -> None:
    system, batch = looked
    for z in (system.embed_video(batch.video), system.embed_music(batch.music)):
        assert 0 < float(z.detach().min()) < 1e-4
        assert float(z.detach().max()) > 0
        np.testing.assert_allclose(z.detach().norm(dim=1), 1, atol=1e-5)


def test_loss_is_its_definition(looked: tuple[CEVAR, Batch]) -> None:
    """Outside of training the first .6 of 60 pairs are judged with the music 30 pairs further on."""
    system, batch = looked
    with torch.no_grad():
        z_v, z_m = (
            z.double().numpy() for z in (system.embed_video(batch.video), system.embed_music(batch.music))
        )
        state = {name: value.double().numpy() for name, value in system.state_dict().items()}
        losses = [system.loss(batch, epoch) for epoch in (1, 5, 6)]
    tag = batch.tag.numpy()
    cosines, bce = [], 0.0
    for i in range(60):
        j = (i + 30) % 60 if i < 36 else i
        c = float(z_v[i] @ z_m[j])
        cosines.append(1 - c if i == j else max(0.0, c - 0.2) / 0.8)
        for z, label in ((z_v[i], tag[i]), (z_m[j], tag[j])):
            p = 1 / (1 + np.exp(-(state["classifier.weight"] @ z + state["classifier.bias"])))
            bce -= float(np.log(np.where(np.arange(4) == label, p, 1 - p)).sum()) / 60
    matching, predicted = float(np.mean(cosines)), float(np.sqrt(bce))
    squares = sum(float((value**2).sum()) for name, value in state.items() if name.endswith(".weight"))
    for found, weight in zip(losses, (0.0, 0.0, 0.003), strict=True):
        assert float(found.matching) == pytest.approx(matching, rel=1e-4)
        assert float(found.prediction) == pytest.approx(predicted, rel=1e-4)
        assert float(found.total) == pytest.approx(
            matching + weight * predicted + 1e-3 / 2 * squares, rel=1e-5
        )


@pytest.mark.parametrize(("rows", "wrong"), [(1, 0), (2, 1), (10, 6), (1024, 614)])
def test_a_wrong_partner_is_another_row(looked: tuple[CEVAR, Batch], rows: int, wrong: int) -> None:
    system, _ = looked
    own = torch.arange(rows)
    drawn = []
    for training in (True, True, False):
        partner = system.train(training)._partners(rows, torch.device("cpu"))
        assert int((partner != own).sum()) == wrong
        assert bool(((partner >= 0) & (partner < rows)).all())
        drawn.append(partner)
    system.eval()
    assert rows < 10 or not torch.equal(drawn[0], drawn[1])


def test_says_what_is_missing(make_pairs: Callable[..., Pairs]) -> None:
    bare = make_pairs((1, 1, 1), music={"audio": 3}, labels=False).dims
    with pytest.raises(MissingInput, match="CEVAR learns tags"):
        CEVAR(bare, PRESETS["paper"].system)
    with pytest.raises(MissingInput, match="CEVAR learns categories"):
        CEVAR(bare, PRESETS["category"].system)
    with pytest.raises(MissingInput, match="'emotion'"):
        CEVAR(bare, PRESETS["same"].system)
    assert CEVAR(bare, PRESETS["wo_labels"].system).classifier is None
    assert CEVAR(replace(bare, categories=2), PRESETS["category"].system).classifier is not None


def test_without_labels_only_cosines_count(
    make_pairs: Callable[..., Pairs], look: Callable[..., tuple]
) -> None:
    pairs = make_pairs((20, 2, 2), labels=False)
    system = CEVAR(pairs.dims, replace(PRESETS["wo_labels"].system, penalty=0.0))
    found = system.eval().loss(look(system, pairs)[1], 60)
    assert float(found.prediction) == 0
    assert float(found.total.detach()) == float(found.matching.detach())
