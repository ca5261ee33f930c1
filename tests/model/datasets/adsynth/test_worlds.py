from dataclasses import asdict

import pytest

from model.datasets.adsynth.worlds import (
    DEVELOPMENT_SEEDS,
    DIMS,
    HELD_OUT_SEEDS,
    WORLDS,
    dims_of,
    knobs_of,
)
from model.datasets.synth.world import World
from model.errors import BadOptions

CHANGES = {  # docs/models.md 7.4, by hand
    "default": {},
    "linear": {"linear_share": 1.0, "conventions": "shared", "pace": "tempo"},
    "noE": {"emotion_path": "nothing"},
    "noT": {"text": "shuffled"},
    "clean": {"contamination": 0.0},
    "null": {"pairing": "random"},
    "kappa1": {"kappa": 1.0},
    "cold": {"libraries": "own"},
    "hard": {"sigma_style": 1.2, "sigma_emotion": 0.675, "sigma_tempo": 0.27},
}


def test_there_are_the_worlds_that_the_specification_has():
    assert set(WORLDS) == set(CHANGES)


@pytest.mark.parametrize("world", CHANGES)
def test_a_control_world_changes_what_it_controls_and_nothing_else(world):
    default = asdict(WORLDS["default"])
    changed = {name: value for name, value in asdict(knobs_of(world)).items() if value != default[name]}
    assert changed == pytest.approx(CHANGES[world])


def test_the_default_chooses_by_the_untouched_laws():
    laws = knobs_of("default").laws(98_071)
    assert laws == World()


def test_the_knobs_that_probes_froze():
    frozen = knobs_of("default")
    assert (frozen.linear_share, frozen.noise, frozen.blur, frozen.kappa, frozen.contamination) == (
        0.4,
        0.25,
        0.22,
        0.5,
        0.5,
    )  # docs/log.md: another number is another benchmark


def test_widths_are_the_papers_and_a_quarter_of_them():
    paper, small = asdict(dims_of("paper")), asdict(dims_of("small"))
    assert paper == {"frames": 2048, "audio": 768, "emotion": 988, "text": 768}
    assert {name: width // 4 for name, width in paper.items()} == small


def test_three_instances_to_tune_on_and_three_to_report():
    assert len({*DEVELOPMENT_SEEDS, *HELD_OUT_SEEDS}) == 6


def test_unknown_names_are_answered_with_the_known_ones():
    with pytest.raises(BadOptions, match=r"no world 'defualt'.*default, linear, noE, noT, clean, null"):
        knobs_of("defualt")
    with pytest.raises(BadOptions, match=f"no dimensions 'big'.*{', '.join(DIMS)}"):
        dims_of("big")
