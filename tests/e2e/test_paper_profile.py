"""The paper's frozen networks, untrained but of full size, from a data set to `/recommend`.

What it proves is that everything fits together and that what does not fit is refused; what its numbers mean
is nothing, since the networks never learnt anything.
"""

import json
import os
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import wavfile

from index_builder.embed import TrackTask, TrackVectors, embed_track
from index_builder.search import rank
from index_builder.snapshot import Snapshot, current
from model.backbones.catalogue import AST, BERT, INCEPTION
from model.backbones.loaded import Backbones
from model.bundle import Bundle, shipped_cuts
from model.datasets.table import Dataset, write_pairs
from model.features.paper import RECIPE
from model.features.pixels import pixels
from model.features.sequence import Sequence
from model.media.audio import read_audio
from model.media.streams import VideoLimits
from model.media.video import read_video
from model.runtime.graph_network import GraphNetwork

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]

for needed in ("torch", "transformers", "safetensors", "tokenizers", "opensmile"):
    pytest.importorskip(needed)

PAIRS = 14  # two of them for evaluation
TRACKS = 2  # indexed, whole
RATE_HZ = 22_050


def run(*words: object, code: int = 0) -> str:
    """What a command says, with the exit code that it is expected to have."""
    command = [sys.executable, "-m", "yuyin", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=1200)
    assert done.returncode == code, done.stderr
    return done.stdout if code == 0 else " ".join(done.stderr.split())


@dataclass(frozen=True)
class Paper:
    """What is made once: networks, a data set, and what was trained, exported and indexed with them."""

    folder: Path

    def __getattr__(self, name: str) -> Path:
        return self.folder / name


def keep_what_lies_under_the_picture(folder: Path) -> None:
    """Cut every track to its clip: three windows of AST instead of twenty, each a second and a half."""
    dataset = Dataset.open(folder)
    pairs = dict(dataset.pairs)
    for i, clip in enumerate(pairs["pair_id"]):
        where = {"start_s": float(pairs["start_s"][i]), "duration_s": float(pairs["length_s"][i])}
        samples = read_audio(folder / str(pairs["music_path"][i]), RATE_HZ, **where)
        wavfile.write(folder / f"{clip}.wav", RATE_HZ, samples)
    pairs["music_path"] = np.array([f"{clip}.wav" for clip in pairs["pair_id"]])
    write_pairs(folder, pairs | {"start_s": np.zeros(len(dataset))})


@pytest.fixture(scope="module")
def paper(tmp_path_factory: pytest.TempPathFactory) -> Paper:
    from model.backbones.export import export_backbone
    from model.backbones.untrained import write_untrained

    made = Paper(tmp_path_factory.mktemp("paper"))
    for spec in (INCEPTION, AST, BERT):
        source = write_untrained(made.folder / "sources" / spec.name, spec.name, seed=1)
        export_backbone(made.models, spec.name, source)
    run("dataset", "synth", "--pairs", PAIRS, "--seed", 5, "-o", made.data)
    made.pool.mkdir()
    for track in sorted((made.data / "tracks").iterdir())[:TRACKS]:
        shutil.copy(track, made.pool)
    keep_what_lies_under_the_picture(made.data)
    extract = ("features", "extract", made.data, "--profile", "paper", "--models", made.models)
    run(*extract, "--accelerator", "cpu")
    run("train", made.data, "--set", "batch_size=4", "--set", "epochs=2", "-o", made.run)
    run("export", made.run, "-o", made.bundle)
    for spec, part in ((INCEPTION, made.seen), (AST, made.heard)):  # serving and indexing need one each
        shutil.copytree(made.models / spec.name, part / spec.name)
    run("index", "build", made.pool, "--bundle", made.bundle, "--store", made.store, "--models", made.heard)
    return made


@pytest.fixture(scope="module")
def address(paper: Paper, serving: Callable[..., Any]) -> Iterator[str]:
    asked = {"YUYIN_STORE": paper.store, "YUYIN_MODELS": paper.seen, "YUYIN_PORT": 0}
    environment = os.environ | {name: str(value) for name, value in asked.items()}
    with serving([sys.executable, "-m", "yuyin", "serve"], paper.log, env=environment) as address:
        yield address


def ask(url: str, body: bytes | None = None) -> dict[str, Any]:
    request = urllib.request.Request(url, body, {"Content-Type": "application/octet-stream"})
    with urllib.request.urlopen(request, timeout=300) as response:
        answer: dict[str, Any] = json.load(response)
    return answer


def test_the_bundle_says_which_networks_it_was_trained_with(paper: Paper) -> None:
    bundle = Bundle.open(paper.bundle)
    assert (bundle.profile, bundle.precision) == ("paper", "fp32")
    for name, spec in (("frames", INCEPTION), ("audio", AST), ("text", BERT)):
        installed = json.loads((paper.models / spec.name / "fp32" / "backbone.json").read_text())
        assert bundle.recipe["extractors"][name] == f"{spec.name}@{spec.version}.{installed['id'][:8]}"


