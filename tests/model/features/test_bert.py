"""Word pieces against the slow definition of Google's BERT (tokenization.py), and against transformers."""

import pickle
import sys
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.errors import Corrupt, NotInstalled
from model.features.bert import BertText

WIDTH = 768
LATIN = "abcdefghijklmnopqrstuvwxyz0123456789"
PIECES = [
    *("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"),
    *"运动服婚纱手机食品牛仔裤儿童装女士",
    *LATIN,
    *(f"##{c}" for c in LATIN),
    *"-,.!?'()&/[]，。！éßσ",
    *("sport", "sports", "##wear", "dress", "##es", "shirt", "##s", "un", "##aff", "##able", "iphone"),
    *("##运", "##动", "##é", "pad", "mask"),
]
MARKS = ["[PAD] a [SEP]", "[MASK]", "a[CLS]b", "[UNK]"]
TEXTS = [
    *(
        "",
        " ",
        "\t\n\u3000",
        "运动服",
        "婚纱",
        "手机",
        "sports",
        "Sports",
        "wedding dresses",
        "women's t-shirts",
    ),
    *(
        "UNAFFABLE",
        "运动服 Sportswear 2024款",
        "iPhone手机!",
        "牛仔裤，儿童装。",
        "龘龘",
        "🎵",
        "运🎵动",
        "a🎵b",
    ),
    *("café", "cafe\u0301", "ÉCLAIR", "Straße", "ΣΑΣ", "ｆｕｌｌ　ｗｉｄｔｈ", "a\u0000b\ufffdc\u200bd"),
    *("x" * 101, "x" * 100, "a" * 99 + " b", "a " * 100, "运" * 62, "运" * 63, "运" * 200),
    *("한국어", "日本語テキスト", "a\u2028b", "one\u00a0two", "t-t/t&t(t)", "0.5%", "\U00020000", "a\u0301"),
    *("[SEP", "##s"),
]


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bert") / "vocab.txt"
    path.write_text("\n".join(dict.fromkeys(PIECES)) + "\n", "utf-8")
    return path


@pytest.fixture(scope="module")
def text(vocabulary: Path) -> BertText:
    pytest.importorskip("tokenizers")
    return BertText(None, vocabulary)


def words(text: str) -> list[str]:
    """BasicTokenizer: clean, set Chinese characters apart, fold case and accents, split at punctuation."""
    kept = ""
    for c in text:
        if c in "\0\ufffd" or (unicodedata.category(c) in ("Cc", "Cf", "Cn", "Co") and c not in "\t\n\r"):
            continue
        blank = c in " \t\n\r" or unicodedata.category(c) == "Zs"
        kept += " " if blank else f" {c} " if is_chinese(c) else c
    found = []
    for word in kept.split():
        folded = "".join(c for c in unicodedata.normalize("NFD", word) if unicodedata.category(c) != "Mn")
        current = ""
        for c in folded.lower():
            if is_punctuation(c):
                found += [current, c]
                current = ""
            else:
                current += c
        found.append(current)
    return [word for word in found if word]


def is_chinese(c: str) -> bool:
    ranges = [(0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F), (0x2B740, 0x2B81F),
              (0x2B820, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F)]  # fmt: skip
    return any(low <= ord(c) <= high for low, high in ranges)


def is_punctuation(c: str) -> bool:
    symbols = (33, 47), (58, 64), (91, 96), (123, 126)
    return any(a <= ord(c) <= b for a, b in symbols) or unicodedata.category(c).startswith("P")


def pieces(word: str, known: dict[str, int]) -> list[int]:
    """WordpieceTokenizer: the longest known piece first, the unknown one where a word does not work out."""
    if len(word) > 100:
        return [known["[UNK]"]]
    found: list[int] = []
    at = 0
    while at < len(word):
        for end in range(len(word), at, -1):
            piece = word[at:end] if at == 0 else f"##{word[at:end]}"
            if piece in known:
                found.append(known[piece])
                at = end
                break
        else:
            return [known["[UNK]"]]
    return found


def defined(text: str, vocabulary: Path) -> list[int]:
    known = {piece: i for i, piece in enumerate(vocabulary.read_text("utf-8").split("\n")[:-1])}
    inside = [i for word in words(text) for i in pieces(word, known)][:62]
    ids = [known["[CLS]"], *inside, known["[SEP]"]]
    return ids + [0] * (64 - len(ids))


