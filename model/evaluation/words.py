"""What was measured in, what to call its pairs out: adverts where they are known to be, unseen where so."""

from model.datasets.table import Dataset
from model.evaluation.run import Measurement

OF_ADVERTS = ("ads", "adsynth", "pairs", "synth")  # kinds of data sets; others may hold any video with music


def noun(dataset: Dataset) -> str:
    """One of its pictures: "advert", or "video" where nobody said that it is one."""
    return "advert" if dataset.manifest.get("kind") in OF_ADVERTS else "video"


def queries(measured: Measurement) -> str:
    """What the measured part is to the system where that is known: seen in training, or not."""
    name, split = f"{noun(measured.dataset)}s", measured.evaluation.split
    if not measured.subject.trained_on(measured.dataset):
        return f"{name} of the {split} part"
    return {"train": f"{name} that it was trained on", "test": f"unseen {name}"}.get(
        split, f"{name} that its epoch was chosen by"
    )
