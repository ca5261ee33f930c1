"""A look in, the frames of its advert out, shot by shot.

Speed is the point of the form: everything is drawn once per advert as grounds and sprites; a frame is
one slice of a ground, a few small blits and saturating uint8 arithmetic, about 1 ms at 640 x 360.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from model.datasets.synth import cards
from model.datasets.synth.look import Look
from model.datasets.synth.sprites import Sprite
from model.datasets.synth.texture import draw_texture, grain_field

FPS = 25
MARGIN_X, MARGIN_Y = 0.4, 0.3  # how much larger than the frame a ground is, for the camera to move on
FLASH_FRAMES = 5
SLIDE_FRAMES = 8  # in which cards enter
Frame = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Materials:
    """What is drawn once for an advert."""

    grounds: tuple[Frame, ...]  # each larger than the frame
    cards: tuple[Sprite, ...]
    hero: Sprite
    people: tuple[Sprite, ...]
    caption: Sprite | None
    logo: Sprite
    subtitles: tuple[Sprite, ...]
    shade: Frame  # (h, w, 1) levels taken away: light and vignette
    grain: Frame | None  # signed noise as wrapping uint8, larger than the frame


@dataclass(frozen=True, slots=True)
class Actor:
    """A sprite and its path: position at the shot's start, speed, entry, bobbing."""

    sprite: Sprite
    x_px: float
    y_px: float
    vx_px: float  # per frame
    vy_px: float
    bob_px: float
    enters: bool

    def draw(self, frame: Frame, t: int) -> None:
        """Blit it as it stands `t` frames into the shot."""
        late = max(0.0, 1 - t / SLIDE_FRAMES) if self.enters else 0.0
        x = self.x_px + self.vx_px * t + late * late * frame.shape[1] * 0.4
        y = self.y_px + self.vy_px * t + self.bob_px * np.sin(0.35 * t + self.x_px)
        self.sprite.blit(frame, round(x), round(y))


@dataclass(frozen=True, slots=True)
class Shot:
    """From one cut to the next."""

    ground: Frame
    frames: int
    tripod: bool
    start_px: tuple[float, float]  # camera's x, y on the ground
    pan_px: tuple[float, float]  # per frame
    zoom: float  # at the start, >= 1
    zoom_step: float  # per frame
    actors: tuple[Actor, ...]


def draw_frames(look: Look, duration_s: float, rng: np.random.Generator) -> Iterator[Frame]:
    """All frames of an advert, (h, w, 3) uint8 RGB, FPS a second; each holds until the next is asked for."""
    materials = draw_materials(look, rng)
    frames = max(1, round(duration_s * FPS))
    shake = _shake(look, frames, rng)
    flash = _flash(look, frames, rng)
    frame = np.empty((look.height_px, look.width_px, 3), np.uint8)
    now = 0
    for length in shot_lengths(look.cuts_per_s, frames, rng):
        shot = _plan(look, materials, length, rng)
        subtitle = int(rng.integers(len(materials.subtitles))) if materials.subtitles else 0
        for t in range(length):
            _draw(frame, shot, t, shake[now] * (not shot.tripod))
            _finish(frame, look, materials, subtitle, int(flash[now]), rng)
            yield frame
            now += 1


def shot_lengths(cuts_per_s: float, frames: int, rng: np.random.Generator) -> list[int]:
    """Lengths in frames that sum to `frames`; about evenly spaced cuts, the first at a random phase."""
    mean = FPS / cuts_per_s
    lengths: list[int] = []
    left = frames
    scale = rng.uniform(0.3, 1.0)  # the opening is part of a shot
    while left > 0:
        length = min(left, max(4, round(mean * scale * float(np.exp(rng.normal(0, 0.2))))))
        lengths.append(length)
        left -= length
        scale = 1.0
    return lengths


def draw_materials(look: Look, rng: np.random.Generator) -> Materials:
    """Draw grounds, sprites, light and grain of one advert."""
    count = min(3, look.cards)
    subtitles = range(3) if look.nuisance.subtitles else ()
    return Materials(
        grounds=tuple(_ground(look, kind, i, rng) for i, kind in enumerate(look.nuisance.kinds)),
        cards=tuple(cards.draw_card(look, step, rng) for step in range(count)),
        hero=cards.draw_hero(look, rng),
        people=tuple(cards.draw_person(look, rng) for _ in range(2)),
        caption=cards.draw_caption(look, rng),
        logo=cards.draw_logo(look),
        subtitles=tuple(cards.draw_subtitle(look, rng) for _ in subtitles),
        shade=_shade(look),
        grain=_grain(look, rng),
    )


