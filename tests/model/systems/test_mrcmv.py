"""MRCMV: what the gate computes, what music may depend on, and what each of its ablations leaves out."""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from model.losses.mrcmv import margin_triplet, pseudo_label
from model.systems.attention import Block, side_by_side
from model.systems.batch import Batch, Dims
from model.systems.mrcmv import ALL_TRACKS, MRCMV, PRESETS, MRCMVConfig
from model.systems.system import MissingInput
from model.training.loop import fit, score_pairs
from model.training.run import torch_state
from model.training.sampler import Pairs, Table

VIDEO = {"frames": 9, "motion": 4, "voice": 5}
SMALL = {"width": 16, "heads": 2, "inner": 24}

Look = Callable[[MRCMV, Pairs], tuple[Table, Batch]]


def small(dims: Dims, **changes: object) -> MRCMV:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return MRCMV(dims, replace(MRCMVConfig(), **(SMALL | changes))).eval()  # type: ignore[arg-type]  # any field


@pytest.fixture
def pairs(make_pairs: Callable[..., Pairs]) -> Pairs:
    return make_pairs(video=VIDEO)


def count(system: torch.nn.Module) -> int:
    return sum(each.numel() for each in system.parameters())


def test_paper_preset_has_its_sizes(make_pairs: Callable[..., Pairs]) -> None:
    """docs/models.md 4.2: embeddings of 512 throughout; 8 heads are our choice."""
    with torch.device("meta"):
        system = MRCMV(make_pairs((1, 1, 1), video=VIDEO).dims, PRESETS["paper"].system)
    blocks = [each for each in system.modules() if isinstance(each, Block)]
    assert len(blocks) == 5  # SA and CMA of picture and voice, SA of the music
    for each in blocks:
        assert (each.attention.heads, each.attention.head_width) == (8, 64)
        assert each.first_norm.normalized_shape == (512,)
    assert system.query.gate.weight.shape == (1024, 1024)


def test_music_does_not_depend_on_the_query(pairs: Pairs, look: Look) -> None:
    system = small(pairs.dims)
    _, batch = look(system, pairs)
    before = system.embed_music(batch.music)
    with torch.no_grad():
        for part in (system.picture, system.beside, system.query, system.query_out):
            assert part is not None
            for parameter in part.parameters():
                parameter.normal_()
    after = system.embed_music(batch.music)
    assert torch.equal(before, after)
    alone = system.embed_music({name: x[3:4] for name, x in batch.music.items()})
    assert torch.allclose(alone, before[3:4], atol=1e-6)
    assert not torch.allclose(before[3], before[4], atol=1e-2)


def test_gate_is_its_equation(pairs: Pairs, look: Look) -> None:
    """Without attention the query is FC(G_v * mean V + G_a * mean A)."""
    system = small(pairs.dims, self_attention=False, cross_attention=False, standardised=False)
    _, batch = look(system, pairs)

    def mean(parts: list[tuple[Tensor, Tensor]]) -> np.ndarray:
        rows = [
            np.concatenate([x[i][mask[i]].detach().numpy() for x, mask in parts]) for i in range(len(batch))
        ]
        return np.stack([each.mean(axis=0) for each in rows])

    assert system.beside is not None
    v, a = mean(system.picture(batch.video)), mean(system.beside(batch.video))
    state = {name: x.numpy() for name, x in system.state_dict().items()}
    gate = np.maximum(
        np.concatenate([v, a], axis=1) @ state["query.gate.weight"].T + state["query.gate.bias"], 0
    )
    fused = gate[:, :16] * v + gate[:, 16:] * a
    z = fused @ state["query_out.weight"].T + state["query_out.bias"]
    expected = z / np.linalg.norm(z, axis=1, keepdims=True)
    np.testing.assert_allclose(system.embed_video(batch.video).detach().numpy(), expected, atol=1e-5)


def test_query_attends_to_itself_then_to_its_other_half(pairs: Pairs, look: Look) -> None:
    """V' = CMA(SA(V), SA(A)) and A' = CMA(SA(A), SA(V)), averaged over their real rows."""
    system = small(pairs.dims, gate=False)
    _, batch = look(system, pairs)
    assert system.beside is not None
    (v, v_mask), (a, a_mask) = (
        side_by_side(sequence) for sequence in (system.picture(batch.video), system.beside(batch.video))
    )
    sa_v, sa_a = system.query.self_attention
    cma_v, cma_a = system.query.cross_attention
    with torch.no_grad():
        v_own, a_own = sa_v(v, v, v_mask), sa_a(a, a, a_mask)
        seen, heard = cma_v(v_own, a_own, a_mask), cma_a(a_own, v_own, v_mask)
        expected = torch.stack(
            [seen[i][v_mask[i]].mean(0) + heard[i][a_mask[i]].mean(0) for i in range(len(batch))]
        )
        found = system.query((v, v_mask), (a, a_mask))
    assert torch.allclose(found, expected, atol=1e-5)


