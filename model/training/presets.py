"""The name of a preset and `key=value` settings in, frozen configurations out."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args, get_type_hints

from model.errors import BadOptions
from model.systems.yuyin import YuYinConfig


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """How the weights are found; the defaults are the paper's (section 5.1)."""

    epochs: int = 30
    batch_size: int = 1024
    learning_rate: float = 1e-4
    weight_decay: float = 0.0  # decoupled (AdamW); Adam without
    schedule: Literal["constant", "one_cycle"] = "constant"
    keep: Literal["loss", "mrr", "last"] = "loss"  # which epoch: least evaluation loss, best MRR, or the end
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Preset:
    """Everything that a training run is defined by, but its data."""

    system: YuYinConfig
    training: TrainConfig

    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)


def preset(name: str, settings: Mapping[str, str] | None = None) -> Preset:
    """The preset called `name`, with settings such as {"epochs": "5"} in the place of its own.

    Raises:
        BadOptions: for an unknown name or key, or a value that the key cannot have.
    """
    match name:
        case "paper":
            chosen = Preset(YuYinConfig(), TrainConfig())
        case "lite":
            chosen = _lite()
        case _:
            raise BadOptions(f"unknown preset {name!r}: this version knows 'paper' and 'lite'")
    for key, text in (settings or {}).items():
        chosen = _with(chosen, key, text)
    return chosen


def _lite() -> Preset:
    """For a thousand pairs instead of a hundred thousand."""
    system = YuYinConfig(
        pool="mean_std",
        symmetric=True,
        mask_same_track=True,
        linear_path=True,
        temperature=0.2,
        class_scale=10.0,
        input_noise=0.2,
        input_dropout=0.2,
        dropout=0.4,
        mixup=0.4,
    )
    training = TrainConfig(
        epochs=40, batch_size=256, learning_rate=3e-4, weight_decay=0.1, schedule="one_cycle", keep="mrr"
    )
    return Preset(system, training)


def _with(chosen: Preset, key: str, text: str) -> Preset:
    system, training = get_type_hints(YuYinConfig), get_type_hints(TrainConfig)
    value: Any  # of the type that `_value` was told; mypy cannot follow
    if key in system:
        value = _value(key, text, system[key])
        return replace(chosen, system=replace(chosen.system, **{key: value}))
    if key in training:
        value = _value(key, text, training[key])
        return replace(chosen, training=replace(chosen.training, **{key: value}))
    raise BadOptions(f"unknown setting {key!r}: this system has {', '.join(sorted({**system, **training}))}")


def _value(key: str, text: str, kind: Any) -> bool | int | float | str:
    choices = {"true": True, "false": False} if kind is bool else {each: each for each in get_args(kind)}
    if choices:
        if text not in choices:
            raise BadOptions(f"setting {key!r} cannot be {text!r}: choose one of {', '.join(choices)}")
        return choices[text]
    try:
        return int(text) if kind is int else float(text)
    except ValueError as error:
        raise BadOptions(f"setting {key!r} wants a number, not {text!r}") from error
