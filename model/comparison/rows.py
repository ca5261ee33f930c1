"""Which rows there are: the paper's Tables 2, 3 and 4, and those of ours that show what lies behind them.

A row names a system and one of its presets. How its learning rate, weight decay and dropout are found is its
`tuning`: `published` takes the preset as it is, `tuned` what won the trials of its *system* (every system
has as many; ablation rows reuse the winner), `grid` tries the grid of a closed form.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from itertools import combinations
from typing import Literal, get_args

import torch

from model.errors import BadOptions
from model.systems.batch import Dims
from model.systems.catalogue import SYSTEMS, chosen_preset, load_system
from model.systems.random import DRAWS
from model.systems.recipe import Preset
from model.systems.system import MissingInput

TableName = Literal["table2", "table3", "table4", "plus", "switches", "variants"]
TABLES: tuple[TableName, ...] = get_args(TableName)
Tuning = Literal["published", "tuned", "grid"]

REMOVED: Mapping[str, Mapping[str, str]] = {  # what a YuYin without an input is set to
    "emotion": {"emotion": "false", "fusion": "concat"},
    "text": {"text": "false"},
    "category": {"category": "false"},
}


@dataclass(frozen=True, slots=True)
class Row:
    """One line of one or more tables."""

    id: str
    label: str
    system: str
    preset: str
    tables: tuple[TableName, ...]
    tuning: Tuning = "tuned"
    draws: int = 0  # how many seeds, whatever is asked for; 0: as many as asked for
    without: tuple[str, ...] = ()  # of `REMOVED`: inputs that it may do without where they are missing


@dataclass(frozen=True, slots=True)
class Resolved:
    """A row on one data set."""

    row: Row
    preset: Preset | None  # None: it cannot be run here
    missing: tuple[str, ...] = ()  # inputs it does without
    reason: str = ""  # why it cannot be run
    parameters: int = 0  # that a gradient sets

    @property
    def label(self) -> str:
        """The row's, and what it does without here: emotion, text, categories."""
        named = ", ".join(name[0].upper() for name in self.missing)
        return f"{self.row.label} (no {named})" if named else self.row.label


_ALL = ("emotion", "text", "category")
_HEAD = ("category",)

