"""The image's own steps, read from its Dockerfile and run in clean folders; then its command.

/src, /opt and /store lie below a temporary folder; `python` is the one that runs the tests.
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import tomllib
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.error import HTTPError

import pytest
from packaging.requirements import Requirement

from service.edge.keys import new_key

ROOT = Path(__file__).resolve().parents[2]
WITHIN_S = 60

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Machine:
    """A folder that stands for the root of an image."""

    root: Path

    def here(self, text: str) -> str:
        """The same with the image's absolute paths below `root`."""
        return re.sub(r"(?<![\w.$}/])/(src|opt|store)\b", rf"{self.root}/\1", text)

    def environment(self, given: dict[str, str]) -> dict[str, str]:
        """What a container has: nothing of ours but how packages are fetched."""
        path = f"{self.root / 'bin'}:/usr/bin:/bin"
        fetching = {
            name: value for name, value in os.environ.items() if name.startswith(("PIP_", "UV_", "SSL_"))
        }
        fetching.pop("UV_CACHE_DIR", None)
        ours = {name: self.here(value).replace("$PATH", path) for name, value in given.items()}
        return fetching | {"PATH": path, "HOME": "/", "LANG": "C.UTF-8"} | ours

    def build(self, stage: Any) -> "subprocess.CompletedProcess[str]":
        """Run the steps of a stage, whose files are copied already; the first that fails ends it."""
        for line in stage.all("RUN"):
            done = subprocess.run(
                ["sh", "-c", self.here(line)],
                cwd=self.root / "src",
                env=self.environment(stage.arguments),
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                break
        return done


def bare(root: Path, stage: Any, context: list[str]) -> Machine:
    """`root` with the base's Python and what COPY takes out of the context."""
    for name in ("src", "opt", "bin", "tmp"):
        (root / name).mkdir(parents=True)
    (root / "bin" / "python").symlink_to(sys._base_executable)  # type: ignore[attr-defined]
    for line in stage.all("COPY"):
        *sources, target = line.split()
        for name in context:
            if any(name == source or name.startswith(f"{source}/") for source in sources):
                place = root / "src" / name
                assert target in ("./", name.split("/")[0])
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(ROOT / name, place)
    return Machine(root)


@pytest.fixture(scope="module")
def machine(image: Any, context: list[str]) -> Iterator[Machine]:
    """The image after its build, where every user may look."""
    with TemporaryDirectory(prefix="yuyin-image-") as folder:
        Path(folder).chmod(0o755)
        made = bare(Path(folder), image.stages[0], context)
        done = made.build(image.stages[0])
        assert done.returncode == 0, done.stderr
        shutil.rmtree(made.root / "src")  # the last stage has neither
        shutil.rmtree(made.root / "opt" / "tools")
        yield made


def test_it_holds_what_is_pinned_and_no_tools(machine: Machine) -> None:
    code = "import importlib.metadata as m; print(*(f'{d.name}=={d.version}' for d in m.distributions()))"
    python = machine.root / "opt" / "yuyin" / "bin" / "python"
    listed = subprocess.run([str(python), "-I", "-c", code], capture_output=True, text=True, check=True)
    installed = {re.sub("[_.]", "-", name).lower() for name in listed.stdout.split()}
    pinned = set(re.findall(r"^[a-z][^ ;\\]*==[^ ;\\]*", (ROOT / "constraints.txt").read_text("utf-8"), re.M))
    pinned = {name.replace("_", "-").replace(".", "-") for name in pinned}
    unpinned = {name for name in installed if name.replace(".", "-") not in pinned}
    assert {name.split("==")[0] for name in unpinned} == {"yuyin"}
    names = {name.split("==")[0] for name in installed}
    assert {"onnxruntime", "faiss-cpu", "av", "uvicorn"} <= names
    assert not {"pip", "uv", "setuptools", "hatchling", "pytest", "torch"} & names
    site = next((machine.root / "opt" / "yuyin" / "lib").glob("python3.*/site-packages"))
    assert list((site / "service" / "__pycache__").glob("app.*.pyc"))


def test_the_list_of_parts_is_what_the_image_holds(machine: Machine, tmp_path: Path) -> None:
    """As `make sbom` writes it: CycloneDX, with what we ask for ourselves named as such."""
    out, python = tmp_path / "sbom.json", machine.root / "opt" / "yuyin" / "bin" / "python"
    command = [str(Path(sys.executable).parent / "cyclonedx-py"), "environment", str(python), "--of", "JSON"]
    command += ["--pyproject", str(ROOT / "pyproject.toml"), "--output-reproducible", "-o", str(out)]
    subprocess.run(command, check=True, capture_output=True, cwd=tmp_path)
    listed = json.loads(out.read_text("utf-8"))
    parts = {canonical(part["name"]): part["version"] for part in listed["components"]}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    asked = [*project["dependencies"], *project["optional-dependencies"]["cpu"]]
    direct = {canonical(Requirement(line).name) for line in asked}
    text = (ROOT / "constraints.txt").read_text("utf-8")
    pins = re.findall(r"^([a-z][^ ;\\]*)==([^ ;\\]*)", text, re.M)  # some twice, for several Pythons
    assert {(name, parts[name]) for name in direct} <= {(canonical(name), version) for name, version in pins}
    (root,) = (part for part in listed["dependencies"] if part["ref"] == "root-component")
    assert {canonical(ref.partition("==")[0]) for ref in root["dependsOn"]} == direct
    assert str(machine.root) not in out.read_text("utf-8")


def canonical(name: str) -> str:
    return re.sub("[-_.]+", "-", name).lower()


def test_a_wheel_with_another_hash_is_refused(tmp_path: Path, image: Any, context: list[str]) -> None:
    made = bare(tmp_path / "root", image.stages[0], context)
    pins = made.root / "src" / "constraints.txt"
    text = pins.read_text("utf-8")
    block = re.search(r"^h11==.*\n(?:    .*\n)+", text, re.M)
    assert block
    pins.write_text(text.replace(block[0], re.sub("sha256:....", "sha256:0000", block[0])))
    done = made.build(image.stages[0])
    assert done.returncode != 0
    assert "Hash mismatch for `h11" in done.stderr


def command(image: Any, word: str) -> list[str]:
    arguments = image.last.all(word)[-1]
    found: list[str] = json.loads(arguments[arguments.index("[") :])
    return found


def free_port() -> int:
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        return int(place.getsockname()[1])


def confined(machine: Machine, user: str) -> list[str]:
    """What compose.yaml asks an engine for, by the kernel's own means: a prefix of a command.

    A mount and process name space of its own, the whole file system read-only but for the store and the
    temporary folder, the image's user, no capability and no way to gain one.
    """
    if os.geteuid() != 0 or not all(map(shutil.which, ("unshare", "setpriv"))):
        pytest.skip("needs root, unshare and setpriv: the confined start is not run here")
    uid, gid = user.split(":")
    store, scratch, aside = (machine.root / name for name in ("store", "tmp", "aside"))
    for folder in (scratch, aside):
        folder.mkdir(exist_ok=True)
    os.chown(store, int(uid), int(gid))
    steps = [f"mount --bind {store} {store}", "mount -t tmpfs tmpfs /dev/shm"]
    python = Path(sys.base_prefix)
    private = next((each for each in (python, *python.parents) if not each.stat().st_mode & 0o001), None)
    if private:  # such as /root, where only root may start the interpreter that runs the tests
        steps += [f"mount --bind {python} {aside}", f"mount -t tmpfs -o mode=755 tmpfs {private}"]
        steps += [f"mkdir -p {python}", f"mount --move {aside} {python}"]
    steps += [
        "mount -o remount,bind,ro /",
        f"mount -t tmpfs -o noexec,nosuid,nodev,mode=1777 tmpfs {scratch}",
    ]
    drop = f"setpriv --reuid {uid} --regid {gid} --clear-groups --bounding-set=-all --inh-caps=-all"
    script = "; ".join([*steps, f'exec {drop} --no-new-privs "$@"'])
    return [
        "unshare",
        "--mount",
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
        "sh",
        "-ec",
        script,
        "sh",
    ]


@dataclass(frozen=True)
class Running:
    pid: int  # of the command itself
    port: int
    process: "subprocess.Popen[bytes]"
    log: Path


@contextmanager
def started(
    machine: Machine, image: Any, folder: Path, prefix: list[str], **variables: str
) -> Iterator[Running]:
    """The image's command with its own variables, until it answers /livez."""
    port = free_port()
    given = image.last.env | {"YUYIN_PORT": str(port), "TMPDIR": str(machine.root / "tmp")} | variables
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*prefix, *command(image, "CMD")], cwd="/", env=machine.environment(given), stdout=log, stderr=log
        )
    try:
        until_s = time.monotonic() + WITHIN_S
        while answered(port, "/livez") != 200:
            assert process.poll() is None and time.monotonic() < until_s, (folder / "log").read_text()  # noqa: PT018
            time.sleep(0.1)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        yield Running(int(children[0]) if prefix else process.pid, port, process, folder / "log")
    finally:
        process.kill()
        process.wait()


