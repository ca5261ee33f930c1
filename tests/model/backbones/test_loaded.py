"""A MODELS folder in, networks out: what is missing is named with the command that brings it."""

import os
from pathlib import Path

import pytest

from model.backbones.loaded import Backbones
from model.errors import BadOptions, NotInstalled
from model.features.profiles import load_profile


@pytest.mark.parametrize(
    ("here", "precision", "how"),
    [
        ((), "fp32", "pull paper"),
        ((), "int8", "pull paper"),  # there is nothing to make it from
        (("fp32",), "int8", "export ast --precision int8"),
        (("fp32",), "fp16", "export ast --precision fp16"),
        (("int8",), "fp32", "pull paper"),
    ],
)
def test_what_is_missing_is_named_with_the_command_that_brings_it(
    here: tuple[str, ...], precision: str, how: str, tmp_path: Path
) -> None:
    for each in here:
        (tmp_path / "ast" / each).mkdir(parents=True)
    with pytest.raises(NotInstalled, match=rf"ast \({precision}\) is not in .*: run `yuyin models {how}`"):
        Backbones(tmp_path, precision).load("ast")


def test_an_unknown_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadOptions, match="resnet"):
        Backbones(tmp_path).load("resnet")


@pytest.mark.parametrize(("processes", "at_once"), [(1, 8), (2, 4), (3, 2), (8, 1), (20, 1)])
def test_processes_share_the_cores(
    processes: int, at_once: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    shared = Backbones(tmp_path, "int8").shared_by(processes)
    assert shared.accelerator.at_once == at_once
    assert (shared.models, shared.precision) == (tmp_path, "int8")


@pytest.mark.parametrize(
    ("inputs", "wanted"), [(("frames",), "inception-v3"), (("audio", "emotion"), "ast"), (("text",), "bert")]
)
def test_a_profile_asks_for_the_networks_of_the_inputs_that_shall_run(
    inputs: tuple[str, ...], wanted: str, tmp_path: Path
) -> None:
    with pytest.raises(NotInstalled, match=wanted):
        load_profile("paper", Backbones(tmp_path), inputs=inputs)
    assert load_profile("paper", Backbones(tmp_path), inputs=("emotion",)).precision == "fp32"
