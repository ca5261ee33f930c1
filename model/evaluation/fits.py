"""What a system reads and a dataset in; nothing out, or one sentence that says why they do not fit."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from model.datasets.layout import read_layout
from model.datasets.table import Dataset
from model.errors import BadDataset

if TYPE_CHECKING:
    from model.training.run import Run

Widths = Mapping[str, Mapping[str, int]]  # by side, "video" or "music", and by input


def check_fits(who: str, profile: str, reads: Widths, dataset: Dataset) -> None:
    """Compare widths before anything is computed.

    Args:
        who: what reads, such as "the run runs/one".
        profile: whose features it reads.
        reads: the width that it was trained with of every input that it takes.
        dataset: may have more inputs.

    Raises:
        BadDataset: if the dataset lacks an input, or has it in another width.
    """
    layout = read_layout(dataset, profile)
    offered = {"video": layout.video, "music": layout.music}
    for side, widths in reads.items():
        for name, width in widths.items():
            wanted = f"the {side} input {name!r} in {width} columns"
            if name not in offered[side]:
                raise _unfit(who, profile, wanted, dataset, "lacks")
            found = dataset.features(name, profile).values.shape[1]
            if found != width:
                raise _unfit(who, profile, wanted, dataset, f"has in {found}")


def check_made_alike(who: str, profile: str, trained: Mapping[str, Any] | None, dataset: Dataset) -> None:
    """Refuse features of other pretrained networks, or of the same in other bits, than were trained on.

    Args:
        who: what reads, such as "the run runs/one".
        profile: whose features it reads.
        trained: the recipe of those that it was trained on; None where nothing is known.
        dataset: whose features of that profile are looked at.

    Raises:
        BadDataset: naming what differs.
    """
    made = dataset.made_by(profile).get("recipe", {})
    if "precision" not in made:  # no pretrained network made them
        return
    trained = trained or {}
    known = {"precision": trained.get("precision"), **trained.get("extractors", {})}
    here = {"precision": made["precision"], **made["extractors"]}
    differs = [name for name in here if known.get(name) != here[name]]
    if differs:
        was, has = (", ".join(str(each.get(name)) for name in differs) for each in (known, here))
        raise BadDataset(
            f"{who} was trained on features of {was}, {dataset.folder} has those of {has}, and they do not "
            f"mix: extract them again with `yuyin features extract --profile {profile}`, its --precision "
            "and its --models as they were"
        )


def check_run_fits(run: "Run", dataset: Dataset) -> None:
    """The same of what only a run's own views know; both have been through `check_fits`.

    Raises:
        BadDataset: if an input has rows over time that was one row in training, where the system takes
            rows for what they are, or the dataset's tags have no vectors that it reads.
    """
    who, profile, dims = f"the run {run.folder}", run.config["profile"], run.config["dims"]
    sequential = [view for view in (run.system.video_view, run.system.music_view) if view.sequential]
    pooled = [name for view in sequential for name in view.widths if dims["rows"][name] == 1]
    if not pooled and not run.system.reads_query_text:
        return
    from model.training.sampler import read_pairs  # torch: only a run needs it

    offered = read_pairs(dataset, profile).dims
    for name in pooled:
        if offered.rows[name] > 1:
            wanted, has = f"the input {name!r} in one row a pair", f"has in up to {offered.rows[name]}"
            raise _unfit(who, profile, wanted, dataset, has)
    if run.system.reads_query_text and offered.text != dims["text"]:
        wanted = f"the tags' vectors in {dims['text']} columns"
        raise _unfit(who, profile, wanted, dataset, f"has in {offered.text}" if offered.text else "lacks")


def _unfit(who: str, profile: str, wanted: str, dataset: Dataset, has: str) -> BadDataset:
    return BadDataset(
        f"{who} reads {wanted}, which {dataset.folder} {has}: "
        f"name a dataset with {profile!r} features like those that it was trained on"
    )
