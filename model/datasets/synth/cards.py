"""A look in, the sprites of its advert out: product cards, captions, logo, subtitles, people."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from model.datasets.synth.look import GOLDEN_TURN, Look
from model.datasets.synth.products import silhouette
from model.datasets.synth.sprites import Sprite

WORDS = (
    "NEW", "SALE", "-30 %", "TODAY", "only 99", "soft", "for you", "2 for 1", "classic", "limited", "gift",
    "light", "warm", "fresh", "best choice", "spring", "official store", "pure", "smart", "every day", "now",
)  # fmt: skip
CARD_ASPECT = 0.8  # width / height
SHADOW_PX = 6
CLEAR = (0, 0, 0, 0)


def _rgb(colour: NDArray[np.float32]) -> tuple[int, int, int]:
    red, green, blue = np.clip(colour * 255, 0, 255).astype(int).tolist()
    return red, green, blue


def _font(size_px: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(max(8, size_px))


def _phrase(rng: np.random.Generator, words: int) -> str:
    return " ".join(WORDS[i] for i in rng.integers(len(WORDS), size=words))


def card_size_px(look: Look) -> tuple[int, int]:
    """Width and height that make the cards cover their share of the frame."""
    area = look.card_cover * look.width_px * look.height_px / look.cards
    height = min((area / CARD_ASPECT) ** 0.5, 0.9 * look.height_px)
    return max(40, int(height * CARD_ASPECT)), max(50, int(height))


def draw_product(look: Look, side_px: int, step: int, rng: np.random.Generator) -> Image.Image:
    """The product itself, shaded from the side the light comes from: RGBA, square."""
    mask = silhouette(look.tag, side_px, look.roundness)
    down = np.linspace(1, -1, side_px, dtype=np.float32)[:, None]
    shade = 1 + 0.35 * look.light * down + 0.08 * np.sin(rng.uniform(0.1, 0.6) * np.arange(side_px))[None, :]
    rgb = np.clip(shade[..., None] * look.palette.accent(step) * 255, 0, 255).astype(np.uint8)
    image = Image.fromarray(rgb).convert("RGBA")
    image.putalpha(mask)
    return image


def draw_card(look: Look, step: int, rng: np.random.Generator) -> Sprite:
    """One product card: shadow, paper with corners as round as the mood, product, price."""
    width, height = card_size_px(look)
    image = Image.new("RGBA", (width + 2 * SHADOW_PX, height + 2 * SHADOW_PX), CLEAR)
    draw = ImageDraw.Draw(image)
    corner = look.roundness * width / 3
    box = (SHADOW_PX, SHADOW_PX, SHADOW_PX + width - 1, SHADOW_PX + height - 1)
    draw.rounded_rectangle((*(b + SHADOW_PX for b in box),), corner, fill=(0, 0, 0, 90))
    paper = _rgb(look.palette.paper(dark=look.nuisance.dark_paper))
    draw.rounded_rectangle(box, corner, fill=(*paper, 255))
    side = int(width * 0.86)
    product = draw_product(look, side, step, rng)
    image.alpha_composite(product, (SHADOW_PX + (width - side) // 2, SHADOW_PX + int(0.04 * height)))
    ink = (20, 20, 20) if not look.nuisance.dark_paper else (240, 240, 240)
    price = f"{rng.integers(9, 999)}.90"
    middle = (SHADOW_PX + width / 2, SHADOW_PX + 0.88 * height)
    draw.text(middle, price, font=_font(int(height * 0.11)), fill=ink, anchor="mm")
    return Sprite.of(image, look.grade)


def draw_hero(look: Look, rng: np.random.Generator) -> Sprite:
    """The product alone, without a card, as large as the look's subjects are."""
    side = int(min(look.height_px, look.width_px) * (0.3 + 0.95 * look.card_cover))
    return Sprite.of(draw_product(look, side, 0, rng), look.grade)


