"""The libraries that compute in, whether they do it right and on which device out."""

from collections.abc import Collection
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from model.runtime.accelerator import INSTALL as CUDA
from yuyin.doctor.finding import INSTALL, Check, Finding, Group, Status

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from model.runtime.accelerator import Accelerator, Policy

GPU = (
    "install NVIDIA's driver, 580 or newer, give a container the GPU with --gpus all, or set "
    "YUYIN_ACCELERATOR=cpu"
)
GPU_S = 60.0  # to load 3 GB of libraries for the first time
TWINS = (("onnxruntime", "onnxruntime-gpu"), ("faiss-cpu", "faiss-gpu"))  # two builds of one folder
TRAINING = (
    *("torch", "onnx", "matplotlib", "opencv-python-headless", "pyarrow", "pillow", "scikit-learn"),
    *("safetensors", "torchaudio", "transformers"),  # pretrained networks
)
NORM_TOLERANCE = 1e-3
SAME_WITHIN, OTHER_BEYOND = 1e-5, 1e-3  # float32 noise; what another input must change at least
TENSOR_CORES = 1e-2  # what TF32, ONNX Runtime's default on a GPU, may change at most
ROWS, DIM, NEAREST = 1000, 32, 10


def onnx_runtime(_: Path) -> Finding:
    """The version and what it can compute on."""
    import onnxruntime

    cards = [path.name for path in Path("/dev").glob("nvidia[0-9]*")]
    return judge_providers(onnxruntime.__version__, onnxruntime.get_available_providers(), cards)


def judge_providers(release: str, providers: Collection[str], cards: Collection[str]) -> Finding:
    """An NVIDIA card that onnxruntime cannot use is the wrong build of it."""
    found = f"onnxruntime {release}, can use {', '.join(providers)}"
    if cards and "CUDAExecutionProvider" not in providers:
        return Finding("degraded", f"{found}; this machine has {', '.join(sorted(cards))} besides", CUDA)
    return Finding("ok", found)


def twins(_: Path) -> Finding | None:
    """CPU and GPU builds beside each other; no line while there are none."""
    return judge_twins({name for pair in TWINS for name in pair if _version(name)})


def judge_twins(installed: Collection[str]) -> Finding | None:
    """Both write to one folder: what is imported is a mixture, and removing one breaks the other."""
    both = [name for pair in TWINS if set(pair) <= set(installed) for name in pair]
    if not both:
        return None
    fix = f"pip uninstall -y {' '.join(both)}, then in the checkout: pip install -e '.[cpu]' or '.[cuda]'"
    return Finding("degraded", f"{' and '.join(both)} overwrite each other's files", fix)


def video_tower(_: Path) -> Finding:
    """The shipped bundle's video tower: one input twice, then another."""
    import numpy as np

    from model.bundle import Bundle, shipped_bundle
    from model.errors import ArtifactError
    from model.features.profiles import load_profile
    from model.features.sequence import Sequence

    try:
        bundle = Bundle.open(shipped_bundle())
    except ArtifactError as error:
        return Finding("missing", str(error), "in the checkout: pip install --force-reinstall --no-deps -e .")
    widths = {name: len(each.features) for name, each in load_profile(bundle.profile).video.items()}
    vectors = []
    for seed in (1, 1, 2):
        draw = np.random.default_rng(seed)
        vectors.append(
            bundle.embed_video(
                {
                    name: Sequence(draw.standard_normal((4, width), np.float32), np.arange(4.0))
                    for name, width in widths.items()
                }
            )
        )
    return judge_tower(bundle.towers.video.session.get_providers()[0], np.stack(vectors))


def judge_tower(provider: str, vectors: "NDArray[np.float32]") -> Finding:
    """Whether (3, d) are what a tower gives for one input twice and then another."""
    import numpy as np

    off = abs(np.linalg.norm(vectors, axis=1) - 1).max()
    same, other = abs(vectors[0] - vectors[1]).max(), abs(vectors[0] - vectors[2]).max()
    if off <= NORM_TOLERANCE and same <= SAME_WITHIN and other > OTHER_BEYOND:
        return Finding("ok", f"the shipped bundle's ran on {provider}, vectors of unit length")
    found = (
        f"on {provider}, lengths are off by {off:.2g}, one input twice by {same:.2g}, another by {other:.2g}"
    )
    return Finding("missing", found, "pip install --force-reinstall onnxruntime")


def faiss_search(_: Path) -> Finding:
    """The house's own search against numpy, with and without a mask."""
    import faiss
    import numpy as np

    from index_builder.search import FlatSearch

    draw = np.random.default_rng(1)
    rows = draw.standard_normal((ROWS, DIM), np.float32)
    query, allowed = draw.standard_normal(DIM, np.float32), draw.random(ROWS) < 0.5
    products = rows @ query
    search = FlatSearch(rows)
    right = all(
        search.nearest(query, NEAREST, mask)[1].tolist() == np.argsort(-order)[:NEAREST].tolist()
        for mask, order in ((None, products), (allowed, np.where(allowed, products, -np.inf)))
    )
    cards = faiss.get_num_gpus() if hasattr(faiss, "get_num_gpus") else 0
    return judge_search(faiss.__version__, right, cards)


