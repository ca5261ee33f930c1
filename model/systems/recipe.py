"""How a system's weights are found, and what a preset is made of."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

Keep = Literal["loss", "mrr", "r10", "last"]
Precision = Literal["float32", "bfloat16"]


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
