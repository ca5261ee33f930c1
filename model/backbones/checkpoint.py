"""A folder as it was pulled in, its configuration and tensors out; nothing in it is ever unpickled."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from model.errors import Corrupt, Mismatch, NotInstalled

WEIGHTS = "model.safetensors"
CONFIG = "config.json"
SHOWN = 3  # names in an error's sentence


def read_tensors(folder: Path) -> dict[str, Tensor]:
    """Every tensor of `folder/model.safetensors`, in float32 whatever it was kept in.

    Raises:
        Corrupt: if the file is missing or not one of safetensors.
        NotInstalled: without the package that reads it.
    """
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ModuleNotFoundError as error:
        raise NotInstalled(
            f"reading {WEIGHTS} needs the package safetensors, which is not here: "
            "pip install 'yuyin[train,paper]'"
        ) from error
    path = folder / WEIGHTS
    try:
        tensors: dict[str, Tensor] = load_file(path)
    except (OSError, SafetensorError) as error:
        raise Corrupt(f"{path} cannot be read as safetensors ({error}): pull the backbone again") from error
    return {name: each.float() if each.is_floating_point() else each for name, each in tensors.items()}


def read_config(folder: Path) -> dict[str, Any]:
    """The checkpoint's config.json; raises `Corrupt` if it is missing or no JSON object."""
    path = folder / CONFIG
    try:
        config = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise Corrupt(f"{path} cannot be read ({error}): pull the backbone again") from error
    if not isinstance(config, dict):
        raise Corrupt(f"{path} is no JSON object: pull the backbone again")
    return config


def without(tensors: Mapping[str, Tensor], prefixes: Sequence[str]) -> dict[str, Tensor]:
    """Those whose name begins with none of the prefixes."""
    return {name: each for name, each in tensors.items() if not name.startswith(tuple(prefixes))}


def fit(network: str, wanted: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> None:
    """Raise `Mismatch` unless both have the same names and shapes."""
    shapes = [
        f"{name} is {tuple(found[name].shape)}, not {tuple(wanted[name].shape)}"
        for name in sorted(wanted.keys() & found.keys())
        if wanted[name].shape != found[name].shape
    ]
    refuse(network, wanted.keys() - found.keys(), found.keys() - wanted.keys(), shapes)


def refuse(network: str, missing: set[str], unknown: set[str], shapes: Sequence[str]) -> None:
    """Raise `Mismatch` if any of them names something, in one sentence."""
    faults = [
        f"{kind} {', '.join(names[:SHOWN])}{' and others' if len(names) > SHOWN else ''}"
        for kind, names in (
            ("it lacks", sorted(missing)),
            ("it has the unknown", sorted(unknown)),
            ("of its shapes,", list(shapes)),
        )
        if names
    ]
    if faults:
        raise Mismatch(
            f"this checkpoint is not one of {network}: {'; '.join(faults)}; "
            "pull the one that `yuyin models list` names"
        )


def expect(network: str, config: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Raise `Mismatch` unless the configuration has these values."""
    for key, value in wanted.items():
        if config.get(key) != value:
            raise Mismatch(
                f"this checkpoint's config.json says {key} = {config.get(key)!r}, and {network} wants "
                f"{value!r}: pull the one that `yuyin models list` names"
            )
