"""Inception v3 without its classifier: frames in [-1, 1] in, the 2048 numbers before the classifier out.

Architecture: Szegedy et al. 2016, Rethinking the Inception Architecture for Computer Vision, section 6, as
torchvision's `inception_v3` builds it; the names of the parameters are torchvision's and timm's, so that a
published checkpoint fits by name. The auxiliary classifier serves training only and is left out.

What a frame must look like: the weights of torchvision, and so of timm's `inception_v3.tv_in1k`, were ported
from TensorFlow's, which were trained on pixels in [-1, 1]. timm's config.json says mean 0.5 and standard
deviation 0.5 for them, after a resize to 342 and a centre crop of 299. torchvision scales with ImageNet's
mean and deviation and undoes that inside the network (`transform_input`), which comes to the same input. We
feed [-1, 1] directly (mean 0.5, std 0.5), cropped from a shorter side of 299: docs/models.md, section 1.2.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.backbones.checkpoint import fit, without

CLASSIFIERS = ("fc.", "AuxLogits.")  # of a published checkpoint, not of ours


def load_inception(tensors: Mapping[str, Tensor]) -> "InceptionV3":
    """The network in eval mode from the tensors of a checkpoint, whose classifiers are dropped by name.

    Raises:
        Mismatch: if a tensor is missing, unknown or of another shape.
    """
    network = InceptionV3()
    wanted = {name: each for name, each in network.state_dict().items() if not _counts(name)}
    found = {name: each for name, each in without(tensors, CLASSIFIERS).items() if not _counts(name)}
    fit("Inception v3", wanted, found)
    network.load_state_dict(found, strict=False)  # batch normalisation's step counters serve training only
    return network.eval()


def _counts(name: str) -> bool:
    return name.endswith(".num_batches_tracked")


class Unit(nn.Module):
    """A convolution without bias, batch normalisation and ReLU."""

    def __init__(
        self,
        channels: int,
        out: int,
        kernel: int | tuple[int, int] = 1,
        stride: int = 1,
        padding: int | tuple[int, int] = 0,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, out, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(out, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        """(b, channels, h, w) to (b, out, h', w')."""
        return F.relu(self.bn(self.conv(x)), inplace=True)


def _row(channels: int, out: int, length: int) -> Unit:
    return Unit(channels, out, (1, length), padding=(0, length // 2))


def _column(channels: int, out: int, length: int) -> Unit:
    return Unit(channels, out, (length, 1), padding=(length // 2, 0))


def _mean3(x: Tensor) -> Tensor:
    """Mean over 3 by 3 neighbours; the zeros beyond the border count, as in the published network."""
    return F.avg_pool2d(x, kernel_size=3, stride=1, padding=1)


class MixedA(nn.Module):
    """35 x 35 blocks: 5 x 5 and twice 3 x 3."""

    def __init__(self, channels: int, pooled: int) -> None:
        super().__init__()
        self.branch1x1 = Unit(channels, 64)
        self.branch5x5_1 = Unit(channels, 48)
        self.branch5x5_2 = Unit(48, 64, 5, padding=2)
        self.branch3x3dbl_1 = Unit(channels, 64)
        self.branch3x3dbl_2 = Unit(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = Unit(96, 96, 3, padding=1)
        self.branch_pool = Unit(channels, pooled)

    def forward(self, x: Tensor) -> Tensor:
        """(b, channels, h, w) to (b, 224 + pooled, h, w)."""
        wide = self.branch5x5_2(self.branch5x5_1(x))
        deep = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch1x1(x), wide, deep, self.branch_pool(_mean3(x))], 1)


class MixedB(nn.Module):
    """From 35 x 35 to 17 x 17."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.branch3x3 = Unit(channels, 384, 3, stride=2)
        self.branch3x3dbl_1 = Unit(channels, 64)
        self.branch3x3dbl_2 = Unit(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = Unit(96, 96, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """(b, channels, h, w) to (b, 480 + channels, h', w')."""
        deep = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch3x3(x), deep, F.max_pool2d(x, kernel_size=3, stride=2)], 1)


