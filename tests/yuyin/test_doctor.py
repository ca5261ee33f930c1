"""`yuyin doctor` on sane and broken machines; every fault is a real one, thresholds are judged by numbers."""

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import tomllib
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from index_builder.build import BuildJob, build
from index_builder.lease import lease
from index_builder.snapshot import current
from model.artifact import content_id, read_manifest, sha256_of, write_json
from model.bundle import shipped_bundle
from model.media.encode import write_audio
from model.media.sandbox import Guards
from model.media.streams import VideoInfo, VideoStreams
from yuyin.doctor import machine, media, runtime, serving
from yuyin.doctor import store as stores
from yuyin.doctor.ceilings import Ceilings, ceilings
from yuyin.doctor.examine import GROUPS, OPTIONAL, examine
from yuyin.doctor.finding import Finding, Group, Line, overall

ROOT = Path(__file__).resolve().parents[2]
GB = 1_000_000_000


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("YUYIN_"):
            monkeypatch.delenv(name)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two tones, indexed with the shipped bundle; no test writes to it."""
    folder = tmp_path_factory.mktemp("doctor")
    (folder / "pool").mkdir()
    t = np.arange(22_050 * 16) / 22_050
    for pitch_hz in (220, 660):
        tone = (0.3 * np.sin(2 * np.pi * pitch_hz * t) * np.exp(-3 * (2 * t % 1))).astype(np.float32)
        write_audio(folder / "pool" / f"{pitch_hz}.wav", tone, 22_050, codec="wav")
    build(BuildJob(folder / "pool", folder / "store", shipped_bundle()), lambda _: None)
    return folder / "store"


@pytest.fixture
def store(built: Path, tmp_path: Path) -> Path:
    """The same, of this test's own."""
    shutil.copytree(built, tmp_path / "store")
    return tmp_path / "store"


def free_port() -> int:
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        return int(place.getsockname()[1])


def doctor(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """As a shell runs it, on a free port unless told otherwise; output is no terminal."""
    environment = os.environ | {"YUYIN_PORT": str(free_port())} | variables
    command = [sys.executable, "-m", "yuyin", "doctor", *words]
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=120
    )


def checks(done: subprocess.CompletedProcess[str]) -> dict[tuple[str, str], dict[str, str]]:
    assert "Traceback" not in done.stderr, done.stderr
    return {(each["group"], each["name"]): each for each in json.loads(done.stdout)["checks"]}


def tree(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(p): (p.lstat().st_size, p.lstat().st_mtime_ns) for p in folder.rglob("*")}


def flip_a_byte(store: Path) -> None:
    path = store / "snapshots" / str(current(store)) / "embeddings.npy"
    data = bytearray(path.read_bytes())
    data[-7] ^= 0x10
    path.write_bytes(data)


# The whole command


def test_a_sane_machine_can_serve_and_is_left_as_it_was(built: Path, tmp_path: Path) -> None:
    before = tree(built)
    done = doctor("--json", "--store", str(built), HOME=str(tmp_path), TMPDIR=str(tmp_path))
    assert tree(built) == before
    assert not tree(tmp_path)  # nothing temporary is left, and no library has made itself a home
    found = checks(done)
    report = json.loads(done.stdout)
    assert set(report) == {"status", "checks"}
    assert all(list(each) == ["group", "name", "status", "found", "fix"] for each in report["checks"])
    assert {each["status"] for each in report["checks"]} <= {"ok", "degraded", "missing"}
    assert all(each["found"] and bool(each["fix"]) == (each["status"] != "ok") for each in report["checks"])
    assert list(dict.fromkeys(group for group, _ in found)) == [each.name for each in GROUPS]
    for (group, _), each in found.items():
        assert group in ("machine", "service", "training") or each["status"] == "ok", each
    assert done.returncode == 0, found
    assert "2 tracks" in found["store", "snapshot"]["found"]
    assert "HEVC, VP9, AV1, ProRes" in found["codecs", "other cuts"]["found"]
    assert "CPUExecutionProvider" in found["runtime", "video tower"]["found"]


