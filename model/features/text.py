"""A text in, a unit vector of its hashed character n-grams out; any language, nothing to download."""

import unicodedata
from collections import Counter
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from model.features.column import Column, names

SIZE = 128
LONGEST = 4  # characters; most Chinese words have 1 or 2, most English stems fit 3 or 4
SOURCE = "Weinberger et al. 2009 (hashing); Bojanowski et al. 2017 (character n-grams)"

COLUMNS = tuple(
    Column(f"ngram_{i:03d}", f"signed sum of the n-grams that hash to {i}", "1", (-1.0, 1.0), SOURCE)
    for i in range(SIZE)
)


def ngrams(text: str) -> Counter[str]:
    """Runs of 1 to 4 characters inside each word, words marked at both ends.

    Compatibility forms, letter case and the amount of white space do not matter: NFKC, then case
    folding, then NFKC again, since folding may leave its normal form.
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    found: Counter[str] = Counter()
    for word in folded.split():
        marked = f"\x02{word}\x03"  # control characters: no text has them
        for n in range(1, LONGEST + 1):
            found.update(marked[i : i + n] for i in range(len(marked) - n + 1))
    del found["\x02"], found["\x03"]  # every word has these: no information
    return found


def place_of(ngram: str) -> tuple[int, int]:
    """Column and sign of an n-gram, the same on every machine and in every run."""
    digest = int.from_bytes(blake2b(ngram.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")
    return digest % SIZE, 1 - 2 * (digest >> 63)


class LiteText:
    """Hashed character n-grams."""

    name = "lite-text"
    version = 1

    @property
    def features(self) -> tuple[str, ...]:
        """(128,) the name of every column."""
        return names(COLUMNS)

    def __call__(self, text: str) -> NDArray[np.float32]:
        """(128,), L2 norm 1; zeros for a text without a visible character.

        An n-gram that occurs k times counts sqrt(k).
        """
        vector = np.zeros(SIZE, np.float64)
        for ngram, count in sorted(ngrams(text).items()):
            column, sign = place_of(ngram)
            vector[column] += sign * np.sqrt(count)
        norm = float(np.linalg.norm(vector))
        return (vector / norm if norm > 0 else vector).astype(np.float32)