class MixedC(nn.Module):
    """17 x 17 blocks: 7 x 7 as rows and columns."""

    def __init__(self, channels: int, inner: int) -> None:
        super().__init__()
        self.branch1x1 = Unit(channels, 192)
        self.branch7x7_1 = Unit(channels, inner)
        self.branch7x7_2 = _row(inner, inner, 7)
        self.branch7x7_3 = _column(inner, 192, 7)
        self.branch7x7dbl_1 = Unit(channels, inner)
        self.branch7x7dbl_2 = _column(inner, inner, 7)
        self.branch7x7dbl_3 = _row(inner, inner, 7)
        self.branch7x7dbl_4 = _column(inner, inner, 7)
        self.branch7x7dbl_5 = _row(inner, 192, 7)
        self.branch_pool = Unit(channels, 192)

    def forward(self, x: Tensor) -> Tensor:
        """(b, channels, h, w) to (b, 768, h, w)."""
        wide = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x)))
        deep = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(x)))
        deep = self.branch7x7dbl_5(self.branch7x7dbl_4(deep))
        return torch.cat([self.branch1x1(x), wide, deep, self.branch_pool(_mean3(x))], 1)


class MixedD(nn.Module):
    """From 17 x 17 to 8 x 8."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.branch3x3_1 = Unit(channels, 192)
        self.branch3x3_2 = Unit(192, 320, 3, stride=2)
        self.branch7x7x3_1 = Unit(channels, 192)
        self.branch7x7x3_2 = _row(192, 192, 7)
        self.branch7x7x3_3 = _column(192, 192, 7)
        self.branch7x7x3_4 = Unit(192, 192, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """(b, channels, h, w) to (b, 512 + channels, h', w')."""
        deep = self.branch7x7x3_3(self.branch7x7x3_2(self.branch7x7x3_1(x)))
        pooled = F.max_pool2d(x, kernel_size=3, stride=2)
        return torch.cat([self.branch3x3_2(self.branch3x3_1(x)), self.branch7x7x3_4(deep), pooled], 1)


class MixedE(nn.Module):
    """8 x 8 blocks: rows and columns side by side."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.branch1x1 = Unit(channels, 320)
        self.branch3x3_1 = Unit(channels, 384)
        self.branch3x3_2a = _row(384, 384, 3)
        self.branch3x3_2b = _column(384, 384, 3)
        self.branch3x3dbl_1 = Unit(channels, 448)
        self.branch3x3dbl_2 = Unit(448, 384, 3, padding=1)
        self.branch3x3dbl_3a = _row(384, 384, 3)
        self.branch3x3dbl_3b = _column(384, 384, 3)
        self.branch_pool = Unit(channels, 192)

    def forward(self, x: Tensor) -> Tensor:
        """(b, channels, h, w) to (b, 2048, h, w)."""
        wide = self.branch3x3_1(x)
        deep = self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        branches = [
            self.branch1x1(x),
            self.branch3x3_2a(wide),
            self.branch3x3_2b(wide),
            self.branch3x3dbl_3a(deep),
            self.branch3x3dbl_3b(deep),
            self.branch_pool(_mean3(x)),
        ]
        return torch.cat(branches, 1)


class InceptionV3(nn.Module):
    """The network up to its global average pool; 21.8 million parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = Unit(3, 32, 3, stride=2)
        self.Conv2d_2a_3x3 = Unit(32, 32, 3)
        self.Conv2d_2b_3x3 = Unit(32, 64, 3, padding=1)
        self.Conv2d_3b_1x1 = Unit(64, 80)
        self.Conv2d_4a_3x3 = Unit(80, 192, 3)
        self.Mixed_5b = MixedA(192, 32)
        self.Mixed_5c = MixedA(256, 64)
        self.Mixed_5d = MixedA(288, 64)
        self.Mixed_6a = MixedB(288)
        self.Mixed_6b = MixedC(768, 128)
        self.Mixed_6c = MixedC(768, 160)
        self.Mixed_6d = MixedC(768, 160)
        self.Mixed_6e = MixedC(768, 192)
        self.Mixed_7a = MixedD(768)
        self.Mixed_7b = MixedE(1280)
        self.Mixed_7c = MixedE(2048)

    def forward(self, x: Tensor) -> Tensor:
        """(b, 3, 299, 299) in [-1, 1] to (b, 2048)."""
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))  # (b, 64, 147, 147)
        x = F.max_pool2d(x, kernel_size=3, stride=2)
        x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(x))  # (b, 192, 71, 71)
        x = F.max_pool2d(x, kernel_size=3, stride=2)
        x = self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(x)))  # (b, 288, 35, 35)
        x = self.Mixed_6c(self.Mixed_6b(self.Mixed_6a(x)))
        x = self.Mixed_6e(self.Mixed_6d(x))  # (b, 768, 17, 17)
        x = self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(x)))  # (b, 2048, 8, 8)
        return torch.flatten(F.adaptive_avg_pool2d(x, (1, 1)), 1)