def _ground(look: Look, kind: str, scene: int, rng: np.random.Generator) -> Frame:
    """Drawn at half size and enlarged: no feature sees finer detail, and it is four times cheaper."""
    width, height = int(look.width_px * (1 + MARGIN_X)), int(look.height_px * (1 + MARGIN_Y))
    shape = (height // 2, width // 2)
    period_px = look.period_px / 2 * float(np.exp(rng.normal(0, 0.15)))
    angle = look.angle_rad + float(rng.normal(0, 0.08))
    field = draw_texture(kind, shape, max(3.0, period_px), angle, rng)
    level = (127.5 + 255 * look.texture_contrast * (field - 0.5)).clip(0, 255).astype(np.uint8)
    palette = look.palette if scene == 0 else look.palette.scene(rng)
    near = look.grade.apply(palette.ground())[level]
    far = look.grade.apply(palette.ground(turn=0.5 * palette.spread))[level]
    mask = grain_field(shape, 0.7 * shape[0], angle, rng)[..., None]
    mixed = (near + mask**2 * (far.astype(np.float32) - near)).astype(np.uint8)
    image = Image.fromarray(mixed)
    if look.nuisance.blur_px:
        image = image.filter(ImageFilter.BoxBlur(look.nuisance.blur_px / 2))
    return np.array(image.resize((width, height), Image.Resampling.BILINEAR))


def _shade(look: Look) -> Frame:
    y = np.linspace(-1, 1, look.height_px)[:, None]
    x = np.linspace(-1, 1, look.width_px)[None, :]
    ramp = 75 * abs(look.light) * (0.5 + 0.5 * np.sign(look.light) * y) ** 1.5
    sides = 60 * look.spot * x**2
    corners = look.nuisance.vignette * np.clip((x**2 + y**2) / 2, 0, 1)
    one_side = abs(look.nuisance.side_light) * (0.5 - 0.5 * np.sign(look.nuisance.side_light) * x)
    levels = (ramp + sides + corners + one_side) * min(1.0, look.grade.exposure)
    return np.repeat(np.clip(levels, 0, 200).astype(np.uint8)[..., None], 3, axis=2)


def _grain(look: Look, rng: np.random.Generator) -> Frame | None:
    half = look.nuisance.grain
    if half == 0:
        return None
    tile = rng.integers(-half, half + 1, (look.height_px + 48, look.width_px + 48, 1), dtype=np.int8)
    return np.repeat(tile, 3, axis=2).view(np.uint8)


def _shake(look: Look, frames: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Camera offset (frames, 2) in px: a few slow sines of random phase, as a hand moves."""
    t = np.arange(frames)[:, None, None] / FPS
    hz = rng.uniform(0.5, 6, (1, 2, 4))
    waves = np.sin(2 * np.pi * (hz * t + rng.random((1, 2, 4)))) / np.sqrt(hz)
    return np.asarray((look.shake_px + look.nuisance.hand_held_px) * waves.sum(axis=2), np.float64)


def _flash(look: Look, frames: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Level (frames,) below which no pixel may fall: short triangles, soft enough to be no cut."""
    level = np.zeros(frames, np.int64)
    rise = np.minimum(np.arange(1, FLASH_FRAMES + 1), np.arange(FLASH_FRAMES, 0, -1)) / 3
    for start in rng.integers(0, frames, rng.poisson(look.flashes_per_s * frames / FPS)):
        part = level[start : start + FLASH_FRAMES]
        np.maximum(part, (rise * 150)[: len(part)].astype(np.int64), out=part)
    return level


def _plan(look: Look, materials: Materials, frames: int, rng: np.random.Generator) -> Shot:
    ground = materials.grounds[int(rng.integers(len(materials.grounds)))]
    ground = ground[:, ::-1] if rng.random() < 0.5 else ground
    tripod = bool(rng.random() < look.nuisance.tripod_share)
    speed = look.pan_px_per_s / FPS * rng.choice([-1, 1]) * float(np.exp(rng.normal(0, 0.2)))
    speed = 0.0 if tripod else speed
    pan = (speed * float(np.cos(look.angle_rad)), speed * float(np.sin(look.angle_rad)))
    zooms = not tripod and look.zoom_per_s > 0 and rng.random() < 0.35
    step = look.zoom_per_s / FPS * rng.choice([-1, 1]) if zooms else 0.0
    return Shot(
        ground=ground,
        frames=frames,
        tripod=tripod,
        start_px=(rng.uniform(0, MARGIN_X) * look.width_px, rng.uniform(0, MARGIN_Y) * look.height_px),
        pan_px=pan,
        zoom=1.0 if step > 0 else 1 - step * frames,
        zoom_step=float(step),
        actors=_cast(look, materials, (1.5 if tripod else 0.5) * look.pan_px_per_s / FPS, rng),
    )


def _cast(look: Look, materials: Materials, drift: float, rng: np.random.Generator) -> tuple[Actor, ...]:
    """The things in front of the ground; `drift` is how many px a frame they move about."""
    actors: list[Actor] = []
    if rng.random() >= look.nuisance.card_share:
        for person in materials.people[: int(rng.integers(0, 3))]:
            x = rng.uniform(-0.1, 0.9) * look.width_px
            y = look.height_px - person.ink.shape[0] * rng.uniform(0.7, 1)
            actors.append(Actor(person, x, y, float(rng.normal(0, drift)), 0.0, 0.15 * drift, False))
    elif rng.random() < 0.25:
        hero = materials.hero
        x = (look.width_px - hero.ink.shape[1]) * rng.uniform(0.2, 0.8)
        y = (look.height_px - hero.ink.shape[0]) * rng.uniform(0.2, 0.8)
        actors.append(Actor(hero, x, y, float(rng.normal(0, drift)), 0.0, drift, rng.random() < 0.5))
    else:
        actors.extend(_array(look, materials, drift, rng))
    if materials.caption is not None and rng.random() < 0.8:
        x = rng.uniform(0, max(1, look.width_px - materials.caption.ink.shape[1]))
        y = rng.choice([0.04, 0.9]) * (look.height_px - materials.caption.ink.shape[0])
        actors.append(Actor(materials.caption, x, y, 0.0, 0.0, 0.0, rng.random() < 0.5))
    corner = look.width_px - materials.logo.ink.shape[1] - 12
    actors.append(Actor(materials.logo, corner, 12, 0.0, 0.0, 0.0, False))
    return tuple(actors)


def _array(look: Look, materials: Materials, drift: float, rng: np.random.Generator) -> list[Actor]:
    """Cards in a row or a column, as the angle says; what does not fit wraps into the next one."""
    height, width = materials.cards[0].ink.shape[:2]
    along_x = look.angle_rad < np.pi / 4
    fits = max(1, int(look.width_px / width) if along_x else int(look.height_px / height))
    per_line = min(look.cards, fits)
    lines = -(-look.cards // per_line)
    columns, rows = (per_line, lines) if along_x else (lines, per_line)
    x0 = (look.width_px - columns * width) * rng.uniform(0.2, 0.8)
    y0 = (look.height_px - rows * height) * rng.uniform(0.2, 0.8)
    enters = bool(rng.random() < 0.5)
    speed = float(rng.normal(0, drift))
    vx, vy = (speed, 0.0) if along_x else (0.0, speed)
    actors = []
    for i in range(look.cards):
        line, place = divmod(i, per_line)
        column, row = (place, line) if along_x else (line, place)
        sprite = materials.cards[i % len(materials.cards)]
        actors.append(Actor(sprite, x0 + column * width, y0 + row * height, vx, vy, 0.4 * drift, enters))
    return actors


def _bounce(x: float, span: float) -> float:
    """Reflect a position into 0 .. span."""
    x = abs(x) % (2 * span)
    return min(x, 2 * span - x)


def _draw(frame: Frame, shot: Shot, t: int, shake: NDArray[np.float64]) -> None:
    height, width = frame.shape[:2]
    span_y, span_x = shot.ground.shape[0] - height, shot.ground.shape[1] - width
    x = _bounce(shot.start_px[0] + shot.pan_px[0] * t + shake[0], span_x)
    y = _bounce(shot.start_px[1] + shot.pan_px[1] * t + shake[1], span_y)
    scale = shot.zoom + shot.zoom_step * t
    if shot.zoom_step == 0:
        frame[...] = shot.ground[int(y) : int(y) + height, int(x) : int(x) + width]
    else:
        rows = (y + height / 2 + (np.arange(height) + 0.5 - height / 2) / scale).astype(np.intp)
        columns = (x + width / 2 + (np.arange(width) + 0.5 - width / 2) / scale).astype(np.intp)
        np.take(shot.ground.take(rows, axis=0), columns, axis=1, out=frame, mode="clip")
    for actor in shot.actors:
        actor.draw(frame, t)


def _finish(
    frame: Frame, look: Look, materials: Materials, subtitle: int, flash: int, rng: np.random.Generator
) -> None:
    height, width = frame.shape[:2]
    if materials.subtitles:
        line = materials.subtitles[subtitle]
        line.blit(frame, (width - line.ink.shape[1]) // 2, int(0.84 * height))
    if materials.grain is not None:
        dy, dx = rng.integers(0, 48, 2)
        frame += materials.grain[dy : dy + height, dx : dx + width]
    np.maximum(frame, materials.shade, out=frame)
    frame -= materials.shade
    if flash:
        np.maximum(frame, np.uint8(flash), out=frame)
    if look.nuisance.bars_px:
        frame[: look.nuisance.bars_px] = 0
        frame[-look.nuisance.bars_px :] = 0
