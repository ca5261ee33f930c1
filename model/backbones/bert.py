"""Chinese BERT: ids of word pieces in, the mean of their last hidden vectors out.

Cui et al. 2021, Pre-Training with Whole Word Masking for Chinese BERT; the network is Hugging Face's
`BertModel`. The mean leaves [CLS] and [SEP] out: the model was pretrained by filling gaps only, so its pooler
says little, and a tag is 2 to 4 characters (docs/models.md, section 1.5).
"""

from pathlib import Path

from torch import Tensor, nn

from model.backbones.catalogue import BackboneSpec
from model.backbones.checkpoint import expect, read_config, read_tensors, without
from model.backbones.folder import VOCABULARY
from model.backbones.pretrained import build
from model.errors import Corrupt, Mismatch

HEADS = ("cls.", "bert.pooler.", "pooler.", "bert.embeddings.position_ids", "embeddings.position_ids")
PAD, UNKNOWN, CLS, SEP, MASK = 0, 100, 101, 102, 103  # lines of every BERT's vocab.txt
SPECIAL = {PAD: "[PAD]", UNKNOWN: "[UNK]", CLS: "[CLS]", SEP: "[SEP]", MASK: "[MASK]"}


class Bert(nn.Module):
    """The pooled network; the mask is made inside it, so that its graph takes ids only."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """(b, 64) ids, `PAD` behind the last, to (b, 768); a text without a word piece gives zeros."""
        hidden: Tensor = self.network(input_ids=x, attention_mask=(x != PAD).long()).last_hidden_state
        counts = ((x != PAD) & (x != CLS) & (x != SEP)).to(hidden.dtype)[..., None]
        return (hidden * counts).sum(1) / counts.sum(1).clamp(min=1)


def load_bert(folder: Path, spec: BackboneSpec) -> Bert:
    """The network of a checkpoint that was saved as `BertForPreTraining`, `BertForMaskedLM` or `BertModel`.

    Raises:
        Corrupt: if a file is missing or unreadable.
        Mismatch: if it is another network, or its vocabulary another one.
        NotInstalled: without `transformers`.
    """
    config, words = read_config(folder), spec.preprocessing["vocabulary"]
    expect("BERT", config, {"model_type": "bert", "hidden_size": spec.width, "vocab_size": words})
    check_vocabulary(folder / VOCABULARY, words)
    network = build("Bert", config, without(read_tensors(folder), HEADS), add_pooling_layer=False)
    return Bert(network).eval()


def check_vocabulary(path: Path, words: int) -> None:
    """Raise `Corrupt` or `Mismatch` unless a file has so many lines, the special ones in their places."""
    try:
        lines = path.read_text("utf-8").removesuffix("\n").split("\n")  # a word may be another separator
    except (OSError, UnicodeDecodeError) as error:
        raise Corrupt(f"{path} cannot be read ({error}): pull the backbone again") from error
    right = len(lines) == words and all(lines[at] == word for at, word in SPECIAL.items())
    if not right:
        raise Mismatch(
            f"{path} has {len(lines):,} lines, or its special words elsewhere, where {words:,} are wanted, "
            "[PAD] first and [CLS] as line 102: pull the one that `yuyin models list` names"
        )
