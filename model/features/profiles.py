"""A profile's name in, its frozen extractors out: which numbers a bundle's towers are fed with."""

from collections.abc import Collection

from model.backbones.loaded import Backbones
from model.errors import BadOptions
from model.features import lite, paper
from model.features.ast import FilterBank
from model.features.extractors import Profile

PROFILES = ("lite", "paper")


def load_profile(
    name: str,
    backbones: Backbones | None = None,
    filter_bank: FilterBank | None = None,
    *,
    inputs: Collection[str] | None = None,
) -> Profile:
    """The profile called `name`.

    Args:
        name: one of `PROFILES`.
        backbones: where its pretrained networks lie and how they run. Without, it can be described only: its
            extractors know their names, versions and columns, and refuse to be called.
        filter_bank: what computes AST's log-mel frames; None: `model.features.fbank`.
        inputs: of which towers the extractors shall be ready to run, the others described; None: of all.

    Raises:
        BadOptions: with the list of names for an unknown one.
        NotInstalled: if a pretrained network is not there.
        Corrupt: if one is damaged.
        Mismatch: if one was made for another version of our pre- and post-processing.
    """
    match name:
        case "lite":
            return lite.profile()
        case "paper":
            if backbones is None:
                return paper.profile()
            wanted = [spec.name for key, spec in paper.NETWORKS.items() if inputs is None or key in inputs]
            here = {each: backbones.load(each) for each in wanted}
            return paper.profile(here, backbones.precision, filter_bank)
        case _:
            raise BadOptions(f"unknown profile {name!r}: this version knows {' and '.join(PROFILES)}")
