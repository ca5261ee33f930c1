"""Sessions on real graphs: where they run, what they refuse, and that nothing falls back unheard."""

import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnx.reference
import onnxruntime as ort
import pytest

from model.errors import Corrupt, Mismatch, NoAccelerator
from model.runtime.accelerator import Accelerator
from model.runtime.session import Port, open_session

CPU = Accelerator("cpu")
HAS_CUDA = "CUDAExecutionProvider" in ort.get_available_providers()
no_gpu_build = pytest.mark.skipif(HAS_CUDA, reason="this onnxruntime is one for GPUs")


def pictures(b: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((b, 3, 16, 16)).astype(np.float32)


def expected(conv: Path, x: np.ndarray) -> np.ndarray:
    """By onnx's own reference implementation, in Python."""
    return onnx.reference.ReferenceEvaluator(str(conv)).run(None, {"x": x})[0]


def test_computes_what_the_graph_says(conv: Path) -> None:
    session = open_session(conv, CPU)
    assert session.provider == "cpu"
    assert session.get_providers() == ["CPUExecutionProvider"]
    assert session.inputs == (Port("x", (None, 3, 16, 16), "float32"),)
    assert session.outputs == (Port("features", (None, 8), "float32"),)
    for b in (1, 3):
        x = pictures(b)
        np.testing.assert_allclose(session.run({"x": x})[0], expected(conv, x), atol=1e-5)


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_change_no_row(conv: Path, threads: int) -> None:
    x = pictures(5)
    one = open_session(conv, CPU).run({"x": x})[0]
    several = open_session(conv, Accelerator("cpu", threads=threads)).run({"x": x})[0]
    np.testing.assert_allclose(several, one, atol=1e-6)


@no_gpu_build
def test_a_machine_without_a_gpu_is_not_nagged(conv: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        assert open_session(conv, Accelerator()).provider == "cpu"
    assert caplog.records == []


@no_gpu_build
def test_a_required_gpu_that_this_build_knows_nothing_of_is_refused(conv: Path) -> None:
    with pytest.raises(NoAccelerator, match=r"built without cuda or tensorrt: pip .*\[cuda\].*=prefer"):
        open_session(conv, Accelerator("require", ("cuda", "tensorrt")))


@pytest.fixture
def unusable_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A build that lists CUDA and starts without it: onnxruntime then really falls back, with a warning."""
    listed = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(ort, "get_available_providers", lambda: listed)


@no_gpu_build
@pytest.mark.usefixtures("unusable_gpu")
@pytest.mark.filterwarnings("ignore:Specified provider 'CUDAExecutionProvider'")
def test_a_gpu_that_does_not_start_is_heard_of(conv: Path, caplog: pytest.LogCaptureFixture) -> None:
    session = open_session(conv, Accelerator())
    assert session.provider == "cpu"
    assert session.run({"x": pictures(1)})[0].shape == (1, 8)
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("yuyin.runtime", "WARNING")
    assert "runs on the CPU: cuda cannot be used" in record.getMessage()
    with pytest.raises(NoAccelerator, match=r"cuda cannot be used \(.*yuyin doctor"):
        open_session(conv, Accelerator("require"))
    assert open_session(conv, CPU).provider == "cpu"
    assert len(caplog.records) == 1


@pytest.mark.usefixtures("as_if_gpu")
def test_a_session_that_did_start_elsewhere_is_kept(conv: Path, caplog: pytest.LogCaptureFixture) -> None:
    for policy in ("require", "prefer"):
        session = open_session(conv, Accelerator(policy))
        assert session.provider == "cuda"
        np.testing.assert_allclose(session.run({"x": pictures(2)})[0], expected(conv, pictures(2)), atol=1e-5)
    assert open_session(conv, CPU).provider == "cpu"
    assert caplog.records == []


@pytest.mark.skipif(not HAS_CUDA, reason="this onnxruntime is none for GPUs")
def test_cuda_agrees_with_the_cpu(conv: Path) -> None:
    x = pictures(7)
    try:
        session = open_session(conv, Accelerator("require", memory_bytes=1 << 30))
    except NoAccelerator as error:
        pytest.skip(str(error))
    assert session.provider == "cuda"
    np.testing.assert_allclose(session.run({"x": x})[0], open_session(conv, CPU).run({"x": x})[0], atol=1e-4)


@pytest.mark.parametrize("accelerator", [CPU, Accelerator(), Accelerator("require")])
@pytest.mark.usefixtures("as_if_gpu")
def test_a_graph_at_fault_is_so_everywhere(accelerator: Accelerator, conv: Path, tmp_path: Path) -> None:
    """A GPU is not blamed for what the CPU cannot run either."""
    made = onnx.load(conv)
    made.graph.node[0].op_type = "Convolve"
    onnx.save(made, tmp_path / "model.onnx")
    with pytest.raises(Corrupt, match=r"model\.onnx is no graph that can be run .*Convolve.*export"):
        open_session(tmp_path / "model.onnx", accelerator)


@pytest.mark.parametrize("content", [b"", b"\x08\x08", b"no graph"])
def test_what_is_no_graph_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(content)
    with pytest.raises(Corrupt, match=r"model\.onnx is no graph"):
        open_session(tmp_path / "model.onnx", CPU)


def test_weights_of_another_folder_are_never_read(conv: Path, tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    made = onnx.load(conv)
    for tensor in made.graph.initializer:
        onnx.external_data_helper.set_external_data(tensor, "../secret", 0, len(tensor.raw_data))
        tensor.ClearField("raw_data")
    (tmp_path / "inner" / "model.onnx").write_bytes(made.SerializeToString())
    (tmp_path / "secret").write_bytes(bytes(100_000))
    with pytest.raises(Corrupt, match="another file, which is never read"):
        open_session(tmp_path / "inner" / "model.onnx", CPU)


def test_arrays_of_another_shape_or_kind_are_refused(conv: Path) -> None:
    session = open_session(conv, CPU)
    for wrong in (np.zeros((1, 3, 16, 15), np.float32), np.zeros((1, 3, 16, 16), np.int64)):
        with pytest.raises(Mismatch, match=r"model\.onnx takes other arrays"):
            session.run({"x": wrong})


def test_a_graph_that_fails_while_it_runs_is_at_fault(tmp_path: Path) -> None:
    """It was exported for a batch of 2 and says that it takes any."""
    from onnx import TensorProto, helper, numpy_helper

    nodes = [helper.make_node("Reshape", ["x", "to"], ["features"])]
    x, features = (helper.make_tensor_value_info(n, TensorProto.FLOAT, ["b", 3]) for n in ("x", "features"))
    to = numpy_helper.from_array(np.array([2, 3]), "to")
    made = helper.make_model(
        helper.make_graph(nodes, "g", [x], [features], [to]),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    onnx.save(made, tmp_path / "model.onnx")
    session = open_session(tmp_path / "model.onnx", CPU)
    session.run({"x": np.zeros((2, 3), np.float32)})
    with pytest.raises(Corrupt, match=r"no graph that can be run \(.*Reshape"):
        session.run({"x": np.zeros((3, 3), np.float32)})


def test_opening_needs_neither_torch_nor_onnx() -> None:
    code = (
        "import sys, model.runtime.graph_network\n"
        "print([name for name in ('torch', 'onnx', 'google.protobuf') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_value_that_settings_carry_imports_no_runtime() -> None:
    code = (
        "import sys, model.runtime.accelerator; print('onnxruntime' in sys.modules, 'numpy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False False"