def test_cosine_ranks_as_the_distance_of_standardised_vectors(pairs: Pairs, look: Look) -> None:
    """The vectors that the margin of 30 is about are z-scores of what leaves the last layers."""
    system = small(pairs.dims)
    _, batch = look(system, pairs)
    kept: list[Tensor] = []
    hooks = [
        layer.register_forward_hook(lambda _module, _given, out: kept.append(out.detach()))
        for layer in (system.query_out, system.music_out)
    ]
    cosines = (system.embed_video(batch.video) @ system.embed_music(batch.music).T).detach().numpy()
    for hook in hooks:
        hook.remove()
    z = [((x - x.mean(1, keepdim=True)) / x.std(1, correction=0, keepdim=True)).double() for x in kept]
    np.testing.assert_allclose(z[0].norm(dim=1), math.sqrt(16), rtol=1e-6)
    distance = torch.cdist(z[0], z[1], compute_mode="donot_use_mm_for_euclid_dist").numpy()
    np.testing.assert_allclose(distance**2, 2 * 16 * (1 - cosines), atol=1e-3)
    with torch.no_grad():
        found = float(system.loss(batch, 90).matching)
    assert found == pytest.approx(float(margin_triplet(z[0], z[1], 40.0)), rel=1e-5)


def test_loss_adds_a_tenth_of_the_pseudo_labels(pairs: Pairs, look: Look) -> None:
    system = small(pairs.dims, standardised=False, margin=0.2, margin_step=0.05)
    _, batch = look(system, pairs)
    with torch.no_grad():
        query, music = system.embed_video(batch.video), system.embed_music(batch.music)
        losses = system.loss(batch, 100)
        first, second = system.identities
        pseudo = float(pseudo_label(query, music, first, second, batch.track))
    assert float(losses.prediction) == pytest.approx(pseudo)
    assert float(losses.matching) == pytest.approx(float(margin_triplet(query, music, 0.3)))
    assert float(losses.total) == pytest.approx(float(losses.matching) + 0.1 * pseudo)


def test_many_tracks_are_told_apart_within_the_batch(pairs: Pairs, look: Look) -> None:
    dims = replace(pairs.dims, tracks=ALL_TRACKS + 1)
    system = small(dims)
    _, batch = look(system, pairs)
    batch = replace(batch, track=torch.arange(len(batch)) // 2 * 3)  # twos of a track
    with torch.no_grad():
        query = system.embed_video(batch.video) * 4
        music = system.embed_music(batch.music) * 4
        known = batch.track[::2]
        expected = pseudo_label(
            query, music, *(matrix[known] for matrix in system.identities), torch.arange(len(batch)) // 2
        )
        assert float(system.loss(batch, 1).prediction) == pytest.approx(float(expected), rel=1e-5)


def test_tag_counts_in_tests_only_where_it_is_known_there(pairs: Pairs, look: Look) -> None:
    for text_at_test in (True, False):
        system = small(pairs.dims, query="text", text_at_test=text_at_test)
        table, batch = look(system, pairs)
        assert system.reads_query_text == text_at_test
        assert pairs.texts is not None
        rows = pairs.rows("test")
        known = score_pairs(system, table, rows)
        labels = dict(table.labels) | {"tag": (table.labels["tag"] + 1) % 4}
        other = score_pairs(system, replace(table, labels=labels), rows)
        assert np.allclose(known, other) != text_at_test
        with torch.no_grad():
            assert system.loss(batch, 1).total != system.loss(replace(batch, text=-batch.text), 1).total


def test_presets_leave_out_what_they_say(pairs: Pairs) -> None:
    def built(name: str) -> MRCMV:
        return MRCMV(pairs.dims, replace(PRESETS[name].system, **SMALL))

    assert count(built("paper")) == count(built("robust"))
    whole, block = count(built("text")), count(built("text").music)
    assert count(built("wo_sa")) == whole - 3 * block
    assert count(built("wo_cma")) == whole - 2 * block
    assert count(built("wo_gate")) == whole - (32 * 32 + 32)
    assert count(built("wo_pseudo")) == whole - 2 * pairs.dims.tracks * 16
    assert not {"voice", "text"} & set(built("video_only").video_view.widths)
    assert "voice" in built("paper").video_view.widths


def test_says_what_is_missing(make_pairs: Callable[..., Pairs]) -> None:
    dims = make_pairs(words=False).dims
    with pytest.raises(MissingInput, match="'voice'"):
        MRCMV(dims, MRCMVConfig())
    with pytest.raises(MissingInput, match="text"):
        MRCMV(dims, MRCMVConfig(query="text"))
    MRCMV(dims, MRCMVConfig(query="video"))


@pytest.mark.parametrize("name", ["paper", "robust", "text", "video_only"])
def test_finds_held_out_pairs(name: str, make_pairs: Callable[..., Pairs], look: Look) -> None:
    """Chance is 10 of 100; five standard errors above it is .25."""
    pairs = make_pairs((320, 20, 100), video=VIDEO)
    preset = PRESETS[name]
    with torch_state(0, 1):
        system = MRCMV(pairs.dims, replace(preset.system, width=32, heads=2, inner=32))
        table, _ = look(system, pairs)
        recipe = replace(preset.training, epochs=8, batch_size=32)
        fit(system, table, recipe if name == "paper" else replace(recipe, learning_rate=3e-3), lambda _: None)
    scores = score_pairs(system, table, pairs.rows("test"))
    better = (scores > scores.diagonal()[:, None]).sum(axis=1)
    assert (better < 10).mean() > 0.25
