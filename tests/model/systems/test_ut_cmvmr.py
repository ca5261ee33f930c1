"""UT-CMVMR: who is a wrong partner, every pair scored as if it were alone, and towers that can be indexed."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from model.errors import BadOptions
from model.losses.ut_cmvmr import match_entropy, pair_triplets, rebuilt, tag_regular, tag_triplets
from model.systems.batch import Batch, Dims
from model.systems.system import MissingInput
from model.systems.ut_cmvmr import BLOCK, PRESETS, UTCMVMR, UTCMVMRConfig, another
from model.training.loop import fit, score_pairs
from model.training.run import torch_state
from model.training.sampler import Pairs, Table, taken

SMALL = {"clip_width": 16, "hidden": 24, "phi": 20, "theta": 12, "head_width": 4}
VIDEO, MUSIC = {"frames": 9, "motion": 4, "flow": 1}, {"audio": 11, "emotion": 7, "rhythm": 3}

Look = Callable[[UTCMVMR, Pairs], tuple[Table, Batch]]


def small(dims: Dims, **changes: object) -> UTCMVMR:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return UTCMVMR(dims, replace(UTCMVMRConfig(), **(SMALL | changes))).eval()  # type: ignore[arg-type]  # any field


@pytest.fixture(scope="module")
def pairs(make_pairs: Callable[..., Pairs]) -> Pairs:
    return make_pairs(video=VIDEO, music=MUSIC)


@pytest.mark.parametrize("shuffled", [False, True])
@pytest.mark.parametrize("tags", [(0, 1), (0, 0, 1, 1, 2), (3, 0, 3, 1, 2, 2, 3, 0), tuple(range(15)) * 9])
def test_negatives_differ_from_positives(tags: tuple[int, ...], shuffled: bool) -> None:
    tag = torch.tensor(tags)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for _ in range(20 if shuffled else 1):
            wrong = another(tag, shuffled=shuffled)
            assert (wrong != torch.arange(len(tag))).all()
            assert sorted(wrong.tolist()) == list(range(len(tag)))
            if max(tags.count(each) for each in tags) <= len(tags) / 2:
                assert (tag[wrong] != tag).all()


@pytest.mark.parametrize("tags", [(0,), (0, 0), (0, 0, 0, 1), (2,) * 7])
def test_negatives_are_other_pairs_even_if_most_share_a_tag(tags: tuple[int, ...]) -> None:
    wrong = another(torch.tensor(tags), shuffled=True)
    own = torch.arange(len(tags))
    assert (wrong != own).all() or len(tags) == 1


def test_negatives_are_drawn_from_all_other_tags() -> None:
    tag = torch.arange(4).repeat_interleave(3)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        met = {int(another(tag, shuffled=True)[0]) for _ in range(200)}
    assert met == set(range(3, 12))


@pytest.mark.parametrize("together", [True, False])
def test_scores_are_those_of_every_pair_alone(
    together: bool, make_pairs: Callable[..., Pairs], look: Look
) -> None:
    pairs = make_pairs((BLOCK + 6, 5, 5), video=VIDEO, music=MUSIC)  # more than one block, an uneven rest
    system = small(pairs.dims, together=together)
    _, batch = look(system, pairs)
    videos = taken(batch.video, torch.arange(BLOCK + 3))
    with torch.no_grad():
        found = system.scores(videos, batch.music)
        assert found.shape == (BLOCK + 3, BLOCK + 6)
        for i, j in ((0, 0), (0, BLOCK + 5), (BLOCK + 2, 1), (BLOCK + 2, BLOCK + 5), (7, 9)):
            one = taken(videos, torch.tensor([i])), taken(batch.music, torch.tensor([j]))
            phi_v, phi_m = system.video(one[0]), system.music(one[1])
            if system.together is not None:
                tokens = torch.stack([phi_m, phi_v], dim=1) + system.together.places
                seen = system.together.layer(tokens, tokens, torch.ones(1, 2).bool())
                phi_m, phi_v = phi_m + seen[:, 0], phi_v + seen[:, 1]
            theta = system.theta_of_video(phi_v), system.theta_of_music(phi_m)
            rho = [system.rho_of_theta(each) for each in theta]
            score = 0.6 * torch.cosine_similarity(*theta) + 0.4 * torch.cosine_similarity(*rho)
            assert float(found[i, j]) == pytest.approx(float(score), abs=1e-5)


@pytest.mark.parametrize("name", ["se", "ae", "tower"])
def test_scores_do_not_know_the_tags(name: str, pairs: Pairs, look: Look) -> None:
    system = small(pairs.dims, **_differs(name))
    table, batch = look(system, pairs)
    rows = pairs.rows("test")
    before = score_pairs(system, table, rows)
    permuted = torch.from_numpy(np.random.default_rng(0).permutation(len(table.labels["tag"])))
    labels = {label: x[permuted] for label, x in table.labels.items()}
    other = replace(table, labels=labels)
    assert np.array_equal(before, score_pairs(system, other, rows))
    train = pairs.rows("train")
    with torch.no_grad():  # while its loss does know them
        assert system.loss(batch, 99).total != system.loss(other.all_pairs(train), 99).total


def test_tower_is_an_index_of_its_scores(pairs: Pairs, look: Look) -> None:
    system = small(pairs.dims, together=False)
    _, batch = look(system, pairs)
    assert system.indexable
    with torch.no_grad():
        z_v, z_m = system.embed_video(batch.video), system.embed_music(batch.music)
        theta_v, theta_m = (
            system.theta_of_video(system.video(batch.video)),
            system.theta_of_music(system.music(batch.music)),
        )
        assert batch.text is not None
        z_t = system.embed_text(batch.text)
    for z in (z_v, z_m, z_t):
        assert z.shape == (len(batch), 12 + pairs.dims.text)
        assert torch.allclose(z.norm(dim=1), torch.ones(len(batch)))
    for part, weight in ((slice(0, 12), 0.6), (slice(12, None), 0.4)):
        assert torch.allclose(z_v[:, part].square().sum(1), torch.full((len(batch),), weight))
    assert torch.allclose(
        z_v[:, :12] / z_v[:, :12].norm(dim=1, keepdim=True), torch.nn.functional.normalize(theta_v)
    )
    assert torch.allclose(
        z_m[:, :12] / z_m[:, :12].norm(dim=1, keepdim=True), torch.nn.functional.normalize(theta_m)
    )


def test_what_sees_both_sides_cannot_be_indexed(pairs: Pairs, look: Look) -> None:
    system = small(pairs.dims)
    _, batch = look(system, pairs)
    assert not system.indexable
    with pytest.raises(BadOptions, match="tower"):
        system.embed_music(batch.music)
    with torch.no_grad():  # music's theta depends on the video
        phi_v, phi_m = system.video(batch.video), system.music(batch.music)
        _, first = system._thetas(phi_v[:1], phi_m[:1])
        _, second = system._thetas(phi_v[1:2], phi_m[:1])
    assert not torch.allclose(first, second, atol=1e-4)


@pytest.mark.parametrize("words", [True, False])
def test_loss_is_the_sum_of_the_published_terms(
    words: bool, make_pairs: Callable[..., Pairs], look: Look
) -> None:
    """Each pair scored on its own: right ones, and both kinds of wrong ones."""
    pairs = make_pairs(words=words)
    system = small(pairs.dims, margin=0.3)
    _, batch = look(system, pairs)
    wrong = another(batch.tag, shuffled=False)
    with torch.no_grad():
        losses = system.loss(batch, 6)
        phi_v, phi_m = system.video(batch.video), system.music(batch.music)
        raw, theta, rho = {}, {}, {}
        for name, v, m in (("+", phi_v, phi_m), ("m-", phi_v, phi_m[wrong]), ("v-", phi_v[wrong], phi_m)):
            raw[name] = system._thetas(v, m)
            theta[name] = [torch.nn.functional.normalize(x) for x in raw[name]]
            rho[name] = [torch.nn.functional.normalize(system.rho_of_theta(x)) for x in raw[name]]
        logits = {name: system.matcher(torch.cat([m, v], dim=1)) for name, (v, m) in rho.items()}
        v, m = theta["+"]
        matching = pair_triplets(v, m, theta["v-"][0], theta["m-"][1], 0.3)
        matching = matching + match_entropy(logits["+"], torch.cat([logits["m-"], logits["v-"]]))
        total = matching + rebuilt(
            phi_v, system.phi_of_video(raw["+"][0]), phi_m, system.phi_of_music(raw["+"][1])
        )
        told = torch.zeros(())
        if words:
            assert batch.text is not None
            assert system.theta_of_tag is not None
            raw_t = system.theta_of_tag(batch.text)
            t, rho_t, tag = (
                torch.nn.functional.normalize(x) for x in (raw_t, system.rho_of_theta(raw_t), batch.text)
            )
            told = tag_triplets(v, t, theta["v-"][0], rho["+"][0], rho_t, rho["v-"][0], 0.3)
            told = told + tag_triplets(m, t, theta["m-"][1], rho["+"][1], rho_t, rho["m-"][1], 0.3)
            total = total + told + tag_regular(*rho["+"], rho_t, tag, v, m, t)
    assert float(losses.matching) == pytest.approx(float(matching), rel=1e-5)
    assert float(losses.prediction) == pytest.approx(float(told), rel=1e-5)
    assert float(losses.total) == pytest.approx(float(total), rel=1e-5)


def test_first_epochs_teach_tags_and_categories(pairs: Pairs, look: Look) -> None:
    system = small(pairs.dims)
    _, batch = look(system, pairs)
    guess = 2 * (np.log(pairs.dims.tags) + np.log(pairs.dims.categories))  # knowing nothing
    optimizer = torch.optim.Adam(system.parameters(), lr=3e-3)
    for _ in range(12):
        optimizer.zero_grad()
        losses = system.loss(batch, 5)
        losses.total.backward()
        assert system.theta_of_video[0].weight.grad is None
        optimizer.step()
    assert float(losses.matching) == 0
    assert float(system.loss(batch, 5).total.detach()) < 0.5 * guess
    assert float(system.loss(batch, 6).matching.detach()) > 0


def test_rhythm_and_flow_count_only_in_se_r(pairs: Pairs, look: Look) -> None:
    for pace in (False, True):
        system = small(pairs.dims, pace=pace)
        table, _ = look(system, pairs)
        assert ("flow" in system.video_view.widths) == pace
        assert ("rhythm" in system.music_view.widths) == pace
    rows = pairs.rows("test")
    still = replace(table, video=dict(table.video) | {"flow": table.video["flow"] * 0})
    silent = replace(table, music=dict(table.music) | {"rhythm": table.music["rhythm"] * 0})
    moved = score_pairs(system, table, rows)
    assert not np.allclose(moved, score_pairs(system, still, rows))
    assert not np.allclose(moved, score_pairs(system, silent, rows))


def test_clips_see_each_other_in_se_only(make_pairs: Callable[..., Pairs]) -> None:
    dims = make_pairs((4, 2, 2)).dims
    for name, sees in (("se", True), ("tower", True), ("a_se", False), ("ae", False)):
        system = small(dims, **_differs(name))
        assert (system.video.layer is not None) == sees == (system.music.layer is not None)
        assert (system.taught is not None and len(system.taught) == 2) == (name != "ae")


def test_paper_preset_has_the_sizes_of_its_code(make_pairs: Callable[..., Pairs]) -> None:
    """docs/models.md 4.3."""
    dims = make_pairs((1, 1, 1), video=VIDEO, music=MUSIC).dims
    with torch.device("meta"):
        system = UTCMVMR(replace(dims, text=768), PRESETS["paper"].system)
    for stream in (system.video, system.music):
        assert _linear(stream.encoder) == [(512, 1024), (1024, 768), (768, 768)]
        assert stream.layer is not None
        assert _linear(stream.layer.feed) == [(512, 1024), (1024, 512)]
        assert _linear(stream.layer.attention)[0] == (512, 3)  # 3 heads of size 1
    assert system.together is not None
    assert _linear(system.together.layer.attention)[0] == (768, 300)  # 3 heads of 100
    for theta in (system.theta_of_video, system.theta_of_music):
        assert _linear(theta) == [(768, 512), (512, 256), (256, 256)]
    assert _linear(system.theta_of_tag) == [(768, 256), (256, 256)]
    assert _linear(system.rho_of_theta) == [(256, 768), (768, 768)]
    assert _linear(system.matcher) == [(1536, 768), (768, 384), (384, 2)]
    tables = [each.num_embeddings for each in system.modules() if isinstance(each, torch.nn.Embedding)]
    assert sorted(tables) == [18, 49, 65, 65]
    assert PRESETS["paper"].system.dropout == 0.8


def _linear(module: torch.nn.Module | None) -> list[tuple[int, int]]:
    assert module is not None
    return [
        (each.in_features, each.out_features)
        for each in module.modules()
        if isinstance(each, torch.nn.Linear)
    ]


def test_presets_run_without_text_and_say_what_else_is_missing(make_pairs: Callable[..., Pairs]) -> None:
    """AVE has categories and no text; MuVi-Sync has neither."""
    ave = make_pairs(words=False).dims
    muvi = make_pairs(words=False, labels=False).dims
    assert _n_a(ave) == {"se_r": "'flow'", "paper": "'flow'"}
    learns = "categories"
    assert _n_a(muvi) == {"se_r": "'flow'", "paper": "'flow'", "se": learns, "a_se": learns, "tower": learns}


def _n_a(dims: Dims) -> dict[str, str]:
    missing = {}
    for name in PRESETS:
        try:
            small(dims, **_differs(name))
        except MissingInput as error:
            missing[name] = next(word for word in ("'flow'", "categories") if word in str(error))
    return missing


def _differs(name: str) -> dict[str, object]:
    """What a preset changes in the architecture."""
    config = PRESETS[name].system
    return {key: getattr(config, key) for key in ("unified_epochs", "sequence", "pace", "together")}


@pytest.mark.parametrize("name", ["se", "ae", "tower"])
def test_finds_held_out_pairs(name: str, make_pairs: Callable[..., Pairs], look: Look) -> None:
    """Chance is 10 of 60; five standard errors above it is .41."""
    pairs = make_pairs((320, 20, 60))
    with torch_state(0, 1):
        system = UTCMVMR(
            pairs.dims,
            replace(
                PRESETS[name].system, clip_width=32, hidden=32, phi=32, theta=16, head_width=8, dropout=0.1
            ),
        )
        table, _ = look(system, pairs)
        recipe = replace(PRESETS[name].training, epochs=20, batch_size=64, learning_rate=3e-3)
        fit(system, table, recipe, lambda _: None)
    scores = score_pairs(system, table, pairs.rows("test"))
    better = (scores > scores.diagonal()[:, None]).sum(axis=1)
    assert (better < 10).mean() > 0.41
