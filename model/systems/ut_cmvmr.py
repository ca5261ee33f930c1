"""UT-CMVMR (ICASSP 2024, arXiv:2309.09421): a video and music in, how well they match out: a re-ranker.

    clips      linear maps of frames and windows to 512, + rhythm or flow of the window, + positions
    phi        one pre-norm Transformer layer, mean over clips, 512-1024-768-768; one stream a modality
    phi'       phi + Transformer([phi_m + p_0; phi_v + p_1]): both see each other, 3 heads of 100
    theta      768-512-256-256 of phi';  theta_tag from the tag's vector
    rho        decoder(theta), one for video, music and tag, into the space of the tags' vectors
    score      .6 cos(theta_v, theta_m) + .4 cos(rho_v, rho_m)
    L = L_av + L_vtag + L_atag + L_regular + L_ce

Sizes, the score and the terms of L are those of the poster and the released code (docs/models.md 4.3). The
music's theta depends on the video, so no index can hold it: `scores` sees every pair. Ours [choice]:

- Preset names `ae`, `a_se`, `se`, `se_r` are read as: averaged clips without unified targets; with them;
  the Transformer over the sequence of clips; and rhythm and flow added. `tower` is `se` without
  the look at each other: its thetas and rhos can be indexed.
- These five have a half to a third of the published widths, teach targets for 1 epoch and train for 60
  epochs of batches of 256: then an epoch of 21,536 pairs costs 15 s of a core (bfloat16) and a matrix of
  1,000 x 1,000 scores 26 s, not 40 s and 130 s. `paper` has the published sizes and recipe, with rhythm and
  flow.
- Left out of the released code: the linear layer behind each Transformer, Kaiming weights, p of deviation 1
  (ours .02), and the limit of 7 clips.
- Unified targets: the linear maps are taught tag and category for the first 5 epochs by a small Transformer
  on top (2 layers, 256 wide), in place of Conformers on raw media.
- A wrong video or clip is one of another tag (in the released code it is the right one), and is seen
  together with the right partner, as in tests. No tag is read in tests.
- Margin .2 where the code has 0, which does not part equal vectors.
- Where pairs have no text, L_vtag, L_atag and the tag's terms of L_regular fall away, and wrong pairs are
  of another category, or any other; `a_se`, `se`, `se_r` and `tower` want categories to learn.
"""

import math
from dataclasses import dataclass, replace
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.errors import BadOptions
from model.losses.ut_cmvmr import match_entropy, pair_triplets, rebuilt, tag_regular, tag_triplets
from model.systems.batch import Batch, Dims, Prepared
from model.systems.inputs import Heard, heard_names
from model.systems.pace import FLOW, RHYTHM, PacedTokens
from model.systems.recipe import Preset, TrainConfig
from model.systems.system import Losses, System, picture_inputs, unit, wanted, wanted_categories
from model.systems.ut_networks import Stream, Taught, Together, deep, matcher, shallow
from model.systems.views import Standardise

THETA_WEIGHT, RHO_WEIGHT = 0.6, 0.4  # of the score
BLOCK = 32  # videos, and tracks, whose pairs are scored at a time: fits the cache


@dataclass(frozen=True, slots=True)
class UTCMVMRConfig:
    """Architecture and objective; the defaults are the paper's."""

    heard: Heard = "audio"
    unified_epochs: int = 5  # of unified targets, before matching; 0 leaves them out
    sequence: bool = True  # a Transformer over the clips before they are averaged
    pace: bool = False  # rhythm and flow
    together: bool = True  # do video and music see each other
    margin: float = 0.2
    dropout: float = 0.8  # of Transformer layers
    clip_width: int = 512
    hidden: int = 1024
    phi: int = 768
    theta: int = 256
    head_width: int = 100  # of the heads with which video and music see each other
    clip: float = 5.0  # standard deviations an input may lie from the training mean


@dataclass(frozen=True, slots=True)
class Seen:
    """Pairs in the common space: unit rows (n, theta) and (n, rho)."""

    theta_v: Tensor
    theta_m: Tensor
    rho_v: Tensor
    rho_m: Tensor

    def score(self) -> Tensor:
        """(n,) between -1 and 1."""
        theta, rho = (self.theta_v * self.theta_m).sum(1), (self.rho_v * self.rho_m).sum(1)
        return THETA_WEIGHT * theta + RHO_WEIGHT * rho

    def parts(self, count: int) -> list["Seen"]:
        """Every `count` pairs apart."""
        each = (torch.split(x, count) for x in (self.theta_v, self.theta_m, self.rho_v, self.rho_m))
        return [Seen(*part) for part in zip(*each, strict=True)]


