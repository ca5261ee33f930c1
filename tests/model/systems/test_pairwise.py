"""`cmmr` and `baseline_connect`: the triplets of a batch by hand, and what is taught when."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from model.systems.pairwise import CMMR, CMMR_PRESETS, CMMRConfig, Connect, ConnectConfig
from model.systems.system import MissingInput
from model.training.sampler import Pairs


def test_loss_is_every_triplet_both_ways(
    make_pairs: Callable[..., Pairs], look: Callable[..., tuple]
) -> None:
    pairs = make_pairs((9, 2, 2))
    system = Connect(pairs.dims, ConnectConfig(margin=0.02)).eval()
    _, batch = look(system, pairs)
    with torch.no_grad():
        found = float(system.loss(batch, 1).total)
        scores = (system.embed_video(batch.video) @ system.embed_music(batch.music).T).double().numpy()
    each = [
        max(0.0, 0.02 + wrong - scores[i, i])
        for i in range(9)
        for j in range(9)
        if i != j
        for wrong in (scores[i, j], scores[j, i])
    ]
    assert found == pytest.approx(sum(each) / (9 * 8), rel=1e-5)


def test_labels_are_taught_first_and_rest_afterwards(
    make_pairs: Callable[..., Pairs], look: Callable[..., tuple]
) -> None:
    pairs = make_pairs((30, 2, 2))
    system = CMMR(pairs.dims, CMMRConfig(taught_epochs=2)).eval()
    _, batch = look(system, pairs)
    with torch.no_grad():
        z_v, z_m = system.embed_video(batch.video), system.embed_music(batch.music)
        logits = [
            layer(z).double().numpy()
            for layer, z in ((system.video_classes, z_v), (system.music_classes, z_m))
        ]
    label = batch.polarity.numpy()
    cross_entropy = sum(
        float(np.mean([np.log(np.exp(row).sum()) - row[k] for row, k in zip(each, label, strict=True)]))
        for each in logits
    )
    for epoch, taught in ((1, True), (2, True), (3, False)):
        system.zero_grad()
        losses = system.loss(batch, epoch)
        losses.total.backward()
        assert float(losses.prediction.detach()) == pytest.approx(cross_entropy, rel=1e-5)
        expected = losses.prediction if taught else losses.matching
        assert float(losses.total.detach()) == float(expected.detach())
        assert (system.video_classes.weight.grad is not None) == taught
        assert system.video_net[0].weight.grad is not None


def test_emotion_is_polarity_where_it_is_known_else_the_tag(make_pairs: Callable[..., Pairs]) -> None:
    config = CMMR_PRESETS["paper"].system
    known = CMMR(make_pairs((2, 1, 1)).dims, config)
    assert (known.label, known.music_classes.out_features) == ("polarity", 3)
    unknown = CMMR(make_pairs((2, 1, 1), valence=False).dims, config)
    assert (unknown.label, unknown.music_classes.out_features) == ("tag", 4)
    with pytest.raises(MissingInput, match="cmmr learns tags"):
        CMMR(make_pairs((2, 1, 1), valence=False, labels=False).dims, config)
