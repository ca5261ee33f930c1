from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from model.datasets.imports.ave import read_ave
from model.datasets.imports.imported import write_imported
from model.datasets.layout import Layout, read_layout
from model.datasets.table import Dataset
from model.errors import BadDataset
from model.training.sampler import read_pairs


def made(folder: Path, pairs: int = 200, **changed: np.ndarray) -> Path:
    rng = np.random.default_rng(0)
    arrays = {
        "row": np.arange(0, 2 * pairs, 2),
        "label": np.arange(pairs) % 4,
        "label_names": np.array(["bell", "bark, dog", "car", "train"]),
        "vfeat_mean": rng.standard_normal((pairs, 5)).astype(np.float16),
        "vfeat_std": rng.random((pairs, 5)).astype(np.float16),
        "afeat": rng.integers(0, 256, (pairs, 10, 3)).astype(np.uint8),
        "dup_group": np.arange(pairs) // 2,
    }
    np.savez(folder / "made.npz", **{name: x for name, x in (arrays | changed).items() if len(x)})
    return folder / "made.npz"


def test_every_number_lands_in_its_row(tmp_path):
    path = made(tmp_path)
    report = write_imported(read_ave(path, 0), tmp_path / "ave")
    given, dataset = np.load(path), Dataset.open(tmp_path / "ave")
    assert read_layout(dataset, "ave") == Layout(video=("frames",), music=("audio",))
    for i in (0, 7, 199):
        frames, audio = (dataset.features(name, "ave").row(i).values for name in ("frames", "audio"))
        rows = [[float(x) for x in given["afeat"][i, :, column]] for column in range(3)]
        mean = [sum(row) / 10 for row in rows]
        std = [(sum((x - m) ** 2 for x in row) / 10) ** 0.5 for row, m in zip(rows, mean, strict=True)]
        np.testing.assert_allclose(audio, [[*mean, *std]], rtol=1e-6)
        np.testing.assert_array_equal(frames[0], [*given["vfeat_mean"][i], *given["vfeat_std"][i]])
        assert dataset.pairs["category"][i] == given["label_names"][given["label"][i]]
    assert report.widths == {"frames": 10, "audio": 6}
    assert (report.tracks, report.categories) == (100, 4)
    dims = read_pairs(dataset, "ave").dims
    assert (dims.video, dims.music, dims.text, dims.categories) == ({"frames": 10}, {"audio": 6}, 0, 4)


def test_copies_stay_together_and_categories_keep_their_share(tmp_path):
    path = made(tmp_path)
    splits = [read_ave(path, seed).split for seed in (0, 0, 1)]
    np.testing.assert_array_equal(splits[0], splits[1])
    assert (splits[0] != splits[2]).any()
    for split in splits:
        assert (split[::2] == split[1::2]).all()
        assert np.mean(split == "test") == pytest.approx(0.28, abs=0.02)
        assert np.mean(split == "evaluation") == pytest.approx(0.12 * 0.72, abs=0.02)
        for label in range(4):
            assert np.mean(split[np.arange(200) % 4 == label] == "test") == pytest.approx(0.28, abs=0.04)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"vfeat_std": np.zeros((199, 5))}, "'vfeat_std' of .* has 199 rows, not 200"),
        ({"vfeat_mean": np.full((200, 5), np.nan)}, "'frames' of pair 'ave-0000' holds NaN"),
        ({"vfeat_mean": np.full((200, 5), 1e300)}, "'frames' of pair 'ave-0000' holds NaN, inf.* too large"),
        ({"afeat": np.full((200, 2, 3), 1e300)}, "'audio' of pair 'ave-0000' holds NaN, inf.* too large"),
        ({"vfeat_mean": np.zeros(200)}, "'vfeat_mean' .* of shape \\(200,\\), not numbers in 2 dimensions"),
        ({"label": np.arange(200) / 4}, "'label' of .* holds float64 .* not whole numbers in 1 dim"),
        ({"label_names": np.arange(4)}, "'label_names' of .* not texts in 1 dimensions"),
        ({"row": np.zeros(200, int)}, "two pairs have the pair_id 'ave-0000'"),
        ({"label": np.full(200, 4)}, "'label' of .* goes beyond its 4 names"),
        ({"dup_group": np.zeros(200, int)}, "'evaluation' has 0 pairs"),
        ({"afeat": np.zeros((200, 30))}, "'afeat' of .* not numbers in 3 dimensions"),
        ({"afeat": np.zeros(0)}, "lacks an array .*afeat"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_is_written(tmp_path, changed, said):
    path = made(tmp_path, **changed)
    with pytest.raises(BadDataset, match=said):
        write_imported(read_ave(path, 0), tmp_path / "ave")
    assert not (tmp_path / "ave").exists()


@pytest.mark.parametrize("changed", [{"row": np.zeros(0, int)}, {"label": np.int64(3)}])
def test_a_number_or_nothing_is_no_column(tmp_path, changed):
    arrays = dict(np.load(made(tmp_path)))
    np.savez(tmp_path / "made.npz", **(arrays | changed))
    with pytest.raises(BadDataset, match="not whole numbers in 1 dimensions, at least one"):
        read_ave(tmp_path / "made.npz", 0)


@pytest.mark.parametrize("content", [b"", b"pair_id,video.frames\n", b"\x93NUMPY"])
def test_what_is_no_archive_is_refused(tmp_path, content):
    (tmp_path / "file.npz").write_bytes(content)
    with pytest.raises(BadDataset, match=r"cannot be read as an \.npz file .*--as features") as raised:
        read_ave(tmp_path / "file.npz", 0)
    assert "pickle" not in str(raised.value)


def test_a_single_array_is_refused(tmp_path):
    np.save(tmp_path / "one.npy", np.zeros(3))
    with pytest.raises(BadDataset, match=r"cannot be read as an \.npz file .*--as features"):
        read_ave(tmp_path / "one.npy", 0)


def test_a_damaged_archive_is_refused(tmp_path):
    """Wherever a byte is wrong it is one of our errors, if any."""
    np.savez_compressed(tmp_path / "whole.npz", **np.load(made(tmp_path, 20)))
    whole = (tmp_path / "whole.npz").read_bytes()
    for place in range(0, len(whole), len(whole) // 80):
        (tmp_path / "file.npz").write_bytes(whole[:place] + b"\xff" + whole[place + 1 :])
        with suppress(BadDataset):
            read_ave(tmp_path / "file.npz", 0)


def test_the_real_file(shared_data, tmp_path):
    report = write_imported(read_ave(shared_data / "features" / "ave_pairs_shared.npz", 0), tmp_path / "ave")
    assert sum(report.pairs.values()) == 2_609
    assert report.pairs["test"] == pytest.approx(730, abs=10)
    assert (report.categories, report.widths) == (28, {"audio": 256, "frames": 1024})
    assert report.tracks == 2_599
    pairs = Dataset.open(tmp_path / "ave").pairs
    for split in ("train", "evaluation", "test"):
        assert len(set(pairs["category"][pairs["split"] == split].tolist())) == 28
        inside = set(pairs["group"][pairs["split"] == split].tolist())
        assert not inside & set(pairs["group"][pairs["split"] != split].tolist())
