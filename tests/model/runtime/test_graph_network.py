"""A network over a graph: chunks, buckets and threads change no row; what does not fit is named."""

import os
import pickle
import subprocess
import sys
import threading
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.reference
import pytest

from model.errors import Corrupt, Mismatch
from model.runtime import session as sessions
from model.runtime.accelerator import Accelerator
from model.runtime.graph_network import GraphNetwork, buckets

CPU = Accelerator("cpu")


def pictures(b: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((b, 3, 16, 16)).astype(np.float32)


def one_by_one(graph: Path, x: np.ndarray) -> np.ndarray:
    """By onnx's own reference implementation, each item alone."""
    reference = onnx.reference.ReferenceEvaluator(str(graph))
    return np.concatenate([reference.run(None, {"x": each[None]})[0] for each in x])


@pytest.mark.parametrize("b", [1, 3, 4, 5, 9])
@pytest.mark.parametrize("where", ["cpu", "accelerator"])
def test_rows_are_those_of_each_item_alone(
    b: int, where: str, conv: Path, request: pytest.FixtureRequest
) -> None:
    if where == "accelerator":
        request.getfixturevalue("as_if_gpu")
    network = GraphNetwork(conv, CPU if where == "cpu" else Accelerator("require"), max_batch=4)
    features = network(pictures(b))
    assert features.shape == (b, 8)
    assert features.dtype == np.float32
    np.testing.assert_allclose(features, one_by_one(conv, pictures(b)), atol=1e-5)
    assert network.provider == ("cpu" if where == "cpu" else "cuda")


def test_nothing_gives_no_rows(conv: Path) -> None:
    assert GraphNetwork(conv, CPU)(pictures(0)).shape == (0, 8)


class Seen:
    """Which sizes of batch reach a session that really runs."""

    def __init__(self, network: GraphNetwork) -> None:
        self.sizes: list[int] = []
        self.now = self.most = 0
        self._lock = threading.Lock()
        session = network._open().session
        self._run = session.run
        session.run = self  # type: ignore[method-assign, assignment]

    def __call__(self, feed: dict[str, np.ndarray]) -> list[np.ndarray]:
        with self._lock:
            self.sizes.append(len(feed["x"]))
            self.now += 1
            self.most = max(self.most, self.now)
        try:
            return self._run(feed)
        finally:
            with self._lock:
                self.now -= 1


@pytest.mark.usefixtures("as_if_gpu")
def test_an_accelerator_sees_only_sizes_that_it_was_warmed_with(conv: Path) -> None:
    network = GraphNetwork(conv, Accelerator("require"), max_batch=12)
    seen = Seen(network)
    network.warm()
    assert seen.sizes == [1, 2, 4, 8, 12]
    warmed = set(seen.sizes)
    for b in range(1, 30):
        network(pictures(b))
    assert set(seen.sizes) == warmed


def test_a_cpu_runs_each_item_alone_and_is_warmed_once(conv: Path) -> None:
    network = GraphNetwork(conv, CPU, max_batch=4)
    seen = Seen(network)
    network.warm()
    assert seen.sizes == [1]
    network(pictures(7))
    assert seen.sizes == [1] * 8


def test_on_a_cpu_no_bit_of_a_row_depends_on_its_neighbours(conv: Path) -> None:
    network, x = GraphNetwork(conv, CPU), pictures(9)
    np.testing.assert_array_equal(network(x)[4:7], network(x[4:7]))


def test_a_lone_call_has_all_cores(conv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2})
    network, meet = GraphNetwork(conv, CPU), threading.Barrier(3, timeout=30)
    session = network._open().session
    run = session.run
    session.run = lambda feed: (meet.wait(), run(feed))[1]  # type: ignore[method-assign]
    np.testing.assert_allclose(network(pictures(6)), one_by_one(conv, pictures(6)), atol=1e-5)


