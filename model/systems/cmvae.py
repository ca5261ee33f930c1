"""CMVAE (Yi et al. 2021, arXiv:2107.07268): a cross-modal variational auto-encoder of videos and their music.

    q(z|v, t)  product of experts: precision 1 + T_v + T_t, mean (T_v mu_v + T_t mu_t) / (1 + T_v + T_t)
    q(z|m)     from audio and emotion side by side
    L = KL(q(z|v,t)) + KL(q(z|m)) + MSE(D_m(z_vt), m) + MSE(D_v(z_m), v) + MSE(D_t(z_m), t)
        + the hinge at margin .05 over the 40 hardest wrong partners, in both directions, of <z_vt, z_m>

The paper's: PoE with a unit-Gaussian prior expert, cross-generation, matching, KL. Its code was not found;
sizes are of its first author's DecCM (github.com/jing-1/DecCM), which has the same skeleton: latent 128;
encoders batch norm, dropout .2, two linear heads (mean, log-variance) of L2 norm 1; decoders batch norm,
dropout .2, linear; all weights 1, Adam 1e-4, decay 1e-3, batches of 1,024, 50 epochs. Ours [choice]: the
usual hinge (DecCM maximises the easiest negatives); decoders without the ReLU at their end, since inputs
are standardised; decoupled decay; the mean of a posterior at unit length is what is indexed; the best
R@10 on held-out pairs is kept.

The text is the query's own tag, in tests too, as in YuYin's comparison (its section 5.3): preset `paper`.
Such a tower wants what no rough cut brings, so it cannot be exported. `wo_test_text` learns with the
text and is asked without (its expert is dropped), `wo_text` never sees it; both are exported like any
other system. Without emotion among the inputs music is audio alone.

`means` is ours: the hinge compares what is indexed, the means at unit length. A log-variance of L2 norm 1
over 128 dimensions keeps every variance near 1, so samples differ by about 11 in score where means differ
by less than 1, and the hinge learns slowly: on AVE R@10 .05 with samples, .22 with means (Adam 1e-3).
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.losses.hinge import hinge, products
from model.losses.vae import kl_to_unit_gaussian
from model.systems.batch import Batch, Dims, Prepared
from model.systems.inputs import Heard, pooled_views
from model.systems.recipe import Preset, TrainConfig
from model.systems.system import Losses, System, unit, wanted_text
from model.systems.views import Pool, Standardise, joined

Gaussian = tuple[Tensor, Tensor]  # mean and log-variance, (b, d) each, of independent dimensions


@dataclass(frozen=True, slots=True)
class CMVAEConfig:
    """The defaults are the paper's, or of its first author's code; see the module."""

    heard: Heard = "all"
    pool: Pool = "mean"
    clip: float = 5.0  # standard deviations an input may lie from the training mean
    text: Literal["query", "training", "none"] = "query"  # where it is read
    latent: int = 128
    margin: float = 0.05
    hardest: int = 40  # wrong partners of an anchor
    matched: Literal["sample", "mean"] = "sample"  # what the hinge compares
    dropout: float = 0.2


class Encoder(nn.Module):
    """An input to its Gaussian."""

    def __init__(self, width: int, latent: int, dropout: float) -> None:
        """`width` in, `latent` dimensions out."""
        super().__init__()
        self.norm, self.dropout = nn.BatchNorm1d(width), nn.Dropout(dropout)
        self.mean, self.log_variance = nn.Linear(width, latent), nn.Linear(width, latent)
        nn.init.xavier_normal_(self.mean.weight)
        nn.init.xavier_normal_(self.log_variance.weight)

    def forward(self, x: Tensor) -> Gaussian:
        """(b, width) to mean and log-variance (b, latent), each of L2 norm 1."""
        h = self.dropout(self.norm(x))
        return unit(self.mean(h)), unit(self.log_variance(h))


class Decoder(nn.Sequential):
    """A latent sample to an input of the other side."""

    def __init__(self, latent: int, width: int, dropout: float) -> None:
        """`latent` dimensions in, `width` out."""
        out = nn.Linear(latent, width)
        nn.init.xavier_normal_(out.weight)
        super().__init__(nn.BatchNorm1d(latent), nn.Dropout(dropout), out)


def product_of_experts(experts: list[Gaussian]) -> Gaussian:
    """The product of Gaussians and the unit Gaussian (Wu and Goodman 2018, arXiv:1802.05335, section 2.2).

    An expert of huge variance changes nothing; without any it is the prior.
    """
    precision = 1 + torch.stack([(-log_variance).exp() for _, log_variance in experts]).sum(0)
    mean = torch.stack([mean * (-log_variance).exp() for mean, log_variance in experts]).sum(0) / precision
    return mean, -precision.log()


class CMVAE(System):
    """Encoders and decoders of video, music and text."""

    def __init__(self, dims: Dims, config: CMVAEConfig) -> None:
        """Raises `MissingInput` for what the data set lacks."""
        super().__init__()
        self.config = config
        self.reads_query_text = config.text == "query"
        self.video_view, self.music_view = pooled_views(dims, config.heard, config.pool, config.clip, "CMVAE")
        widths = {"video": self.video_view.width, "music": self.music_view.width}
        if config.text != "none":
            widths["text"] = wanted_text(dims, "CMVAE")
            self.text_view = Standardise(dims.text, config.clip)
        self.encoders = nn.ModuleDict(
            {name: Encoder(width, config.latent, config.dropout) for name, width in widths.items()}
        )
        self.decoders = nn.ModuleDict(
            {name: Decoder(config.latent, width, config.dropout) for name, width in widths.items()}
        )

    def embed_video(self, video: Prepared) -> Tensor:
        """(b, latent) unit rows."""
        seen = {name: x for name, x in video.items() if name != "text"}
        return unit(self._query(joined(seen), video["text"] if self.reads_query_text else None)[0])

    def embed_music(self, music: Prepared) -> Tensor:
        """(b, latent) unit rows."""
        z: Tensor = self.encoders["music"](joined(music))[0]
        return z

    def embed_text(self, text: Tensor) -> Tensor:
        """(b, latent) unit rows: the query of a text alone, its expert times the prior."""
        return unit(product_of_experts([self.encoders["text"](text)])[0])

    def loss(self, batch: Batch, epoch: int) -> Losses:
        """L of the module; of it `matching` is the hinge."""
        video, music = joined(batch.video), joined(batch.music)
        text = batch.text if self.text_view is not None else None
        asked, heard = self._query(video, text), self.encoders["music"](music)
        z_q, z_m = self._drawn(asked), self._drawn(heard)
        scores = products(z_q, z_m) if self.config.matched == "sample" else products(unit(asked[0]), heard[0])
        match = partial(hinge, margin=self.config.margin, hardest=self.config.hardest)
        matching = match(scores) + match(scores.T)
        total = matching + kl_to_unit_gaussian(*asked) + kl_to_unit_gaussian(*heard)
        total = total + F.mse_loss(self.decoders["music"](z_q), music)
        total = total + F.mse_loss(self.decoders["video"](z_m), video)
        if text is not None:
            total = total + F.mse_loss(self.decoders["text"](z_m), text)
        return Losses(total, matching, torch.zeros_like(matching))

    def _query(self, video: Tensor, text: Tensor | None) -> Gaussian:
        experts = [self.encoders["video"](video)]
        if text is not None:
            experts.append(self.encoders["text"](text))
        return product_of_experts(experts)

    def _drawn(self, posterior: Gaussian) -> Tensor:
        """A sample in training, else the mean."""
        mean, log_variance = posterior
        return mean + torch.randn_like(mean) * (log_variance / 2).exp() if self.training else mean


_PAPER = Preset(
    CMVAEConfig(),
    TrainConfig(epochs=50, batch_size=1024, learning_rate=1e-4, weight_decay=1e-3, keep="r10"),
)
PRESETS = {
    "paper": _PAPER,
    "wo_test_text": replace(_PAPER, system=CMVAEConfig(text="training")),
    "wo_text": replace(_PAPER, system=CMVAEConfig(text="none")),
    "means": replace(_PAPER, system=CMVAEConfig(matched="mean")),  # ours
    "means_wo_text": replace(_PAPER, system=CMVAEConfig(matched="mean", text="none")),
}
