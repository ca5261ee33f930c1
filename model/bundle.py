"""A bundle folder in, three towers that turn sequences into unit vectors out; no torch.

BUNDLE/
  bundle.json        written last: schema, id, system, profile, recipe, inputs, dim, categories, tags,
                     metrics, threshold, training facts, source commit, and the sha256 of every other file
  video_tower.onnx   k (B, T, d_k) float32 and k_mask (B, T) bool for every input k -> embedding (B, dim)
  music_tower.onnx   likewise, the fusion of audio and emotion inside
  text_tower.onnx    text (B, d_t) float32 -> embedding (B, dim)
  null_queries.npy   (q, dim) float32 unit rows: videos that have nothing to do with what is ranked
  MODEL_CARD.md      what it was trained on, its figures, what it must not be used for
"""

from collections.abc import Iterable, Mapping
from collections.abc import Sequence as Several
from dataclasses import asdict, dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from model.artifact import content_id, read_manifest
from model.backbones.loaded import Backbones
from model.errors import Corrupt, Mismatch
from model.features.extractors import MusicExtractor, Profile, identity, without_weights
from model.features.profiles import load_profile
from model.features.sequence import Sequence
from model.grid import Grid
from model.towers import Towers

MANIFEST = "bundle.json"
SCHEMA_VERSION = 1


def shipped_bundle() -> Path:
    """The bundle that lies inside the package: trained by us on rendered adverts and music."""
    return Path(str(files("model") / "shipped" / "lite"))


def shipped_cuts() -> Path:
    """Rough cuts that lie inside the package, to try a page with: rendered by `model.datasets.synth.cuts`."""
    return Path(str(files("model") / "shipped" / "cuts"))


def recipe_of(profile: Profile, grid: Grid) -> dict[str, Any]:
    """How the numbers that a bundle's towers were trained on are made, as it stands in bundle.json."""
    extractors = {**profile.video, **profile.music, "text": profile.text}
    recipe = {
        "video": asdict(profile.recipe),
        "extractors": {name: identity(extractor) for name, extractor in extractors.items()},
        "grid": asdict(grid),
    }
    return recipe if profile.precision is None else recipe | {"precision": profile.precision}


def bundle_id(manifest: dict[str, Any]) -> str:
    """Hash of everything in bundle.json but the id itself, the hashes of the other files included."""
    return content_id({key: value for key, value in manifest.items() if key != "id"})


