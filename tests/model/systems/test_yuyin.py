"""YuYin against its own equations in numpy, and the number of parameters that docs/models.md 2.1 gives."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from model.systems.batch import Batch, Dims, Padded
from model.systems.cca import ridge_cca
from model.systems.yuyin import YuYin, YuYinConfig

PAPER = Dims({"frames": 2048}, {"audio": 768, "emotion": 988}, 768, 4)
SMALL = Dims({"frames": 6, "motion": 3}, {"audio": 5, "emotion": 4}, 7, 3)
SMALL_CONFIG = YuYinConfig(embedding=12, hidden=8, common=4)


def padded(rng: np.random.Generator, n: int, width: int) -> Padded:
    mask = torch.arange(4) < torch.from_numpy(rng.integers(1, 5, n))[:, None]
    return torch.from_numpy(rng.standard_normal((n, 4, width)).astype(np.float32)), mask


def small_batch(n: int = 6, seed: int = 0) -> Batch:
    rng = np.random.default_rng(seed)
    tag = torch.from_numpy(rng.integers(0, 3, n))
    texts = torch.from_numpy(rng.standard_normal((3, 7)).astype(np.float32))
    return Batch(
        video={name: padded(rng, n, width) for name, width in SMALL.video.items()},
        music={name: padded(rng, n, width) for name, width in SMALL.music.items()},
        text=texts[tag],
        tag=tag,
        category=tag % 2,
        track=torch.tensor([0, 0, *range(1, n - 1)]),
    )


def small_system(**config: object) -> YuYin:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return YuYin(SMALL, replace(SMALL_CONFIG, **config)).eval()  # type: ignore[arg-type]  # any field


def softmax_nce(x: np.ndarray, y: np.ndarray, positives: np.ndarray, allowed: np.ndarray) -> float:
    weights = np.exp(x @ y.T / 0.07)
    return float(-np.log((weights * positives).sum(1) / (weights * allowed).sum(1)).mean())


def test_paper_preset_has_the_paper_s_number_of_parameters() -> None:
    system = YuYin(PAPER, YuYinConfig())
    assert sum(each.numel() for each in system.parameters()) == 9_739_504
    assert sum(each.numel() for each in system.fusion.parameters()) == 3_085_292 + 1_799_168
    assert sum(each.numel() for each in system.classifier.parameters()) == 1_028


def test_music_tower_is_its_equations() -> None:
    system, batch = small_system(), small_batch()
    state = {name: value.double().numpy() for name, value in system.state_dict().items()}

    def affine(layer: str, x: np.ndarray) -> np.ndarray:
        return np.asarray(x @ state[f"{layer}.weight"].T + state[f"{layer}.bias"])

    means = [
        np.stack([x[i, : int(mask[i].sum())].double().mean(0).numpy() for i in range(6)])
        for x, mask in (batch.music["audio"], batch.music["emotion"])
    ]
    x = np.clip(np.concatenate(means, axis=1), -5, 5)
    gate = 1 / (1 + np.exp(-affine("fusion.gate", x)))
    hidden = np.maximum(affine("music_projection.hidden", affine("fusion.out", gate * x)), 0)
    z = affine("music_projection.out", hidden)
    expected = z / np.linalg.norm(z, axis=1, keepdims=True)
    np.testing.assert_allclose(system.music(batch.music).detach().numpy(), expected, atol=1e-5)


def test_fusion_is_plain_concatenation_when_the_gate_is_open() -> None:
    system, x = small_system(), torch.randn(3, 9, generator=torch.Generator().manual_seed(0))
    torch.nn.init.zeros_(system.fusion.gate.weight)
    torch.nn.init.constant_(system.fusion.gate.bias, 100.0)  # sigmoid(100) is 1
    assert torch.allclose(system.fusion(x), system.fusion.out(x))


@pytest.mark.parametrize("n", [1, 6])
def test_embeddings_have_unit_length(n: int) -> None:
    system, batch = small_system(pool="mean_std"), small_batch(max(n, 2))
    first = {name: (x[:n], mask[:n]) for name, (x, mask) in batch.video.items()}
    for z in (system.video(first), system.text(batch.text[:n])):
        assert z.shape == (n, 4)
        assert torch.allclose(z.norm(dim=1), torch.ones(n))


def test_linear_path_starts_as_the_ridge_cca_of_the_training_pairs() -> None:
    system, rng = small_system(linear_path=True), np.random.default_rng(0)
    video = torch.from_numpy(rng.standard_normal((50, 9)).astype(np.float32))
    music = torch.from_numpy(rng.standard_normal((50, 9)).astype(np.float32)) + video
    system.start_linear(video, music)
    a, b = ridge_cca(video.double().numpy(), music.double().numpy(), ridge=3.0, components=4)
    x, y = video.numpy() @ a, music.numpy() @ b
    expected = (x / np.linalg.norm(x, axis=1, keepdims=True)) @ (
        y / np.linalg.norm(y, axis=1, keepdims=True)
    ).T
    with torch.no_grad():
        found = system._video(video) @ system._music(music).T
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("mask_same_track", [False, True])
@pytest.mark.parametrize("symmetric", [False, True])
def test_loss_is_equations_2_to_5(symmetric: bool, mask_same_track: bool) -> None:
    system = small_system(symmetric=symmetric, mask_same_track=mask_same_track, class_scale=3.0)
    batch = small_batch()
    with torch.no_grad():
        z = {
            "v": system.video(batch.video).double().numpy(),
            "m": system.music(batch.music).double().numpy(),
            "t": system.text(batch.text).double().numpy(),
        }
    own, tag, track = np.eye(6), batch.tag.numpy(), batch.track.numpy()
    same_tag = (tag[:, None] == tag[None, :]).astype(float)
    other_clip = (track[:, None] == track[None, :]) & (own == 0)
    allowed = np.where(other_clip & mask_same_track, 0.0, 1.0)

    def match(x: str, y: str, positives: np.ndarray, allowed: np.ndarray) -> float:
        there = softmax_nce(z[x], z[y], positives, allowed)
        return (there + softmax_nce(z[y], z[x], positives.T, allowed.T)) / 2 if symmetric else there

    matching = 3.0 * match("v", "m", own, allowed)
    matching += match("v", "t", same_tag, np.ones((6, 6))) + match("m", "t", same_tag, np.ones((6, 6)))
    weight, bias = (each.detach().double().numpy() for each in system.classifier.parameters())
    predicted = 0.0
    for each in z.values():
        logits = 3.0 * (each @ weight.T + bias)
        chosen = logits[np.arange(6), batch.category.numpy()]
        predicted += float((np.log(np.exp(logits).sum(1)) - chosen).mean())
    with torch.no_grad():
        losses = system.loss(batch)
    assert float(losses.matching) == pytest.approx(matching, rel=1e-4)
    assert float(losses.prediction) == pytest.approx(predicted, rel=1e-4)
    assert float(losses.total) == pytest.approx(matching + 0.1 * predicted, rel=1e-4)


def test_noise_dropout_and_mixup_act_in_training_only() -> None:
    shaken = small_system(input_noise=0.3, input_dropout=0.3, dropout=0.3, mixup=0.4)
    plain, batch = small_system(), small_batch()
    assert torch.equal(shaken.loss(batch).total, plain.loss(batch).total)
    shaken.train()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        first, second = shaken.loss(batch).total, shaken.loss(batch).total
        torch.manual_seed(0)
        again = shaken.loss(batch).total
    assert first != second
    assert torch.equal(first, again)
