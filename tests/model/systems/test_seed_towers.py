"""The towers of MRCMV, DPVM and UT-CMVMR as a service meets them: exported, padded, batched, unclean."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from torch import Tensor

from model.errors import BadOptions
from model.systems.batch import Dims, Padded
from model.systems.catalogue import chosen_preset, load_system
from model.systems.graph import tower_graphs
from model.systems.system import System

ROWS = {"frames": 9, "motion": 1, "voice": 5, "flow": 9, "audio": 7, "emotion": 1, "rhythm": 7}
DIMS = Dims(
    {"frames": 9, "motion": 11, "voice": 5, "flow": 1},
    {"audio": 11, "emotion": 7, "rhythm": 3},
    text=5,
    categories=2,
    tracks=30,
    rows=ROWS,
    tags=4,
    valence=True,
)
NARROW = {
    "mrcmv": {"width": 16, "heads": 2, "inner": 24},
    "dpvm": {},
    "ut_cmvmr": {"clip_width": 16, "hidden": 24, "phi": 20, "theta": 12, "head_width": 4},
}
TOWERS = [
    ("mrcmv", "paper", {}),
    ("mrcmv", "robust", {"heard": "all"}),
    ("mrcmv", "wo_test_text", {}),
    ("mrcmv", "video_only", {}),
    ("mrcmv", "wo_sa", {"query": "voice"}),
    ("mrcmv", "wo_cma", {"query": "voice"}),
    ("dpvm", "In+ppml", {}),
    ("dpvm", "Sp", {}),
    ("dpvm", "C", {}),
    ("ut_cmvmr", "tower", {}),
    ("ut_cmvmr", "tower", {"pace": "true", "heard": "all"}),
    ("ut_cmvmr", "tower", {"sequence": "false"}),
]


def built(name: str, preset: str, settings: dict[str, str]) -> System:
    kind = load_system(name)
    config = replace(chosen_preset(kind, preset, settings).system, **NARROW[name])
    with torch.random.fork_rng():
        torch.manual_seed(0)
        system = kind.build(DIMS, config)
        for view in (system.video_view, system.music_view):
            view.fit([raw(view.widths, 40, 1), raw(view.widths, 40, 2)])
        with torch.no_grad():
            for seed in range(30):  # until batch norms know what they see
                for _, embed, widths in sides(system):
                    if system.indexable:
                        embed(raw(widths, 40, seed))
    return system.eval()


def raw(widths: dict[str, int], count: int, seed: int, rows: int | None = None) -> dict[str, Padded]:
    """Rows of mean 1, at least one of each; `rows` in place of the inputs' own numbers."""
    rng = np.random.default_rng(seed)
    sequences = {}
    for name, width in widths.items():
        longest = rows or ROWS[name]
        x = torch.from_numpy(rng.normal(1, 2, (count, longest, width)).astype(np.float32))
        sequences[name] = (
            x,
            torch.arange(longest) < torch.from_numpy(rng.integers(1, longest + 1, (count, 1))),
        )
    return sequences


def run(graph: onnx.ModelProto, sequences: dict[str, Padded]) -> np.ndarray:
    session = ort.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    feed = {name: x.numpy() for name, (x, _) in sequences.items()}
    feed |= {f"{name}_mask": mask.numpy() for name, (_, mask) in sequences.items()}
    return np.asarray(session.run(["embedding"], feed)[0])


def sides(system: System) -> list[tuple[str, Callable[[dict[str, Padded]], Tensor], dict[str, int]]]:
    """For either tower, sequences to embedding, and the widths of what it reads."""
    return [
        ("video", lambda x: system.embed_video(system.video_view(x)), dict(system.video_view.widths)),
        ("music", lambda x: system.embed_music(system.music_view(x)), dict(system.music_view.widths)),
    ]


@pytest.mark.parametrize(("name", "preset", "settings"), TOWERS)
def test_exported_towers_are_the_modules_at_any_size(
    name: str, preset: str, settings: dict[str, str]
) -> None:
    system = built(name, preset, settings)
    graphs = tower_graphs(system)
    assert ("text" in graphs) == (name == "ut_cmvmr")
    for side, embed, widths in sides(system):
        for count, rows in ((1, 1), (3, None), (2, 30)):
            sequences = raw(widths, count, 3, rows)
            with torch.no_grad():
                expected = embed(sequences).numpy()
            np.testing.assert_allclose(run(graphs[side], sequences), expected, atol=1e-5)
            np.testing.assert_allclose(np.linalg.norm(expected, axis=1), 1, atol=1e-5)


@pytest.mark.parametrize(("name", "preset", "settings"), TOWERS)
@torch.no_grad()
def test_padding_batch_and_odd_values_behind_the_mask_change_nothing(
    name: str, preset: str, settings: dict[str, str]
) -> None:
    system = built(name, preset, settings)
    for _, embed, widths in sides(system):
        sequences = raw(widths, 4, 3)
        expected = embed(sequences)
        odd, longer = {}, {}
        for each, (x, mask) in sequences.items():
            odd[each] = torch.where(mask.unsqueeze(2), x, torch.nan), mask
            longer[each] = (
                torch.nn.functional.pad(odd[each][0], (0, 0, 0, 6), value=9e9),
                torch.nn.functional.pad(mask, (0, 6)),
            )
        assert torch.allclose(embed(odd), expected, atol=1e-5)
        assert torch.allclose(embed(longer), expected, atol=1e-5)
        alone = embed({each: (x[2:3], mask[2:3]) for each, (x, mask) in sequences.items()})
        assert torch.allclose(alone, expected[2:3], atol=1e-5)
        assert (expected[1:] - expected[:1]).abs().max(1).values.min() > 0.01  # rows differ


def test_what_cannot_be_exported_says_so() -> None:
    with pytest.raises(BadOptions, match="tower"):
        tower_graphs(built("ut_cmvmr", "se", {}))
    with pytest.raises(BadOptions, match="tag"):
        tower_graphs(built("mrcmv", "text", {}))