ROWS: tuple[Row, ...] = (
    Row("random", "Random", "random", "paper", ("table2",), "published", DRAWS),
    Row("cca", "CCA, tuned", "cca", "tuned", ("table2",), "grid", 1),
    Row("cca-audio", "CCA on audio, tuned", "cca", "audio", ("variants",), "grid", 1),
    Row("cca-plain", "CCA, plain", "cca", "plain", ("table2",), "published", 1),
    Row("dcca", "DCCA", "dcca", "paper", ("table2",)),
    Row("dcca-ridge", "DCCA, larger ridges", "dcca", "ridge", ("variants",)),
    Row("cevar", "CEVAR", "cevar", "paper", ("table2",)),
    Row("cevar-same", "CEVAR, same features", "cevar", "same", ("variants",)),
    Row("cevar-category", "CEVAR, categories for tags", "cevar", "category", ("variants",)),
    Row("cevar-wo_labels", "CEVAR without labels", "cevar", "wo_labels", ("variants",)),
    Row("cbvmr", "CBVMR", "cbvmr", "paper", ("table2",)),
    Row("cbvmr-same", "CBVMR, same features", "cbvmr", "same", ("variants",)),
    Row("cmvae", "CMVAE (reads the query's tag)", "cmvae", "paper", ("table2",)),
    Row("cmvae-wo_test_text", "CMVAE, tag in training only", "cmvae", "wo_test_text", ("table2", "variants")),
    Row("cmvae-wo_text", "CMVAE without text", "cmvae", "wo_text", ("table2", "variants")),
    Row("cmvae-means", "CMVAE, means matched", "cmvae", "means", ("variants",)),
    Row("cmvae-means_wo_text", "CMVAE, means, no text", "cmvae", "means_wo_text", ("variants",)),
    Row("mrcmv", "MRCMV, robust (reads the query's tag)", "mrcmv", "text", ("table2",)),
    Row(
        "mrcmv-wo_test_text",
        "MRCMV, robust, tag in training only",
        "mrcmv",
        "wo_test_text",
        ("table2", "variants"),
    ),
    Row("mrcmv-voice", "MRCMV with voice-over", "mrcmv", "robust", ("variants",)),
    Row("mrcmv-video", "MRCMV, video only", "mrcmv", "video_only", ("variants",)),
    Row("mrcmv-paper", "MRCMV with voice-over, literal", "mrcmv", "paper", ("variants",), "published"),
    Row("mrcmv-wo_sa", "MRCMV w/o self-attention", "mrcmv", "wo_sa", ("variants",)),
    Row("mrcmv-wo_cma", "MRCMV w/o cross-attention", "mrcmv", "wo_cma", ("variants",)),
    Row("mrcmv-wo_gate", "MRCMV w/o gate", "mrcmv", "wo_gate", ("variants",)),
    Row("mrcmv-wo_pseudo", "MRCMV w/o pseudo-labels", "mrcmv", "wo_pseudo", ("variants",)),
    Row("cmmr", "CMMR", "cmmr", "paper", ("table2",)),
    Row("connect", "Baseline-Connect", "baseline_connect", "paper", ("table2",)),
    Row("dpvm", "DPVM_In + PPML", "dpvm", "In+ppml", ("table2",)),
    Row("dpvm-robust", "DPVM_In + PPML, fused apart (ours)", "dpvm", "robust", ("table2", "variants")),
    Row("dpvm-paper", "DPVM_In + PPML, batches of 16", "dpvm", "paper", ("variants",), "published"),
    Row("dpvm-In", "DPVM_In", "dpvm", "In", ("variants",)),
    Row("dpvm-In_wo_reward", "DPVM_In w/o emotion's L_M", "dpvm", "In_wo_reward", ("variants",)),
    Row("dpvm-Sp", "DPVM_Sp", "dpvm", "Sp", ("variants",)),
    Row("dpvm-Sp+ppml", "DPVM_Sp + PPML", "dpvm", "Sp+ppml", ("variants",)),
    Row("dpvm-C", "DPVM_C", "dpvm", "C", ("variants",)),
    Row("dpvm-E", "DPVM_E", "dpvm", "E", ("variants",)),
    Row("dpvm-C+ppml", "DPVM_C + PPML", "dpvm", "C+ppml", ("variants",)),
    Row("dpvm-E+ppml", "DPVM_E + PPML", "dpvm", "E+ppml", ("variants",)),
    Row("ut_cmvmr", "UT-CMVMR (re-ranker)", "ut_cmvmr", "se", ("table2",)),
    Row("ut_cmvmr-se_r", "UT-CMVMR, rhythm and flow", "ut_cmvmr", "se_r", ("variants",)),
    Row("ut_cmvmr-a_se", "UT-CMVMR, averaged clips", "ut_cmvmr", "a_se", ("variants",)),
    Row("ut_cmvmr-ae", "UT-CMVMR w/o unified targets", "ut_cmvmr", "ae", ("variants",)),
    Row("ut_cmvmr-tower", "UT-CMVMR, indexable towers", "ut_cmvmr", "tower", ("table2", "variants")),
    Row("yuyin-literal", "YuYin, as published", "yuyin", "paper", ("table2",), "published", without=_ALL),
    Row("yuyin", "YuYin", "yuyin", "paper", ("table2", "table3", "table4", "switches"), without=_ALL),
    Row("yuyin-wo_E", "YuYin w/o E", "yuyin", "wo_E", ("table3",), without=_HEAD),
    Row("yuyin-wo_T", "YuYin w/o T", "yuyin", "wo_T", ("table3",), without=_HEAD),
    Row("yuyin-pure", "YuYin pure", "yuyin", "pure", ("table3",), without=_HEAD),
    Row("yuyin-add", "YuYin (Add)", "yuyin", "add", ("table4",), without=("text", "category")),
    Row("yuyin-concat", "YuYin (Concat)", "yuyin", "concat", ("table4",), without=("text", "category")),
    Row(
        "yuyin-concat_wide",
        "YuYin (Concat, as wide as WFM)",
        "yuyin",
        "concat_wide",
        ("table4",),
        without=("text", "category"),
    ),
    Row(
        "yuyin-scalar_gate",
        "YuYin, one gate a modality",
        "yuyin",
        "scalar_gate",
        ("table4",),
        without=("text", "category"),
    ),
    Row("yuyin-wo_pred", "YuYin w/o L_pred", "yuyin", "wo_pred", ("switches",), without=("emotion", "text")),
    Row("yuyin-sym", "YuYin, L_cm in both directions", "yuyin", "sym", ("switches",), without=_ALL),
    Row(
        "yuyin-text_diag",
        "YuYin, only the own text is right",
        "yuyin",
        "text_diag",
        ("switches",),
        without=_HEAD,
    ),
    Row("yuyin-text_category", "YuYin, texts of categories", "yuyin", "text_category", ("switches",)),
)


