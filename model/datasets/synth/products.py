"""A tag's number in, the silhouette of such a product out, as an 8-bit mask."""

from PIL import Image, ImageDraw, ImageFilter

from model.datasets.synth.world import TAGS

Point = tuple[float, float]
Shape = tuple[str, tuple[Point, ...]]  # "polygon" or "ellipse" (two corners) or "hole" (an ellipse cut out)


def _mirrored(half: tuple[Point, ...]) -> tuple[Point, ...]:
    """A left half from top to bottom, closed by its mirror image."""
    return half + tuple((1 - x, y) for x, y in reversed(half))


def _top(sleeve_y: float, sleeve_x: float, waist: float, hem_y: float) -> Shape:
    half = ((0.42, 0.1), (0.25, 0.15), (sleeve_x, sleeve_y), (sleeve_x + 0.12, sleeve_y + 0.06))
    return "polygon", _mirrored((*half, (0.27, 0.36), (0.27 + waist, 0.6), (0.26, hem_y)))


def _slab(x: float, y: float) -> Shape:
    return "polygon", ((x, y), (1 - x, y), (1 - x, 1 - y), (x, 1 - y))


_NECK: Shape = ("hole", ((0.4, 0.02), (0.6, 0.18)))
_LEGS: Shape = (
    "polygon",
    ((0.3, 0.55), (0.7, 0.55), (0.72, 0.97), (0.55, 0.97), (0.5, 0.65), (0.45, 0.97), (0.28, 0.97)),
)
_LAPEL: Shape = ("hole", ((0.44, 0.08), (0.56, 0.5)))

SILHOUETTES: dict[str, tuple[Shape, ...]] = {
    "sportswear": (_top(0.32, 0.1, 0.0, 0.55), _LEGS, _NECK),
    "wedding dresses": (
        ("polygon", _mirrored(((0.4, 0.06), (0.36, 0.2), (0.42, 0.4), (0.3, 0.6), (0.03, 0.97)))),
        ("hole", ((0.43, -0.04), (0.57, 0.12))),
    ),
    "women's t-shirts": (_top(0.3, 0.14, 0.06, 0.8), _NECK),
    "down jackets": (
        _top(0.75, 0.02, -0.06, 0.88),
        ("ellipse", ((0.32, 0.0), (0.68, 0.26))),
        ("hole", ((0.1, 0.44), (0.9, 0.47))),
        ("hole", ((0.1, 0.62), (0.9, 0.65))),
    ),
    "women's suits": (
        _top(0.62, 0.1, 0.08, 0.6),
        ("polygon", ((0.3, 0.58), (0.7, 0.58), (0.66, 0.95), (0.34, 0.95))),
        _LAPEL,
    ),
    "men's suits": (_top(0.68, 0.06, 0.0, 0.62), _LEGS, _LAPEL),
    "men's t-shirts": (_top(0.34, 0.05, 0.0, 0.92), _NECK),
    "baby care": (
        ("polygon", _mirrored(((0.36, 0.3), (0.3, 0.4), (0.3, 0.96)))),
        ("ellipse", ((0.4, 0.03), (0.6, 0.24))),
        ("polygon", _mirrored(((0.33, 0.2), (0.33, 0.28)))),
    ),
    "children's clothing": (_top(0.34, 0.16, -0.02, 0.6), ("ellipse", ((0.22, 0.4), (0.78, 0.98))), _NECK),
    "daily necessities": (
        ("polygon", _mirrored(((0.25, 0.35), (0.2, 0.45), (0.2, 0.96)))),
        ("polygon", ((0.4, 0.12), (0.8, 0.12), (0.8, 0.2), (0.58, 0.2), (0.58, 0.36), (0.4, 0.36))),
    ),
    "food": (
        ("ellipse", ((0.08, 0.15), (0.92, 0.75))),
        ("hole", ((0.02, 0.47), (0.98, 0.52))),
        ("polygon", ((0.1, 0.6), (0.9, 0.6), (0.8, 0.88), (0.2, 0.88))),
    ),
    "cosmetics": (
        ("polygon", _mirrored(((0.36, 0.45), (0.36, 0.97)))),
        ("polygon", ((0.4, 0.43), (0.4, 0.16), (0.6, 0.05), (0.6, 0.43))),
    ),
    "video games": (
        ("ellipse", ((0.02, 0.25), (0.5, 0.85))),
        ("ellipse", ((0.5, 0.25), (0.98, 0.85))),
        ("polygon", ((0.25, 0.26), (0.75, 0.26), (0.75, 0.6), (0.25, 0.6))),
        ("hole", ((0.18, 0.42), (0.32, 0.56))),
        ("hole", ((0.68, 0.42), (0.82, 0.56))),
    ),
    "mobile phones": (_slab(0.3, 0.04), ("hole", ((0.46, 0.88), (0.54, 0.94)))),
    "tablets": (_slab(0.06, 0.14), ("hole", ((0.1, 0.47), (0.13, 0.53)))),
}


def silhouette(tag: int, side_px: int, roundness: float) -> Image.Image:
    """Mask "L" of `side_px` squared; roundness 0..1 melts the corners."""
    mask = Image.new("L", (side_px, side_px))
    draw = ImageDraw.Draw(mask)
    for kind, points in SILHOUETTES[TAGS[tag]]:
        scaled = [(x * side_px, y * side_px) for x, y in points]
        match kind:
            case "polygon":
                draw.polygon(scaled, fill=255)
            case "ellipse":
                draw.ellipse(scaled, fill=255)
            case _:
                draw.ellipse(scaled, fill=0)
    soft = mask.filter(ImageFilter.GaussianBlur(0.01 * side_px * (0.3 + 3 * roundness)))
    return soft.point([max(0, min(255, (level - 96) * 4)) for level in range(256)])