def answered(port: int, path: str, **headers: str) -> int | None:
    """The status; None if nobody listens."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return int(answer.status)
    except HTTPError as error:
        with error:
            return error.code
    except OSError:
        return None


def test_without_keys_it_refuses_to_start(machine: Machine, image: Any) -> None:
    done = subprocess.run(
        command(image, "CMD"),
        cwd="/",
        env=machine.environment(image.last.env),
        capture_output=True,
        text=True,
        check=False,
        timeout=WITHIN_S,
    )
    assert done.returncode == 2, done.stderr
    assert "without API keys" in done.stderr
    assert "YUYIN_KEYS_FILE" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("way", ["plain", "confined"])
def test_with_keys_it_serves_and_ends_when_told_to(
    way: str, machine: Machine, image: Any, tmp_path: Path
) -> None:
    key, digest = new_key()
    secret = machine.root / "keys.json"
    secret.write_text(json.dumps({"cutter": {"sha256": digest, "scopes": ["recommend", "catalogue"]}}))
    secret.chmod(0o644)
    prefix = confined(machine, image.last.all("USER")[-1]) if way == "confined" else []
    with started(machine, image, tmp_path, prefix, YUYIN_KEYS_FILE=str(secret)) as running:
        status = Path(f"/proc/{running.pid}/status").read_text()
        if way == "confined":
            fields = dict(line.split(":\t", 1) for line in status.splitlines())
            assert fields["Uid"].split() == [image.last.all("USER")[-1].split(":")[0]] * 4
            assert int(fields["CapEff"], 16) == int(fields["CapBnd"], 16) == 0
            assert fields["NoNewPrivs"] == "1"
            assert fields["NSpid"].split()[-1] == "1"
        assert answered(running.port, "/version") == 401
        assert answered(running.port, "/version", **{"X-API-Key": key}) == 200
        assert answered(running.port, "/readyz") == 503  # the store is empty
        assert health(machine, image, running.port) == 0
        os.kill(running.pid, signal.SIGTERM)
        began_s = time.monotonic()
        running.process.wait(15)
        assert time.monotonic() - began_s < 10
        assert health(machine, image, running.port) != 0
        assert key not in running.log.read_text()


def health(machine: Machine, image: Any, port: int) -> int:
    """The exit code of the image's HEALTHCHECK; a proxy that is set must not be asked."""
    variables = image.last.env | {"YUYIN_PORT": str(port), "http_proxy": "http://127.0.0.1:9"}
    environment = machine.environment(variables)
    asked = subprocess.run(
        command(image, "HEALTHCHECK"),
        cwd="/",
        env=environment,
        check=False,
        timeout=30,
        stderr=subprocess.DEVNULL,
    )
    return asked.returncode