class UTCMVMR(System):
    """Two streams that meet, or with `together=false` do not."""

    def __init__(self, dims: Dims, config: UTCMVMRConfig) -> None:
        """Raises `MissingInput` for what the data set lacks."""
        super().__init__()
        self.config, self.indexable = config, not config.together
        pictures, heard = picture_inputs(dims), heard_names(dims, config.heard, "UT-CMVMR")
        if config.pace:
            pictures |= wanted(dims.video, (FLOW,), "UT-CMVMR with rhythm and flow")
            heard = (*heard, RHYTHM)
        self.video_view = video_view = PacedTokens(pictures, dims.rows, config.clip)
        sounds = wanted(dims.music, heard, "UT-CMVMR")
        self.music_view = music_view = PacedTokens(sounds, dims.rows, config.clip)
        stream = partial(
            Stream,
            width=config.clip_width,
            hidden=config.hidden,
            phi=config.phi,
            sequence=config.sequence,
            dropout=config.dropout,
        )
        self.video, self.music = stream(video_view), stream(music_view)
        self.taught = nn.ModuleList()
        if config.unified_epochs > 0:
            targets = (dims.tags, wanted_categories(dims, "UT-CMVMR with unified targets"))
            self.taught.extend(Taught(config.clip_width, targets) for _ in range(2))
        self.together: Together | None = None
        if config.together:
            self.together = Together(config.phi, config.hidden, config.head_width, config.dropout)
        self._meet(config.phi, config.theta, dims.text)

    def _meet(self, phi: int, theta: int, text: int) -> None:
        """What comes behind phi."""
        self.theta_of_video, self.theta_of_music = deep(phi, 2 * theta, theta), deep(phi, 2 * theta, theta)
        self.phi_of_video, self.phi_of_music = shallow(theta, phi), shallow(theta, phi)
        self.theta_of_tag: nn.Module | None = None
        if text > 0:
            self.text_view = Standardise(text, self.config.clip)
            self.theta_of_tag = shallow(text, theta)
        self.rho_of_theta = shallow(theta, text or phi)
        self.matcher = matcher(text or phi)

    def embed_video(self, video: Prepared) -> Tensor:
        """(b, theta + rho) unit rows whose inner products are the score; only with `together=false`."""
        return self._embedded(self.theta_of_video(self._apart(self.video, video)))

    def embed_music(self, music: Prepared) -> Tensor:
        """(b, theta + rho) unit rows; only with `together=false`."""
        return self._embedded(self.theta_of_music(self._apart(self.music, music)))

    def embed_text(self, text: Tensor) -> Tensor:
        """(b, theta + rho) unit rows: tags, in the space of the other two."""
        if self.theta_of_tag is None:
            raise BadOptions("this UT-CMVMR was trained without text, so it cannot embed any")
        return self._embedded(self.theta_of_tag(text))

    def scores(self, video: Prepared, music: Prepared) -> Tensor:
        """(n, m) score of every pair, a block at a time; phi of either side is computed once."""
        if self.together is None:
            return super().scores(video, music)
        videos, tracks = torch.split(self.video(video), BLOCK), torch.split(self.music(music), BLOCK)
        return torch.cat([torch.cat([self._block(v, m) for m in tracks], dim=1) for v in videos])

    def loss(self, batch: Batch, epoch: int) -> Losses:
        """Unified targets in the first epochs, then L: L_av and L_ce match, L_vtag and L_atag predict."""
        if epoch <= self.config.unified_epochs:
            return self._unified(batch)
        phi_v, phi_m = self.video(batch.video), self.music(batch.music)
        wrong, n = another(batch.tag, shuffled=self.training), len(batch)
        raw_v, raw_m = self._thetas(
            torch.cat([phi_v, phi_v, phi_v[wrong]]), torch.cat([phi_m, phi_m[wrong], phi_m])
        )
        seen = self._seen(raw_v, raw_m)
        right, music_wrong, video_wrong = seen.parts(n)
        matching = pair_triplets(
            right.theta_v, right.theta_m, video_wrong.theta_v, music_wrong.theta_m, self.config.margin
        )
        logits = self.matcher(torch.cat([seen.rho_m, seen.rho_v], dim=1))
        matching = matching + match_entropy(logits[:n], logits[n:])
        again_v, again_m = self.phi_of_video(raw_v[:n]), self.phi_of_music(raw_m[:n])
        total = matching + rebuilt(phi_v, again_v, phi_m, again_m)
        if self.theta_of_tag is None or batch.text is None:
            return Losses(total, matching, torch.zeros_like(total))
        raw_t = self.theta_of_tag(batch.text)
        theta_t, rho_t = unit(raw_t), unit(self.rho_of_theta(raw_t))
        told = self._told(theta_t, rho_t, right, music_wrong, video_wrong)
        regular = tag_regular(
            right.rho_v, right.rho_m, rho_t, unit(batch.text), right.theta_v, right.theta_m, theta_t
        )
        return Losses(total + told + regular, matching, told)

    def _told(
        self, theta_t: Tensor, rho_t: Tensor, right: Seen, music_wrong: Seen, video_wrong: Seen
    ) -> Tensor:
        """L_vtag + L_atag."""
        far_v, far_m, margin = video_wrong, music_wrong, self.config.margin
        video = tag_triplets(right.theta_v, theta_t, far_v.theta_v, right.rho_v, rho_t, far_v.rho_v, margin)
        music = tag_triplets(right.theta_m, theta_t, far_m.theta_m, right.rho_m, rho_t, far_m.rho_m, margin)
        return video + music

    def _unified(self, batch: Batch) -> Losses:
        """Cross-entropy of tag and category, from either modality."""
        targets, told = (batch.tag, batch.category), torch.zeros((), device=batch.tag.device)
        for stream, taught, prepared in zip(
            (self.video, self.music), self.taught, (batch.video, batch.music), strict=True
        ):
            logits = taught(*stream.clips(prepared))
            told = told + sum(F.cross_entropy(x, y) for x, y in zip(logits, targets, strict=True))
        return Losses(told, torch.zeros_like(told), told)

    def _thetas(self, phi_v: Tensor, phi_m: Tensor) -> tuple[Tensor, Tensor]:
        """(n, phi) of pairs to (n, theta), not normalised."""
        if self.together is not None:
            phi_v, phi_m = self.together(phi_v, phi_m)
        return self.theta_of_video(phi_v), self.theta_of_music(phi_m)

    def _seen(self, theta_v: Tensor, theta_m: Tensor) -> Seen:
        rho_v, rho_m = self.rho_of_theta(theta_v), self.rho_of_theta(theta_m)
        return Seen(unit(theta_v), unit(theta_m), unit(rho_v), unit(rho_m))

    def _block(self, phi_v: Tensor, phi_m: Tensor) -> Tensor:
        """(n, phi) and (m, phi) to the scores (n, m)."""
        n, m = len(phi_v), len(phi_m)
        pairs = phi_v.repeat_interleave(m, dim=0), phi_m.repeat(n, 1)
        return self._seen(*self._thetas(*pairs)).score().reshape(n, m)

    def _apart(self, stream: Stream, prepared: Prepared) -> Tensor:
        if self.together is not None:
            raise BadOptions("this UT-CMVMR sees video and music together: train the preset `tower` instead")
        phi: Tensor = stream(prepared)
        return phi

    def _embedded(self, theta: Tensor) -> Tensor:
        rho = unit(self.rho_of_theta(theta))
        return torch.cat([math.sqrt(THETA_WEIGHT) * unit(theta), math.sqrt(RHO_WEIGHT) * rho], dim=1)