@pytest.mark.parametrize("given_text", TEXTS + MARKS)
def test_word_pieces_are_those_of_the_definition(text, vocabulary, given_text):
    found = text.ids(given_text)
    assert found.dtype == np.int64
    assert found.tolist() == defined(given_text, vocabulary)


ALPHABET = "abcstwé É运动🎵-'.  \u3000sSß,，0"


@settings(max_examples=300, deadline=None)
@given(given_text=st.text(alphabet=ALPHABET, max_size=90))
def test_word_pieces_are_those_of_the_definition_for_any_text(text, vocabulary, given_text):
    assert text.ids(given_text).tolist() == defined(given_text, vocabulary)


@pytest.mark.parametrize("given_text", TEXTS)
def test_word_pieces_are_those_of_transformers(text, vocabulary, given_text, transformers):
    theirs = transformers.BertTokenizer(str(vocabulary), do_lower_case=True)
    ids = theirs(given_text, truncation=True, max_length=64, padding="max_length")["input_ids"]
    assert text.ids(given_text).tolist() == ids


def test_a_vector_is_what_the_network_gives_of_the_ids(vocabulary, projection, text):
    network = projection(WIDTH)
    extractor = BertText(network, vocabulary)
    vector = extractor("运动服 sports")
    assert vector.shape == (WIDTH,)
    assert vector.dtype == np.float32
    (batch,) = network.batches
    assert batch.shape == (1, 64)
    assert batch.dtype == np.int64
    assert np.array_equal(batch[0], text.ids("运动服 sports"))
    assert np.array_equal(vector, projection(WIDTH)(batch)[0])


def test_a_tag_is_computed_once_and_what_comes_out_may_be_changed(vocabulary, projection, text):
    network = projection(WIDTH)
    extractor = BertText(network, vocabulary)
    first = extractor("婚纱")
    kept = first.copy()
    first[:] = 0
    assert np.array_equal(extractor("婚纱"), kept)
    extractor("手机")
    assert network.items == 2


@pytest.mark.parametrize("given_text", ["", " ", "\t\n", "\u3000", "\u200b"])
def test_no_text_is_zero_and_asks_no_network(vocabulary, projection, text, given_text):
    network = projection(WIDTH)
    assert not BertText(network, vocabulary)(given_text).any()
    assert network.items == 0


def test_it_travels_to_another_process_without_its_tokenizer(vocabulary, projection, text):
    extractor = BertText(projection(WIDTH), vocabulary, "9f0c12ab77")
    vector = extractor("婚纱")
    there = pickle.loads(pickle.dumps(extractor))
    assert there.weights == "9f0c12ab77"
    assert np.array_equal(there("婚纱"), vector)


def test_another_network_reads_the_same_vocabulary(vocabulary, projection):
    first, second = projection(WIDTH), projection(WIDTH)
    extractor = BertText(first, vocabulary, "ab")
    extractor("运动服")
    other = extractor.through(second)
    assert (other.vocabulary, other.weights) == (vocabulary, "ab")
    assert np.array_equal(other("运动服"), extractor("运动服"))
    assert (first.items, second.items) == (1, 1)


def test_what_is_missing_is_named(vocabulary, projection, monkeypatch, tmp_path, text):
    assert (text.name, text.version, len(set(text.features))) == ("chinese-bert-wwm", 1, WIDTH)
    with pytest.raises(NotInstalled, match=r"network of chinese-bert-wwm .*`yuyin models pull paper`"):
        text("婚纱")
    for path in (None, tmp_path / "vocab.txt"):
        with pytest.raises(NotInstalled, match=r"vocabulary of chinese-bert-wwm .*`yuyin models pull paper`"):
            BertText(projection(WIDTH), path)("婚纱")
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(NotInstalled, match="pip install tokenizers"):
        BertText(projection(WIDTH), vocabulary)("婚纱")


@pytest.mark.parametrize("lines", ["", "a\nb\n", "[UNK]\n[PAD]\n[CLS]\n[SEP]\n", "[PAD]\n[UNK]\n[CLS]\n",
                                   "[PAD]\n[CLS]\n[SEP]\n"])  # fmt: skip
def test_a_file_that_is_no_vocabulary_is_refused(tmp_path, projection, lines, text):
    path = tmp_path / "vocab.txt"
    path.write_text(lines, "utf-8")
    with pytest.raises(Corrupt, match=r"vocab\.txt"):
        BertText(projection(WIDTH), path)("婚纱")
