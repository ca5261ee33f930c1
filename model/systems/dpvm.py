"""DPVM (Gu et al.): a video and music in, unit vectors of a content path, an emotion path or both out.

    content   z_k = E(A_k x_k), x_k again = H_k D(z_k):  A d_k-512, E 512-256-128, D 128-256-512, H 512-d_k
              L_content = .8 L_R + 1.0 L_M     reconstruction, and a contrastive loss
    emotion   p_k = F_k(x_k):  d_k-256-128, and a classifier of 3 polarities
              L_emotion = .8 L_D + 1.0 L_M     cross-entropy, and minus the distance of the 256-d layers
    Sp        [z; p];   In   FC([z; p]): 256-256-128,  L_fusion = d(FC_v, FC_m) of matched pairs
    L = .5 L_content + .5 L_emotion + 1.0 L_fusion

The encoder E that both modalities share, the decoding, the weights, the polarities, the polarity-penalty loss
(section III.D), Adam (.5, .999), lr 1e-4, batch 16 and 100 epochs are the paper's. Ours (docs/models.md 4.1):
all widths, one decoder D for both, the margin of .5, one random mismatched clip a pair; content reads audio
and emotion reads the emotion features, beside the same pictures; one classifier and one FC for both
modalities, since nothing else would make their spaces one; unit length of either half before splicing, since
the losses know directions only. `content` and `emotion` train on their own path's loss, `spliced` on both.

Neither the emotion path's L_M, which rewards distance between a video and its own music, nor L_fusion,
which has no negatives, helps retrieval: they are the paper's. Left to L_fusion, FC maps everything to one
point: on 21,536 synthetic pairs R@10 is best after 1 epoch, .03 where chance is .01. With Eq. (2)'s
mismatched pairs (`fused_apart`) it is .20: presets `robust`. `reward` takes the emotion path's L_M out.
"""

from dataclasses import dataclass, replace
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.losses.dpvm import contrastive, mean_distance, polarity_penalty
from model.systems.batch import Batch, Dims, Prepared
from model.systems.layers import mlp
from model.systems.recipe import Preset, TrainConfig
from model.systems.system import Losses, MissingInput, System, picture_inputs, unit, wanted
from model.systems.views import Pooled, joined

POLARITIES = 3  # negative, neutral, positive
UNKNOWN = "DPVM learns polarities, and nothing in this data set tells valence"
COMMON = 128  # of either path and of what `In` fuses them to


@dataclass(frozen=True, slots=True)
class DPVMConfig:
    """Architecture and objective; the defaults are the paper's, or our reading where it is silent."""

    path: Literal["content", "emotion", "spliced", "interactive"] = "interactive"
    ppml: bool = False  # in place of the content path's L_M; `emotion` has no content: in place of its own
    reward: float = 1.0  # weight of the emotion path's L_M; 0 leaves it out
    margin: float = 0.5  # of the content path's L_M
    fused_apart: bool = False  # L_fusion is Eq. (2) on the fused vectors, with mismatched pairs [ours]
    dropout: float = 0.0  # behind hidden layers; the paper has none
    clip: float = 5.0  # standard deviations an input may lie from the training mean


class Content(nn.Module):
    """An autoencoder of both modalities through one encoder and one decoder."""

    def __init__(self, video: int, music: int, config: DPVMConfig) -> None:
        """Inputs of `video` and `music` numbers."""
        super().__init__()
        self.config = config
        self.adapters = nn.ModuleDict({"video": nn.Linear(video, 512), "music": nn.Linear(music, 512)})
        self.encoder = mlp((512, 256, COMMON), config.dropout)
        self.decoder = mlp((COMMON, 256, 512), config.dropout)
        self.heads = nn.ModuleDict({"video": nn.Linear(512, video), "music": nn.Linear(512, music)})

    def forward(self, side: str, x: Tensor) -> Tensor:
        """(b, d_k) to (b, 128)."""
        z: Tensor = self.encoder(self.adapters[side](x))
        return z

    def losses(self, video: Tensor, music: Tensor, polarity: Tensor | None) -> tuple[Losses, Tensor, Tensor]:
        """L_content of a batch, with the polarity penalty if `polarity` (b,) is told; and both z (b, 128)."""
        z_v, z_m = self("video", video), self("music", music)
        again = [self.heads[side](self.decoder(z)) for side, z in (("video", z_v), ("music", z_m))]
        rebuilt = mean_distance(again[0], video) + mean_distance(again[1], music)
        if polarity is None:
            matching = contrastive(z_v, z_m, others(z_v, drawn=self.training), self.config.margin)
        else:
            matching = polarity_penalty(z_v, z_m, polarity)
        return Losses(0.8 * rebuilt + matching, matching, torch.zeros_like(matching)), z_v, z_m


class Emotion(nn.Module):
    """A representation of each modality that tells polarities."""

    def __init__(self, video: int, music: int, config: DPVMConfig) -> None:
        """Inputs of `video` and `music` numbers."""
        super().__init__()
        self.config = config
        self.private = nn.ModuleDict(
            {
                side: nn.Sequential(nn.Linear(width, 256), nn.ReLU(), nn.Dropout(config.dropout))
                for side, width in (("video", video), ("music", music))
            }
        )
        self.last = nn.ModuleDict({"video": nn.Linear(256, COMMON), "music": nn.Linear(256, COMMON)})
        self.classifier = nn.Linear(COMMON, POLARITIES)

    def forward(self, side: str, x: Tensor) -> Tensor:
        """(b, d_k) to (b, 128)."""
        p: Tensor = self.last[side](self.private[side](x))
        return p

    def losses(self, video: Tensor, music: Tensor, polarity: Tensor) -> tuple[Losses, Tensor, Tensor]:
        """L_emotion of a batch, and both p (b, 128)."""
        h_v, h_m = self.private["video"](video), self.private["music"](music)
        p_v, p_m = self.last["video"](h_v), self.last["music"](h_m)
        told = F.cross_entropy(self.classifier(p_v), polarity) + F.cross_entropy(
            self.classifier(p_m), polarity
        )
        if self.config.ppml and self.config.path == "emotion":
            matching = polarity_penalty(p_v, p_m, polarity)
        else:
            matching = -self.config.reward * mean_distance(h_v, h_m)
        return Losses(0.8 * told + matching, matching, told), p_v, p_m


