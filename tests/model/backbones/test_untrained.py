"""Random checkpoints: the published names and sizes, features that differ, a vocabulary that can be read."""

from pathlib import Path

import pytest
import torch

from model.artifact import read_manifest
from model.backbones.catalogue import INCEPTION, BackboneSpec
from model.backbones.checkpoint import read_tensors
from model.backbones.inception import InceptionV3, load_inception
from model.backbones.noise import noise
from model.backbones.untrained import SOURCE, vocabulary, write_untrained
from model.errors import BadOptions

LAYER = {
    "AST": (
        "attention.attention.query", "attention.attention.key", "attention.attention.value",
        "attention.output.dense", "intermediate.dense", "output.dense", "layernorm_before", "layernorm_after",
    ),
    "Bert": (
        "attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense",
        "attention.output.LayerNorm", "intermediate.dense", "output.dense", "output.LayerNorm",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def inception(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("safetensors")
    return write_untrained(tmp_path_factory.mktemp("untrained") / "inception", INCEPTION.name, 3)


def published(prefix: str, parts: list[str]) -> set[str]:
    return {f"{prefix}{part}.{kind}" for part in parts for kind in ("weight", "bias")}


def test_names_of_ast_are_the_published_ones(small_ast: tuple[BackboneSpec, Path]) -> None:
    """Of the checkpoint of Gong et al. on the hub, as transformers 4 and 5 save it."""
    parts = [f"encoder.layer.{i}.{part}" for i in (0, 1) for part in LAYER["AST"]]
    names = published(
        "audio_spectrogram_transformer.", [*parts, "layernorm", "embeddings.patch_embeddings.projection"]
    )
    names |= published("classifier.", ["dense", "layernorm"])
    bare = ("cls_token", "distillation_token", "position_embeddings")
    names |= {f"audio_spectrogram_transformer.embeddings.{name}" for name in bare}
    assert set(read_tensors(small_ast[1])) == names


def test_names_of_bert_are_the_published_ones(small_bert: tuple[BackboneSpec, Path]) -> None:
    parts = [f"encoder.layer.{i}.{part}" for i in (0, 1) for part in LAYER["Bert"]]
    names = published("bert.", [*parts, "embeddings.LayerNorm", "pooler.dense"])
    tables = ("word", "position", "token_type")
    names |= {f"bert.embeddings.{table}_embeddings.weight" for table in tables}
    found = set(read_tensors(small_bert[1]))
    assert {name for name in found if not name.startswith("cls.")} == names
    assert any(name.startswith("cls.predictions.") for name in found)


def test_pictures_get_different_features(inception: Path) -> None:
    x = torch.from_numpy(noise(INCEPTION, 4, seed=11))
    with torch.inference_mode():
        features = load_inception(read_tensors(inception))(x)
    unit = torch.nn.functional.normalize(features, dim=1)
    cosines = (unit @ unit.T)[~torch.eye(4, dtype=torch.bool)]
    assert float(cosines.max()) < 0.98
    assert 0.1 < float(features.mean()) < 2
    assert float((features == 0).float().mean()) < 0.1


def test_torch_s_own_start_lets_features_fade() -> None:
    """Which is why there is another."""
    with torch.random.fork_rng(), torch.inference_mode():
        torch.manual_seed(0)
        features = InceptionV3().eval()(torch.from_numpy(noise(INCEPTION, 2, seed=11)))
    assert float(features.max()) < 1e-4
    assert float(torch.nn.functional.cosine_similarity(features[0], features[1], dim=0)) > 0.98


def test_inception_is_published_with_its_classifier(inception: Path) -> None:
    tensors = read_tensors(inception)
    assert tensors["fc.weight"].shape == (1000, 2048)
    assert sum(each.numel() for name, each in tensors.items() if "num_batches" not in name) > 23.8e6
    manifest = read_manifest(inception, SOURCE)
    assert (manifest["repo"], manifest["revision"]) == ("untrained/inception-v3", "seed-3")
    assert set(manifest["files"]) == {"config.json", "model.safetensors"}


def test_is_the_seed_s(inception: Path, tmp_path: Path) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(99)
        before = torch.get_rng_state()
        again = write_untrained(tmp_path / "again", INCEPTION.name, 3)
        assert torch.equal(torch.get_rng_state(), before)
    assert read_manifest(again, SOURCE) == read_manifest(inception, SOURCE)


def test_an_unknown_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadOptions, match="unknown backbone"):
        write_untrained(tmp_path / "new", "vgg")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("words", [150, 400, 21_128])
def test_vocabulary_has_special_words_at_their_places_and_no_word_twice(words: int) -> None:
    lines = vocabulary(words).removesuffix("\n").split("\n")
    assert len(lines) == len(set(lines)) == words
    assert [lines[at] for at in (0, 100, 101, 102, 103)] == ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def test_vocabulary_is_one_that_a_tokenizer_reads(tmp_path: Path) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    (tmp_path / "vocab.txt").write_text(vocabulary(21_128), "utf-8")
    found = tokenizers.BertWordPieceTokenizer(str(tmp_path / "vocab.txt"), lowercase=True).encode(
        "运动 T恤x1"
    )
    assert found.tokens == ["[CLS]", "运", "动", "t", "恤", "x", "##1", "[SEP]"]
    assert found.ids[0] == 101
    assert found.ids[-1] == 102