def test_the_first_error_ends_a_call_and_the_next_one_works(conv: Path) -> None:
    network = GraphNetwork(conv, Accelerator("cpu", at_once=1))
    seen, x = Seen(network), pictures(50)
    run = network._open().session.run
    network._open().session.run = lambda feed: (time.sleep(0.05), run(feed))[1]  # type: ignore[method-assign]
    x[0, 0, 0, 0] = np.nan
    with pytest.raises(Corrupt, match="not finite"):
        network(x)
    assert len(seen.sizes) < 50
    assert network(pictures(3)).shape == (3, 8)


@pytest.mark.parametrize("most", [1, 2, 3, 16, 17])
def test_buckets_double_up_to_the_most(most: int) -> None:
    sizes = list(buckets(most))
    assert sizes[0] == 1
    assert sizes[-1] == most
    assert all(a < b <= 2 * a for a, b in pairwise(sizes))


@pytest.mark.usefixtures("as_if_gpu")
def test_neither_warming_nor_padding_is_taken_for_a_text_without_words(tmp_path: Path, lookup: Path) -> None:
    """Whose mean is 0 / 0."""
    network = GraphNetwork(lookup, Accelerator("require"), max_batch=4)
    network.warm()
    tokens = np.array([[1, 2, 3, 0, 0], [4, 0, 0, 0, 0], [9, 8, 7, 6, 5]])
    np.testing.assert_allclose(network(tokens), one_by_one(lookup, tokens), atol=1e-6)


@pytest.fixture
def lookup(tmp_path: Path, write_lookup_graph: Any) -> Path:
    return write_lookup_graph(tmp_path / "lookup.onnx")


@pytest.mark.parametrize(
    ("x", "says"),
    [
        (np.zeros((2, 3, 16, 15), np.float32), r"\(b, 3, 16, 16\) float32, not \(2, 3, 16, 15\) float32"),
        (np.zeros((3, 16, 16), np.float32), r"not \(3, 16, 16\)"),
        (np.zeros((0, 3, 16, 15), np.float32), r"not \(0, 3, 16, 15\)"),
        (np.zeros((2, 3, 16, 16), np.uint8), r"not \(2, 3, 16, 16\) uint8"),
        (np.zeros((2, 3, 16, 16), np.float64), "float64"),
    ],
)
def test_items_that_do_not_fit_are_named(x: np.ndarray, says: str, conv: Path) -> None:
    with pytest.raises(Mismatch, match=says):
        GraphNetwork(conv, CPU)(x)


def test_numbers_that_are_not_finite_are_refused(conv: Path) -> None:
    x = pictures(3)
    x[1, 0, 0, 0] = np.inf
    with pytest.raises(Corrupt, match=r"model\.onnx gave numbers that are not finite"):
        GraphNetwork(conv, CPU)(x)


def keep_pictures(graph: Any) -> None:
    """The mean over the picture leaves (b, d, 1, 1)."""
    next(each for each in graph.node[-1].attribute if each.name == "keepdims").i = 1
    graph.output[0].type.tensor_type.ClearField("shape")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda graph: setattr(graph.input[0].type.tensor_type.shape.dim[0], "dim_value", 1), r"\(1, 3"),
        (lambda graph: setattr(graph.input[0], "name", "pixels"), "takes pixels"),
        (lambda graph: setattr(graph.output[0], "name", "logits"), "gives logits"),
        (lambda graph: keep_pictures(graph), r"gives features \(any, 8, 1, 1\) float32"),
    ],
)
def test_a_graph_that_is_no_backbone_is_refused(change: Any, says: str, conv: Path, tmp_path: Path) -> None:
    made = onnx.load(conv)
    change(made.graph)
    for node in made.graph.node:
        node.input[:] = [made.graph.input[0].name if each == "x" else each for each in node.input]
        node.output[:] = [made.graph.output[0].name if each == "features" else each for each in node.output]
    onnx.save(made, tmp_path / "model.onnx")
    with pytest.raises(Corrupt, match=rf"is no backbone.*{says}.*export it again"):
        GraphNetwork(tmp_path / "model.onnx", CPU)(pictures(1))


