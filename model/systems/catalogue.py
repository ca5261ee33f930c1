"""A system's name in, its class, its presets and what they may set out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, get_args, get_type_hints

from model.errors import BadOptions
from model.systems.batch import Dims
from model.systems.recipe import Preset, TrainConfig, range_of
from model.systems.system import System

SYSTEMS = (
    "yuyin",
    "yuyin_plus",
    "random",
    "cca",
    "dcca",
    "cevar",
    "cbvmr",
    "cmvae",
    "cmmr",
    "baseline_connect",
    "mrcmv",
    "dpvm",
    "ut_cmvmr",
)


@dataclass(frozen=True, slots=True)
class Kind:
    """One system: published, or YuYin+."""

    name: str
    config: type  # its frozen dataclass of settings
    build: Callable[[Dims, Any], System]
    presets: Mapping[str, Preset]  # the first is the default


def load_system(name: str) -> Kind:
    """The system called `name`; raises `BadOptions` with the list of names for an unknown one."""
    match name:
        case "yuyin":
            from model.systems import yuyin

            return Kind(name, yuyin.YuYinConfig, yuyin.YuYin, yuyin.PRESETS)
        case "yuyin_plus":
            from model.systems import yuyin_plus

            return Kind(name, yuyin_plus.YuYinPlusConfig, yuyin_plus.YuYinPlus, yuyin_plus.PRESETS)
        case "random" | "cca" | "dcca" | "cevar" | "cbvmr" | "cmvae" | "cmmr" | "baseline_connect":
            return _baseline(name)
        case "mrcmv" | "dpvm" | "ut_cmvmr":
            return _seed(name)
        case _:
            raise BadOptions(f"unknown system {name!r}: this version knows {', '.join(SYSTEMS)}")


def _baseline(name: str) -> Kind:
    """What YuYin's Table 2 compares with, and DPVM's two baselines."""
    from model.systems import cbvmr, cca, cevar, cmvae, dcca, pairwise, random

    match name:
        case "random":
            return Kind(name, random.RandomConfig, random.Random, random.PRESETS)
        case "cca":
            return Kind(name, cca.CCAConfig, cca.CCA, cca.PRESETS)
        case "dcca":
            return Kind(name, dcca.DCCAConfig, dcca.DCCA, dcca.PRESETS)
        case "cevar":
            return Kind(name, cevar.CEVARConfig, cevar.CEVAR, cevar.PRESETS)
        case "cbvmr":
            return Kind(name, cbvmr.CBVMRConfig, cbvmr.CBVMR, cbvmr.PRESETS)
        case "cmvae":
            return Kind(name, cmvae.CMVAEConfig, cmvae.CMVAE, cmvae.PRESETS)
        case "cmmr":
            return Kind(name, pairwise.CMMRConfig, pairwise.CMMR, pairwise.CMMR_PRESETS)
        case _:
            return Kind(name, pairwise.ConnectConfig, pairwise.Connect, pairwise.CONNECT_PRESETS)


def _seed(name: str) -> Kind:
    """The papers beside YuYin's."""
    from model.systems import dpvm, mrcmv, ut_cmvmr

    match name:
        case "mrcmv":
            return Kind(name, mrcmv.MRCMVConfig, mrcmv.MRCMV, mrcmv.PRESETS)
        case "dpvm":
            return Kind(name, dpvm.DPVMConfig, dpvm.DPVM, dpvm.PRESETS)
        case _:
            return Kind(name, ut_cmvmr.UTCMVMRConfig, ut_cmvmr.UTCMVMR, ut_cmvmr.PRESETS)


def chosen_preset(kind: Kind, name: str | None, settings: Mapping[str, str] | None = None) -> Preset:
    """The preset called `name`, or the default, with settings such as {"epochs": "5"} in place of its own.

    Raises:
        BadOptions: for an unknown name or key, or a value that the key cannot have.
    """
    if name is None:
        name = next(iter(kind.presets))
    if name not in kind.presets:
        raise BadOptions(f"{kind.name} has no preset {name!r}: choose one of {', '.join(kind.presets)}")
    chosen = kind.presets[name]
    for key, text in (settings or {}).items():
        chosen = _with(chosen, key, text)
    return chosen


def _with(chosen: Preset, key: str, text: str) -> Preset:
    system, training = get_type_hints(type(chosen.system)), get_type_hints(TrainConfig)
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
        number: int | float = int(text) if kind is int else float(text)
    except ValueError as error:
        whole = "whole " if kind is int else ""
        raise BadOptions(f"setting {key!r} wants a {whole}number, not {text!r}") from error
    words, fits = range_of(key, kind)
    if not fits(number):
        raise BadOptions(f"setting {key!r} cannot be {text!r}: choose {words}")
    return number
