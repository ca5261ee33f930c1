"""What do fewer bits save the frozen networks on this CPU, and what does the filter bank cost without torch?

Untrained networks of full size in, or those of --models; a Markdown row for each way of running them out:
Inception v3 on the 15 frames of a 15 s ad, as it is served (each on a core of its own), AST on one window of
10.24 s, Kaldi's filter bank on 30 s of sound. All ways of one thing take turns, so that what else the
machine does meets all of them alike; cells are medians, ratios are of the medians. The time of a network does
not depend on what it learnt; its cosines do, and those of an untrained one say no more than that the graph is
intact. They are of real frames and music where --clips and --tracks name some (every second clip calibrates,
the others are compared on), and of noise otherwise.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from rows import table

from model.backbones.catalogue import AST, INCEPTION, BackboneSpec
from model.backbones.folder import Backbone
from model.backbones.graph import on_cpu
from model.backbones.noise import noise
from model.backbones.quantise import compare, to_int8
from model.features.ast import HOP, WINDOW, spectrograms
from model.features.calibration import calibration_frames
from model.features.fbank import RATE_HZ, fbank
from model.media.audio import read_audio

FRAMES = 15
CALIBRATION = 96  # frames
COMPARED = 48  # frames and windows
SOUND_S = 30
HEADER = (
    "what",
    "way",
    "runs",
    "time, ms",
    "of the first",
    "file, MB",
    "cosine to fp32, mean / least, of how many",
)
PACKAGES = ("numpy", "onnxruntime", "torch", "torchaudio")

Run = Callable[[], object]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--models", type=Path, help="a MODELS folder with fp32 networks")
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--clips", type=Path, nargs="+", default=[], metavar="VIDEO", help="two or more")
    parser.add_argument("--tracks", type=Path, nargs="+", default=[], metavar="AUDIO")
    parser.add_argument("--what", choices=PARTS, nargs="+", default=list(PARTS))
    asked = parser.parse_args()
    with TemporaryDirectory() as folder:
        rows = [row for part in asked.what for row in PARTS[part](asked, Path(folder))]
    table(HEADER, rows, PACKAGES)


def inception(asked: argparse.Namespace, folder: Path) -> Iterator[list[str]]:
    """Static int8 against the dynamic one, which is a trap for convolutions."""
    full = installed(asked.models, INCEPTION, folder)
    calibration, compared = [noise(INCEPTION, CALIBRATION, seed=1)], noise(INCEPTION, FRAMES)
    if asked.clips:
        calibration = list(calibration_frames(asked.clips[::2], CALIBRATION))
        compared = np.concatenate(list(calibration_frames(asked.clips[1::2], COMPARED)))
    static = to_int8(folder, full, calibration)
    dynamic = folder / "dynamic.onnx"
    with quiet_quantisation() as quantize_dynamic:
        quantize_dynamic(str(full.graph), str(dynamic), op_types_to_quantize=["Conv", "MatMul"])
    graphs = {"fp32": full.graph, "int8, static": static.graph, "int8, dynamic": dynamic}
    yield from networks("Inception v3, 15 frames", graphs, noise(INCEPTION, FRAMES), compared, asked.runs)


def ast(asked: argparse.Namespace, folder: Path) -> Iterator[list[str]]:
    """Dynamic int8."""
    full = installed(asked.models, AST, folder)
    small = to_int8(folder, full, [noise(AST, 2, seed=1)])
    compared = windows(asked.tracks) if asked.tracks else noise(AST, 4)
    graphs = {"fp32": full.graph, "int8, dynamic": small.graph}
    yield from networks("AST, one window", graphs, noise(AST, 1), compared, asked.runs)


def windows(tracks: Sequence[Path]) -> np.ndarray:
    """What AST sees of the first windows of each track, (w, 1024, 128), at most `COMPARED`."""
    share, found = -(-COMPARED // len(tracks)), []
    for track in tracks:
        samples = read_audio(track, RATE_HZ, duration_s=(share * HOP + WINDOW) / RATE_HZ)
        starts = range(0, max(1, len(samples) - WINDOW + 1), HOP)[:share]
        found += [spectrograms(samples[None, start : start + WINDOW]) for start in starts]
    return np.concatenate(found)[:COMPARED]


def filter_bank(asked: argparse.Namespace, folder: Path) -> Iterator[list[str]]:
    """Ours in numpy against torchaudio's, each on one thread."""
    import torch
    from threadpoolctl import threadpool_limits

    from model.backbones.kaldi import fbank_batch, kaldi

    torch.set_num_threads(1)
    samples = 0.1 * np.random.default_rng(0).standard_normal(SOUND_S * RATE_HZ).astype(np.float32)
    waveform = torch.from_numpy(samples)[None]
    bank = kaldi().fbank
    settings = {
        "htk_compat": True, "sample_frequency": RATE_HZ, "use_energy": False, "window_type": "hanning",
        "num_mel_bins": 128, "dither": 0.0, "frame_shift": 10,
    }  # fmt: skip
    ways: dict[str, Run] = {
        "torchaudio": lambda: bank(waveform, **settings),
        "numpy": lambda: fbank(samples),
        "torch, batched": lambda: fbank_batch(waveform),
    }
    with threadpool_limits(1):
        found, first = taking_turns(ways, asked.runs), None
    for way, spent_ms in found.items():
        first = first or spent_ms
        cells = [f"{spent_ms:.1f}", f"**{spent_ms / first:.2f}**"]
        yield [f"filter bank, {SOUND_S} s", way, str(asked.runs), *cells, "", ""]


