"""Audio Spectrogram Transformer: normalised log-mel frames of 10.24 s in, one vector of 768 out.

Gong et al. 2021, AST: Audio Spectrogram Transformer, section 2; published code: `YuanGongND/ast`, which pools
(h_CLS + h_DIST) / 2 after the last LayerNorm. The network is Hugging Face's `ASTModel`.
"""

from pathlib import Path

from torch import Tensor, nn

from model.backbones.catalogue import BackboneSpec
from model.backbones.checkpoint import expect, read_config, read_tensors, without
from model.backbones.pretrained import build

HEADS = ("classifier.",)  # AudioSet's 527 classes


class AST(nn.Module):
    """The pooled network."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """(b, 1024, 128), normalised by AudioSet's mean and twice its deviation, to (b, 768)."""
        pooled: Tensor = self.network(input_values=x).pooler_output
        return pooled


def load_ast(folder: Path, spec: BackboneSpec) -> AST:
    """The network of a checkpoint that was saved as `ASTForAudioClassification` or as `ASTModel`.

    Raises:
        Corrupt: if a file is missing or unreadable.
        Mismatch: if it is another network.
        NotInstalled: without `transformers`.
    """
    config = read_config(folder)
    frames, bands = spec.input_shape
    wanted = {"model_type": "audio-spectrogram-transformer", "hidden_size": spec.width}
    expect("AST", config, wanted | {"max_length": frames, "num_mel_bins": bands})
    return AST(build("AST", config, without(read_tensors(folder), HEADS))).eval()