def test_a_flipped_byte_is_told_in_80_columns_of_words(store: Path) -> None:
    flip_a_byte(store)
    done = doctor("--store", str(store))
    assert done.returncode == 1
    assert done.stderr == ""
    assert "\x1b" not in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    words = " ".join(done.stdout.split())
    assert "missing snapshot" in words
    assert "embeddings.npydiffersfromitssnapshot.json" in words.replace(" ", "")  # paths are folded anywhere
    assert "fix: yuyin index build YOUR_MUSIC" in words
    assert words.endswith("missing: YuYin cannot serve from here yet: mend what is missing.")


def test_bad_variables_are_named_and_their_values_are_not(tmp_path: Path) -> None:
    secret = "{very secret"
    done = doctor("--json", "--store", str(tmp_path / "none"), YUYIN_KEYS=secret)
    found = checks(done)
    assert done.returncode == 1
    assert found["service", "settings"]["status"] == "missing"
    assert "YUYIN_KEYS" in found["service", "settings"]["found"]
    assert secret not in done.stdout
    assert ("service", "port") not in found  # nobody knows which one
    assert found["store", "snapshot"]["status"] == "missing"
    assert "yuyin demo" in found["store", "snapshot"]["fix"]
    assert found["machine", "memory"]["status"] in ("ok", "degraded")  # measured against the defaults


