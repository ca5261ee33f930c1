"""Whether all weights lie inside a file, against onnx's own description of the format and its own writer."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from google.protobuf.descriptor import Descriptor

from model.errors import Corrupt
from model.runtime.graph_file import DATA_LOCATION, EXTERNAL_DATA, LEADS_TO_TENSORS, check_self_contained


def described_by_onnx() -> dict[str, dict[int, str]]:
    """Every field of onnx.proto below which a tensor can lie."""
    messages: dict[str, Descriptor] = {}
    below = [onnx.ModelProto.DESCRIPTOR]
    while below:
        message = below.pop()
        if message.name not in messages:
            messages[message.name] = message
            below += [field.message_type for field in message.fields if field.message_type]
    leads, before = {"TensorProto"}, set()
    while leads != before:
        before = set(leads)
        leads |= {
            name
            for name, message in messages.items()
            if any(field.message_type and field.message_type.name in leads for field in message.fields)
        }
    return {
        name: {
            field.number: field.message_type.name
            for field in messages[name].fields
            if field.message_type and field.message_type.name in leads
        }
        for name in leads
    }


def test_the_map_is_that_of_onnx() -> None:
    assert described_by_onnx() == LEADS_TO_TENSORS
    tensor = onnx.TensorProto.DESCRIPTOR.fields_by_name
    assert (tensor["external_data"].number, tensor["data_location"].number) == (EXTERNAL_DATA, DATA_LOCATION)


def tensor(outside: bool, name: str = "w") -> Any:
    made = onnx.numpy_helper.from_array(np.ones((4, 4), np.float32), name)
    if outside:
        onnx.external_data_helper.set_external_data(made, "/etc/hostname")
        made.ClearField("raw_data")
    return made


def node_of(graph: Any) -> Any:
    return graph.node.add(op_type="If", name="n")


# Every place where onnx allows a tensor: what of a model to copy one into.
PLACES: dict[str, Callable[[Any], Any]] = {
    "weights": lambda model: model.graph.initializer.add(),
    "sparse weights": lambda model: model.graph.sparse_initializer.add().values,
    "where sparse weights lie": lambda model: model.graph.sparse_initializer.add().indices,
    "a constant": lambda model: node_of(model.graph).attribute.add(name="value").t,
    "a sparse constant": lambda model: node_of(model.graph).attribute.add().sparse_tensor.values,
    "a list of constants": lambda model: node_of(model.graph).attribute.add().tensors.add(),
    "a list of sparse ones": lambda model: node_of(model.graph).attribute.add().sparse_tensors.add().indices,
    "a branch of a branch": lambda model: (
        node_of(node_of(model.graph).attribute.add(name="then").g).attribute.add().g.initializer.add()
    ),
    "one of many branches": lambda model: node_of(model.graph).attribute.add().graphs.add().initializer.add(),
    "a function": lambda model: model.functions.add(name="f").node.add().attribute.add().t,
    "a default of a function": lambda model: model.functions.add(name="f").attribute_proto.add().t,
    "what training starts from": lambda model: model.training_info.add().initialization.initializer.add(),
    "how training goes on": lambda model: model.training_info.add().algorithm.initializer.add(),
}


def holding(where: str, outside: bool) -> Any:
    """A model with one tensor."""
    model = onnx.ModelProto(ir_version=8)
    PLACES[where](model).CopyFrom(tensor(outside))
    return model


@pytest.mark.parametrize("where", PLACES)
def test_a_tensor_elsewhere_is_found_wherever_it_is_named(where: str, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(holding(where, outside=False).SerializeToString())
    check_self_contained(path)
    path.write_bytes(holding(where, outside=True).SerializeToString())
    with pytest.raises(Corrupt, match=r"another file.*export it as one file"):
        check_self_contained(path)


@pytest.mark.parametrize("field", ["external_data", "data_location"])
def test_either_word_is_enough(field: str, tmp_path: Path) -> None:
    model = holding("weights", outside=True)
    model.graph.initializer[0].ClearField(field)
    (tmp_path / "model.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(Corrupt, match="another file"):
        check_self_contained(tmp_path / "model.onnx")


def test_what_onnx_itself_puts_aside_is_found(conv: Path, tmp_path: Path) -> None:
    check_self_contained(conv)
    onnx.save(onnx.load(conv), tmp_path / "model.onnx", save_as_external_data=True, size_threshold=0)
    with pytest.raises(Corrupt, match="another file"):
        check_self_contained(tmp_path / "model.onnx")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff" * 40,  # a number without an end
        b"\x3a",  # a graph without a length
        b"\x3a\x7f\x00",  # one that ends beyond the file
        b"\x3b\x00",  # a group
        b"\x3a" + b"\x80" * 11 + b"\x00",  # a number of too many bytes, if of a small value
        b"PK\x03\x04 a zip, of all things",
    ],
)
def test_what_is_no_protobuf_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(content)
    with pytest.raises(Corrupt, match="no graph that can be run"):
        check_self_contained(tmp_path / "model.onnx")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Corrupt, match=r"gone\.onnx"):
        check_self_contained(tmp_path / "gone.onnx")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_file_cut_off_is_refused(share: float, conv: Path, tmp_path: Path) -> None:
    whole = conv.read_bytes()
    (tmp_path / "model.onnx").write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(Corrupt, match="cut off"):
        check_self_contained(tmp_path / "model.onnx")


def test_graphs_in_graphs_are_followed_however_deep(tmp_path: Path) -> None:
    """Deeper than Python's stack; what protobuf itself would refuse to read."""
    deepest = tensor(outside=True).SerializeToString()
    content = field(5, deepest)  # a graph with a weight
    for _ in range(2000):
        content = field(1, field(5, field(6, content)))  # a graph with a node with an attribute of it
    (tmp_path / "model.onnx").write_bytes(field(7, content))
    with pytest.raises(Corrupt, match="another file"):
        check_self_contained(tmp_path / "model.onnx")