def draw_caption(look: Look, rng: np.random.Generator) -> Sprite | None:
    """The advert's lines of text, or None for a look without."""
    if look.text_lines == 0:
        return None
    size_px = int(min(look.height_px, look.width_px) * rng.uniform(0.055, 0.09))
    lines = "\n".join(_phrase(rng, int(rng.integers(1, 4))) for _ in range(look.text_lines))
    font = _font(size_px)
    canvas = ImageDraw.Draw(Image.new("RGBA", (1, 1)))
    left, top, right, bottom = (int(v) for v in canvas.multiline_textbbox((0, 0), lines, font=font))
    image = Image.new("RGBA", (right - left + 24, bottom - top + 20), CLEAR)
    draw = ImageDraw.Draw(image)
    dark = not look.nuisance.dark_paper
    colour = 0.4 * look.palette.accent(2) + 0.6 * look.palette.paper(dark=not dark)
    if rng.random() < 0.5:
        paper = _rgb(look.palette.paper(dark=dark))
        draw.rounded_rectangle((0, 0, image.width - 1, image.height - 1), look.roundness * 18, (*paper, 210))
    edge = (20, 20, 20) if dark else (240, 240, 240)
    at = (12 - left, 10 - top)
    draw.multiline_text(at, lines, font=font, fill=_rgb(colour), stroke_width=1, stroke_fill=edge)
    return Sprite.of(image, look.grade)


def draw_logo(look: Look) -> Sprite:
    """The brand's glyph, a star or polygon that follows from the brand's number alone."""
    side = int(0.13 * min(look.height_px, look.width_px))
    points = 3 + look.brand % 7
    inner = 0.35 + 0.65 * ((look.brand * GOLDEN_TURN) % 1)
    turns = np.arange(2 * points) / (2 * points) + (look.brand % 11) / 11
    radius = np.where(np.arange(2 * points) % 2, inner, 1.0) * side * 0.48
    star = [
        (float(side / 2 + r * np.sin(2 * np.pi * t)), float(side / 2 - r * np.cos(2 * np.pi * t)))
        for r, t in zip(radius, turns, strict=True)
    ]
    image = Image.new("RGBA", (side, side), CLEAR)
    ImageDraw.Draw(image).polygon(
        star, fill=_rgb(look.palette.accent(look.brand % 5)), outline=(240, 240, 240)
    )
    return Sprite.of(image, look.grade)


def draw_subtitle(look: Look, rng: np.random.Generator) -> Sprite:
    """One line as a broadcaster burns it in: white with a black outline."""
    font = _font(int(min(look.height_px, look.width_px) * 0.05))
    line = _phrase(rng, int(rng.integers(3, 6)))[:40].lower()
    image = Image.new("RGBA", (int(look.width_px * 0.8), int(look.height_px * 0.08)), CLEAR)
    middle = (image.width / 2, image.height / 2)
    ImageDraw.Draw(image).text(middle, line, "white", font, anchor="mm", stroke_width=2, stroke_fill="black")
    return Sprite.of(image, look.grade)


def draw_person(look: Look, rng: np.random.Generator) -> Sprite:
    """A soft upright body with a head: what moves in footage, whatever is sold."""
    height = int(look.height_px * rng.uniform(0.8, 1.2) * (0.35 + look.card_cover))
    width = int(height * rng.uniform(0.3, 0.5))
    image = Image.new("RGBA", (width, height), CLEAR)
    draw = ImageDraw.Draw(image)
    cloth = _rgb(rng.uniform(0.1, 0.8, 3).astype(np.float32))
    skin = _rgb(np.float32(rng.uniform(0.3, 0.95)) * np.array([1.0, 0.76, 0.62], np.float32))
    draw.ellipse((0.05 * width, 0.25 * height, 0.95 * width, 1.2 * height), fill=(*cloth, 255))
    draw.ellipse((0.28 * width, 0.02 * height, 0.72 * width, 0.32 * height), fill=(*skin, 255))
    return Sprite.of(image.filter(ImageFilter.GaussianBlur(rng.uniform(0.5, 3))), look.grade)
