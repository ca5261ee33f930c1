"""MRCMV (Li et al.): a picture with its voice-over in, and music, unit vectors of one common space out.

    f(X, Y)   attention of X over Y, residual path, feed-forward net, LayerNorm
    SA(X) = f(X, X),  CMA(X, Y) = f(X, Y)
    V' = CMA(SA(V), SA(A)),  A' = CMA(SA(A), SA(V))       V the picture, A the voice-over
    G  = ReLU(W [V'; A'] + b), split in halves G_v, G_a;  F = G_v * V' + G_a * A'
    z_q = FC(F),  z_m = FC(SA(M))                          M the music, which never sees the query

The music branch knows nothing of the query, so music is indexed beforehand. The paper's formulas are lost in
extraction (docs/models.md 4.2): multi-head attention, embeddings of 512, the gate's ReLU and halves, the
margins, the weight .1, SGD and its momentum of .9 are the paper's. Ours: 8 heads, one width of 512
throughout, what the gate reads, SA before CMA, post-norm blocks with a feed-forward net of twice the width,
sinusoidal positions (the paper flattens time, which keeps the order; our clips differ in length, so V' and A'
are averaged over time, before the gate, since their lengths differ too), in-batch negatives, identities =
tracks, lr 1e-3, 150 epochs of batches of 128, frozen features.

"Normalise" is read as the z-score of every single vector: it has length sqrt(512), two independent ones lie
32 apart and the published margin of 30 makes sense. All lengths being equal, the order by their Euclidean
distance is the order by the cosine of the unit rows that `embed_video` and `embed_music` give. `robust`
[choice]: unit length, a margin of .2 (+.05 every 10 epochs after 80), Adam 3e-4 in the place of SGD; all
presets but `paper` build on it.

Table 2 of YuYin gives MRCMV the tag's vector in the place of the voice-over: `query="text"`, one token. The
paper's ablations are presets on this stand-in, which more data sets have; `query=voice` makes them its own.
"""

import math
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn

from model.losses.mrcmv import margin_at, margin_triplet, pseudo_label
from model.systems.attention import Block, Lift, side_by_side
from model.systems.batch import Batch, Dims, Prepared
from model.systems.inputs import Heard, heard_names
from model.systems.recipe import Preset, TrainConfig
from model.systems.system import Losses, System, picture_inputs, unit, wanted, wanted_text
from model.systems.views import Standardise, Tokens, pool_over_time

ALL_TRACKS = 4_096  # with more, the pseudo-label softmax runs over the tracks of the batch only [choice]


@dataclass(frozen=True, slots=True)
class MRCMVConfig:
    """Architecture and objective; the defaults are the paper's, or our reading where its text is lost."""

    query: Literal["voice", "text", "video"] = "voice"  # what is heard or read beside the picture
    text_at_test: bool = True  # query="text": the tag is known in tests too; else its token is the mean
    heard: Heard = "audio"  # emotion features would be one more part of the music's sequence
    self_attention: bool = True
    cross_attention: bool = True
    gate: bool = True  # without it F = V' + A'
    pseudo_weight: float = 0.1
    standardised: bool = True  # z-score of each vector; else unit length
    margin: float = 30.0
    margin_step: float = 10.0  # every 10 epochs after 80
    width: int = 512
    heads: int = 8
    inner: int = 1024
    dropout: float = 0.0
    clip: float = 5.0  # standard deviations an input may lie from the training mean


class Pair(nn.Module):
    """Two sequences in, what each makes of the other, averaged over time and gated, out."""

    def __init__(self, config: MRCMVConfig) -> None:
        """Of the query's two halves."""
        super().__init__()
        self.self_attention = nn.ModuleList(_block(config) for _ in range(2 * config.self_attention))
        self.cross_attention = nn.ModuleList(_block(config) for _ in range(2 * config.cross_attention))
        self.gate = nn.Linear(2 * config.width, 2 * config.width) if config.gate else None

    def forward(self, first: tuple[Tensor, Tensor], second: tuple[Tensor, Tensor]) -> Tensor:
        """Rows (b, t, width) with their mask (b, t), twice, to (b, width)."""
        (v, v_mask), (a, a_mask) = first, second
        if self.self_attention:
            see, hear = self.self_attention
            v, a = see(v, v, v_mask), hear(a, a, a_mask)
        if self.cross_attention:
            see, hear = self.cross_attention
            v, a = see(v, a, a_mask), hear(a, v, v_mask)
        both = torch.cat([pool_over_time(v, v_mask, "mean"), pool_over_time(a, a_mask, "mean")], dim=1)
        if self.gate is not None:
            both = torch.relu(self.gate(both)) * both
        v, a = both.chunk(2, dim=1)
        return v + a


class Single(nn.Module):
    """One sequence in, its self-attention averaged over time out: music, or a picture with nothing beside."""

    def __init__(self, config: MRCMVConfig) -> None:
        """Of the music branch, or of `query="video"`."""
        super().__init__()
        self.self_attention = _block(config) if config.self_attention else None

    def forward(self, sequence: tuple[Tensor, Tensor]) -> Tensor:
        """Rows (b, t, width) with their mask (b, t) to (b, width)."""
        x, mask = sequence
        if self.self_attention is not None:
            x = self.self_attention(x, x, mask)
        return pool_over_time(x, mask, "mean")


