"""DPVM against its equations in numpy, path by path, and what each path needs to know."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cosine

from model.losses.dpvm import contrastive, mean_distance, polarity_penalty
from model.systems.batch import Batch
from model.systems.dpvm import DPVM, PRESETS, DPVMConfig, others
from model.systems.system import MissingInput
from model.systems.views import joined
from model.training.loop import fit, score_pairs
from model.training.run import torch_state
from model.training.sampler import Pairs, Table

Look = Callable[[DPVM, Pairs], tuple[Table, Batch]]
Array = np.ndarray


def made(pairs: Pairs, **changes: object) -> DPVM:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return DPVM(pairs.dims, replace(DPVMConfig(), **changes)).eval()  # type: ignore[arg-type]  # any field


@pytest.fixture(scope="module")
def pairs(make_pairs: Callable[..., Pairs]) -> Pairs:
    return make_pairs()


class Slow:
    """The equations of the module's docstring, on the weights of a system."""

    def __init__(self, system: DPVM) -> None:
        self.state = {name: x.double().numpy() for name, x in system.state_dict().items()}

    def linear(self, layer: str, x: Array) -> Array:
        return np.asarray(x @ self.state[f"{layer}.weight"].T + self.state[f"{layer}.bias"])

    def two(self, layer: str, x: Array) -> Array:
        """Linear, ReLU, Linear."""
        return self.linear(f"{layer}.3", np.maximum(self.linear(f"{layer}.0", x), 0))

    def content(self, side: str, x: Array) -> Array:
        return self.two("content.encoder", self.linear(f"content.adapters.{side}", x))

    def rebuilt(self, side: str, z: Array) -> Array:
        return self.linear(f"content.heads.{side}", self.two("content.decoder", z))

    def private(self, side: str, x: Array) -> Array:
        return np.maximum(self.linear(f"emotion.private.{side}.0", x), 0)

    def emotion(self, side: str, x: Array) -> Array:
        return self.linear(f"emotion.last.{side}", self.private(side, x))


def unit(x: Array) -> Array:
    return np.asarray(x / np.linalg.norm(x, axis=1, keepdims=True))


def apart(x: Array, y: Array) -> float:
    return float(np.mean([cosine(a, b) for a, b in zip(x, y, strict=True)]))


def inputs(batch: Batch, *heard: str) -> list[Array]:
    """Pictures, and what is heard."""
    return [x.double().numpy() for x in (joined(batch.video), *(batch.music[name] for name in heard))]


@pytest.mark.parametrize("path", ["content", "emotion", "spliced", "interactive"])
def test_embeddings_are_the_equations(path: str, pairs: Pairs, look: Look) -> None:
    system = made(pairs, path=path)
    _, batch = look(system, pairs)
    slow, seen = Slow(system), joined(batch.video).double().numpy()
    for side, embed in (("video", system.embed_video), ("music", system.embed_music)):
        prepared = batch.video if side == "video" else batch.music
        halves = []
        if path != "emotion":
            x = seen if side == "video" else batch.music["audio"].double().numpy()
            halves.append(unit(slow.content(side, x)))
        if path != "content":
            x = seen if side == "video" else batch.music["emotion"].double().numpy()
            halves.append(unit(slow.emotion(side, x)))
        expected = np.concatenate(halves, axis=1)
        if path == "interactive":
            expected = slow.two("fusion", expected)
        found = embed(prepared).detach().numpy()
        assert found.shape[1] == (256 if path == "spliced" else 128)
        np.testing.assert_allclose(found, unit(expected), atol=1e-5)


def test_paper_preset_has_the_sizes_of_the_page(make_pairs: Callable[..., Pairs]) -> None:
    """docs/models.md 4.1."""
    dims = make_pairs((1, 1, 1), video={"frames": 2048}, music={"audio": 768, "emotion": 988}).dims
    with torch.device("meta"):
        system = DPVM(dims, PRESETS["paper"].system)

    def sizes(module: torch.nn.Module) -> list[tuple[int, int]]:
        found = [each for each in module.modules() if isinstance(each, torch.nn.Linear)]
        return sorted((each.in_features, each.out_features) for each in found)

    encoder_and_decoder = [(128, 256), (256, 128), (256, 512), (512, 256)]
    into_and_out = [(512, 768), (512, 2048), (768, 512), (2048, 512)]
    assert sizes(system.content) == sorted(encoder_and_decoder + into_and_out)
    assert sizes(system.emotion) == sorted([(2048, 256), (988, 256), (256, 128), (256, 128), (128, 3)])
    assert sizes(system.fusion) == [(256, 128), (256, 256)]


