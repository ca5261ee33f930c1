"""The paper's numbers, and settings from the command line."""

from dataclasses import asdict

import pytest

from model.errors import BadOptions
from model.training.presets import preset


def test_paper_preset_is_section_5_1() -> None:
    chosen = preset("paper")
    system, training = asdict(chosen.system), asdict(chosen.training)
    paper = {"embedding": 1024, "hidden": 512, "common": 256, "alpha": 0.1, "beta": 3.0, "pool": "mean"}
    assert system.items() >= paper.items()
    assert not any(system[key] for key in ("dropout", "input_noise", "input_dropout", "mixup", "symmetric"))
    assert (
        training.items() >= {"epochs": 30, "batch_size": 1024, "learning_rate": 1e-4, "keep": "loss"}.items()
    )
    assert training["weight_decay"] == 0


def test_settings_take_the_place_of_the_preset_s_own() -> None:
    settings = {"epochs": "5", "learning_rate": "3e-4", "symmetric": "false", "pool": "mean"}
    chosen = preset("lite", settings)
    assert chosen.training.epochs == 5
    assert chosen.training.learning_rate == 3e-4
    assert chosen.system.symmetric is False
    assert chosen.system.pool == "mean"
    assert chosen.system.dropout == preset("lite").system.dropout


@pytest.mark.parametrize(
    ("name", "settings", "says"),
    [
        ("best", {}, "'paper' and 'lite'"),
        ("lite", {"speed": "9"}, "'speed'.*epochs"),
        ("lite", {"epochs": "many"}, "'epochs' wants a number"),
        ("lite", {"epochs": "1.5"}, "'epochs' wants a number"),
        ("lite", {"pool": "max"}, "mean, mean_std"),
        ("lite", {"symmetric": "yes"}, "true, false"),
    ],
)
def test_what_cannot_be_is_refused_with_what_can(name: str, settings: dict[str, str], says: str) -> None:
    with pytest.raises(BadOptions, match=says):
        preset(name, settings)