def test_confined_it_decodes_embeds_and_searches(machine: Machine, image: Any) -> None:
    """The decoding child under a read-only file system, without capabilities: the doctor tries it all."""
    _, digest = new_key()
    keys = json.dumps({"cutter": {"sha256": digest, "scopes": ["recommend"]}})
    given = {"TMPDIR": str(machine.root / "tmp"), "YUYIN_KEYS": keys, "YUYIN_PORT": str(free_port())}
    done = subprocess.run(
        [*confined(machine, image.last.all("USER")[-1]), "yuyin", "doctor", "--json"],
        cwd="/",
        env=machine.environment(image.last.env | given),
        capture_output=True,
        text=True,
        check=False,
        timeout=WITHIN_S,
    )
    assert done.returncode == 1, done.stderr  # the store is empty, and nothing else is missing
    lines = json.loads(done.stdout)["checks"]
    state = {(line["group"], line["name"]): line for line in lines}
    assert [at for at, line in state.items() if line["status"] == "missing"] == [
        ("store", "snapshot"),
        ("training", "extra [train]"),
    ]
    for (group, _), line in state.items():
        assert group not in ("codecs", "runtime", "service") or line["status"] == "ok", line
    assert "read-only" not in state["machine", "room for the store"]["found"]
    assert "telemetry" not in done.stderr
