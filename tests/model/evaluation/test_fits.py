"""What does not fit is refused in one sentence that names both sides, before anything is computed."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from model.bundle import shipped_bundle
from model.datasets.table import Dataset, features_folder
from model.errors import BadDataset
from model.evaluation.fits import check_fits, check_made_alike, check_run_fits
from model.evaluation.run import measure

READS = {"video": {"frames": 9, "motion": 4}, "music": {"audio": 11}}


@pytest.fixture
def dataset(tmp_path: Path, make_dataset: Callable[..., Path]) -> Dataset:
    return Dataset.open(make_dataset(tmp_path / "data", counts=(3, 2, 4)))


def test_what_fits_passes_and_what_is_not_read_is_left_alone(dataset: Dataset) -> None:
    check_fits("the run r", "lite", READS, dataset)
    path = features_folder(dataset.folder, "lite") / "emotion.npy"
    np.save(path, np.load(path)[:, :2])
    check_fits("the run r", "lite", READS, dataset)


@pytest.mark.parametrize(
    ("reads", "said"),
    [
        ({"video": {"frames": 32}, "music": {}}, "the video input 'frames' in 32 columns, which {} has in 9"),
        ({"video": {}, "music": {"audio": 3}}, "the music input 'audio' in 3 columns, which {} has in 11"),
        ({"video": {"flow": 1}, "music": {}}, "the video input 'flow' in 1 columns, which {} lacks"),
        ({"video": {"audio": 11}, "music": {}}, "the video input 'audio' in 11 columns, which {} lacks"),
    ],
)
def test_another_width_names_who_reads_and_what_is_read(
    dataset: Dataset, reads: dict[str, dict[str, int]], said: str
) -> None:
    with pytest.raises(BadDataset) as found:
        check_fits("the run runs/one", "lite", reads, dataset)
    assert str(found.value).startswith(f"the run runs/one reads {said.format(dataset.folder)}: name a ")


def test_a_bundle_is_checked_too(dataset: Dataset) -> None:
    with pytest.raises(BadDataset, match=f"the bundle {shipped_bundle()} reads the video input .*has in"):
        measure(shipped_bundle(), dataset, "test")


RECIPE = {"precision": "int8", "extractors": {"frames": "inception-v3@1.11111111", "audio": "ast@1.22222222"}}


def extracted(dataset: Dataset, **recipe: Any) -> None:
    """As if the dataset's features had been made so."""
    path = features_folder(dataset.folder, "lite") / "features.json"
    made = json.loads(path.read_text())
    path.write_text(json.dumps({**made, "recipe": {**made["recipe"], **recipe}}))


def test_features_of_the_same_weights_and_bits_pass(dataset: Dataset) -> None:
    check_made_alike("the run r", "lite", None, dataset)  # no pretrained network
    extracted(dataset, **RECIPE)
    check_made_alike("the run r", "lite", RECIPE, dataset)
    both = RECIPE["extractors"] | {"text": "chinese-bert-wwm@1.33333333"}
    check_made_alike("the run r", "lite", RECIPE | {"extractors": both}, dataset)


@pytest.mark.parametrize(
    ("trained", "said"),
    [
        (RECIPE | {"precision": "fp32"}, "features of fp32, {} has those of int8, and"),
        (
            RECIPE | {"extractors": RECIPE["extractors"] | {"audio": "ast@1.99999999"}},
            "features of ast@1.99999999, {} has those of ast@1.22222222, and",
        ),
        (None, "features of None, None, None, {} has those of int8, inception-v3@1.11111111, ast@1.2"),
    ],
)
def test_other_weights_or_bits_are_refused(dataset: Dataset, trained: Any, said: str) -> None:
    extracted(dataset, **RECIPE)
    with pytest.raises(BadDataset) as found:
        check_made_alike("the run r", "lite", trained, dataset)
    assert str(found.value).startswith(f"the run r was trained on {said.format(dataset.folder)}")


def run_of(*, sequential: bool = False, text: int | None = None, **rows: int) -> Any:
    """As much of a run as is looked at."""
    views = [SimpleNamespace(sequential=sequential, widths=READS[side]) for side in ("video", "music")]
    system = SimpleNamespace(video_view=views[0], music_view=views[1], reads_query_text=text is not None)
    dims = {"rows": {"frames": 30, "motion": 60, "audio": 15} | rows, "text": text or 0}
    return SimpleNamespace(folder="runs/one", config={"profile": "lite", "dims": dims}, system=system)


def test_rows_over_time_where_there_was_one(dataset: Dataset) -> None:
    check_run_fits(run_of(sequential=True), dataset)
    check_run_fits(run_of(sequential=False, frames=1), dataset)  # it pools them anyhow
    with pytest.raises(
        BadDataset, match=r"runs/one reads the input 'frames' in one row a pair, which .* has"
    ):
        check_run_fits(run_of(sequential=True, frames=1), dataset)


def test_vectors_of_tags_where_the_query_s_are_read(dataset: Dataset) -> None:
    from model.features.profiles import load_profile

    width = len(load_profile("lite").text("shirts"))
    check_run_fits(run_of(text=width), dataset)
    with pytest.raises(BadDataset, match=f"the tags' vectors in 7 columns, which .* has in {width}"):
        check_run_fits(run_of(text=7), dataset)