class DPVM(System):
    """One path or both, and what fuses them."""

    def __init__(self, dims: Dims, config: DPVMConfig) -> None:
        """Raises `MissingInput` where a path's input or the polarity is not there."""
        super().__init__()
        self.config = config
        both = config.path in ("spliced", "interactive")
        heard = ("audio",) * (both or config.path == "content") + ("emotion",) * (
            both or config.path == "emotion"
        )
        if ("emotion" in heard or config.ppml) and not dims.valence:
            raise MissingInput(UNKNOWN)
        self.video_view = Pooled(picture_inputs(dims), dims.rows, "mean", config.clip)
        self.music_view = Pooled(wanted(dims.music, heard, "DPVM"), dims.rows, "mean", config.clip)
        seen, width = self.video_view.width, self.music_view.out
        self.content = Content(seen, width["audio"], config) if "audio" in heard else None
        self.emotion = Emotion(seen, width["emotion"], config) if "emotion" in heard else None
        self.fusion = None
        if config.path == "interactive":
            self.fusion = mlp((2 * COMMON, 2 * COMMON, COMMON), config.dropout)

    def embed_video(self, video: Prepared) -> Tensor:
        """(b, 128) unit rows; (b, 256) of `spliced`."""
        x = joined(video)
        return self._fused([path("video", x) for path in (self.content, self.emotion) if path is not None])

    def embed_music(self, music: Prepared) -> Tensor:
        """(b, 128) unit rows; (b, 256) of `spliced`."""
        halves = []
        if self.content is not None:
            halves.append(self.content("music", music["audio"]))
        if self.emotion is not None:
            halves.append(self.emotion("music", music["emotion"]))
        return self._fused(halves)

    def loss(self, batch: Batch, epoch: int) -> Losses:
        """L = .5 L_content + .5 L_emotion + 1.0 L_fusion, or the one path's own loss."""
        seen, parts = joined(batch.video), []
        if self.content is not None:
            polarity = _polarity(batch) if self.config.ppml else None
            parts.append(self.content.losses(seen, batch.music["audio"], polarity))
        if self.emotion is not None:
            parts.append(self.emotion.losses(seen, batch.music["emotion"], _polarity(batch)))
        weight = 1 / len(parts)
        fields = zip(*((each.total, each.matching, each.prediction) for each, _, _ in parts), strict=True)
        total, matching, prediction = (weight * torch.stack(each).sum() for each in fields)
        if self.fusion is not None:
            fused = self._fusion_loss([z for _, z, _ in parts], [z for _, _, z in parts])
            total, matching = total + fused, matching + fused
        return Losses(total, matching, prediction)

    def _fusion_loss(self, video: list[Tensor], music: list[Tensor]) -> Tensor:
        """From the halves (b, 128) of either modality."""
        fused_v, fused_m = self._fused(video), self._fused(music)
        if self.config.fused_apart:
            return contrastive(fused_v, fused_m, others(fused_v, drawn=self.training), self.config.margin)
        return mean_distance(fused_v, fused_m)

    def _fused(self, halves: list[Tensor]) -> Tensor:
        """One or two vectors of each row (b, 128) to unit rows."""
        spliced = torch.cat([unit(half) for half in halves], dim=1)
        return unit(spliced if self.fusion is None else self.fusion(spliced))


def others(x: Tensor, *, drawn: bool) -> Tensor:
    """(b,) a clip of another pair for each row of x: random if `drawn`, else the one before."""
    count, device = x.shape[0], x.device
    order = torch.randperm(count, device=device) if drawn else torch.arange(count, device=device)
    return torch.empty_like(order).index_copy(0, order, order.roll(1))


def _polarity(batch: Batch) -> Tensor:
    if batch.polarity is None:
        raise MissingInput(UNKNOWN)
    return batch.polarity


_PAPER = Preset(
    DPVMConfig(ppml=True),
    TrainConfig(epochs=100, batch_size=16, learning_rate=1e-4, first_moment=0.5, keep="r10"),
)
_COMPARED = replace(_PAPER.training, batch_size=256)  # 16 rows offer few negatives


def _row(path: str, **changes: object) -> Preset:
    return Preset(replace(_PAPER.system, path=path, **{"ppml": False, **changes}), _COMPARED)


PRESETS = {
    "robust": _row("interactive", ppml=True, fused_apart=True),
    "paper": _PAPER,
    "In+ppml": _row("interactive", ppml=True),
    "In": _row("interactive"),
    "Sp": _row("spliced"),
    "C": _row("content"),
    "E": _row("emotion"),
    "Sp+ppml": _row("spliced", ppml=True),
    "C+ppml": _row("content", ppml=True),
    "E+ppml": _row("emotion", ppml=True),
    "In_wo_reward": _row("interactive", reward=0.0),
}
