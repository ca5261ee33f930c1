"""The paper's numbers, settings given as text, and every preset of every system."""

from collections.abc import Callable
from dataclasses import asdict, fields, replace

import pytest
import torch

from model.errors import BadOptions
from model.systems.catalogue import SYSTEMS, Kind, chosen_preset, load_system
from model.systems.recipe import Preset, TrainConfig
from model.training.sampler import Pairs

YUYIN = load_system("yuyin")


def test_paper_preset_is_section_5_1() -> None:
    chosen = chosen_preset(YUYIN, "paper")
    system, training = asdict(chosen.system), asdict(chosen.training)
    paper = {"embedding": 1024, "hidden": 512, "common": 256, "alpha": 0.1, "beta": 3.0, "pool": "mean"}
    assert system.items() >= paper.items()
    ours = ("dropout", "input_noise", "input_dropout", "mixup", "symmetric", "linear_path", "mask_same_track")
    assert not any(system[key] for key in ours)
    assert (
        training.items() >= {"epochs": 30, "batch_size": 1024, "learning_rate": 1e-4, "keep": "loss"}.items()
    )
    assert (training["weight_decay"], training["schedule"], training["patience"]) == (0, "constant", 0)


def test_settings_take_the_place_of_the_preset_s_own() -> None:
    settings = {"epochs": "5", "learning_rate": "3e-4", "symmetric": "false", "pool": "mean", "keep": "r10"}
    chosen = chosen_preset(YUYIN, "lite", settings)
    assert (chosen.training.epochs, chosen.training.learning_rate, chosen.training.keep) == (5, 3e-4, "r10")
    assert (chosen.system.symmetric, chosen.system.pool) == (False, "mean")
    assert chosen.system.dropout == chosen_preset(YUYIN, "lite").system.dropout
    assert chosen_preset(YUYIN, None) == chosen_preset(YUYIN, next(iter(YUYIN.presets)))


@pytest.mark.parametrize(
    ("name", "settings", "says"),
    [
        ("best", {}, "no preset 'best'.*lite, paper"),
        ("lite", {"speed": "9"}, "'speed'.*epochs"),
        ("lite", {"epochs": "many"}, "'epochs' wants a whole number"),
        ("lite", {"epochs": "1.5"}, "'epochs' wants a whole number"),
        ("lite", {"dropout": "half"}, "'dropout' wants a number"),
        ("lite", {"pool": "max"}, "mean, mean_std"),
        ("lite", {"symmetric": "yes"}, "true, false"),
    ],
)
def test_what_cannot_be_is_refused_with_what_can(name: str, settings: dict[str, str], says: str) -> None:
    with pytest.raises(BadOptions, match=says):
        chosen_preset(YUYIN, name, settings)


def test_an_unknown_system_is_refused_with_those_there_are() -> None:
    with pytest.raises(BadOptions, match=r"unknown system 'vmnet'.*yuyin"):
        load_system("vmnet")


@pytest.mark.parametrize(
    ("name", "recipe"),
    [  # docs/models.md 3 and 4: published, or [choice] where it is silent
        ("mrcmv", {"optimizer": "sgd", "first_moment": 0.9, "epochs": 150, "batch_size": 128}),
        ("dpvm", {"first_moment": 0.5, "learning_rate": 1e-4, "batch_size": 16, "epochs": 100}),
        (
            "ut_cmvmr",
            {"learning_rate": 3e-4, "decay": 0.96, "clip_norm": 3.0, "batch_size": 8192, "epochs": 200},
        ),
        ("cevar", {"learning_rate": 1e-4, "clip_norm": 1.0, "batch_size": 1024}),
        ("cbvmr", {"learning_rate": 3e-4, "batch_size": 1000}),
        ("cmvae", {"learning_rate": 1e-4, "weight_decay": 1e-3, "batch_size": 1024, "epochs": 50}),
    ],
)
def test_paper_presets_have_their_papers_recipes(name: str, recipe: dict[str, object]) -> None:
    assert asdict(load_system(name).presets["paper"].training).items() >= recipe.items()


@pytest.mark.parametrize("name", SYSTEMS)
def test_every_preset_is_of_its_system_and_can_be_read_back(
    name: str, make_pairs: Callable[..., Pairs]
) -> None:
    """`run.json` keeps a preset as JSON: floats, whole numbers, words and true or false."""
    video = {"frames": 9, "motion": 4, "flow": 1, "voice": 5}
    music = {"audio": 11, "emotion": 7, "rhythm": 3}
    kind, dims = load_system(name), make_pairs(video=video, music=music).dims
    assert kind.name == name
    for preset in kind.presets.values():
        assert isinstance(preset, Preset)
        stored = preset.as_dict()
        assert kind.config(**stored["system"]) == preset.system
        assert TrainConfig(**stored["training"]) == preset.training
        with torch.device("meta"):
            assert kind.build(dims, preset.system)


@pytest.mark.parametrize(
    ("key", "least", "below", "largest", "above"),
    [
        ("dropout", "0", "-0.1", "0.99", "1"),
        ("temperature", "1e-3", "0", "100", "inf"),
        ("learning_rate", "1e-9", "-1", "1e9", "1e999"),
        ("weight_decay", "0", "-1e-9", "5", "inf"),
        ("limit_s", "0", "-1", "1e6", "inf"),
        ("epochs", "1", "0", "1000000", "1000001"),
        ("common", "1", "0", "4096", "9999999999"),
        ("batch_size", "2", "1", "8192", "1000001"),
        ("patience", "0", "-1", "99", "-99"),
        ("seed", "0", "-1", str(2**63 - 1), str(2**63)),
    ],
)
def test_a_number_out_of_range_is_refused_with_the_range(
    key: str, least: str, below: str, largest: str, above: str
) -> None:
    for text in (least, largest):
        preset = chosen_preset(YUYIN, None, {key: text})
        value = getattr(preset.system, key, None) or getattr(preset.training, key, 0)
        assert value == (int(text) if isinstance(value, int) else float(text))
    for text in (below, above, "nan"):
        with pytest.raises(BadOptions, match=f"setting '{key}' (cannot be '{text}': choose|wants a whole)"):
            chosen_preset(YUYIN, None, {key: text})


@pytest.mark.parametrize("name", SYSTEMS)
def test_every_setting_of_a_system_can_be_given_as_text(name: str) -> None:
    kind = load_system(name)
    preset = next(iter(kind.presets.values()))
    for part in (preset.system, preset.training):
        for each in fields(part):
            value = getattr(part, each.name)
            text = str(value).lower() if isinstance(value, bool) else str(value)
            assert chosen_preset(kind, None, {each.name: text}) == preset


def test_a_kind_s_first_preset_is_its_default() -> None:
    first = replace(YUYIN.presets["paper"], training=TrainConfig(epochs=7))
    kind = Kind("any", YUYIN.config, YUYIN.build, {"mine": first, "paper": YUYIN.presets["paper"]})
    assert chosen_preset(kind, None).training.epochs == 7
