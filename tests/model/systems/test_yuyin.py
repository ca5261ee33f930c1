"""YuYin against its own equations in numpy, and the number of parameters that docs/models.md 2.1 gives."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from model.errors import BadOptions
from model.systems.batch import Batch, Dims
from model.systems.cca import ridge_cca
from model.systems.fusion import Added, Gated
from model.systems.system import MissingInput, System
from model.systems.views import joined
from model.systems.yuyin import PRESETS, YuYin, YuYinConfig
from model.training.sampler import Pairs, Table

POOLED = {"frames": 1, "motion": 1, "audio": 1, "emotion": 1}
PAPER = Dims({"frames": 2048}, {"audio": 768, "emotion": 988}, 768, 4, 9, POOLED)
SMALL = Dims({"frames": 6, "motion": 3}, {"audio": 5, "emotion": 4}, 7, 3, 9, POOLED)
SMALL_CONFIG = YuYinConfig(embedding=12, hidden=8, common=4)
TEXTS, CATEGORY_TEXTS = torch.eye(7)[:3], torch.eye(7)[3:5]

Look = Callable[[System, Pairs], tuple[Table, Batch]]


def small_batch(n: int = 6, seed: int = 0) -> Batch:
    rng = np.random.default_rng(seed)
    tag = torch.from_numpy(rng.integers(0, 3, n))

    def side(widths: dict[str, int]) -> dict[str, torch.Tensor]:
        return {
            name: torch.from_numpy(rng.standard_normal((n, w)).astype(np.float32))
            for name, w in widths.items()
        }

    return Batch(
        video=side(dict(SMALL.video)),
        music=side(dict(SMALL.music)),
        text=TEXTS[tag],
        category_text=CATEGORY_TEXTS[tag % 2],
        tag=tag,
        category=tag % 2,
        track=torch.tensor([0, 0, *range(1, n - 1)]),
        polarity=None,
    )


def small_system(**config: object) -> YuYin:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return YuYin(SMALL, replace(SMALL_CONFIG, **config)).eval()  # type: ignore[arg-type]  # any field


def count(module: torch.nn.Module | None) -> int:
    assert module is not None
    return sum(each.numel() for each in module.parameters())


def test_paper_preset_has_the_paper_s_number_of_parameters() -> None:
    system = YuYin(PAPER, PRESETS["paper"].system)
    assert count(system) == 9_739_504
    assert count(system.fusion) == 3_085_292 + 1_799_168
    assert count(system.text_embedding) == 787_456
    assert count(system.classifier) == 1_028
    assert count(system.video_embedding) + count(system.video_projection) == 2_754_304
    assert count(system.fusion) + count(system.music_projection) == 5_540_588


MUSIC_IN = {  # parameters between the music's vectors and its 1,024 dimensions, docs/models.md 2.4
    "paper": 1756 * 1756 + 1756 + 1756 * 1024 + 1024,
    "wo_E": 768 * 1024 + 1024,
    "wo_T": 1756 * 1756 + 1756 + 1756 * 1024 + 1024,
    "pure": 768 * 1024 + 1024,
    "concat": 1756 * 1024 + 1024,
    "add": 768 * 1024 + 1024 + 988 * 1024 + 1024,
    "concat_wide": 1756 * 1756 + 1756 + 1756 * 1024 + 1024,
    "scalar_gate": 1756 * 2 + 2 + 1756 * 1024 + 1024,
}


@pytest.mark.parametrize("name", MUSIC_IN)
def test_each_preset_fuses_what_its_row_says(name: str) -> None:
    with torch.device("meta"):  # sizes only
        system = YuYin(PAPER, PRESETS[name].system)
    assert count(system.fusion) == MUSIC_IN[name]
    assert (system.text_projection is None) == (name in ("wo_T", "pure"))
    assert system.classifier is not None
    assert list(system.music_view.widths) == (["audio"] if name in ("wo_E", "pure") else ["audio", "emotion"])


def test_a_preset_differs_from_the_paper_s_in_its_own_fields_only() -> None:
    changed = {
        "wo_E": {"emotion", "fusion"},
        "wo_T": {"text"},
        "pure": {"emotion", "fusion", "text"},
        "concat": {"fusion"},
        "add": {"fusion"},
        "concat_wide": {"fusion"},
        "scalar_gate": {"fusion"},
        "wo_pred": {"alpha"},
        "sym": {"symmetric"},
        "text_diag": {"text_positives"},
        "text_category": {"text_source"},
        "paper": set(),
    }
    assert set(changed) == set(PRESETS) - {"lite"}
    paper = PRESETS["paper"]
    for name, fields in changed.items():
        given, base = PRESETS[name].as_dict(), paper.as_dict()
        assert {key for key in base["system"] if given["system"][key] != base["system"][key]} == fields
        assert given["training"] == base["training"]


def test_towers_are_their_equations() -> None:
    system, batch = small_system(), small_batch()
    state = {name: value.double().numpy() for name, value in system.state_dict().items()}

    def affine(layer: str, x: np.ndarray) -> np.ndarray:
        return np.asarray(x @ state[f"{layer}.weight"].T + state[f"{layer}.bias"])

    def projected(side: str, h: np.ndarray) -> np.ndarray:
        z = affine(f"{side}_projection.out", np.maximum(affine(f"{side}_projection.hidden", h), 0))
        return np.asarray(z / np.linalg.norm(z, axis=1, keepdims=True))

    x = np.concatenate([batch.music["audio"], batch.music["emotion"]], axis=1).astype(np.float64)
    m = affine("fusion.out", x / (1 + np.exp(-affine("fusion.gate", x))))
    h_v = affine("video_embedding", np.concatenate([batch.video["frames"], batch.video["motion"]], axis=1))
    assert batch.text is not None
    h_t = affine("text_embedding", batch.text.double().numpy())
    with torch.no_grad():
        found = (
            system.embed_video(batch.video),
            system.embed_music(batch.music),
            system.embed_text(batch.text),
        )
        before = [
            system.before_projection("video", batch.video),
            system.before_projection("music", batch.music),
        ]
    for z, side, h in zip(found, ("video", "music", "text"), (h_v, m, h_t), strict=True):
        np.testing.assert_allclose(z.numpy(), projected(side, h), atol=1e-5)
    np.testing.assert_allclose(before[0].numpy(), h_v, atol=1e-5)
    np.testing.assert_allclose(before[1].numpy(), m, atol=1e-5)


def test_concat_is_the_wfm_with_its_gate_open() -> None:
    gated, plain, batch = small_system(), small_system(fusion="concat"), small_batch()
    assert isinstance(gated.fusion, Gated)
    torch.nn.init.zeros_(gated.fusion.gate.weight)
    torch.nn.init.constant_(gated.fusion.gate.bias, 100.0)  # sigmoid(100) is 1
    state = {
        name.replace("fusion.out.", "fusion."): value
        for name, value in gated.state_dict().items()
        if "fusion.gate" not in name
    }
    plain.load_state_dict(state)
    assert torch.allclose(plain.embed_music(batch.music), gated.embed_music(batch.music))


def test_add_has_the_two_modalities_in_their_own_maps() -> None:
    system = small_system(fusion="add")
    assert isinstance(system.fusion, Added)
    assert system.fusion.widths == (5, 4)  # audio, emotion


@pytest.mark.parametrize("n", [0, 1, 6])
@pytest.mark.parametrize("pool", ["mean", "mean_std"])
def test_embeddings_have_unit_length(n: int, pool: str, make_pairs: Callable[..., Pairs], look: Look) -> None:
    pairs = make_pairs()
    system = YuYin(pairs.dims, YuYinConfig(pool=pool)).eval()  # type: ignore[arg-type]  # parametrize knows no Literal
    table, _ = look(system, pairs)
    batch = table.batch(np.arange(n), np.arange(n))
    assert batch.text is not None
    embedded = (
        system.embed_video(batch.video),
        system.embed_music(batch.music),
        system.embed_text(batch.text),
    )
    for z in embedded:
        assert z.shape == (n, 256)
        assert torch.allclose(z.norm(dim=1), torch.ones(n))


def test_without_emotion_it_is_blind_to_emotion_and_without_text_to_text() -> None:
    batch = small_batch()
    other = replace(
        batch, music={**batch.music, "emotion": batch.music["emotion"] + 1}, text=TEXTS[batch.tag] + 1
    )
    full, deaf = small_system(), small_system(emotion=False, fusion="concat", text=False)
    heard = {"audio": batch.music["audio"]}
    assert not torch.equal(full.embed_music(batch.music), full.embed_music(other.music))
    assert full.loss(batch, 1).total != full.loss(replace(batch, text=other.text), 1).total
    assert torch.equal(
        deaf.loss(replace(batch, music=heard), 1).total, deaf.loss(replace(other, music=heard), 1).total
    )
    with pytest.raises(BadOptions, match="text=true"):
        deaf.embed_text(TEXTS)


@pytest.mark.parametrize(
    ("lacks", "config", "says"),
    [
        ({"music": {"audio": 5}}, {}, "emotion"),
        ({"text": 0}, {}, "text"),
        ({"categories": 0}, {}, "categories"),
    ],
)
def test_says_what_a_data_set_lacks(lacks: dict[str, object], config: dict[str, object], says: str) -> None:
    with pytest.raises(MissingInput, match=says):
        YuYin(replace(SMALL, **lacks), SMALL_CONFIG)  # type: ignore[arg-type]  # any field
    allowed = {"emotion": False, "text": False, "category": False, "fusion": "concat"}
    assert YuYin(replace(SMALL, **lacks), replace(SMALL_CONFIG, **allowed))  # type: ignore[arg-type]  # likewise


def test_linear_path_starts_as_the_ridge_cca_of_the_training_pairs(
    make_pairs: Callable[..., Pairs], look: Look
) -> None:
    pairs = make_pairs()
    system = YuYin(pairs.dims, replace(SMALL_CONFIG, linear_path=True)).eval()
    _, train = look(system, pairs)
    before = system.state_dict()["fusion.out.weight"].clone()
    system.start(train)
    video, music = joined(train.video).double().numpy(), joined(train.music).double().numpy()
    a, b = ridge_cca(video, music, ridge=3.0, components=4, power=0.5)
    x, y = video @ a, music @ b
    expected = (x / np.linalg.norm(x, axis=1, keepdims=True)) @ (
        y / np.linalg.norm(y, axis=1, keepdims=True)
    ).T
    with torch.no_grad():
        found = system.scores(train.video, train.music)
        assert system.video_linear is not None
        lengths = torch.linalg.norm(system.video_linear(joined(train.video)), dim=1)
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-5)
    assert torch.equal(before, system.state_dict()["fusion.out.weight"])  # the rest keeps its start
    assert float(lengths.mean()) == pytest.approx(1, rel=0.1)  # of what the MLPs add to


def softmax_nce(
    x: np.ndarray, y: np.ndarray, positives: np.ndarray, allowed: np.ndarray, tau: float
) -> float:
    weights = np.exp(x @ y.T / tau)
    return float(-np.log((weights * positives).sum(1) / (weights * allowed).sum(1)).mean())


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"symmetric": True, "mask_same_track": True, "class_scale": 3.0, "temperature": 0.2},
        {"symmetric": True, "text_positives": "diagonal"},
        {"text_source": "category", "alpha": 0.5, "beta": 1.0},
        {"text": False, "mask_same_track": True},
        {"category": False},
    ],
)
def test_loss_is_equations_2_to_5(config: dict[str, object]) -> None:
    system, batch = small_system(**config), small_batch()
    chosen, text = system.config, batch.text
    if chosen.text_source == "category":
        text = batch.category_text
    with torch.no_grad():
        z = {"v": system.embed_video(batch.video).double().numpy()}
        z["m"] = system.embed_music(batch.music).double().numpy()
        if chosen.text:
            assert text is not None
            z["t"] = system.embed_text(text).double().numpy()
    own, track = np.eye(6), batch.track.numpy()
    label = (batch.category if chosen.text_source == "category" else batch.tag).numpy()
    same_text = (label[:, None] == label[None, :]).astype(float)
    other_clip = (track[:, None] == track[None, :]) & (own == 0)
    assert other_clip.any()
    allowed = np.where(other_clip & chosen.mask_same_track, 0.0, 1.0)

    def match(x: str, y: str, positives: np.ndarray, allowed: np.ndarray) -> float:
        there = softmax_nce(z[x], z[y], positives, allowed, chosen.temperature)
        back = softmax_nce(z[y], z[x], positives.T, allowed.T, chosen.temperature)
        return (there + back) / 2 if chosen.symmetric else there

    matching = chosen.beta * match("v", "m", own, allowed)
    if chosen.text:
        right = own if chosen.text_positives == "diagonal" else same_text
        matching += match("v", "t", right, np.ones((6, 6))) + match("m", "t", right, np.ones((6, 6)))
    predicted = 0.0
    if system.classifier is not None:
        weight, bias = (each.detach().double().numpy() for each in system.classifier.parameters())
        for each in z.values():
            logits = chosen.class_scale * (each @ weight.T + bias)
            right_logit = logits[np.arange(6), batch.category.numpy()]
            predicted += float((np.log(np.exp(logits).sum(1)) - right_logit).mean())
    with torch.no_grad():
        losses = system.loss(batch, 1)
    assert float(losses.matching) == pytest.approx(matching, rel=1e-4)
    assert float(losses.prediction) == pytest.approx(predicted, rel=1e-4)
    assert float(losses.total) == pytest.approx(matching + chosen.alpha * predicted, rel=1e-4)


def test_noise_dropout_and_mixup_act_in_training_only() -> None:
    shaken = small_system(input_noise=0.3, input_dropout=0.3, dropout=0.3, mixup=0.4)
    plain, batch = small_system(), small_batch()
    assert torch.equal(shaken.loss(batch, 1).total, plain.loss(batch, 1).total)
    shaken.train()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        first, second = shaken.loss(batch, 1).total, shaken.loss(batch, 1).total
        torch.manual_seed(0)
        again = shaken.loss(batch, 1).total
    assert first != second
    assert torch.equal(first, again)


def test_mixup_blends_inputs_and_labels_of_the_same_two_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the weight and the partners fixed, the loss is that of rows blended by hand."""
    system, batch = small_system(mixup=0.4, text=False), small_batch()
    other = torch.tensor([3, 4, 5, 0, 1, 2])
    monkeypatch.setattr(torch, "randperm", lambda n, device: other)
    monkeypatch.setattr(torch.distributions.Beta, "sample", lambda self: torch.tensor(0.25))
    blended = replace(
        batch,
        video={name: 0.75 * x + 0.25 * x[other] for name, x in batch.video.items()},
        music={name: 0.75 * x + 0.25 * x[other] for name, x in batch.music.items()},
    )
    with torch.no_grad():
        found = system.train().loss(batch, 1)
        first = system.eval().loss(blended, 1)
        second = system.loss(replace(blended, category=batch.category[other]), 1)
    assert float(found.matching) == pytest.approx(float(first.matching), rel=1e-5)
    expected = 0.75 * float(first.prediction) + 0.25 * float(second.prediction)
    assert float(found.prediction) == pytest.approx(expected, rel=1e-5)
