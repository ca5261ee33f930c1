"""A world's name in, its knobs out: one table, frozen by probes before any system was run on it.

docs/models.md 7.4. A seed picks the instance: brands, ads, tracks, house styles and the random maps from
latents to features. Development seeds are for tuning systems, held-out seeds for the final tables.
"""

from dataclasses import dataclass, replace
from typing import Literal

from model.datasets.synth.world import World
from model.errors import BadOptions

DEVELOPMENT_SEEDS = (11, 12, 13)
HELD_OUT_SEEDS = (21, 22, 23)


@dataclass(frozen=True, slots=True)
class Dims:
    """Widths of the features and of the tags' text vectors."""

    frames: int
    audio: int
    emotion: int
    text: int


DIMS = {
    "paper": Dims(frames=2048, audio=768, emotion=988, text=768),  # Inception-v3, AST, emobase, BERT
    "small": Dims(frames=512, audio=192, emotion=247, text=192),  # a quarter, for many runs
}


@dataclass(frozen=True, slots=True)
class Knobs:
    """What a world is like; the defaults are the world `default`.

    How they were set: docs/log.md. By the probe card and the oracle only, never by a system's score.
    """

    # how editors choose: the knobs of the same names of model.datasets.synth.world.World
    sigma_style: float = 0.8
    sigma_emotion: float = 0.45
    sigma_tempo: float = 0.18
    conventions: Literal["category", "shared"] = "category"
    pace: Literal["octave", "tempo"] = "octave"
    libraries: Literal["shared", "own"] = "shared"  # own: no track of a split is in another
    pairing: Literal["chosen", "random"] = "chosen"  # random: the chosen tracks, dealt out anew
    # what is seen and heard of it
    linear_share: float = 0.4  # lambda: part of a feature's variance that is linear in the latents
    noise: float = 0.25  # deviation of white noise, where the map's is 1: so much per clip, so much per row
    blur: float = 0.22  # deviation of what hides a latent from a path that tells it, where its own is 1
    kappa: float = 0.5  # correlation of the emotion that the audio path tells with the track's
    contamination: float = 0.5  # how much of the music the loudest speech replaces
    emotion_path: Literal["music", "nothing"] = "music"  # nothing: the emotion feature is of other music
    text: Literal["tags", "shuffled"] = "tags"

    def laws(self, seed: int) -> World:
        """How the ads and tracks of instance `seed` are drawn and how its editors choose."""
        return World(
            world_seed=seed,
            sigma_style=self.sigma_style,
            sigma_emotion=self.sigma_emotion,
            sigma_tempo=self.sigma_tempo,
            conventions=self.conventions,
            pace=self.pace,
        )


DEFAULT = Knobs()
WORLDS = {
    "default": DEFAULT,
    "linear": replace(DEFAULT, linear_share=1.0, conventions="shared", pace="tempo"),
    "noE": replace(DEFAULT, emotion_path="nothing"),
    "noT": replace(DEFAULT, text="shuffled"),
    "clean": replace(DEFAULT, contamination=0.0),
    "null": replace(DEFAULT, pairing="random"),
    "kappa1": replace(DEFAULT, kappa=1.0),
    "cold": replace(DEFAULT, libraries="own"),
    "hard": replace(
        DEFAULT,
        sigma_style=1.5 * DEFAULT.sigma_style,
        sigma_emotion=1.5 * DEFAULT.sigma_emotion,
        sigma_tempo=1.5 * DEFAULT.sigma_tempo,
    ),
}


def knobs_of(name: str) -> Knobs:
    """The knobs of a world.

    Raises:
        BadOptions: if there is no world of that name.
    """
    if name not in WORLDS:
        raise BadOptions(f"there is no world {name!r}: choose one of {', '.join(WORLDS)}")
    return WORLDS[name]


def dims_of(name: str) -> Dims:
    """The widths of that name; raises `BadOptions` if there are none."""
    if name not in DIMS:
        raise BadOptions(f"there are no dimensions {name!r}: choose one of {', '.join(DIMS)}")
    return DIMS[name]