@pytest.mark.parametrize(("ppml", "fused_apart"), [(False, False), (True, False), (True, True)])
def test_loss_is_half_content_half_emotion_and_fusion(
    ppml: bool, fused_apart: bool, pairs: Pairs, look: Look
) -> None:
    system = made(pairs, ppml=ppml, fused_apart=fused_apart)
    _, batch = look(system, pairs)
    assert batch.polarity is not None
    slow, (seen, audio, emotion) = Slow(system), inputs(batch, "audio", "emotion")
    z_v, z_m = slow.content("video", seen), slow.content("music", audio)
    rebuilt = apart(slow.rebuilt("video", z_v), seen) + apart(slow.rebuilt("music", z_m), audio)
    v, m = torch.from_numpy(z_v), torch.from_numpy(z_m)
    following = torch.arange(len(batch)).roll(1)  # held out, a pair is mismatched with the one before
    matched = float(polarity_penalty(v, m, batch.polarity) if ppml else contrastive(v, m, following, 0.5))
    content = 0.8 * rebuilt + matched
    told = 0.0
    for side, x in (("video", seen), ("music", emotion)):
        logits = slow.linear("emotion.classifier", slow.emotion(side, x))
        odds = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        told -= float(np.log(odds[np.arange(len(batch)), batch.polarity.numpy()]).mean())
    distance = apart(slow.private("video", seen), slow.private("music", emotion))
    with torch.no_grad():
        fused = system.embed_video(batch.video), system.embed_music(batch.music)
        fusion = float(contrastive(*fused, following, 0.5) if fused_apart else mean_distance(*fused))
        losses = system.loss(batch, 1)
    expected = 0.5 * content + 0.5 * (0.8 * told - distance) + fusion
    assert float(losses.total) == pytest.approx(expected, rel=1e-4)
    assert float(losses.matching) == pytest.approx(0.5 * matched - 0.5 * distance + fusion, rel=1e-4)
    assert float(losses.prediction) == pytest.approx(0.5 * told, rel=1e-4)


def test_a_single_path_trains_on_its_own_loss_and_two_on_half_of_each(pairs: Pairs, look: Look) -> None:
    spliced = made(pairs, path="spliced")
    _, batch = look(spliced, pairs)
    state, total = spliced.state_dict(), {}
    for path in ("content", "emotion", "spliced"):
        system = made(pairs, path=path)
        look(system, pairs)
        system.load_state_dict({name: x for name, x in state.items() if "view" not in name}, strict=False)
        with torch.no_grad():
            total[path] = float(system.loss(batch, 1).total)
    assert total["spliced"] == pytest.approx((total["content"] + total["emotion"]) / 2, rel=1e-5)


def test_emotion_s_reward_has_a_switch_and_gives_way_to_the_penalty(pairs: Pairs, look: Look) -> None:
    system = made(pairs, path="emotion")
    _, batch = look(system, pairs)
    assert batch.polarity is not None
    slow, (seen, emotion) = Slow(system), inputs(batch, "emotion")
    distance = apart(slow.private("video", seen), slow.private("music", emotion))
    p_v = torch.from_numpy(slow.emotion("video", seen))
    p_m = torch.from_numpy(slow.emotion("music", emotion))
    for changes, expected in (
        ({}, -distance),
        ({"reward": 0.0}, 0.0),
        ({"ppml": True}, float(polarity_penalty(p_v, p_m, batch.polarity))),
    ):
        other = made(pairs, path="emotion", **changes)
        with torch.no_grad():
            losses = other.loss(batch, 1)
        assert float(losses.matching) == pytest.approx(expected, rel=1e-4, abs=1e-9)
        assert float(losses.total - losses.matching) == pytest.approx(
            0.8 * float(losses.prediction), rel=1e-5
        )


def test_mismatches_are_a_derangement_drawn_anew_in_training() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for count in (2, 3, 50):
            x = torch.zeros(count, 4)
            drawn = [others(x, drawn=True) for _ in range(5)]
            for other in drawn:
                assert sorted(other.tolist()) == list(range(count))
                assert not (other == torch.arange(count)).any()
        assert not all(torch.equal(drawn[0], other) for other in drawn)
        assert torch.equal(others(x, drawn=False), others(x, drawn=False))


def test_content_alone_needs_neither_emotion_nor_polarity(make_pairs: Callable[..., Pairs]) -> None:
    bare = make_pairs(music={"audio": 11}, valence=False, labels=False, words=False)
    for name, preset in PRESETS.items():
        if name == "C":
            assert DPVM(bare.dims, preset.system).embed_music({"audio": torch.zeros(1, 11)}).shape == (1, 128)
        else:
            with pytest.raises(MissingInput, match="polarities"):
                DPVM(bare.dims, preset.system)
    told = replace(bare.dims, valence=True)
    with pytest.raises(MissingInput, match="'emotion'"):
        DPVM(told, PRESETS["E"].system)
    DPVM(told, PRESETS["C+ppml"].system)


@pytest.mark.parametrize("name", ["C", "Sp+ppml", "robust"])
def test_finds_held_out_pairs(name: str, make_pairs: Callable[..., Pairs], look: Look) -> None:
    """Chance is 10 of 100; five standard errors above it is .25."""
    pairs = make_pairs((320, 40, 100))
    preset = PRESETS[name]
    with torch_state(0, 1):
        system = DPVM(pairs.dims, preset.system)
        table, _ = look(system, pairs)
        recipe = replace(preset.training, epochs=15, batch_size=32, learning_rate=1e-3)
        fit(system, table, recipe, lambda _: None)
    scores = score_pairs(system, table, pairs.rows("test"))
    better = (scores > scores.diagonal()[:, None]).sum(axis=1)
    assert (better < 10).mean() > 0.25
