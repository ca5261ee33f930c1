"""Spellings of keys against the circle of fifths, which is not how the code finds them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from index_builder.keys import key_name

CIRCLE = [*(f"{one}b" for one in "FCGDAEB"), *"FCGDAEB", *(f"{one}#" for one in "FCGDAEB")]
SHARPS = {
    **{"Fb": "E", "Cb": "B", "Gb": "F#", "Db": "C#", "Ab": "G#", "Eb": "D#", "Bb": "A#"},
    **{"E#": "F", "B#": "C"},
}
WORDS = {"minor": ("m", "min", " minor", "-minor", " Min"), "major": ("", "maj", " major", "M", " MAJOR")}


@pytest.mark.parametrize("tonic", CIRCLE)
@pytest.mark.parametrize(("mode", "word"), [(mode, word) for mode in WORDS for word in WORDS[mode]])
def test_every_spelling_is_one_key(tonic: str, mode: str, word: str) -> None:
    expected = f"{SHARPS.get(tonic, tonic)} {mode}"
    flat, sharp = tonic.replace("b", "\u266d"), tonic.replace("#", "\u266f")
    for written in (tonic, tonic.lower(), flat, sharp):
        assert key_name(f" {written}{word} ") == expected
    spoken = tonic.replace("b", " flat").replace("#", " sharp")
    assert key_name(f"{spoken} {word}".strip()) == expected


def test_fifths_are_seven_semitones() -> None:
    names = [key_name(f"{tonic} minor") for tonic in CIRCLE]
    assert names[:9] == names[12:]
    assert len(set(names)) == 12


@pytest.mark.parametrize(
    "text", ["", " ", "H", "m", "major", "A minor 7", "Cx", "8A", "atonal", "A minor\nB"]
)
def test_what_is_no_key_is_none(text: str) -> None:
    assert key_name(text) is None


@settings(deadline=None, derandomize=True, database=None)
@given(st.text(max_size=20))
def test_any_text_is_taken_and_a_name_is_its_own(text: str) -> None:
    name = key_name(text)
    assert name is None or key_name(name) == name


def test_made_up_keys_take_no_more_memory_than_others() -> None:
    for number in range(5000):
        key_name(f"no key {number}")
    assert key_name.cache_info().currsize <= 1024
