"""A number of bars in, the sections of a song out."""

from dataclasses import dataclass

ENERGY = {  # how hard a section is played
    "intro": 0.76,
    "verse": 0.86,
    "build": 0.88,
    "main": 1.0,
    "break": 0.78,
    "final": 1.05,
    "outro": 0.72,
}
SHAPES: dict[int, tuple[str, ...]] = {  # number of units -> sections; longer songs stretch the longest shape
    1: ("main",),
    2: ("intro", "final"),
    3: ("intro", "main", "final"),
    4: ("intro", "verse", "build", "final"),
    5: ("intro", "verse", "main", "break", "final"),
    6: ("intro", "verse", "build", "main", "break", "final"),
    11: ("intro", "verse", "build", "main", "verse", "break", "build", "final"),
}
STRETCH = ("final", "main", "verse", "main", "final", "verse", "break", "final", "main", "verse", "intro")


@dataclass(frozen=True, slots=True)
class Section:
    """A run of bars in which the same roles play."""

    name: str
    first_bar: int
    bars: int

    @property
    def energy(self) -> float:
        """How hard it is played: scales velocities."""
        return ENERGY[self.name]

    @property
    def end_bar(self) -> int:
        """The bar after its last."""
        return self.first_bar + self.bars


def lay_out(bars: int) -> list[Section]:
    """Sections that tile `bars` >= 1 bars: units of four bars (two in short pieces), the rest as an outro."""
    unit = 4 if bars >= 20 else 2 if bars >= 4 else 1
    units, rest = divmod(bars, unit)
    names = SHAPES[max(n for n in SHAPES if n <= units)]
    sizes = [unit] * len(names)
    spare = units - len(names)
    for wanted in STRETCH * (1 + spare // len(STRETCH) * len(STRETCH)):
        if spare > 0 and wanted in names:
            at = min((i for i, name in enumerate(names) if name == wanted), key=lambda i: sizes[i])
            sizes[at] += unit
            spare -= 1
    sections = []
    bar = 0
    for name, size in zip((*names, "outro"), (*sizes, rest), strict=True):
        if size:
            sections.append(Section(name, bar, size))
            bar += size
    return sections