def test_lacking_packages_are_named_with_the_fix(built: Path, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "class Blocker:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] in ('faiss', 'onnxruntime', 'av'):\n"
        "            raise ModuleNotFoundError(f'No module named {name}', name=name)\n"
        "sys.meta_path.insert(0, Blocker())\n"
    )
    done = doctor("--json", "--store", str(built), PYTHONPATH=str(tmp_path))
    assert done.returncode == 1, done.stderr
    found = checks(done)
    for line, package in {
        ("runtime", "FAISS"): "faiss",
        ("runtime", "ONNX Runtime"): "onnxruntime",
        ("codecs", "FFmpeg"): "av",
    }.items():
        assert (found[line]["status"], found[line]["fix"]) == (
            "missing",
            "in the checkout: pip install -e '.[cpu]'",
        )
        assert f"No module named {package}" in found[line]["found"]
    assert not any("crashed" in each["found"] for each in found.values())
    assert found["machine", "Python"]["status"] == "ok"
    assert found["service", "settings"]["status"] == "ok"

    other = [sys.executable, "-m", "yuyin", "index", "list"]
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    refused = subprocess.run(
        other, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert refused.returncode == 2
    assert "Traceback" not in refused.stderr
    assert "yuyin doctor" in refused.stderr


def test_bad_input_is_exit_code_2(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert doctor("--store", str(tmp_path / "file")).returncode == 2
    assert doctor("--fast").returncode == 2


# One process for each group


def runtime_lines(folder: Path, limit_s: float) -> dict[str, Line]:
    impatient = tuple(replace(check, limit_s=limit_s) for check in runtime.GROUP.checks)
    lines = examine(folder, lambda _: None, (Group("runtime", impatient),))
    return {line.name: line for line in lines}


def test_a_check_that_crashes_its_process_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "onnxruntime.py").write_text("import os\nos.kill(os.getpid(), 4)\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    found = runtime_lines(tmp_path, 30)
    assert found["ONNX Runtime"].status == found["video tower"].status == "missing"
    assert "SIGILL" in found["ONNX Runtime"].found
    assert found["FAISS"].status == "ok"


def test_a_check_that_hangs_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "faiss.py").write_text("import time\ntime.sleep(1000)\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    hasty = {"FAISS": 1.0, "search on a GPU": 1.0}
    several = tuple(replace(each, limit_s=hasty.get(each.name, 60)) for each in runtime.GROUP.checks)
    began_s = time.monotonic()
    lines = list(examine(tmp_path, lambda _: None, (Group("runtime", several),)))
    assert time.monotonic() - began_s < 60
    assert [line.status for line in lines] == ["ok", "ok", "missing", "missing"]
    assert {line.found for line in lines[2:]} == {"no answer in 1 s"}
    assert "YUYIN_ACCELERATOR=cpu" in lines[-1].fix  # the server would be held too


def test_a_check_that_raises_is_one_line(
    built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "faiss.py").write_text("raise OSError(28, 'No space left on device')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    line = runtime_lines(built, 30)["FAISS"]
    assert (line.status, line.found) == ("missing", "OSError: [Errno 28] No space left on device")
    assert "free some space" in line.fix


def test_only_what_serving_needs_decides() -> None:
    def line(group: str, status: Any) -> Line:
        return Line(group, "x", status, "", "")

    assert {"training"} == OPTIONAL
    assert overall([], OPTIONAL) == "ok"
    assert overall([line("store", "ok"), line("training", "missing")], OPTIONAL) == "ok"
    assert overall([line("store", "degraded"), line("codecs", "ok")], OPTIONAL) == "degraded"
    assert overall([line("store", "degraded"), line("codecs", "missing")], OPTIONAL) == "missing"


# The machine, by numbers


def test_pythons_are_those_of_the_package() -> None:
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    (_, first), (_, last) = machine.PYTHONS
    assert wanted == f">=3.{first},<3.{last + 1}"
    assert machine.judge_python((3, first - 1), "").status == "missing"
    assert machine.judge_python((3, first), "").status == machine.judge_python((3, last), "").status == "ok"
    assert machine.judge_python((3, last + 1), "").status == "degraded"


@pytest.mark.parametrize(
    ("finding", "status", "said"),
    [
        (machine.judge_cores(2, 2, 4), "ok", "2 of 2"),
        (machine.judge_cores(1.5, 64, 4), "ok", "1.5 of 64"),
        (machine.judge_cores(1.5, 64, 128), "degraded", "YUYIN_IN_FLIGHT=4"),
        (machine.judge_cores(0.5, 2, 3), "degraded", "YUYIN_IN_FLIGHT=2"),
        (machine.judge_memory(8 * GB, None, 2 * GB, 4), "ok", "3 videos"),
        (machine.judge_memory(8 * GB, 9 * GB, 2 * GB, 4), "ok", "available"),
        (machine.judge_memory(8 * GB, 2_500_000_000, 2 * GB, 4), "ok", "control group"),
        (machine.judge_memory(8 * GB, 2_499_999_999, 2 * GB, 4), "degraded", "=1999999999"),
        (machine.judge_memory(500_000_000, None, 2 * GB, 4), "degraded", "0 videos"),
        (machine.judge_memory(499_999_999, None, 2 * GB, 4), "missing", "2.5 GB"),
        (machine.judge_open_files(-1), "ok", "no limit"),
        (machine.judge_open_files(1024), "ok", "1,024"),
        (machine.judge_open_files(1023), "degraded", "ulimit -n 1024"),
        (machine.judge_open_files(127), "missing", "only 127"),
        (machine.judge_uploads("/tmp", 800_000_000, 200_000_000, 4), "ok", "4 uploads of 200.0 MB"),
        (machine.judge_uploads("/tmp", 799_999_999, 200_000_000, 4), "degraded", "free 800.0 MB"),
        (machine.judge_uploads("/tmp", 199_999_999, 200_000_000, 4), "missing", "0 uploads"),
        (machine.judge_store_disk(Path("/s"), GB, True), "ok", "1.0 GB free in /s"),
        (machine.judge_store_disk(Path("/s"), GB - 1, True), "degraded", "index gc"),
        (machine.judge_store_disk(Path("/s"), GB, False), "degraded", "read-only"),
    ],
)
def test_thresholds(finding: Finding, status: str, said: str) -> None:
    assert finding.status == status
    assert said in f"{finding.found} {finding.fix}"
    assert bool(finding.fix) == (status != "ok")


def test_ceilings_of_both_versions_of_control_groups(tmp_path: Path) -> None:
    def write(name: str, text: str) -> None:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    assert ceilings("0::/user/shell\n", tmp_path) == Ceilings(None, None)
    write("user/shell/memory.max", "max\n")
    write("user/shell/cpu.max", "max 100000\n")
    assert ceilings("0::/user/shell\n", tmp_path) == Ceilings(None, None)
    write("user/memory.max", "3000000000\n")  # of the parent: it counts too
    write("user/shell/cpu.max", "150000 100000\n")
    assert ceilings("0::/user/shell\n", tmp_path) == Ceilings(3 * GB, 1.5)
    # a container: the host's path is not to be seen, its own group is the root
    write("memory.max", "1000000000\n")
    assert ceilings("0::/docker/0123\n", tmp_path) == Ceilings(GB, None)

    old = "4:memory:/docker/0123\n3:cpu,cpuacct:/docker/0123\n0::/\n"
    write("v1/memory/memory.limit_in_bytes", "9223372036854771712\n")
    write("v1/cpu,cpuacct/cpu.cfs_quota_us", "-1\n")
    write("v1/cpu,cpuacct/cpu.cfs_period_us", "100000\n")
    assert ceilings(old, tmp_path / "v1") == Ceilings(None, None)
    write("v1/memory/docker/0123/memory.limit_in_bytes", "2000000000\n")
    write("v1/cpu,cpuacct/docker/0123/cpu.cfs_quota_us", "50000\n")
    write("v1/cpu,cpuacct/docker/0123/cpu.cfs_period_us", "100000\n")
    assert ceilings(old, tmp_path / "v1") == Ceilings(2 * GB, 0.5)


# What came back from a codec, a tower, a search


def streams(levels: "np.ndarray[Any, Any]") -> VideoStreams:
    motion = np.repeat(levels.astype(np.uint8), 16).reshape(-1, 4, 4)
    info = VideoInfo(0.48, 64, 64, 25.0, 0, "h264")
    nothing = np.zeros((0, 4, 4, 3), np.uint8)
    return VideoStreams(nothing, np.zeros(0), motion, np.arange(len(motion)) / 25, 0.0, 0.48, info)


def test_changed_pictures_and_tones_are_noticed() -> None:
    levels = media.greys()
    assert media.picture_fault(streams(levels)) == ""
    assert media.picture_fault(streams(levels + 5)) == ""
    assert "11 of 12" in media.picture_fault(streams(levels[:-1]))
    assert "off by" in media.picture_fault(streams(levels[::-1]))
    assert media.picture_fault(streams(np.zeros(0))) != ""
    t = np.arange(24_000) / 48_000
    assert media.sound_fault(np.sin(2 * np.pi * 440 * t).astype(np.float32)) == ""
    assert "466" in media.sound_fault(np.sin(2 * np.pi * 466 * t).astype(np.float32))
    assert media.sound_fault(np.zeros(0, np.float32)) != ""


def test_a_codec_that_is_not_read_is_named() -> None:
    assert media.judge_codecs({"A": "", "B": ""}, []) == Finding("ok", "A, B read")
    found = media.judge_codecs({"A": "", "B": "no decoder"}, ["C"])
    assert (found.status, found.found) == ("degraded", "A read; C not tried, no encoder; B: no decoder")
    assert media.judge_codecs({"A": "x"}, []).found == "none read; A: x"


def test_what_keeps_a_decoder_in_is_judged() -> None:
    whole = media.judge_guards(Guards(True, False, ()), required=True)
    assert (whole.status, whole.fix) == ("ok", "")
    assert "system calls filtered" in whole.found
    assert "no network" not in whole.found
    assert "no network" in media.judge_guards(Guards(True, True, ()), required=True).found
    without = Guards(False, False, ("start a process",))
    assert media.judge_guards(without, required=True).status == "missing"
    found = media.judge_guards(without, required=False)
    assert found.status == "degraded"
    assert "could still start a process" in found.found
    assert "seccomp" in found.fix
    assert media.judge_guards(Guards(True, True, ("open a file",)), required=False).status == "degraded"


def test_the_sandbox_of_this_machine_holds(tmp_path: Path) -> None:
    """Fails where a container forbids seccomp: then uploads should not be decoded there."""
    assert media.sandbox(tmp_path).status == "ok"


def test_the_wrong_build_for_a_card_is_degraded() -> None:
    cpu, cuda = ["CPUExecutionProvider"], ["CUDAExecutionProvider", "CPUExecutionProvider"]
    assert runtime.judge_providers("1", cpu, []).status == "ok"
    assert runtime.judge_providers("1", cuda, ["nvidia0"]).status == "ok"
    wrong = runtime.judge_providers("1", cpu, ["nvidia0"])
    assert wrong.status == "degraded"
    assert "pip install -e '.[cuda]'" in wrong.fix
    assert runtime.judge_twins({"onnxruntime", "faiss-gpu"}) is None
    both = runtime.judge_twins({"onnxruntime", "onnxruntime-gpu", "faiss-cpu"})
    assert both is not None
    assert "pip uninstall -y onnxruntime onnxruntime-gpu" in both.fix


def test_a_tower_that_gives_no_vectors_is_missing() -> None:
    unit = np.eye(3, dtype=np.float32)
    right = unit[[0, 0, 1]]
    assert runtime.judge_tower("X", right).status == "ok"
    assert runtime.judge_tower("X", right * 2).status == "missing"  # no unit length
    assert runtime.judge_tower("X", unit).status == "missing"  # not the same twice
    assert runtime.judge_tower("X", unit[[0, 0, 0]]).status == "missing"  # one for all
    assert runtime.judge_tower("X", right * np.float32(np.nan)).status == "missing"
    assert runtime.judge_search("1", False, 0).status == "missing"
    assert runtime.judge_search("1", True, 2) == Finding("ok", "FAISS 1 finds what numpy finds, 2 GPU seen")


def test_a_gpu_that_is_not_used_or_is_wrong_is_told() -> None:
    assert runtime.judge_networks("prefer", True, "cuda", 1e-3).status == "ok"
    assert runtime.judge_networks("prefer", True, "cpu", 0.0).status == "degraded"
    unused = runtime.judge_networks("require", True, "cpu", 0.0)
    assert (unused.status, "driver" in unused.fix) == ("missing", True)
    assert "pip install -e '.[cuda]'" in runtime.judge_networks("require", False, "cpu", 0.0).fix
    assert runtime.judge_networks("prefer", True, "cuda", 0.1).status == "missing"
    assert runtime.judge_networks("prefer", True, "cuda", float("nan")).status == "missing"
    assert runtime.judge_search_on_gpu("require", "cuda:1").found == (
        "FAISS finds on cuda:1 what it finds on the CPU"
    )
    assert runtime.judge_search_on_gpu("require", "cpu", "no GPU").status == "missing"
    refused = runtime.judge_search_on_gpu("prefer", "cpu", "no GPU")
    assert (refused.status, refused.found, bool(refused.fix)) == ("degraded", "no GPU", True)


def test_a_gpu_is_asked_about_where_one_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the libraries that are here; those for the CPU are no fault unless a GPU is required."""
    checks = (runtime.networks_on_gpu, runtime.search_on_gpu)
    monkeypatch.setenv("YUYIN_ACCELERATOR", "cpu")
    assert [check(tmp_path) for check in checks] == [None, None]
    monkeypatch.setenv("YUYIN_ACCELERATOR", "require")
    for check in checks:
        found = check(tmp_path)
        assert found is not None
        if found.status == "ok":
            continue  # there is a GPU here
        assert found.status == "missing"
        assert "GPU" in found.found
        assert found.fix in (runtime.CUDA, runtime.GPU)
    monkeypatch.setenv("YUYIN_ACCELERATOR", "prefer")
    preferred = {found.status for found in (check(tmp_path) for check in checks) if found is not None}
    assert preferred <= {"ok", "degraded"}


def test_training_may_lack() -> None:
    whole = dict.fromkeys(runtime.TRAINING, "1.0")
    assert runtime.judge_training(whole).status == "ok"
    lacking = runtime.judge_training(whole | {"torch": None})
    assert (lacking.status, lacking.fix) == ("missing", "in the checkout: pip install -e '.[cpu,train]'")
    assert "torch" in lacking.found
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["train"]
    assert sorted(runtime.TRAINING) == sorted(each.split(">")[0] for each in listed)


# Settings and the port


@pytest.mark.parametrize(
    ("name", "value", "status", "said"),
    [
        ("YUYIN_PORT", "8123", "ok", "1 YUYIN_* variables"),
        ("YUYIN_KEY", "yuyin_x", "ok", "defaults"),
        ("YUYIN_LIMITS__MAX_BYTES", "5", "ok", "1 YUYIN_* variables"),
        ("YUYIN_PORT", "http", "missing", "YUYIN_PORT: "),
        ("YUYIN_LIMITS__MAX_BYTES", "-1", "missing", "YUYIN_LIMITS__MAX_BYTES: "),
        ("YUYIN_LIMITS__MAX_BITES", "1", "missing", "YUYIN_LIMITS__MAX_BITES: "),
        ("YUYIN_POOLS", "[", "missing", "YUYIN_POOLS: "),
        ("YUYIN_DEFAULT_POOL", "house", "missing", "default_pool"),
        ("YUYIN_PROT", "8001", "degraded", "YUYIN_PROT may mean YUYIN_PORT"),
        ("YUYIN_XYZZYQ", "1", "degraded", "remove YUYIN_XYZZYQ"),
    ],
)
def test_variables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, status: str, said: str
) -> None:
    monkeypatch.setenv(name, value)
    found = serving.variables(tmp_path)
    assert found.status == status
    assert said in f"{found.found} {found.fix}"


def test_keys_as_the_server_wants_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def status() -> tuple[str, str]:
        found = serving.keys(tmp_path)
        assert found is not None
        return found.status, found.found

    assert status()[0] == "ok"
    assert "this machine only" in status()[1]
    monkeypatch.setenv("YUYIN_HOST", "0.0.0.0")
    assert status()[0] == "missing"
    assert "refuses to start" in status()[1]
    monkeypatch.setenv("YUYIN_KEYS", json.dumps({"cutter": {"sha256": "0" * 64}}))
    assert status() == ("ok", "1 configured: cutter")
    monkeypatch.setenv("YUYIN_KEYS_FILE", str(tmp_path / "none.json"))
    assert status()[0] == "missing"
    assert "YUYIN_KEYS_FILE" in status()[1]


def test_a_pool_that_is_not_mounted_is_degraded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert serving.pools(tmp_path) is None
    monkeypatch.setenv("YUYIN_POOLS", json.dumps({"house": str(tmp_path)}))
    assert serving.pools(tmp_path) == Finding("ok", "house")
    monkeypatch.setenv("YUYIN_POOLS", json.dumps({"house": str(tmp_path), "new": str(tmp_path / "none")}))
    found = serving.pools(tmp_path)
    assert found is not None
    assert (found.status, "house" in found.found, "none" in found.found) == ("degraded", False, True)


def port_line(monkeypatch: pytest.MonkeyPatch, **variables: object) -> Finding:
    for name, value in variables.items():
        monkeypatch.setenv(f"YUYIN_{name}", str(value))
    found = serving.port(Path("store"))
    assert found is not None
    return found


def test_a_free_port(monkeypatch: pytest.MonkeyPatch) -> None:
    number = free_port()
    assert port_line(monkeypatch, PORT=number) == Finding("ok", f"127.0.0.1, port {number} is free")
    assert port_line(monkeypatch, PORT=number, HOST="localhost").status == "ok"
    assert port_line(monkeypatch, PORT=0, HOST="0.0.0.0") == Finding("ok", "0.0.0.0, takes a free port")


def test_an_address_that_is_not_ours_or_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    foreign = port_line(monkeypatch, HOST="192.0.2.1")  # TEST-NET-1, nobody's
    assert (foreign.status, "192.0.2.1 is no address of this machine" in foreign.found) == ("missing", True)
    assert port_line(monkeypatch, HOST="cuts.example").status == "degraded"


class Elsewhere(BaseHTTPRequestHandler):
    """A web server that is not ours."""

    def do_GET(self) -> None:  # the name that http.server asks for
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"status": "ok"}')

    def log_message(self, *_: object) -> None:
        pass


def test_a_port_that_another_program_has(monkeypatch: pytest.MonkeyPatch) -> None:
    with HTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            for host in ("127.0.0.1", "0.0.0.0"):
                found = port_line(monkeypatch, PORT=server.server_port, HOST=host)
                assert found.status == "missing"
                assert "another program" in found.found
                assert "YUYIN_PORT" in found.fix
        finally:
            server.shutdown()
            thread.join()


def test_a_port_whose_holder_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "ANSWER_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        found = port_line(monkeypatch, PORT=silent.getsockname()[1])
    assert (found.status, "another program" in found.found) == ("missing", True)


@contextmanager
def served(store: Path) -> Iterator[int]:
    number = free_port()
    command = [sys.executable, "-m", "yuyin", "serve", "--store", str(store), "--port", str(number)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until_s = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{number}/livez", timeout=5).close()
                break
            except OSError:
                assert time.monotonic() < until_s
                assert process.poll() is None
                time.sleep(0.1)
        yield number
    finally:
        process.terminate()
        process.wait(30)


def test_a_port_where_yuyin_serves(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with served(built) as number:
        found = port_line(monkeypatch, PORT=number)
        assert found.status == "ok"
        assert "YuYin is serving here" in found.found
        assert str(current(built)) in found.found
    (tmp_path / "empty").mkdir()
    with served(tmp_path / "empty") as number:
        found = port_line(monkeypatch, PORT=number)
        assert found.status == "degraded"
        assert "yuyin index build" in found.found


# The store


def of(finding: Finding | None) -> Finding:
    assert finding is not None
    return finding


def test_an_absent_an_empty_and_a_dangling_store(tmp_path: Path, store: Path) -> None:
    for folder in (tmp_path / "none", tmp_path):
        found = stores.snapshot(folder)
        assert found.status == "missing"
        assert "yuyin demo" in found.fix
        assert "yuyin index build" in found.fix
        assert stores.previews(folder) is None
    assert stores.contents(tmp_path / "none") is None
    assert of(stores.lease(tmp_path)).status == "ok"
    (store / "CURRENT").write_text("0123456789abcdef\n")
    found = stores.snapshot(store)
    assert (found.status, "0123456789abcdef" in found.found) == ("missing", True)
    (other,) = [path.name for path in (store / "snapshots").iterdir()]
    assert found.fix.startswith(f"yuyin index activate {other}")


def test_a_bundle_that_was_changed_is_missing(store: Path) -> None:
    (tower,) = store.glob("bundles/*/video_tower.onnx")
    tower.write_bytes(tower.read_bytes() + b"\0")
    found = stores.snapshot(store)
    assert found.status == "missing"
    assert "video_tower.onnx" in found.found


def test_a_snapshot_that_did_not_pass_its_gate_is_degraded(store: Path) -> None:
    """It is whole and would be served; `activate` refuses such a one, so somebody wrote CURRENT by hand."""
    folder = store / "snapshots" / str(current(store))
    gate = json.loads((folder / "gate.json").read_text())
    gate["checks"][0]["passed"] = False
    write_json(folder / "gate.json", gate)
    manifest = read_manifest(folder, "snapshot.json", verify=False)
    manifest["files"]["gate.json"] = sha256_of(folder / "gate.json")
    write_json(folder / "snapshot.json", manifest)
    folder.rename(folder.with_name(content_id(manifest)))
    (store / "CURRENT").write_text(content_id(manifest))
    found = stores.snapshot(store)
    assert found.status == "degraded"
    assert gate["checks"][0]["name"] in found.found


def test_previews_that_are_gone_are_counted(store: Path) -> None:
    assert of(stores.previews(store)) == Finding("ok", "there for 2 files")
    next(store.glob("media/*/peaks.json")).unlink()
    found = of(stores.previews(store))
    assert (found.status, found.found.startswith("1 of 2 files")) == ("degraded", True)


def test_leftovers_are_those_of_nobody_that_still_builds(store: Path) -> None:
    assert of(stores.leftovers(store)) == Finding("ok", "none")
    (store / "media" / ".part-0123").mkdir()
    (store / ".part-CURRENT-0").write_text("")
    found = of(stores.leftovers(store))
    assert (found.status, found.found) == ("degraded", "2 unfinished files or folders")
    assert "index gc" in found.fix
    with lease(store):
        assert of(stores.leftovers(store)).status == "ok"
        assert of(stores.lease(store)) == Finding("ok", f"process {os.getpid()} is building")
    assert "nobody" in of(stores.lease(store)).found


def test_contents_are_counted_like_du(store: Path) -> None:
    (store / "snapshots" / "fedcba9876543210").mkdir()
    found = of(stores.contents(store))
    assert found.status == "degraded"
    assert "1 snapshots cannot be read; snapshots: 1" in found.found
    media_bytes = sum(path.stat().st_size for path in (store / "media").rglob("*") if path.is_file())
    assert f"media {media_bytes / 1000:,.1f} kB" in found.found
