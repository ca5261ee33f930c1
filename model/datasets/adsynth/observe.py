"""Latents of ads and of the tracks they chose in, `frames`, `audio` and `emotion` of their clips out.

docs/models.md 7.2; what we set otherwise there is in docs/log.md:

    x = sqrt(lambda) * linear(z) + sqrt(1 - lambda) * sin(random(z)) / SINE_DEVIATION + noise

z is what the path can tell, and what hides it. Every ad has its own clip of its track: fresh nuisance,
fresh speech over it. Nothing of a pair enters both sides but the laws by which its track was chosen.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from model.datasets.adsynth.sequences import Clock, cuts_per_s, draw_shots, wander
from model.datasets.adsynth.worlds import Dims, Knobs
from model.datasets.synth.world import (
    CATEGORIES,
    CATEGORY_OF_TAG,
    STYLE_DIM,
    TAGS,
    AdLatents,
    TrackLatents,
)

LOOK_DIM = 6  # what a tag's products look like
PICTURE_NUISANCE, AUDIO_NUISANCE, EMOTION_NUISANCE = 12, 12, 6
SPEECH_DIM = 4
LEVEL_WEIGHT = 3.0  # of the level of speech, among inputs of deviation 1
SECTIONS_PER_S = 0.1  # of music, where a picture has cuts
SCALE_SPREAD = 1.0  # of the log of an emotion functional's scale
OFFSET_SPREAD = 2.0  # of an emotion functional's mean, in its scale
SINE_DEVIATION = np.sqrt((1 - np.exp(-1)) / 2)  # of sin(u + any phase), on average, for u of variance 1
PICTURE_WIDTH = STYLE_DIM + 2 + LOOK_DIM + PICTURE_NUISANCE + 1
AUDIO_WIDTH = STYLE_DIM + 2 + AUDIO_NUISANCE + 1 + SPEECH_DIM + 1
EMOTION_WIDTH = 2 + EMOTION_NUISANCE + 1 + SPEECH_DIM + 1
PICTURE, AUDIO, EMOTION, FLOW, RHYTHM = range(5)  # streams of a block's seed

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class FeatureMap:
    """A random smooth map: inputs of variance 1 give outputs of variance 1."""

    linear: NDArray[np.float32]  # (d_in, d_out)
    bent: NDArray[np.float32]  # (d_in, d_out)
    phase: NDArray[np.float32]  # (d_out,)
    linear_share: float

    @classmethod
    def draw(cls, d_in: int, d_out: int, linear_share: float, rng: np.random.Generator) -> Self:
        """A map of which `linear_share` of the outputs' variance is linear."""
        linear, bent = (rng.standard_normal((2, d_in, d_out)) / np.sqrt(d_in)).astype(np.float32)
        phase = rng.uniform(0, 2 * np.pi, d_out).astype(np.float32)
        return cls(linear, bent, phase, linear_share)

    def __call__(self, inputs: Array) -> NDArray[np.float32]:
        """(rows, d_in) -> (rows, d_out)."""
        z = inputs.astype(np.float32)
        waves = np.sin(z @ self.bent + self.phase)
        waves *= np.float32(np.sqrt(1 - self.linear_share) / SINE_DEVIATION)
        values: NDArray[np.float32] = waves + z @ (np.float32(np.sqrt(self.linear_share)) * self.linear)
        return values


@dataclass(frozen=True, slots=True)
class Senses:
    """The extractors of one instance of a world, all random and frozen."""

    frames: FeatureMap
    audio: FeatureMap
    emotion: FeatureMap
    looks: Array  # (15, LOOK_DIM)
    functional_scale: NDArray[np.float32]  # (d_emotion,)
    functional_mean: NDArray[np.float32]  # (d_emotion,)
    text: NDArray[np.float32]  # (15, d_text)

    @classmethod
    def draw(cls, knobs: Knobs, dims: Dims, rng: np.random.Generator) -> Self:
        """Draw them; text vectors of tags of one category are alike."""
        share = knobs.linear_share
        frames = FeatureMap.draw(PICTURE_WIDTH, dims.frames, share, rng)
        audio = FeatureMap.draw(AUDIO_WIDTH, dims.audio, share, rng)
        emotion = FeatureMap.draw(EMOTION_WIDTH, dims.emotion, share, rng)
        scale = np.exp(SCALE_SPREAD * rng.standard_normal(dims.emotion)).astype(np.float32)
        mean = scale * (OFFSET_SPREAD * rng.standard_normal(dims.emotion)).astype(np.float32)
        of_category = rng.standard_normal((len(CATEGORIES), dims.text))
        words = of_category[np.asarray(CATEGORY_OF_TAG)] + rng.standard_normal((len(TAGS), dims.text))
        looks = rng.standard_normal((len(TAGS), LOOK_DIM))
        return cls(frames, audio, emotion, looks, scale, mean, words.astype(np.float32))


