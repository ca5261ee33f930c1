"""A run or bundle folder and a dataset in, its figures out."""

from pathlib import Path

from model.bundle import Bundle
from model.datasets.table import Dataset
from model.evaluation.embed import evaluate_embedder
from model.evaluation.protocol import Evaluation


def evaluate_run(folder: Path, dataset: Dataset, split: str = "test") -> Evaluation:
    """Evaluate a bundle, or a run through the very graphs that its export would write.

    Raises:
        Corrupt: if the folder is neither, or not whole.
        BadDataset: if the split has no pairs, or the dataset lacks the profile's features.
    """
    if not (folder / "run.json").is_file():
        return evaluate_embedder(Bundle.open(folder), dataset, split)
    from model.export import run_towers  # torch and onnx: only a run needs them
    from model.training.run import Run

    with run_towers(Run.open(folder)) as towers:
        return evaluate_embedder(towers, dataset, split)
