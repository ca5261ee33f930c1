"""A preset and the number of a trial in, the preset with that trial's settings out: one budget for everyone.

Trial 0 is the preset as published, the others are points of lr {1e-4, 3e-4, 1e-3} x weight decay x dropout
(docs/models.md 7.5), so ordered that the first few lie far apart; where a loss has a margin, it is part
of it. Which trial won is decided by R@10 on the evaluation part, mean of both directions, seed 0.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from model.systems.recipe import Preset, TrainConfig

LEAST_STEPS = 8  # of an epoch: with fewer than 8 batches a recipe for 100,000 pairs hardly moves
MOST_TRIALS = 8


@dataclass(frozen=True, slots=True)
class Trial:
    """What is tried; a margin in units of the preset's."""

    learning_rate: float
    weight_decay: float
    dropout: float
    margin: float


TRIALS: tuple[Trial | None, ...] = (  # None: as published
    None,
    Trial(3e-4, 0.01, 0.2, 1.0),
    Trial(1e-3, 0.1, 0.4, 2.0),
    Trial(1e-3, 0.01, 0.1, 0.5),
    Trial(3e-4, 0.1, 0.5, 0.5),
    Trial(1e-4, 0.01, 0.2, 2.0),
    Trial(1e-3, 0.0, 0.0, 1.0),
    Trial(3e-4, 0.0, 0.0, 2.0),
)
SGD_FACTOR = 1e4  # times a trial's learning rate: 1, 3 or 10 times the preset's


def tuned(preset: Preset, number: int, train_pairs: int) -> Preset:
    """The preset of trial `number`, for so many training pairs; the best epoch is kept by R@10."""
    training = replace(preset.training, keep="r10", batch_size=batch_size(preset.training, train_pairs))
    trial = TRIALS[number]
    if trial is None:
        return replace(preset, training=training)
    by_sgd = training.optimizer == "sgd"
    rate = trial.learning_rate * (SGD_FACTOR * training.learning_rate if by_sgd else 1.0)
    training = replace(training, learning_rate=rate, weight_decay=trial.weight_decay)
    return Preset(replace(preset.system, **_regularised(preset.system, trial)), training)


def batch_size(training: TrainConfig, train_pairs: int) -> int:
    """The preset's, or less where an epoch would have too few batches."""
    return min(training.batch_size, max(training.least_batch, train_pairs // LEAST_STEPS))


def _regularised(config: Any, trial: Trial) -> dict[str, float]:
    """Those of the trial's settings that a system has."""
    names = {field.name for field in fields(config)}
    found = {"dropout": trial.dropout} if "dropout" in names else {}
    if "margin" in names:
        found["margin"] = trial.margin * config.margin
    return found


def in_words(used: Mapping[str, Any], winner: int | None) -> str:
    """What the trials, or the grid of a closed form, chose.

    Args:
        used: a preset as a dict.
        winner: which trial; None of a grid.
    """
    system, training = used["system"], used["training"]
    if winner is None:
        parts = (f"{key} {system[key]:g}" for key in ("ridge", "components", "power") if key in system)
        return ", ".join(parts)
    names = ("dropout", "margin")
    settings = [f"lr {training['learning_rate']:g}", f"weight decay {training['weight_decay']:g}"]
    settings += [f"{key} {system[key]:g}" for key in names if key in system]
    return f"trial {winner + 1}: {', '.join(settings)}, batch {training['batch_size']}"
