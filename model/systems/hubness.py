"""Unit embeddings in, the same with what hubs have too much taken away, still unit vectors, out.

Some tracks are near to everything: hubs (Radovanovic et al. 2010). Querybank normalisation (Bogolan et al.
2022, arXiv:2112.12777) divides a track's share by what a bank of training queries would give it; with the
inverted softmax (Smith et al. 2017, arXiv:1702.03859) as log-scores at temperature T this is a bias,

    b(m) = T log mean_q exp(<q, z_m> / T),    score(v, m) = <z_v, z_m> - b(m) - b(v)

where q runs over the bank of the other side. b(v) is the same for every track, so it changes no ranking of
V->M; it is there for M->V. |b| <= 1, since b is a soft mean of cosines. A bias that depends on one side
only fits into the embedding, so an index and a service know nothing of it:

    z_v' = [z_v, -b(v), 1, sqrt(1 - b(v)^2), 0] / sqrt 3
    z_m' = [z_m, 1, -b(m), 0, sqrt(1 - b(m)^2)] / sqrt 3

Both have length 1, and <z_v', z_m'> = (<z_v, z_m> - b(m) - b(v)) / 3.
"""

import math

import torch
from torch import Tensor, nn

EXTRA = 4  # dimensions


class Hubness(nn.Module):
    """Banks of training embeddings of both sides; before `fill` both biases are constant."""

    videos: Tensor
    music: Tensor

    def __init__(self, rows: int, width: int, temperature: float) -> None:
        """`rows` of either side, `width` dimensions."""
        super().__init__()
        self.temperature = temperature
        self.register_buffer("videos", torch.zeros(rows, width))
        self.register_buffer("music", torch.zeros(rows, width))

    def rows(self, count: int) -> Tensor:
        """(rows,) which of `count` training pairs to keep: evenly spread, some twice if there are few."""
        return torch.linspace(0, count - 1, len(self.videos)).round().long()

    def fill(self, videos: Tensor, music: Tensor) -> None:
        """Keep unit rows (rows, width) each."""
        self.videos.copy_(videos)
        self.music.copy_(music)

    def video(self, z: Tensor) -> Tensor:
        """Queries (b, width) to (b, width + EXTRA) unit rows."""
        bias = self._bias(z, self.music)
        return self._joined(z, -bias, torch.ones_like(bias), _rest(bias), torch.zeros_like(bias))

    def track(self, z: Tensor) -> Tensor:
        """Music (b, width) to (b, width + EXTRA) unit rows."""
        bias = self._bias(z, self.videos)
        return self._joined(z, torch.ones_like(bias), -bias, torch.zeros_like(bias), _rest(bias))

    def _bias(self, z: Tensor, bank: Tensor) -> Tensor:
        """(b, 1)."""
        weighed = torch.logsumexp(z @ bank.T / self.temperature, dim=1, keepdim=True)
        return self.temperature * (weighed - math.log(len(bank)))

    def _joined(self, *parts: Tensor) -> Tensor:
        return torch.cat(parts, dim=1) / math.sqrt(3)


def _rest(bias: Tensor) -> Tensor:
    return (1 - bias.square()).clamp(min=0).sqrt()
