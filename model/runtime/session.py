"""A graph file and an accelerator in, a session that says where it runs out; never silently on the CPU."""

import logging
import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import onnxruntime as ort
from numpy.typing import NDArray

from model.errors import Corrupt, Mismatch, NoAccelerator
from model.runtime.accelerator import INSTALL, Accelerator, Provider
from model.runtime.graph_file import check_self_contained

log = logging.getLogger("yuyin.runtime")

_CPU = "CPUExecutionProvider"
_NAMES: dict[Provider, str] = {"cuda": "CUDAExecutionProvider", "tensorrt": "TensorrtExecutionProvider"}
_STATE = ort.capi.onnxruntime_pybind11_state
_UNUSABLE = (
    _STATE.EPFail,
    _STATE.Fail,
    _STATE.InvalidArgument,
    _STATE.InvalidGraph,
    _STATE.InvalidProtobuf,
    _STATE.NotImplemented,
    _STATE.RuntimeException,
)
_NUMPY = {"float": "float32", "double": "float64"}  # the other types bear the same name


@dataclass(frozen=True, slots=True)
class Port:
    """An input or an output of a graph."""

    name: str
    shape: tuple[int | None, ...]  # None where it may be anything
    dtype: str  # as numpy calls it


class Session:
    """One graph, ready to run; made by `open_session`, usable from any thread."""

    def __init__(self, graph: Path, session: ort.InferenceSession) -> None:
        self.graph = graph
        self.inputs = tuple(_port(each) for each in session.get_inputs())
        self.outputs = tuple(_port(each) for each in session.get_outputs())
        self._session = session

    @property
    def provider(self) -> str:
        """Where it runs: `cpu`, `cuda` or `tensorrt`."""
        first = self.get_providers()[0]
        return next((ours for ours, theirs in _NAMES.items() if theirs == first), "cpu")

    def get_providers(self) -> list[str]:
        """The names that onnxruntime gives them, that which computes first."""
        return list(self._session.get_providers())

    def run(self, feed: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """Arrays by input name to the arrays of all outputs, in the order of `outputs`.

        Raises:
            Mismatch: if an array has another shape or dtype than its input.
            NoAccelerator: if the GPU fails, or has too little memory.
            Corrupt: if the graph cannot be run on the CPU.
        """
        try:
            found: list[NDArray[Any]] = self._session.run(None, dict(feed))
        except _STATE.InvalidArgument as error:
            raise Mismatch(
                f"{self.graph} takes other arrays ({_first_line(error)}): give it those"
            ) from error
        except _UNUSABLE as error:
            if self.provider == "cpu":
                raise Corrupt(_unusable(self.graph, error)) from error
            raise NoAccelerator(
                f"{self.provider} failed while it ran {self.graph} ({_first_line(error)}): raise "
                "YUYIN_ACCELERATOR_MEMORY_BYTES if memory is what it lacks, or set YUYIN_ACCELERATOR=cpu"
            ) from error
        return found


def open_session(graph: Path, accelerator: Accelerator) -> Session:
    """Start a session where the accelerator says, and make sure that it is there.

    Raises:
        NoAccelerator: if a GPU is required and the session cannot run on one.
        Corrupt: if the graph cannot be run at all, or keeps weights in another file.
    """
    check_self_contained(graph)
    wanted = _compiled_in(accelerator)
    if not wanted:
        if accelerator.policy == "require":
            raise NoAccelerator(
                f"a GPU is required, and this onnxruntime ({ort.__version__}) is built without "
                f"{' or '.join(accelerator.providers)}: {INSTALL}, or set YUYIN_ACCELERATOR=prefer"
            )
        return _on_cpu(graph, accelerator)
    session, reason = _on_gpu(graph, accelerator, wanted)
    if session.provider != "cpu":
        return session
    if accelerator.policy == "require":
        raise NoAccelerator(
            f"a GPU is required, and {' or '.join(wanted)} cannot be used ({reason}): see 'yuyin doctor', "
            "or set YUYIN_ACCELERATOR=prefer"
        )
    log.warning(
        "%s runs on the CPU: %s cannot be used (%s), see 'yuyin doctor'", graph, " or ".join(wanted), reason
    )
    return session


def _compiled_in(accelerator: Accelerator) -> list[Provider]:
    if accelerator.policy == "cpu":
        return []
    return [each for each in accelerator.providers if _NAMES[each] in ort.get_available_providers()]


def _on_cpu(graph: Path, accelerator: Accelerator) -> Session:
    try:
        return _start(graph, accelerator, [])
    except _UNUSABLE as error:
        raise Corrupt(_unusable(graph, error)) from error


def _on_gpu(graph: Path, accelerator: Accelerator, wanted: Sequence[Provider]) -> tuple[Session, str]:
    """A session, and if it is one on the CPU why; a graph that the CPU refuses too is itself at fault."""
    _load_libraries()
    try:
        # onnxruntime tells the reason on stderr only, and goes on with the CPU
        return _start(graph, accelerator, wanted), "onnxruntime's own line on stderr says why"
    except (*_UNUSABLE, ValueError, RuntimeError) as error:
        return _on_cpu(graph, accelerator), _first_line(error)


@cache
def _load_libraries() -> None:
    """Load CUDA and cuDNN from NVIDIA's wheels, which the extra [cuda] brings; once in a process."""
    if hasattr(ort, "preload_dlls"):  # since 1.21
        with redirect_stdout(sys.stderr):  # it prints what it misses; stdout may be a program's JSON
            ort.preload_dlls()


def _start(graph: Path, accelerator: Accelerator, wanted: Sequence[Provider]) -> Session:
    """Open by path: opened from bytes, a session keeps a copy of the whole file besides its weights.

    Memory, by experiment (a small Conv net, batches of 1 to 16 drawn at random): with the arena and without
    memory patterns it stays what the largest batch needs. Patterns, one for each batch size, add 40 %;
    without the arena it wanders, up to four times as high (glibc keeps the pieces); giving the arena back
    after each run takes half as much time again, and memory wanders too.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = accelerator.threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors only: its warnings are about the host's CPU, not our graph
    options.enable_mem_pattern = False
    options.add_session_config_entry("session.load_model_format", "ONNX")  # whatever the file is called
    providers = [(_NAMES[each], _provider_options(each, accelerator)) for each in wanted]
    session = ort.InferenceSession(str(graph), options, providers=[*providers, _CPU], enable_fallback=0)
    return Session(graph, session)


def _provider_options(provider: Provider, accelerator: Accelerator) -> dict[str, str]:
    """As onnxruntime's pages on the CUDA and TensorRT execution providers name them."""
    options = {"device_id": str(accelerator.device)}
    if provider == "cuda":
        options["arena_extend_strategy"] = "kSameAsRequested"  # the default doubles what it holds
        # The default times all algorithms for each new shape: 300 to 1300 ms (PaddleX, pull request 5057).
        options["cudnn_conv_algo_search"] = "HEURISTIC"
        if accelerator.memory_bytes is not None:
            options["gpu_mem_limit"] = str(accelerator.memory_bytes)
    elif accelerator.memory_bytes is not None:
        options["trt_max_workspace_size"] = str(accelerator.memory_bytes)
    return options


def _port(arg: ort.NodeArg) -> Port:
    shape = tuple(size if isinstance(size, int) else None for size in arg.shape)
    dtype = str(arg.type).removeprefix("tensor(").removesuffix(")")
    return Port(str(arg.name), shape, _NUMPY.get(dtype, dtype))


def _unusable(graph: Path, error: BaseException) -> str:
    return f"{graph} is no graph that can be run ({_first_line(error)}): export it again"


def _first_line(error: BaseException) -> str:
    """Of a GPU's failure onnxruntime prints pages."""
    return next(iter(str(error).splitlines()), type(error).__name__)