def field(number: int, content: bytes) -> bytes:
    """A field of bytes as protobuf's encoding has it."""
    length, size = len(content), b""
    while length > 127:
        size += bytes([length & 127 | 128])
        length >>= 7
    return bytes([number << 3 | 2]) + size + bytes([length]) + content


@pytest.mark.parametrize("high", [1 << 32, 1 << 34, 1 << 35])
def test_a_field_number_with_bits_that_a_parser_drops_hides_nothing(high: int, tmp_path: Path) -> None:
    """Of a tag's 35 bits onnxruntime's parser keeps 32, so it knows a field that is of no number here."""
    ort = pytest.importorskip("onnxruntime")
    (tmp_path / "secret.bin").write_bytes(np.full(4, 7, np.float32).tobytes())
    entry = onnx.StringStringEntryProto(key="location", value="secret.bin").SerializeToString()
    weights = onnx.TensorProto(name="w", dims=[4], data_type=onnx.TensorProto.FLOAT).SerializeToString()
    weights += tagged((EXTERNAL_DATA << 3 | 2) + high, entry) + varint((DATA_LOCATION << 3) + high) + b"\x01"
    ends = [onnx.helper.make_tensor_value_info(name, 1, [4]) for name in ("x", "y")]
    node = onnx.helper.make_node("Add", ["x", "w"], ["y"])
    graph = onnx.helper.make_graph([node], "g", ends[:1], ends[1:]).SerializeToString()
    model = onnx.ModelProto(ir_version=8, opset_import=[onnx.helper.make_opsetid("", 17)])
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString() + field(7, graph + field(5, weights)))
    with pytest.raises(Corrupt, match="no ONNX"):
        check_self_contained(path)
    if high < 1 << 35:  # it matters: this is what would have been run
        session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
        assert session.run(None, {"x": np.zeros(4, np.float32)})[0].tolist() == [7.0] * 4


def varint(number: int) -> bytes:
    low, rest = number & 127, number >> 7
    return bytes([low | 128]) + varint(rest) if rest else bytes([low])


def tagged(tag: int, content: bytes) -> bytes:
    return varint(tag) + varint(len(content)) + content