def judge_search(release: str, right: bool, cards: int) -> Finding:
    """A search that finds other rows than numpy must not serve."""
    if not right:
        fix = "pip install --force-reinstall faiss-cpu"
        return Finding("missing", f"FAISS {release} finds other neighbours than numpy", fix)
    seen = f"{cards} GPU seen" if cards else "on the CPU"
    return Finding("ok", f"FAISS {release} finds what numpy finds, {seen}")


def networks_on_gpu(store: Path) -> Finding | None:
    """The shipped bundle's video tower where pretrained networks would run, against the CPU."""
    import numpy as np
    import onnxruntime

    from model.bundle import shipped_bundle
    from model.runtime.session import Session, open_session

    wanted = _accelerator(store)
    able = "CUDAExecutionProvider" in onnxruntime.get_available_providers()
    if wanted.policy == "cpu" or (wanted.policy == "prefer" and not able):
        return None

    def embedding(session: Session) -> "NDArray[np.float32]":
        sizes = (1, 4, 1)  # of the batch, of the sequence, and of nothing that is free
        shapes = {
            each.name: tuple(n or sizes[i] for i, n in enumerate(each.shape)) for each in session.inputs
        }
        dtypes = {each.name: each.dtype for each in session.inputs}
        found: NDArray[np.float32] = session.run({n: np.ones(shapes[n], dtypes[n]) for n in shapes})[0]
        return found

    graph = shipped_bundle() / "video_tower.onnx"
    session = open_session(graph, replace(wanted, policy="prefer"))
    on_cpu = open_session(graph, replace(wanted, policy="cpu"))
    return judge_networks(
        wanted.policy, able, session.provider, abs(embedding(session) - embedding(on_cpu)).max()
    )


def judge_networks(policy: "Policy", able: bool, provider: str, off: float) -> Finding:
    """A GPU that was asked for and is not used, or computes something else."""
    status: Status = "missing" if policy == "require" else "degraded"
    if provider == "cpu":
        fix = GPU if able else CUDA
        return Finding(status, "ONNX Runtime runs networks on the CPU, though a GPU was asked for", fix)
    if not off <= TENSOR_CORES:
        return Finding("missing", f"on {provider} a tower is off by {off:.2g}", f"another driver: {GPU}")
    return Finding("ok", f"ONNX Runtime runs networks on {provider}")


def search_on_gpu(store: Path) -> Finding | None:
    """The search's own comparison with the CPU."""
    import numpy as np

    from index_builder.gpu_search import built_for_gpus, open_on_gpu
    from index_builder.search import FlatSearch
    from model.errors import NoAccelerator

    wanted = _accelerator(store)
    if wanted.policy == "cpu" or (wanted.policy == "prefer" and not built_for_gpus()):
        return None
    rows = np.random.default_rng(1).standard_normal((ROWS, DIM), np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    try:
        device = open_on_gpu(rows, FlatSearch(rows), wanted.device).device
        return judge_search_on_gpu(wanted.policy, device)
    except NoAccelerator as error:
        return judge_search_on_gpu(wanted.policy, "cpu", str(error))


def judge_search_on_gpu(policy: "Policy", device: str, refusal: str = "") -> Finding:
    """A refusal is the search's own sentence."""
    if refusal:
        return Finding("missing" if policy == "require" else "degraded", refusal, GPU)
    return Finding("ok", f"FAISS finds on {device} what it finds on the CPU")


def _accelerator(store: Path) -> "Accelerator":
    from yuyin.doctor.serving import settings_or_defaults

    return settings_or_defaults(store).backbones.accelerator


def training(_: Path) -> Finding:
    """What the [train] extra brings; looked for, not imported, since torch alone takes seconds."""
    return judge_training({name: _version(name) for name in TRAINING})


def judge_training(versions: dict[str, str | None]) -> Finding:
    """By distribution its version, None where it is not installed."""
    lacking = [name for name, found in versions.items() if found is None]
    if lacking:
        found = f"without {', '.join(lacking)}: serving and indexing need none of it"
        return Finding("missing", found, "in the checkout: pip install -e '.[cpu,train]'")
    return Finding("ok", ", ".join(f"{name} {found}" for name, found in versions.items()))


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


GROUP = Group(
    "runtime",
    (
        Check("ONNX Runtime", onnx_runtime, INSTALL),
        Check("one build of each", twins),
        Check("video tower", video_tower, INSTALL),
        Check("FAISS", faiss_search, INSTALL),
        # what ends or holds these two would end or hold the server too
        Check("networks on a GPU", networks_on_gpu, GPU, GPU_S),
        Check("search on a GPU", search_on_gpu, GPU, GPU_S),
    ),
)
TRAINING_GROUP = Group("training", (Check("extra [train]", training),), optional=True)
