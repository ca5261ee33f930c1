"""How a system's weights are found, and what a preset is made of."""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

Keep = Literal["loss", "mrr", "r10", "last"]
Precision = Literal["float32", "bfloat16"]
Range = tuple[str, Callable[[float], bool]]  # in words, and as a test that NaN fails

COUNT: Range = ("1 to 1,000,000", lambda x: 1 <= x <= 1_000_000)
FROM_0: Range = ("0 or more", lambda x: 0 <= x < math.inf)
ABOVE_0: Range = ("above 0", lambda x: 0 < x < math.inf)
SHARE: Range = ("0 to 1", lambda x: 0 <= x <= 1)
BELOW_1: Range = ("0 or more, but below 1", lambda x: 0 <= x < 1)
RANGES: Mapping[str, Range] = {  # of settings by name; of all others see `range_of`
    **dict.fromkeys(("dropout", "input_dropout", "first_moment", "norm_memory"), BELOW_1),
    **dict.fromkeys(("decay", "wrong_share"), SHARE),
    **dict.fromkeys(("learning_rate", "temperature", "clip", "margin", "ridge", "final_ridge"), ABOVE_0),
    **dict.fromkeys(("patience", "silent_epochs", "taught_epochs", "unified_epochs"), FROM_0),
    "batch_size": ("2 to 1,000,000", lambda x: 2 <= x <= 1_000_000),  # one pair has no wrong partner
    "heads": ("1 to 16", lambda x: 1 <= x <= 16),  # they share the width
    **dict.fromkeys(
        ("width", "clip_width"), ("even, 16 to 1,000,000", lambda x: 16 <= x <= 1_000_000 and x % 2 == 0)
    ),
    "seed": ("0 to 2^63 - 1", lambda x: 0 <= x < 2**63),
}


def range_of(name: str, kind: type) -> Range:
    """What a number may be: whole numbers are counts unless `RANGES` knows better."""
    return RANGES.get(name, COUNT if kind is int else FROM_0)


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """How the weights are found; the defaults are YuYin's (section 5.1)."""

    epochs: int = 30
    batch_size: int = 1024
    least_batch: int = 64  # a comparison on fewer pairs makes batches smaller, but not below
    optimizer: Literal["adam", "sgd"] = "adam"
    learning_rate: float = 1e-4
    first_moment: float = 0.9  # Adam's beta_1, or SGD's momentum
    weight_decay: float = 0.0  # decoupled (AdamW); Adam without
    schedule: Literal["constant", "one_cycle"] = "constant"
    decay: float = 1.0  # the learning rate's factor after every 1,000 steps of `constant` (UT-CMVMR: .96)
    clip_norm: float = 0.0  # of the whole gradient; 0 leaves it
    one_clip_per_track: bool = False  # in a batch: other clips of the anchor's track are false negatives
    keep: Keep = "loss"  # which epoch: least evaluation loss, best MRR or R@10, or the end
    patience: int = 0  # stop after so many epochs without a better one; 0 never does
    limit_s: float = 0.0  # stop after so many seconds of training; 0 never does
    precision: Precision = "float32"  # of matrix products in training
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Preset:
    """Everything that a training run is defined by, but its data."""

    system: Any  # the system's own frozen config
    training: TrainConfig

    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)
