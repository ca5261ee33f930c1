"""Networks of fewer bits in; how far their vectors turn from those of fp32, and whether they may, out."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from model.backbones.catalogue import spec_of
from model.backbones.folder import Backbone
from model.errors import Mismatch
from model.evaluation.paired import Difference

LEAST_COSINE = 0.99  # mean over the vectors of each network
MOST_LOST = 0.02  # of R@10, mean of both directions
FEWEST_PAIRS = 20  # held out: of fewer, guessing finds more than half


@dataclass(frozen=True, slots=True)
class Turned:
    """Cosines between the vectors of one network in two precisions, over the same inputs."""

    network: str
    rows: int
    mean: float
    least: float


@dataclass(frozen=True, slots=True)
class Retrieved:
    """R@10 in two precisions; of each V->M and M->V, strict, over the held-out pairs."""

    split: str
    pairs: int
    fp32: tuple[float, float]
    fewer: tuple[float, float]
    change: Difference  # fewer bits less fp32, mean of both directions

    def by_precision(self, fewer: str) -> tuple[tuple[str, tuple[float, float, float]], ...]:
        """V->M, M->V and their mean: of fp32, then of what has fewer bits."""
        named = (("fp32", self.fp32), (fewer, self.fewer))
        return tuple((name, (*both, sum(both) / 2)) for name, both in named)

    @property
    def judged(self) -> bool:
        """Are there enough pairs for it to mean anything."""
        return self.pairs >= FEWEST_PAIRS


@dataclass(frozen=True, slots=True)
class Report:
    """What fewer bits change."""

    precision: str  # fp16 or int8
    turned: tuple[Turned, ...]
    retrieved: Retrieved | None = None  # None without a data set, or with nothing held out
    notes: tuple[str, ...] = ()

    @property
    def refused(self) -> str | None:
        """Why, and what to do, in one sentence; None within the bounds."""
        turned = [each for each in self.turned if not each.mean >= LEAST_COSINE]  # NaN is no cosine
        reasons = [
            f"{each.network} turns to a mean cosine of {each.mean:.4f} to fp32 (at least {LEAST_COSINE})"
            for each in turned
        ]
        found = self.retrieved
        lost = found is not None and found.judged and found.change.value < -MOST_LOST
        if found and lost:
            reasons.append(f"R@10 falls by {-found.change.value:.4f} (at most {MOST_LOST})")
        if not reasons:
            return None
        fix = self._fix(self.turned if lost else turned)
        return f"{self.precision} is refused: {' and '.join(reasons)}; {fix}"

    def _fix(self, blamed: Sequence[Turned]) -> str:
        """Ranges that are read off videos may be read off more of them."""
        pictures = [each.network for each in blamed if spec_of(each.network).sees_pictures]
        if self.precision != "int8" or not pictures:
            return "use fp32"
        return (
            f"run `yuyin models export {pictures[0]} --precision int8 --calibrate VIDEO` with more videos of "
            "your own, or use fp32"
        )

    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""
        bounds = {"least_cosine": LEAST_COSINE, "most_lost": MOST_LOST, "fewest_pairs": FEWEST_PAIRS}
        return asdict(self) | {"bounds": bounds, "refused": self.refused}


def networks(names: Sequence[str]) -> tuple[str, ...]:
    """Those that run with fewer bits: text stays fp32."""
    return tuple(name for name in names if not spec_of(name).reads_text)


def recorded(models: Path, names: Sequence[str], precision: str) -> Report:
    """What each network's export measured, on its own inputs.

    Args:
        models: the MODELS folder.
        names: of networks; a text one is left out.
        precision: fp16 or int8.

    Raises:
        NotInstalled: if one is not there.
        Corrupt: if a file was changed.
        Mismatch: if a manifest does not say, or says it of another fp32 than is there.
    """
    return Report(precision, tuple(_recorded(models, name, precision) for name in networks(names)))


def _recorded(models: Path, name: str, precision: str) -> Turned:
    backbone = Backbone.open(models, name, precision)
    _check_made_from(models, backbone)
    figures = backbone.manifest.get("figures", {})
    try:
        cosine = figures["cosine_to_fp32"]
        return Turned(name, int(figures["compared_on"]), float(cosine["mean"]), float(cosine["least"]))
    except (KeyError, TypeError, ValueError) as error:
        raise Mismatch(
            f"{backbone.folder} does not say how far its vectors are from fp32: run "
            f"`yuyin models export {name} --precision {precision}` again"
        ) from error


def _check_made_from(models: Path, backbone: Backbone) -> None:
    """Where fp32 is here too, it must be what the fewer bits were made from."""
    name, made_from = backbone.spec.name, backbone.manifest.get("source", {}).get("backbone")
    if made_from is None or not (models / name / "fp32").exists():
        return
    full = Backbone.open(models, name, "fp32", verify=False).id
    if full != made_from:
        raise Mismatch(
            f"{backbone.folder} was made from the fp32 {made_from}, and {full} is here now: run "
            f"`yuyin models export {name} --precision {backbone.precision}` again"
        )