PLUS = "yuyin_plus"


@cache
def all_rows() -> tuple[Row, ...]:
    """`ROWS`, and YuYin+: its first preset is the recipe, every other one an ablation row of it."""
    if PLUS not in SYSTEMS:
        return ROWS
    kind = load_system(PLUS)
    settings = {each.name for each in fields(kind.config)}
    without = tuple(name for name, given in REMOVED.items() if set(given) <= settings)
    whole, *others = kind.presets
    parts = [
        Row(f"{PLUS}-{name}", f"YuYin+ {name.replace('wo_', 'w/o ')}", PLUS, name, ("plus",), without=without)
        for name in others
    ]
    return (*ROWS, Row(PLUS, "YuYin+", PLUS, whole, ("table2", "plus"), without=without), *parts)


def chosen_rows(systems: str, tables: Sequence[str]) -> tuple[tuple[Row, ...], tuple[TableName, ...]]:
    """The rows of some systems in some tables, and the tables.

    Args:
        systems: names with commas between, or "all".
        tables: of `TABLES`; none for all.

    Raises:
        BadOptions: for an unknown name, or if no row is left.
    """
    known = {row.system for row in all_rows()}
    asked = known if systems == "all" else {name.strip() for name in systems.split(",") if name.strip()}
    for what, names, right in (("system", asked, [*sorted(known), "all"]), ("table", tables, TABLES)):
        unknown = sorted(set(names) - set(right))
        if unknown:
            raise BadOptions(f"no {what} is called {unknown[0]!r}: choose of {', '.join(right)}")
    shown = tuple(name for name in TABLES if name in (tables or TABLES))
    rows = tuple(row for row in all_rows() if row.system in asked and set(shown) & set(row.tables))
    if not rows:
        raise BadOptions(f"{', '.join(tables)} has no row of {systems}: ask for more systems or tables")
    return rows, shown


def resolve(row: Row, dims: Dims) -> Resolved:
    """What a row is on a data set of these sizes: itself, itself without an input, or n/a."""
    kind, reason = load_system(row.system), ""
    for missing in _subsets(row.without):
        settings = {key: value for name in missing for key, value in REMOVED[name].items()}
        preset = chosen_preset(kind, row.preset, settings)
        try:
            with torch.device("meta"):  # sizes without numbers: nothing is drawn or stored
                system = kind.build(dims, preset.system)
        except MissingInput as error:
            reason = reason or error.reason
            continue
        return Resolved(row, preset, missing, parameters=sum(each.numel() for each in system.parameters()))
    return Resolved(row, None, reason=reason)


def _subsets(names: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """All of them, the smallest first: as little as can be is left out."""
    for size in range(len(names) + 1):
        yield from combinations(names, size)
