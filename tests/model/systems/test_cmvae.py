"""CMVAE against its equations in numpy, and what its three ways with text must do."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from model.systems.cmvae import CMVAE, PRESETS, CMVAEConfig, product_of_experts
from model.systems.system import MissingInput
from model.training.sampler import Pairs

SMALL = CMVAEConfig(latent=8, hardest=5)


def gaussian(rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    mean, log_variance = (torch.from_numpy(rng.standard_normal((4, 3))) for _ in range(2))
    return mean, log_variance


def test_product_of_experts_is_the_product_of_their_densities() -> None:
    """Two experts and the prior, multiplied on a fine grid of one dimension."""
    experts = [gaussian(np.random.default_rng(seed)) for seed in (0, 1)]
    mean, log_variance = product_of_experts(experts)
    grid = np.linspace(-12, 12, 200_001)
    log_density = -(grid**2) / 2
    for each in experts:
        log_density = log_density - (grid - float(each[0][2, 1])) ** 2 / (2 * np.exp(float(each[1][2, 1])))
    weight = np.exp(log_density - log_density.max())
    weight /= weight.sum()
    centre = float((weight * grid).sum())
    assert float(mean[2, 1]) == pytest.approx(centre, abs=1e-6)
    assert float(log_variance[2, 1].exp()) == pytest.approx(
        float((weight * (grid - centre) ** 2).sum()), rel=1e-5
    )


def test_a_text_that_knows_nothing_leaves_video_and_prior() -> None:
    video = gaussian(np.random.default_rng(0))
    vague = (torch.full((4, 3), 5.0).double(), torch.full((4, 3), 60.0).double())
    for with_text, without in zip(
        product_of_experts([video, vague]), product_of_experts([video]), strict=True
    ):
        torch.testing.assert_close(with_text, without)


def test_loss_is_its_equations(make_pairs: Callable[..., Pairs], look: Callable[..., tuple]) -> None:
    pairs = make_pairs((14, 2, 2))
    system = CMVAE(pairs.dims, SMALL).eval()
    _, batch = look(system, pairs)
    with torch.no_grad():
        found = system.loss(batch, 1)
    state = {name: value.double().numpy() for name, value in system.state_dict().items()}

    def affine(layer: str, x: np.ndarray) -> np.ndarray:
        return np.asarray(x @ state[f"{layer}.weight"].T + state[f"{layer}.bias"])

    def encode(name: str, x: np.ndarray) -> list[np.ndarray]:
        x = x / np.sqrt(1 + 1e-5)  # a batch norm that has seen nothing
        heads = [affine(f"encoders.{name}.{head}", x) for head in ("mean", "log_variance")]
        return [head / np.linalg.norm(head, axis=1, keepdims=True) for head in heads]

    def decode(name: str, z: np.ndarray) -> np.ndarray:
        return affine(f"decoders.{name}.2", z / np.sqrt(1 + 1e-5))

    def divergence(mean: np.ndarray, log_variance: np.ndarray) -> float:
        return float((mean**2 + np.exp(log_variance) - 1 - log_variance).sum(1).mean() / 2)

    def hardest(scores: np.ndarray) -> float:
        wrong = [np.sort(np.delete(row, i))[::-1][:5] - row[i] for i, row in enumerate(scores)]
        return float(np.maximum(0, 0.05 + np.array(wrong)).mean())

    v = np.concatenate([batch.video["frames"], batch.video["motion"]], axis=1).astype(np.float64)
    m = np.concatenate([batch.music["audio"], batch.music["emotion"]], axis=1).astype(np.float64)
    t = batch.text.double().numpy()
    (mu_v, lv_v), (mu_t, lv_t), (mu_m, lv_m) = encode("video", v), encode("text", t), encode("music", m)
    precision = 1 + np.exp(-lv_v) + np.exp(-lv_t)
    z = (mu_v * np.exp(-lv_v) + mu_t * np.exp(-lv_t)) / precision
    matching = hardest(z @ mu_m.T) + hardest(mu_m @ z.T)
    rebuilt = sum(
        float(((decode(name, latent) - target) ** 2).mean())
        for name, latent, target in (("music", z, m), ("video", mu_m, v), ("text", mu_m, t))
    )
    total = matching + rebuilt + divergence(z, -np.log(precision)) + divergence(mu_m, lv_m)
    assert float(found.matching) == pytest.approx(matching, rel=1e-4)
    assert float(found.total) == pytest.approx(total, rel=1e-5)
    asked = system.embed_video({**batch.video, "text": batch.text}).detach().numpy()
    np.testing.assert_allclose(asked, z / np.linalg.norm(z, axis=1, keepdims=True), atol=1e-5)
    told = mu_t / (1 + np.exp(lv_t))  # of a text alone: T_t mu_t / (1 + T_t)
    found_text = system.embed_text(batch.text).detach().numpy()
    np.testing.assert_allclose(found_text, told / np.linalg.norm(told, axis=1, keepdims=True), atol=1e-5)


def test_means_are_matched_as_they_are_indexed(
    make_pairs: Callable[..., Pairs], look: Callable[..., tuple]
) -> None:
    pairs = make_pairs((9, 2, 2))
    system = CMVAE(pairs.dims, replace(SMALL, matched="mean", hardest=8, dropout=0.0, margin=0.3)).eval()
    _, batch = look(system, pairs)
    with torch.no_grad():
        z_v = system.embed_video({**batch.video, "text": batch.text})
        scores = (z_v @ system.embed_music(batch.music).T).double().numpy()
        found = float(system.loss(batch, 1).matching)
    wrong = ~np.eye(9, dtype=np.bool_)
    both = [np.maximum(0, 0.3 + s - np.diag(s)[:, None])[wrong].mean() for s in (scores, scores.T)]
    assert found == pytest.approx(sum(both), rel=1e-5)


def test_samples_in_training_have_the_posterior_s_spread() -> None:
    system = CMVAE.__new__(CMVAE)
    torch.nn.Module.__init__(system)
    mean, log_variance = torch.full((20_000, 2), 3.0), torch.tensor([0.0, 1.0]).expand(20_000, 2)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        drawn = system.train()._drawn((mean, log_variance))
    np.testing.assert_allclose(drawn.mean(0), 3, atol=0.05)
    np.testing.assert_allclose(drawn.var(0), np.exp([0, 1]), rtol=0.05)
    assert torch.equal(system.eval()._drawn((mean, log_variance)), mean)


def test_three_ways_with_text(make_pairs: Callable[..., Pairs], look: Callable[..., tuple]) -> None:
    pairs = make_pairs((14, 2, 2))
    for preset, asks, has_text in (
        ("paper", True, True),
        ("wo_test_text", False, True),
        ("wo_text", False, False),
    ):
        system = CMVAE(pairs.dims, PRESETS[preset].system).eval()
        _, batch = look(system, pairs)
        assert system.reads_query_text == asks
        assert (system.text_view is not None) == has_text
        assert ("text" in system.decoders) == has_text
        one, other = (
            system.embed_video({**batch.video, "text": text}).detach()
            for text in (torch.zeros(14, 5), torch.ones(14, 5))
        )
        assert torch.equal(one, other) != asks
        assert torch.isfinite(system.loss(batch, 1).total)


def test_falls_back_to_audio_and_says_when_text_is_missing(make_pairs: Callable[..., Pairs]) -> None:
    bare = make_pairs((2, 1, 1), music={"audio": 3}, words=False).dims
    assert list(CMVAE(bare, PRESETS["wo_text"].system).music_view.widths) == ["audio"]
    for preset in ("paper", "wo_test_text"):
        with pytest.raises(MissingInput, match="text"):
            CMVAE(bare, PRESETS[preset].system)