def test_the_server_ranks_as_torch_would(paper: Paper, address: str) -> None:
    """torch's own Inception on the same frames, the same tower and an exact search."""
    import torch

    from model.backbones.checkpoint import read_tensors
    from model.backbones.inception import load_inception

    assert ask(f"{address}/readyz")["devices"] == {"frames": "cpu", "search": "cpu"}
    cut = sorted(shipped_cuts().glob("*.mp4"))[0]
    answer = ask(f"{address}/recommend", cut.read_bytes())
    video = read_video(cut, RECIPE, VideoLimits())
    network = load_inception(read_tensors(paper.sources / INCEPTION.name))
    with torch.inference_mode():
        rows = network(torch.from_numpy(pixels(video.frames))).numpy()
    bundle = Bundle.open(paper.bundle)
    query = bundle.embed_video({"frames": Sequence(rows, video.frame_times_s)})
    snapshot = Snapshot.open(paper.store, str(current(paper.store)))
    expected = rank(snapshot, query, video.end_s - video.start_s, top_k=10)
    assert answer["bundle"] == bundle.id
    tracks = [snapshot.catalogue.facts(each.track)["track_id"] for each in expected]
    assert [each["track_id"] for each in answer["results"]] == tracks
    assert len(tracks) == TRACKS
    found = [each["cosine"] for each in answer["results"]]
    np.testing.assert_allclose(found, [each.score for each in expected], atol=1e-4)
    assert ask(f"{address}/recommend", cut.read_bytes())["results"] == answer["results"]


def test_indexing_costs_one_pass_of_ast_a_grid_step(
    paper: Paper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes, call = [], GraphNetwork.__call__
    monkeypatch.setattr(GraphNetwork, "__call__", lambda self, x: (passes.append(len(x)), call(self, x))[1])
    track = sorted(paper.pool.iterdir())[0]
    task = TrackTask(
        track, track.name, "ab" * 32, paper.bundle, Backbones(paper.heard), tmp_path / "store", stored={}
    )
    found = embed_track(task)
    assert isinstance(found, TrackVectors)
    assert len(found.segments_s) < sum(passes) + 3
    assert sum(passes) == len(found.computed["audio"].times_s) <= found.facts.duration_s / 5 + 1
    passes.clear()
    again = embed_track(replace(task, stored=found.computed))
    assert isinstance(again, TrackVectors)
    np.testing.assert_array_equal(again.embeddings, found.embeddings)
    assert passes == []


def test_an_index_refuses_a_network_that_is_missing_or_another(paper: Paper, tmp_path: Path) -> None:
    build = (
        "index",
        "build",
        paper.pool,
        "--bundle",
        paper.bundle,
        "--store",
        tmp_path / "store",
        "--models",
    )
    said = run(*build, tmp_path / "nothing", code=2)
    assert "yuyin models pull paper" in said
    from model.backbones.export import export_untrained

    others = tmp_path / "others"
    export_untrained(others, AST.name, seed=2)
    said = run(*build, others, code=2)
    assert "was trained with ast@1." in said
    assert "install the weights that it was trained with" in said
    assert not (tmp_path / "store" / "CURRENT").exists()


def test_another_profile_is_refused(paper: Paper, tmp_path: Path) -> None:
    said = run("train", paper.data, "--profile", "lite", "-o", tmp_path / "run", code=2)
    assert "'lite'" in said
    assert "yuyin features extract" in said


@pytest.fixture(scope="module")
def eight(paper: Paper) -> Paper:
    """The same data set, its features made by int8 networks, and what was trained on these."""
    cuts = [word for cut in sorted(shipped_cuts().glob("*.mp4")) for word in ("--calibrate", cut)]
    made = Paper(paper.folder / "eight")
    shutil.copytree(paper.models, made.models)
    shutil.copytree(paper.data, made.data, ignore=shutil.ignore_patterns("features"))
    for name, more in ((INCEPTION.name, cuts), (AST.name, [])):
        run("models", "export", name, "--precision", "int8", *more, "--models", made.models)
    extract = ("features", "extract", made.data, "--profile", "paper", "--models", made.models)
    run(*extract, "--precision", "int8")
    run("train", made.data, "--set", "batch_size=4", "--set", "epochs=2", "-o", made.run)
    run("export", made.run, "-o", made.bundle)
    return made


def test_another_precision_is_refused_by_every_stage(paper: Paper, eight: Paper, tmp_path: Path) -> None:
    bundle = Bundle.open(eight.bundle)
    assert (bundle.precision, Bundle.open(paper.bundle).precision) == ("int8", "fp32")
    said = run("evaluate", paper.bundle, eight.data, code=2)
    assert "was trained on features of fp32" in said
    assert "has those of int8" in said
    build = (
        "index",
        "build",
        paper.pool,
        "--bundle",
        eight.bundle,
        "--store",
        tmp_path / "store",
        "--models",
    )
    said = run(*build, paper.models, code=2)  # where the networks are in fp32 only
    assert "int8" in said
    run(*build, eight.models)
    cut = sorted(shipped_cuts().glob("*.mp4"))[0]
    os.environ["YUYIN_MODELS"] = str(eight.models)
    try:
        answer = json.loads(run("recommend", cut, "--store", tmp_path / "store", "--json"))
    finally:
        del os.environ["YUYIN_MODELS"]
    assert len(answer["results"]) == TRACKS


def test_features_of_int8_are_near_those_of_fp32_and_not_the_same(paper: Paper, eight: Paper) -> None:
    for name in ("frames", "audio"):
        full, small = (np.load(made.data / "features" / "paper" / f"{name}.npy") for made in (paper, eight))
        assert full.shape == small.shape
        sizes = np.linalg.norm(full, axis=1) * np.linalg.norm(small, axis=1)
        assert ((full * small).sum(axis=1) / sizes).mean() > 0.97  # random networks pass noise on
        assert not np.array_equal(full, small)
