"""The image for a GPU without engine, GPU or download: what it shares with the other, and what it adds.

Its install step would fetch 2.5 GB, so the suite never runs it; the steps that it shares with the other image
are run by test_install.py.
"""

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

from model.runtime.accelerator import Accelerator
from service.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
ADDED = {  # to the other image's environment
    "NVIDIA_VISIBLE_DEVICES": "all",
    "NVIDIA_DRIVER_CAPABILITIES": "compute,utility",
    "NVIDIA_REQUIRE_CUDA": "cuda>=13.0",
    "YUYIN_ACCELERATOR": "require",
}
PIN = re.compile(r"^([a-z0-9-]+)==([^\s;\\]+)", re.M)


def pins(name: str) -> dict[str, str]:
    return dict(PIN.findall((ROOT / name).read_text("utf-8")))


def shared(instructions: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Without what may differ: the second file of pins, the extra, the environment."""
    same = []
    for word, rest in instructions:
        text = re.sub(r" (--constraint )?constraints\.cuda\.txt|(?<=^EXTRAS=).*", "", rest)
        same.append((word, "" if word == "ENV" else text))
    return same


def test_it_is_the_other_image_but_for_the_extra(image: Any, cuda_image: Any) -> None:
    """User, health, command, hashes, labels: whatever is tested of the other holds here."""
    assert cuda_image.arguments == image.arguments
    assert [stage.base for stage in cuda_image.stages] == [stage.base for stage in image.stages]
    for ours, theirs in zip(cuda_image.stages, image.stages, strict=True):
        assert shared(ours.instructions) == shared(theirs.instructions)
    (install,) = (line for line in cuda_image.stages[0].all("RUN") if "${EXTRAS}" in line)
    assert cuda_image.stages[0].arguments == {"EXTRAS": "cuda"}
    assert "--constraint constraints.txt --constraint constraints.cuda.txt " in install
    assert cuda_image.last.env == image.last.env | ADDED


def test_its_settings_are_settings_and_allow_no_cpu(cuda_image: Any) -> None:
    ours = {name: value for name, value in cuda_image.last.env.items() if name.startswith("YUYIN_")}
    given = {name.removeprefix("YUYIN_").lower(): value for name, value in ours.items()}
    assert Settings(**given).backbones.accelerator == Accelerator("require")
    assert Settings(**given).models == Path("/models")


def test_what_the_extra_asks_for_is_pinned_with_hashes() -> None:
    text = (ROOT / "constraints.cuda.txt").read_text("utf-8")
    found, others = pins("constraints.cuda.txt"), pins("constraints.txt")
    for line in PROJECT["optional-dependencies"]["cuda"]:
        wanted = Requirement(line)
        assert wanted.specifier.contains(found[wanted.name]), line
    assert not set(found) & set(others)
    assert all("--hash=sha256:" in block for block in re.split(r"^(?=[a-z])", text, flags=re.M)[1:])
    assert "://" not in text
    majors = {name: version.split(".")[0] for name, version in found.items()}
    assert {majors["nvidia-cuda-runtime-cu12"], majors["nvidia-cublas-cu12"]} == {"12"}  # for FAISS
    assert {majors["nvidia-cuda-runtime"], majors["nvidia-cublas"]} == {"13"}  # for ONNX Runtime


@pytest.mark.slow
def test_nothing_that_it_installs_is_without_a_hash(tmp_path: Path) -> None:
    """Resolved from the index's metadata; nothing is downloaded."""
    out = tmp_path / "resolved.txt"
    command = [
        sys.executable,
        "-m",
        "uv",
        "pip",
        "compile",
        "--quiet",
        "--only-binary",
        ":all:",
        "--no-cache",
    ]
    command += ["--python-version", "3.11", "--python-platform", "x86_64-manylinux_2_28", "--extra", "cuda"]
    for name in ("constraints.txt", "constraints.cuda.txt"):
        command += ["--constraint", str(ROOT / name)]
    subprocess.run([*command, str(ROOT / "pyproject.toml"), "-o", str(out)], check=True, cwd=ROOT)
    resolved = dict(PIN.findall(out.read_text("utf-8")))
    hashed = pins("constraints.txt") | pins("constraints.cuda.txt")
    assert {"faiss-gpu", "onnxruntime-gpu", "nvidia-cudnn-cu13", "numpy"} <= set(resolved)
    assert set(resolved) <= set(hashed)
    assert {name: resolved[name] for name in pins("constraints.cuda.txt")} == pins("constraints.cuda.txt")


def test_compose_adds_a_gpu_and_loosens_nothing(image: Any, cuda_image: Any) -> None:
    over = yaml.safe_load((ROOT / "docker" / "compose.cuda.yaml").read_text("utf-8"))
    under = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text("utf-8"))
    assert (set(over), set(over["services"])) == ({"services"}, {"yuyin"})
    service, other = over["services"]["yuyin"], under["services"]["yuyin"]
    assert set(service) == {"build", "image", "mem_limit", "memswap_limit", "deploy", "volumes"}
    assert service["image"] == f"{other['image']}-cuda"
    dockerfile = ROOT / "docker" / other["build"]["context"] / service["build"]["dockerfile"]
    assert dockerfile.resolve() == ROOT / "docker" / "Dockerfile.cuda"
    (device,) = service["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}
    assert service["memswap_limit"] == service["mem_limit"]
    (mount,) = service["volumes"]
    assert mount.endswith(f":{cuda_image.last.env['YUYIN_MODELS']}:ro")