def test_nothing_is_opened_before_it_is_needed_and_then_once(
    tmp_path: Path, conv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, start, started = tmp_path / "model.onnx", sessions.ort.InferenceSession, []

    def slowly(*arguments: Any, **options: Any) -> Any:
        started.append(threading.get_ident())
        time.sleep(0.05)
        return start(*arguments, **options)

    monkeypatch.setattr(sessions.ort, "InferenceSession", slowly)
    network = GraphNetwork(path, CPU)  # not there yet
    with pytest.raises(Corrupt, match=r"model\.onnx"):
        network(pictures(1))
    path.write_bytes(conv.read_bytes())
    threads = [threading.Thread(target=network, args=(pictures(1),)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    path.unlink()  # read once
    assert network(pictures(2)).shape == (2, 8)
    assert len(started) == 1


def test_a_worker_process_opens_its_own(conv: Path, tmp_path: Path) -> None:
    network = GraphNetwork(conv, CPU, max_batch=2)
    here = network(pictures(3))
    (tmp_path / "network.pickle").write_bytes(pickle.dumps(network))
    assert (tmp_path / "network.pickle").stat().st_size < 1000
    np.save(tmp_path / "x.npy", pictures(3))
    code = (
        "import pickle, sys, numpy as np\nfrom pathlib import Path\nfolder = Path(sys.argv[1])\n"
        "network = pickle.loads((folder / 'network.pickle').read_bytes())\n"
        "assert network.max_batch == 2\n"
        "np.save(folder / 'rows.npy', network(np.load(folder / 'x.npy')))\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    np.testing.assert_array_equal(np.load(tmp_path / "rows.npy"), here)


@pytest.mark.parametrize(
    ("threads", "asked", "at_once"), [(1, None, 2), (2, None, 1), (5, None, 1), (1, 1, 1)]
)
def test_no_more_runs_at_once_than_cores_or_than_asked(
    threads: int, asked: int | None, at_once: int, conv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    network = GraphNetwork(conv, Accelerator("cpu", threads=threads, at_once=asked), max_batch=2)
    seen = Seen(network)
    x = pictures(40)
    expected = one_by_one(conv, x)
    rows: dict[int, np.ndarray] = {}
    callers = [
        threading.Thread(target=lambda i=i: rows.setdefault(i, network(x[: 5 * i]))) for i in range(1, 9)
    ]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert seen.most <= at_once
    for i, found in rows.items():
        np.testing.assert_allclose(found, expected[: 5 * i], atol=1e-5)


MEMORY = """
import random, sys
from pathlib import Path
import numpy as np
from model.runtime.accelerator import Accelerator
from model.runtime.graph_network import GraphNetwork

def rss_mb():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6

network, draw = GraphNetwork(Path(sys.argv[1]), Accelerator("cpu"), max_batch=16), random.Random(0)
x = np.random.default_rng(0).standard_normal((16, 3, 48, 48)).astype(np.float32)
before = rss_mb()
network(x)
found = []
for i in range(2000):
    network(x[: draw.randint(1, 16)])
    if i >= 100:
        found.append(rss_mb())
print(before, min(found), max(found))
"""


@pytest.mark.slow
def test_memory_is_flat_over_2000_runs_of_mixed_batches(tmp_path: Path, write_conv_graph: Any) -> None:
    """After the first 100 runs it stays within 4 MB, and takes less than ten layers' worth.

    Of a batch of 16 pictures of 48 x 48 a layer of 32 channels is 4.7 MB; two are alive at a time.
    """
    graph = write_conv_graph(tmp_path / "model.onnx", layers=3, channels=32, side=48)
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, str(graph)], capture_output=True, text=True, check=True
    )
    before, least, most = map(float, done.stdout.split())
    assert most - least < 4
    assert most - before < 10 * 4.7