class MRCMV(System):
    """A query branch of two sequences and a music branch of one."""

    def __init__(self, dims: Dims, config: MRCMVConfig) -> None:
        """Raises `MissingInput` where the data set has no voice-over, text or audio that is asked for."""
        super().__init__()
        self.config, self.text_width = config, dims.text
        pictures = picture_inputs(dims)
        voice = wanted(dims.video, ("voice",), "MRCMV") if config.query == "voice" else {}
        heard = wanted(dims.music, heard_names(dims, config.heard, "MRCMV"), "MRCMV")
        self.video_view = video_view = Tokens(pictures | voice, dims.rows, config.clip)
        self.music_view = music_view = Tokens(heard, dims.rows, config.clip)
        self.picture = Lift(video_view, tuple(pictures), config.width)
        self.sound = Lift(music_view, tuple(heard), config.width)
        self.beside: Lift | nn.Linear | None = None
        if config.query == "voice":
            self.beside = Lift(video_view, ("voice",), config.width)
        if config.query == "text":
            self.beside = nn.Linear(wanted_text(dims, "MRCMV"), config.width)
            self.text_view = Standardise(dims.text, config.clip)
            self.reads_query_text = config.text_at_test
        self.query = Single(config) if config.query == "video" else Pair(config)
        self.music = Single(config)
        self.query_out = nn.Linear(config.width, config.width)
        self.music_out = nn.Linear(config.width, config.width)
        self.all_tracks = dims.tracks <= ALL_TRACKS
        self.identities = nn.ParameterList(
            nn.Parameter(torch.randn(dims.tracks, config.width) / math.sqrt(config.width))
            for _ in range(2 * (config.pseudo_weight > 0))
        )

    @property
    def length(self) -> float:
        """Of the vectors that losses see: a z-score of d numbers has length sqrt(d)."""
        return math.sqrt(self.config.width) if self.config.standardised else 1.0

    def embed_video(self, video: Prepared) -> Tensor:
        """(b, width) unit rows, from `text` (b, d_t) too where the tag is known in tests."""
        return self._query(video, video.get("text"))

    def embed_music(self, music: Prepared) -> Tensor:
        """(b, width) unit rows."""
        return self._normalised(self.music_out(self.music(side_by_side(self.sound(music)))))

    def loss(self, batch: Batch, epoch: int) -> Losses:
        """L = L_triplet + .1 L_pseudo."""
        config = self.config
        query = self._query(batch.video, batch.text) * self.length
        music = self.embed_music(batch.music) * self.length
        triplet = margin_triplet(query, music, margin_at(epoch, config.margin, config.margin_step))
        if config.pseudo_weight == 0:
            return Losses(triplet, triplet, torch.zeros_like(triplet))
        first, second = self.identities
        identity = batch.track
        if not self.all_tracks:
            tracks, identity = torch.unique(batch.track, return_inverse=True)
            first, second = first[tracks], second[tracks]
        pseudo = pseudo_label(query, music, first, second, identity)
        return Losses(triplet + config.pseudo_weight * pseudo, triplet, pseudo)

    def _query(self, video: Prepared, text: Tensor | None) -> Tensor:
        picture = side_by_side(self.picture(video))
        match self.beside:
            case None:
                seen = self.query(picture)
            case Lift():
                seen = self.query(picture, side_by_side(self.beside(video)))
            case _:  # an unknown tag counts as the training mean, which is 0
                x = picture[0].new_zeros(picture[0].shape[0], self.text_width) if text is None else text
                seen = self.query(picture, (self.beside(x).unsqueeze(1), torch.ones_like(x[:, :1]).bool()))
        return self._normalised(self.query_out(seen))

    def _normalised(self, x: Tensor) -> Tensor:
        """Unit rows; of the z-scores of each row's numbers where vectors are standardised."""
        return unit(x - x.mean(dim=1, keepdim=True) if self.config.standardised else x)


def _block(config: MRCMVConfig) -> Block:
    return Block(config.width, config.inner, config.heads, norm_first=False, dropout=config.dropout)


_PAPER = Preset(
    MRCMVConfig(),
    TrainConfig(
        epochs=150,
        batch_size=128,
        optimizer="sgd",
        learning_rate=1e-3,
        one_clip_per_track=True,  # clips of one identity are no negatives of each other
        keep="r10",
    ),
)
_ROBUST = Preset(
    MRCMVConfig(standardised=False, margin=0.2, margin_step=0.05),
    replace(_PAPER.training, optimizer="adam", learning_rate=3e-4),
)


def _robust(**changes: object) -> Preset:
    return replace(_ROBUST, system=replace(_ROBUST.system, **changes))


def _text(**changes: object) -> Preset:
    return _robust(query="text", **changes)


PRESETS = {
    "paper": _PAPER,
    "robust": _ROBUST,
    "text": _text(),
    "wo_test_text": _text(text_at_test=False),
    "video_only": _robust(query="video"),
    "wo_sa": _text(self_attention=False),
    "wo_cma": _text(cross_attention=False),
    "wo_gate": _text(gate=False),
    "wo_pseudo": _text(pseudo_weight=0.0),
}