def another(tag: Tensor, *, shuffled: bool) -> Tensor:
    """For each row another row, of another tag unless more than half of all share one.

    Rows are ordered by tag and every row takes the one that follows at a fixed distance: at least as many
    rows away as the commonest tag has, either way round.

    Args:
        tag: (n,) int64.
        shuffled: order within a tag and distance are random.

    Returns:
        (n,) int64, no row its own unless n is 1, and each the other of one row.
    """
    n = len(tag)
    order = torch.argsort(tag + torch.rand(n, device=tag.device) if shuffled else tag, stable=True)
    least = min(int(torch.bincount(tag).max()), n // 2)
    distance = int(torch.randint(least, n - least + 1, ())) if shuffled else least
    return torch.empty_like(order).index_copy(0, order, order.roll(distance))


_PAPER = Preset(
    UTCMVMRConfig(pace=True),
    TrainConfig(epochs=200, batch_size=8192, learning_rate=3e-4, decay=0.96, clip_norm=3.0, keep="r10"),
)
_COMPACT = Preset(
    UTCMVMRConfig(unified_epochs=1, clip_width=256, hidden=512, phi=256, theta=128, head_width=32),
    replace(_PAPER.training, epochs=60, batch_size=256),
)


def _row(**changes: object) -> Preset:
    return replace(_COMPACT, system=replace(_COMPACT.system, **changes))


PRESETS = {
    "se": _COMPACT,
    "paper": _PAPER,
    "ae": _row(unified_epochs=0, sequence=False),
    "a_se": _row(sequence=False),
    "se_r": _row(pace=True),
    "tower": _row(together=False),
}
