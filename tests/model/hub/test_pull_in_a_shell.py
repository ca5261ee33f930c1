"""`yuyin models pull paper` as a shell runs it: the environment, kills, a full disk, the whole way."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from model.backbones.catalogue import BACKBONES, INCEPTION
from model.backbones.folder import Backbone
from model.hub.verify import verify_models

pytest.importorskip("huggingface_hub")

OURS = ("HF_", "HUGGING", "YUYIN_", "XDG_", "HTTP", "NO_PROXY", "http", "no_proxy", "ALL_PROXY", "all_proxy")


WITHIN_S = 120  # on a machine that is busy with something else


@contextmanager
def started(
    models: Path, hub: Any, *words: str, before: Callable[[], None] | None = None, **more: str
) -> Iterator[subprocess.Popen[str]]:
    """The command, in a home of its own; gone when the test is."""
    home = models.parent / "home"
    home.mkdir(exist_ok=True)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    with subprocess.Popen(
        [sys.executable, "-m", "yuyin", "models", "pull", "paper", *words],
        env=kept | {"HOME": str(home), "YUYIN_MODELS": str(models), "HF_ENDPOINT": hub.url} | more,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=before,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def run(models: Path, hub: Any, *words: str, within_s: float = WITHIN_S, **more: Any) -> tuple[int, str, str]:
    with started(models, hub, *words, **more) as process:
        out, err = process.communicate(timeout=within_s)
    assert "Traceback" not in err
    return process.returncode, out, err


def test_from_nothing_to_pinned_files_and_nothing_elsewhere(models: Path, fake_hub: Any) -> None:
    code, out, err = run(models, fake_hub, "--no-export", HF_TOKEN="good")
    assert code == 0, err
    for spec in BACKBONES.values():
        assert f"{spec.name}: {spec.source.licence}; {spec.source.about}" in out
        assert f"{spec.name}/model.safetensors" in err, "its bar"
    assert "next: yuyin models export NAME" in out
    assert list((models.parent / "home").rglob("*")) == [], "nothing is left in ~/.cache"
    assert not fake_hub.asked("agent-harnesses")
    assert {headers.get("authorization") for headers in fake_hub.asked("/api/models")} == {"Bearer good"}
    fake_hub.close()
    code, out, _ = run(models, fake_hub, "--no-export", "--json", HF_HUB_OFFLINE="1")
    assert code == 0, "what is here needs no network"
    assert [each["fresh"] for each in json.loads(out)] == [False] * 3


def test_offline_means_offline(models: Path, fake_hub: Any) -> None:
    code, _, err = run(models, fake_hub, HF_HUB_OFFLINE="1")
    assert code == 2
    assert "HF_HUB_OFFLINE" in err
    assert err.count("\n") == 1
    assert fake_hub.log == []


def test_a_kill_in_the_middle_costs_nothing_but_time(models: Path, fake_hub: Any) -> None:
    fake_hub.cuts = {"model.safetensors": [50_000]}
    fake_hub.held.set()
    part, until = None, time.monotonic() + WITHIN_S
    with started(models, fake_hub, "--no-export") as process:
        while part is None or part.stat().st_size < 50_000:
            assert process.poll() is None
            assert time.monotonic() < until
            part = next((models / "sources").glob("*/.part-*/model.safetensors"), None)
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    fake_hub.release.set()
    assert [path.name[:6] for path in (models / "sources").glob("*/*")] == [".part-"]
    fake_hub.log.clear()
    code, _, err = run(models, fake_hub, "--no-export")
    assert code == 0, err
    assert [headers.get("range") for headers in fake_hub.asked("/cdn/")] == ["bytes=50000-", None, None]


def test_a_disk_that_fills_up_is_one_sentence(models: Path, fake_hub: Any) -> None:
    def small() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))

    code, _, err = run(models, fake_hub, "--no-export", before=small)
    assert code == 2
    last = err.strip().splitlines()[-1]
    assert last.startswith("error: no space is left for model.safetensors")
    assert "goes on from what is there" in last
    part = next((models / "sources").glob(f"{INCEPTION.name}/.part-*/model.safetensors"))
    assert part.stat().st_size == 60_000
    fake_hub.log.clear()
    assert run(models, fake_hub, "--no-export")[0] == 0
    assert fake_hub.asked("/cdn/")[0]["range"] == "bytes=60000-"


def test_without_the_train_extra_the_download_stands(models: Path, fake_hub: Any, tmp_path: Path) -> None:
    absent = tmp_path / "absent"
    absent.mkdir()
    (absent / "torch.py").write_text("raise ModuleNotFoundError(\"No module named 'torch'\", name='torch')")
    code, out, err = run(models, fake_hub, PYTHONPATH=str(absent))
    assert code == 0, err
    assert "No module named 'torch'" in err
    assert "pip install" in err
    assert "3 networks pulled, 0 ready" in out


def test_licences_are_said_whatever_becomes_of_the_export(models: Path, fake_hub: Any) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("safetensors")
    code, out, err = run(models, fake_hub)
    assert code == 2
    assert "this checkpoint is not one of" in err, "that of a test is of one number"
    for spec in BACKBONES.values():
        assert f"{spec.name}: {spec.source.licence}; {spec.source.about}" in out


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_from_nothing_to_networks_that_run(models: Path, fake_hub: Any, tmp_path: Path) -> None:
    """Of the real architectures and sizes, with random weights, since no others are to be had in a test."""
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    from model.backbones.untrained import write_untrained

    for spec in BACKBONES.values():
        folder = write_untrained(tmp_path / spec.name, spec.name)
        repo = fake_hub.repos[spec.source.repo]
        files = {name: (folder / name).read_bytes() for name in spec.source.files if (folder / name).exists()}
        repo.commits[repo.refs["main"]] |= files
        shutil.rmtree(folder)
    code, out, err = run(models, fake_hub, within_s=800)
    assert code == 0, err
    assert "3 networks pulled, 3 ready" in out
    assert "next: yuyin features extract DATASET --profile paper" in out
    code, again, err = run(models, fake_hub, "--json", within_s=800)
    assert code == 0, err
    ids = {each["name"]: each["id"] for each in json.loads(again)}
    for spec in BACKBONES.values():
        backbone = Backbone.open(models, spec.name, "fp32")
        assert ids[spec.name] == backbone.id
        assert backbone.manifest["source"]["repo"] == spec.source.repo
    assert all(line.state == "whole" for line in verify_models(models, list(BACKBONES)))
    shutil.rmtree(models)  # pytest would keep 2 GB


def test_without_huggingface_hub_the_way_out_is_named(models: Path, fake_hub: Any, tmp_path: Path) -> None:
    absent = tmp_path / "absent"
    absent.mkdir()
    (absent / "huggingface_hub.py").write_text("raise ModuleNotFoundError(name='huggingface_hub')")
    code, _, err = run(models, fake_hub, PYTHONPATH=str(absent))
    assert code == 2
    assert "pip install 'yuyin[paper]'" in err
    assert "yuyin models import" in err


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HF_ENDPOINT", "http://["),
        ("HF_ENDPOINT", "nonsense"),
        ("HF_ENDPOINT", "http://name.invalid"),
        ("HTTP_PROXY", "http://["),
        ("HTTP_PROXY", "nonsense://x"),
        ("HTTP_PROXY", "http://127.0.0.1:9"),
        ("SSL_CERT_FILE", "/nowhere/ca.pem"),
    ],
)
def test_an_address_that_is_none_is_one_sentence(models: Path, fake_hub: Any, name: str, value: str) -> None:
    code, _, err = run(models, fake_hub, NO_PROXY="", **{"HF_ENDPOINT": "http://hub.invalid", name: value})
    assert code == 2
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert ("prox" if name == "HTTP_PROXY" else name) in err