PARTS = {"inception": inception, "ast": ast, "fbank": filter_bank}


def networks(
    what: str, graphs: Mapping[str, Path], x: np.ndarray, compared: np.ndarray, runs: int
) -> Iterator[list[str]]:
    """A row for each graph of one network, timed on `x`; the first is what the others are held against."""
    opened = {way: on_cpu(graph) for way, graph in graphs.items()}
    full = next(iter(opened.values()))
    found = taking_turns({way: lambda run=run: run(x) for way, run in opened.items()}, runs)
    first = next(iter(found.values()))
    for way, spent_ms in found.items():
        alike = compare(full, opened[way], [compared])
        yield [
            what, way, str(runs), f"{spent_ms:.0f}", f"**{spent_ms / first:.2f}**",
            f"{graphs[way].stat().st_size / 1e6:.1f}",
            f"{alike.mean:.4f} / {alike.least:.4f}, {len(compared)}",
        ]  # fmt: skip


def taking_turns(ways: Mapping[str, Run], runs: int) -> dict[str, float]:
    """Median milliseconds of each, by `runs` rounds of all; one round before them does not count."""
    spent_ms: dict[str, list[float]] = {way: [] for way in ways}
    for i in range(runs + 1):
        for way, run in ways.items():
            began_s = time.perf_counter()
            run()
            if i:
                spent_ms[way].append((time.perf_counter() - began_s) * 1000)
    return {way: statistics.median(each) for way, each in spent_ms.items()}


def installed(models: Path | None, spec: BackboneSpec, folder: Path) -> Backbone:
    """The one that is asked for, or an untrained one of its size."""
    from model.backbones.export import export_untrained

    return Backbone.open(models, spec.name, "fp32") if models else export_untrained(folder, spec.name)


@contextmanager
def quiet_quantisation() -> Iterator[Callable[..., None]]:
    """ONNX Runtime's dynamic quantisation, without its advice."""
    import logging

    logging.disable(logging.WARNING)
    try:
        from onnxruntime.quantization import quantize_dynamic

        yield quantize_dynamic
    finally:
        logging.disable(logging.NOTSET)


if __name__ == "__main__":
    main()
