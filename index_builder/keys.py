"""A musical key as people write it in, one spelling for all of them out."""

import re
from functools import lru_cache

from model.features.tonality import PITCH_CLASSES

_NATURAL = {"c": 0, "d": 2, "e": 4, "f": 5, "g": 7, "a": 9, "b": 11}
_SHIFT = {"": 0, "#": 1, "♯": 1, "sharp": 1, "b": -1, "♭": -1, "flat": -1}
_MODE = {"": "major", "major": "major", "maj": "major", "minor": "minor", "min": "minor", "m": "minor"}
_WRITTEN = re.compile(r"([a-g])[\s-]*(#|♯|♭|sharp|flat|b|)[\s-]*(major|maj|minor|min|m|)")


@lru_cache(1024)  # requests ask for keys too, and may make them up
def key_name(text: str) -> str | None:
    """`Bbm`, `b flat minor` and `A# minor` are all `A# minor`; None for what is no key.

    A letter alone is major; a capital M stands for major, a small one for minor.
    """
    capital = text.strip().removesuffix("M") + "maj" if text.strip().endswith("M") else text.strip()
    found = _WRITTEN.fullmatch(capital.casefold())
    if found is None:
        return None
    letter, shift, mode = found.groups()
    return f"{PITCH_CLASSES[(_NATURAL[letter] + _SHIFT[shift]) % 12]} {_MODE[mode]}"