@dataclass(frozen=True, slots=True)
class Bundle:
    """A trained system, ready to run."""

    folder: Path
    manifest: dict[str, Any]
    grid: Grid
    null_queries: NDArray[np.float32]  # (q, dim) unit rows
    towers: Towers

    @classmethod
    def open(cls, folder: Path, *, verify: bool = True, threads: int = 1) -> Self:
        """Read a bundle, start its ONNX Runtime sessions on the CPU.

        Args:
            folder: what `yuyin export` wrote.
            verify: hash every file against bundle.json.
            threads: of each session; requests run side by side, so more seldom pays.

        Raises:
            Corrupt: if a file is missing, differs from bundle.json, or is no graph.
            Mismatch: if it was made by another schema, or from features other than this version's.
        """
        manifest = read_manifest(folder, MANIFEST, verify=verify)
        if verify and bundle_id(manifest) != manifest.get("id"):
            raise Corrupt(f"{folder / MANIFEST} was changed after it was written: export the bundle again")
        _check_fits(folder, manifest)
        towers = Towers.open(folder, manifest["profile"], manifest["inputs"], threads=threads)
        null_queries = np.load(folder / "null_queries.npy", allow_pickle=False)
        return cls(folder, manifest, Grid(**manifest["recipe"]["grid"]), null_queries, towers)

    @property
    def id(self) -> str:
        """Hash of the contents."""
        return str(self.manifest["id"])

    @property
    def system(self) -> str:
        """Which published system it is, such as `yuyin`."""
        return str(self.manifest["system"])

    @property
    def profile(self) -> str:
        """Which frozen extractors it takes."""
        return str(self.manifest["profile"])

    @property
    def dim(self) -> int:
        """Length of an embedding."""
        return int(self.manifest["dim"])

    @property
    def recipe(self) -> dict[str, Any]:
        """`recipe_of` at training time: video recipe, extractors with versions, grid."""
        return dict(self.manifest["recipe"])

    @property
    def input_names(self) -> dict[str, tuple[str, ...]]:
        """By tower, the names of what it takes: the keys of the profile."""
        return self.towers.input_names

    @property
    def precision(self) -> str | None:
        """Of the pretrained networks whose features it reads; None where there are none."""
        return self.recipe.get("precision")

    def load_profile(self, backbones: Backbones, tower: str) -> Profile:
        """The profile that makes what a tower reads; what the others read is described only.

        Args:
            backbones: where pretrained networks lie; at the bundle's own precision, whatever they name.
            tower: "video" to serve, "music" to index: neither needs the networks of the other.

        Raises:
            NotInstalled: if one of them is not there in the bundle's precision.
            Mismatch: if one has other weights than those that the bundle was trained with.
        """
        if self.precision is not None:
            backbones = replace(backbones, precision=self.precision)
        read = self.input_names[tower]
        profile = load_profile(self.profile, backbones, inputs=read)
        mine, theirs = self.recipe["extractors"], recipe_of(profile, self.grid)["extractors"]
        for name in read:
            if mine[name] != theirs[name]:
                raise Mismatch(
                    f"the bundle {self.id} was trained with {mine[name]}, {backbones.models} holds "
                    f"{theirs[name]}: install the weights that it was trained with, or train on these"
                )
        return profile

    def music_extractors(self, profile: Profile) -> dict[str, MusicExtractor]:
        """Of a profile's extractors those whose features the music tower reads, by input name."""
        read = self.input_names["music"]
        return {name: each for name, each in profile.music.items() if name in read}

    @property
    def categories(self) -> tuple[str, ...]:
        """Product categories it was trained with."""
        return tuple(self.manifest["categories"])

    @property
    def tags(self) -> tuple[str, ...]:
        """The texts that its text tower has seen, and the only ones it understands."""
        return tuple(self.manifest["tags"])

    @property
    def no_match_threshold(self) -> float:
        """Score below which the best track is no good match (design section 6)."""
        return float(self.manifest["no_match_threshold"])

    @property
    def metrics(self) -> dict[str, Any]:
        """`Evaluation.as_dict` on the pairs it was not trained on."""
        return dict(self.manifest["metrics"])

    def embed_video(self, sequences: Mapping[str, Sequence]) -> NDArray[np.float32]:
        """One video's sequences by input name to (dim,), L2 norm 1."""
        return self.towers.embed_video(sequences)

    def embed_music(self, batch: Several[Mapping[str, Sequence]]) -> NDArray[np.float32]:
        """The sequences of b segments by input name to (b, dim), rows of L2 norm 1."""
        return self.towers.embed_music(batch)

    def embed_text(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """(b, d_t) text vectors to (b, dim), rows of L2 norm 1."""
        return self.towers.embed_text(x)


def _check_fits(folder: Path, manifest: dict[str, Any]) -> None:
    """Refuse rather than rank with numbers that another version made."""
    if manifest.get("schema_version") != SCHEMA_VERSION:
        found = manifest.get("schema_version")
        raise Mismatch(
            f"{folder} has bundle schema {found}, this version reads {SCHEMA_VERSION}: export it again"
        )
    found = dict(manifest["recipe"])
    profile = replace(load_profile(manifest["profile"]), precision=found.get("precision"))
    found["extractors"] = {name: without_weights(each) for name, each in found["extractors"].items()}
    differs = sorted(_differences(found, recipe_of(profile, Grid(**found["grid"]))))
    if differs:
        raise Mismatch(
            f"{folder} was trained on features that this version makes differently ({', '.join(differs)}): "
            "train and export it again"
        )


def _differences(one: dict[str, Any], other: dict[str, Any], prefix: str = "") -> Iterable[str]:
    for key in one.keys() | other.keys():
        mine, theirs = one.get(key), other.get(key)
        if isinstance(mine, dict) and isinstance(theirs, dict):
            yield from _differences(mine, theirs, f"{prefix}{key}.")
        elif mine != theirs:
            yield f"{prefix}{key}"