@dataclass(frozen=True, slots=True)
class Clips:
    """A block of pairs to observe, and the rows its features will have."""

    knobs: Knobs
    ads: AdLatents
    heard: TrackLatents  # the track under each ad
    shown: Clock  # of the picture's features
    played: Clock  # of the music's: its own, or equal lengths would tell who belongs with whom
    seed: tuple[int, ...]  # of this block; every feature adds a number of its own

    def rng(self, feature: int) -> np.random.Generator:
        """The generator of one feature: a world that draws one otherwise leaves the others as they were."""
        return np.random.default_rng([*self.seed, feature])


def see(clips: Clips, senses: Senses) -> NDArray[np.float32]:
    """`frames`: (rows, d). Style, emotion and pace, all blurred; what the product looks like; nuisance."""
    ads, clock, rng = clips.ads, clips.shown, clips.rng(PICTURE)
    shown = np.column_stack([ads.style, ads.valence, ads.arousal, ads.log2_cut_rate])
    shown = _blurred(shown, clips.knobs.blur, rng)
    look = (senses.looks[ads.tag] + rng.standard_normal((len(ads), LOOK_DIM))) / np.sqrt(2)
    nuisance = rng.standard_normal((len(ads), PICTURE_NUISANCE))
    moving = np.column_stack([shown[:, :-1], look, nuisance])
    shots = draw_shots(clock, cuts_per_s(ads.log2_cut_rate), rng)
    rows = clock.spread(moving) + wander(clock, shots, moving.shape[1], rng)
    inputs = np.column_stack([rows, clock.spread(shown[:, -1:])])
    return _measured(senses.frames, inputs, clock, clips.knobs.noise, rng)


def hear_audio(clips: Clips, senses: Senses) -> NDArray[np.float32]:
    """`audio`: (rows, d). Genre, tempo, a trace of emotion, nuisance; speech over all of it."""
    music, kappa, rng = clips.heard, clips.knobs.kappa, clips.rng(AUDIO)
    told = np.column_stack([music.genre, music.valence, music.arousal, music.log2_tempo])
    told = _blurred(told, clips.knobs.blur, rng)
    emotion = kappa * told[:, -3:-1] + np.sqrt(1 - kappa**2) * rng.standard_normal((len(music), 2))
    nuisance = rng.standard_normal((len(music), AUDIO_NUISANCE))
    moving = np.column_stack([told[:, :-3], emotion, nuisance])
    inputs = _under_speech(moving, told[:, -1:], clips, rng)
    return _measured(senses.audio, inputs, clips.played, clips.knobs.noise, rng)


def hear_emotion(clips: Clips, senses: Senses) -> NDArray[np.float32]:
    """`emotion`: (rows, d). Emotion, tempo, nuisance; speech; as functionals of many scales."""
    music, rng = clips.heard, clips.rng(EMOTION)
    told = np.column_stack([music.valence, music.arousal, music.log2_tempo])
    if clips.knobs.emotion_path == "nothing":
        told = rng.standard_normal(told.shape)
    told = _blurred(told, clips.knobs.blur, rng)
    moving = np.column_stack([told[:, :-1], rng.standard_normal((len(music), EMOTION_NUISANCE))])
    inputs = _under_speech(moving, told[:, -1:], clips, rng)
    measured = _measured(senses.emotion, inputs, clips.played, clips.knobs.noise, rng)
    return senses.functional_mean + senses.functional_scale * measured


def _blurred(latents: Array, blur: float, rng: np.random.Generator) -> Array:
    """The latents hidden by noise of deviation `blur`, of variance 1 again."""
    hidden: Array = (latents + blur * rng.standard_normal(latents.shape)) / np.sqrt(1 + blur**2)
    return hidden


def _under_speech(moving: Array, tempo: Array, clips: Clips, rng: np.random.Generator) -> Array:
    """A path's inputs on each row: the music, quieter the more speech there is, the speech, and how much.

    Drawn for each path alone, so either may be the better one of a clip (docs/models.md 7.2).
    """
    clock, n = clips.played, len(clips.ads)
    speech = clips.knobs.contamination * rng.beta(1, 2, size=(n, 1))
    code = speech * rng.standard_normal((n, SPEECH_DIM))
    sections = draw_shots(clock, np.full(n, SECTIONS_PER_S), rng)
    rows = clock.spread(moving) + wander(clock, sections, moving.shape[1], rng)
    music = np.column_stack([rows, clock.spread(tempo)]) * clock.spread(1 - speech)
    return np.column_stack([music, clock.spread(np.column_stack([code, LEVEL_WEIGHT * speech]))])


def _measured(
    feature: FeatureMap, inputs: Array, clock: Clock, noise: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    values = feature(inputs)
    of_clip = rng.standard_normal((len(clock.counts), values.shape[1]), dtype=np.float32)
    white = rng.standard_normal(values.shape, dtype=np.float32)
    white += np.repeat(of_clip, clock.counts, axis=0)
    white *= np.float32(noise)
    values += white
    return values
