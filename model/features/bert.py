"""A text in, the mean of what Chinese BERT-wwm says of its word pieces out."""

from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from model.backbones.catalogue import BERT
from model.errors import Corrupt, NotInstalled
from model.features.pretrained import Pretrained
from model.runtime.network import Network

if TYPE_CHECKING:
    from tokenizers import Tokenizer

(TOKENS,) = BERT.input_shape
PADDING = 0  # what the graph leaves out
REMEMBERED = 1024  # texts: a table of tags is looked up, not computed again


class BertText(Pretrained):
    """Chinese BERT with whole word masking (Cui et al. 2021), mean over word pieces."""

    spec = BERT

    def __init__(
        self, network: Network | None = None, vocabulary: Path | None = None, weights: str | None = None
    ) -> None:
        """`vocabulary` is the backbone's vocab.txt."""
        super().__init__(network, weights)
        self.vocabulary = vocabulary
        self._vector = lru_cache(REMEMBERED)(self._compute)

    def __reduce__(self) -> tuple[Any, ...]:
        """Neither the tokenizer nor what was computed travels to another process."""
        return type(self), (self.network, self.vocabulary, self.weights)

    def __call__(self, text: str) -> NDArray[np.float32]:
        """(768,); zeros for a text without a visible character.

        Raises:
            NotInstalled: without a network, a vocabulary or the package `tokenizers`.
            Corrupt: if the vocabulary is not a BERT's.
        """
        return self._vector(text).copy()

    def ids(self, text: str) -> NDArray[np.int64]:
        """(64,) word pieces between [CLS] and [SEP], cut off behind the 62nd, filled up with 0."""
        return np.array(self._tokenizer.encode(text).ids, np.int64)

    def _compute(self, text: str) -> NDArray[np.float32]:
        ids = self.ids(text)
        if np.count_nonzero(ids != PADDING) <= 2:
            return np.zeros(self.spec.width, np.float32)
        vector: NDArray[np.float32] = self.vectors([ids[None]])[0]
        return vector

    @cached_property
    def _tokenizer(self) -> "Tokenizer":
        if self.vocabulary is None or not self.vocabulary.is_file():
            raise NotInstalled(
                f"the vocabulary of {self.name} is not here: run `yuyin models pull paper`, "
                "or point YUYIN_MODELS to where it is"
            )
        try:
            return _word_pieces(self.vocabulary)
        except ModuleNotFoundError as error:
            raise NotInstalled(f"texts of {self.name} need `pip install tokenizers`") from error


def _word_pieces(vocabulary: Path) -> "Tokenizer":
    """As tokenization.py of the published BERT, uncased: a mark such as [SEP] inside a text is plain text."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordPiece
    from tokenizers.normalizers import BertNormalizer
    from tokenizers.pre_tokenizers import BertPreTokenizer
    from tokenizers.processors import BertProcessing

    tokenizer = Tokenizer(WordPiece.from_file(str(vocabulary), unk_token="[UNK]"))
    padding, unknown, begin, end = map(tokenizer.token_to_id, ("[PAD]", "[UNK]", "[CLS]", "[SEP]"))
    if padding != PADDING or unknown is None or begin is None or end is None:
        raise Corrupt(
            f"{vocabulary} is no vocabulary of a BERT: [PAD] has to be its first line, and [UNK], [CLS] and "
            "[SEP] are wanted: pull it again"
        )
    tokenizer.normalizer = BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.post_processor = BertProcessing(("[SEP]", end), ("[CLS]", begin))
    tokenizer.enable_truncation(TOKENS)
    tokenizer.enable_padding(length=TOKENS, pad_id=PADDING)
    return tokenizer
