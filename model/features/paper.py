"""The `paper` profile: the frozen networks of the paper, and openSMILE.

Described without anything installed; run with the networks that `yuyin models pull paper` brings.
"""

from collections.abc import Mapping

from model.backbones.catalogue import AST, BERT, INCEPTION
from model.backbones.loaded import LoadedBackbone
from model.features.ast import AstAudio, FilterBank
from model.features.bert import BertText
from model.features.emobase import Emobase
from model.features.extractors import Profile
from model.features.fbank import fbank_batch
from model.features.inception import InceptionFrames
from model.features.pixels import SIDE_PX
from model.media.streams import VideoRecipe

NETWORKS = {"frames": INCEPTION, "audio": AST, "text": BERT}  # by input
RECIPE = VideoRecipe(frames_per_s=1.0, min_frames=4, frame_side_px=SIDE_PX, frame_fit="short", motion=False)


def profile(
    backbones: Mapping[str, LoadedBackbone] | None = None,
    precision: str | None = None,
    filter_bank: FilterBank | None = None,
) -> Profile:
    """The row of design section 4 that the paper describes.

    Args:
        backbones: by name in the catalogue; whose is missing can be described, but calling it raises
            `NotInstalled`.
        precision: of their graphs.
        filter_bank: what computes AST's log-mel frames; None: `model.features.fbank`.
    """
    absent = LoadedBackbone()
    here = backbones or {}
    frames, audio, text = (here.get(spec.name, absent) for spec in (INCEPTION, AST, BERT))
    return Profile(
        name="paper",
        recipe=RECIPE,
        video={"frames": InceptionFrames(frames.network, frames.weights)},
        music={
            "audio": AstAudio(audio.network, audio.weights, filter_bank or fbank_batch),
            "emotion": Emobase(),
        },
        text=BertText(text.network, text.vocabulary, text.weights),
        precision=precision,
    )
