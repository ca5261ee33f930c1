"""One ad's latents in, one rendered advert as an .mp4 file out."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model.datasets.synth.look import draw_look
from model.datasets.synth.shots import FPS, draw_frames
from model.datasets.synth.voice import babble
from model.datasets.synth.world import AdLatents
from model.media.encode import VideoWriter

SHORTEST_S, LONGEST_S = 6.0, 30.0
SOUND_SHARE, MUSIC_SHARE, VOICE_SHARE = 0.65, 0.7, 0.6
PRESET = "ultrafast"  # 1.0 ms a frame at 640 x 360; veryfast takes 1.6 for files half the size


def draw_duration_s(rng: np.random.Generator) -> float:
    """Length of an advert, log-uniform, a whole number of frames."""
    seconds = float(np.exp(rng.uniform(np.log(SHORTEST_S), np.log(LONGEST_S))))
    return round(seconds * FPS) / FPS


def render_advert(
    ads: AdLatents,
    row: int,
    path: Path,
    *,
    duration_s: float,
    music: NDArray[np.float32],
    rate_hz: int,
    rng: np.random.Generator,
) -> None:
    """Render ad `row`; the file appears whole or not at all.

    Args:
        ads: latents of all ads.
        row: which one.
        path: of the .mp4 to write.
        duration_s: of the picture.
        music: (n,) the clip that the editor chose, from its start; may end before the picture.
        rate_hz: of `music`.
        rng: everything that the latents leave open.
    """
    look = draw_look(ads, row, rng)
    sound = mix_sound(music, duration_s, rate_hz, rng)
    with VideoWriter(
        path,
        look.width_px,
        look.height_px,
        FPS,
        sound=sound,
        sound_rate_hz=rate_hz,
        crf=look.nuisance.crf,
        preset=PRESET,
    ) as writer:
        for frame in draw_frames(look, duration_s, rng):
            writer.write(frame)


def mix_sound(
    music: NDArray[np.float32], duration_s: float, rate_hz: int, rng: np.random.Generator
) -> NDArray[np.float32] | None:
    """What the advert's own sound track holds: nothing, music, a voice, or a voice over ducked music."""
    with_sound, with_music, with_voice = rng.random(3) < (SOUND_SHARE, MUSIC_SHARE, VOICE_SHARE)
    if not with_sound:
        return None
    n = round(duration_s * rate_hz)
    mix = np.zeros(n, np.float32)
    if with_music:
        part = music[:n]
        mix[: len(part)] += part * np.float32(0.4 if with_voice else 0.9)
    if with_voice:
        mix += babble(duration_s, rate_hz, rng) * np.float32(rng.uniform(0.3, 0.6))
    return np.clip(mix, -1, 1)
