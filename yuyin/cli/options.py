"""Options that several commands share, declared once."""

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from model.runtime.accelerator import Accelerator

Store = Annotated[
    Path,
    typer.Option("--store", envvar="YUYIN_STORE", help="Folder of snapshots, bundles, features and media."),
]
Processes = Annotated[
    int | None, typer.Option("--processes", min=1, help="Worker processes; default: one per core.")
]
Vad = Annotated[
    Path | None,
    typer.Option(
        "--vad",
        envvar="YUYIN_VAD",
        help="ONNX file of Silero VAD, which hears voices better than the signal alone; not part of YuYin.",
    ),
]
Models = Annotated[
    Path,
    typer.Option("--models", envvar="YUYIN_MODELS", help="Folder of pretrained networks."),
]
Policy = Annotated[
    Literal["require", "prefer", "cpu"],
    typer.Option(
        "--accelerator",
        envvar="YUYIN_ACCELERATOR",
        help="Where pretrained networks run: a GPU or not at all, a GPU if there is one, or the CPU.",
    ),
]
MAX_SEED = 2**63 - 1  # torch takes no larger one
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for scripts instead of a table.")]

DEFAULT_STORE = Path("store")
DEFAULT_MODELS = Path("~/.cache/yuyin/models")  # as `--help` shows it


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0))


def accelerator_of(policy: Literal["require", "prefer", "cpu"]) -> "Accelerator":
    """Which GPU and how much of it, as YUYIN_ACCELERATOR_* say, under a policy."""
    from service.settings import read_settings

    return replace(read_settings().backbones.accelerator, policy=policy)
