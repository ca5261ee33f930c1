"""A file is what its name says; the format's own libraries are the oracles."""

import json
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest

from model.errors import Corrupt
from model.hub.contents import check_contents


def test_what_the_safetensors_library_writes_is_taken(tmp_path: Path) -> None:
    numpy = pytest.importorskip("safetensors.numpy")
    for count in (0, 1, 3):
        tensors = {f"w{i}": np.arange(i * 5, dtype=np.float32).reshape(i, 5) for i in range(count)}
        path = tmp_path / f"{count}.safetensors"
        numpy.save_file(tensors, path, metadata={"format": "pt"})
        check_contents(path)


@pytest.mark.parametrize("harm", ["cut", "more", "empty", "short", "pickle", "long header", "list", "deep"])
def test_what_it_would_not_read_is_refused(tmp_path: Path, harm: str) -> None:
    numpy = pytest.importorskip("safetensors.numpy")
    path = tmp_path / "model.safetensors"
    numpy.save_file({"w": np.ones(100, np.float32)}, path)
    whole = path.read_bytes()
    bad = {
        "cut": whole[:-1],
        "more": whole + b"!",
        "empty": b"",
        "short": whole[:7],
        "pickle": pickle.dumps({"w": [1.0]}),
        "long header": struct.pack("<Q", 1 << 62) + whole[8:],
        "list": struct.pack("<Q", 2) + b"[]",
        "deep": struct.pack("<Q", 200_000) + b"[" * 200_000,
    }[harm]
    path.write_bytes(bad)
    with pytest.raises(Corrupt, match="is no safetensors file"):
        check_contents(path)
    if harm != "empty":
        with pytest.raises(Exception, match=r"\w"):
            numpy.load_file(path)


def test_a_graph_with_its_weights_inside_is_taken_and_no_other(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    weights = onnx.numpy_helper.from_array(np.ones((2, 2), np.float32), "w")
    x = onnx.helper.make_tensor_value_info("x", 1, [None, 2])
    node = onnx.helper.make_node("MatMul", ["x", "w"], ["features"])
    y = onnx.helper.make_tensor_value_info("features", 1, [None, 2])
    model = onnx.helper.make_model(onnx.helper.make_graph([node], "g", [x], [y], [weights]))
    onnx.save(model, tmp_path / "model.onnx")
    check_contents(tmp_path / "model.onnx")
    outside = tmp_path / "outside.onnx"
    onnx.save(model, outside, save_as_external_data=True, location="weights.bin", size_threshold=0)
    for path in (outside, tmp_path / "empty.onnx", tmp_path / "text.onnx"):
        if path != outside:
            path.write_bytes(b"" if path.stem == "empty" else b"no graph at all")
        with pytest.raises(Corrupt, match=str(path)):
            check_contents(path)


def test_json_text_and_pointers(tmp_path: Path) -> None:
    good = {"config.json": json.dumps({"a": 1}), "vocab.txt": "[PAD]\n中\n"}
    for name, text in good.items():
        (tmp_path / name).write_text(text, "utf-8")
        check_contents(tmp_path / name)
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n"
    for name, data, words in (
        ("config.json", b"{", "no json file"),
        ("config.json", b"[" * 100_000, "no json file"),
        ("vocab.txt", b"\xff\xfe", "no txt file"),
        ("model.safetensors", pointer.encode(), "git lfs pull"),
        ("model.bin", b"", "of a kind that is not read"),
    ):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(Corrupt, match=words):
            check_contents(tmp_path / name)


@pytest.mark.parametrize("name", ["config.json", "vocab.txt", "model.safetensors"])
def test_what_would_be_read_into_memory_whole_is_no_larger_than_it_need_be(tmp_path: Path, name: str) -> None:
    size, path = 11_000_000, tmp_path / name
    text = b"{}".ljust(size)
    path.write_bytes(struct.pack("<Q", size) + text if name.endswith("safetensors") else text)
    with pytest.raises(Corrupt, match=name):
        check_contents(path)
