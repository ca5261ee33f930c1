"""What an operator asks for in, the value that decides where a network may run out; imports nothing heavy."""

from dataclasses import dataclass
from typing import Literal

Policy = Literal["require", "prefer", "cpu"]
Provider = Literal["cuda", "tensorrt"]
# What a GPU needs: the builds for it lie in the folders of those for the CPU.
INSTALL = "pip uninstall -y onnxruntime faiss-cpu, then in the checkout: pip install -e '.[cuda]'"


@dataclass(frozen=True, slots=True)
class Accelerator:
    """Where networks run: a GPU or not at all (`require`), a GPU if there is one (`prefer`), or the CPU."""

    policy: Policy = "prefer"
    providers: tuple[Provider, ...] = ("cuda",)  # tried in order; tensorrt builds its engines at every start
    device: int = 0  # which of the GPUs
    memory_bytes: int | None = None  # bound of one session's arena on the GPU; None: none
    threads: int = 1  # of one run on the CPU
    at_once: int | None = None  # runs on the CPU, from all threads of a process; None: as many as fill it
