"""Features that a caller computed, in the place of a video: the cut never leaves the caller's machine."""

import binascii
import math
from base64 import b64decode, b64encode
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field, JsonValue

from model.errors import BadOptions
from model.features.sequence import Sequence
from service.schemas.asked import Asked, Seconds

MAX_ROWS = 8192  # ten minutes at a dozen rows a second
Finite = Annotated[float, Field(allow_inf_nan=False)]
Times = Annotated[tuple[Seconds, ...], Field(min_length=1, max_length=MAX_ROWS, fail_fast=True)]
Row = Annotated[tuple[Finite, ...], Field(max_length=65_536, fail_fast=True)]  # a finding for each number: no
Rows = Annotated[tuple[Row, ...], Field(max_length=MAX_ROWS, fail_fast=True)]


class SentRecipe(Asked):
    """How features were made: the same as `recipe` of GET /version, of which more may be sent."""

    model_config = ConfigDict(extra="ignore")

    video: dict[str, JsonValue] = Field(description="How the video was looked at.")
    extractors: dict[str, str] = Field(description="By input of the video tower: name@version.")
    precision: str | None = Field(default=None, description="Of pretrained networks; null where none ran.")


class SentFeatures(Asked):
    """t rows of d features."""

    times_s: Times = Field(description="(t,) ascending: the centre of what each row describes.")
    rows: Rows | str = Field(
        description="(t, d) numbers; or base64 of the same as little-endian float32, row by row."
    )

    def sequence(self, name: str, width: int) -> Sequence:
        """As the video tower takes them.

        Args:
            name: of the tower's input, for the words of an error.
            width: d of the tower's input.

        Raises:
            BadOptions: if there are not t rows of d finite numbers, or times go back.
        """
        times_s = np.array(self.times_s, np.float64)
        if (np.diff(times_s) < 0).any():
            raise BadOptions(f"'features.{name}.times_s' goes back: sort the rows by time")
        values = self._values(name, width)
        if values.shape != (len(times_s), width):
            raise BadOptions(
                f"'features.{name}.rows' holds {values.size} numbers, not {len(times_s)} rows of {width}, "
                "one row for each of times_s"
            )
        if not np.isfinite(values).all():
            raise BadOptions(f"'features.{name}.rows' holds what is not finite as float32: send numbers")
        return Sequence(values, times_s)

    def _values(self, name: str, width: int) -> NDArray[np.float32]:
        if isinstance(self.rows, str):
            return _decoded(self.rows, name, (len(self.times_s), width))
        if {len(row) for row in self.rows} != {width}:
            raise BadOptions(f"'features.{name}.rows': every row has {width} numbers for this bundle")
        with np.errstate(over="ignore"):  # becomes infinite, and is refused as that
            return np.array(self.rows, np.float64).astype(np.float32)


def _decoded(text: str, name: str, shape: tuple[int, int]) -> NDArray[np.float32]:
    try:
        data = b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadOptions(f"'features.{name}.rows' is no base64: {error}") from error
    if len(data) != 4 * math.prod(shape):
        raise BadOptions(
            f"'features.{name}.rows' has {len(data)} bytes, not {4 * math.prod(shape)}: {shape[0]} rows of "
            f"{shape[1]} little-endian float32, one row for each of times_s"
        )
    return np.frombuffer(data, "<f4").reshape(shape).astype(np.float32)


def sent_features(sequence: Sequence) -> dict[str, Any]:
    """The inverse of `SentFeatures.sequence`, as JSON."""
    rows = b64encode(np.ascontiguousarray(sequence.values, "<f4").tobytes()).decode()
    return {"times_s": [float(t) for t in sequence.times_s], "rows": rows}
