import subprocess
import sys
from hashlib import blake2b

import numpy as np
import pytest

from model.features.text import LiteText, ngrams, place_of

TAGS = ["sports", "wedding dresses", "women's t-shirts", "men's t-shirts", "women's suits", "men's suits",
        "baby care", "food", "mobile phones", "运动服", "婚纱", "手机"]  # fmt: skip


def test_ngrams_of_a_word_in_plain_loops():
    marked = "\x02ab\x03"
    expected = {marked[i:j] for i in range(4) for j in range(i + 1, 5)} - {"\x02", "\x03"}
    assert set(ngrams("ab")) == expected
    assert ngrams("ab ab")["ab"] == 2


@pytest.mark.parametrize("text", [*TAGS, "a", "é", "\U0001f3b5", "x" * 10_000])
def test_vectors_are_unit_float32_of_128(text):
    vector = LiteText()(text)
    assert vector.shape == (128,)
    assert vector.dtype == np.float32
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-6)
    assert np.array_equal(vector, LiteText()(text))


@pytest.mark.parametrize("text", ["", " ", "\t\n"])
def test_no_text_is_zero(text):
    assert not LiteText()(text).any()


@pytest.mark.parametrize(
    ("one", "other"), [("Wedding Dresses", "wedding  dresses "), ("Ｆｏｏｄ", "food"), ("STRASSE", "straße"),
                       ("e\u0301clair", "\u00e9clair"),
                       ("\u03a3\u03a3", "\u03c3\u03c2"), ("\U0001d400\U0001d401", "ab")]
)  # fmt: skip
def test_spelling_variants_are_one(one, other):
    assert np.array_equal(LiteText()(one), LiteText()(other))


def test_different_tags_differ_and_related_ones_are_nearer():
    vectors = {tag: LiteText()(tag) for tag in TAGS}
    cosines = np.array([[a @ b for a in vectors.values()] for b in vectors.values()])
    assert cosines[~np.eye(len(TAGS), dtype=bool)].max() < 0.9
    assert vectors["women's suits"] @ vectors["men's suits"] > 0.4
    assert abs(vectors["food"] @ vectors["mobile phones"]) < 0.4


def test_places_are_those_of_the_hash_and_the_same_in_another_process():
    digest = int.from_bytes(blake2b("手机".encode(), digest_size=8).digest(), "little")
    assert place_of("手机") == (digest % 128, 1 if digest < 2**63 else -1)
    code = "from model.features.text import place_of; print(*place_of('手机'))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert found.split() == [str(n) for n in place_of("手机")]
