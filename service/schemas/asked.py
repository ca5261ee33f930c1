"""What all parts of a request share: strictness, and the types of their fields."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
TrackId = Annotated[str, Field(min_length=1, max_length=1000)]  # a length makes it valid Unicode, too
Text = Annotated[str, Field(min_length=1, max_length=200)]
Weight = Annotated[float, Field(ge=-10, le=10, allow_inf_nan=False)]
Names = Annotated[tuple[str, ...], Field(max_length=10_000)]


class Asked(BaseModel):
    """Strict: an unknown field or a number in quotes is an error, never a silent default."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Range(Asked):
    """Inclusive; either end may be missing."""

    min: Annotated[float, Field(allow_inf_nan=False)] | None = None
    max: Annotated[float, Field(allow_inf_nan=False)] | None = None

    @model_validator(mode="after")
    def _ordered(self) -> "Range":
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError("min is larger than max")
        return self

    def pair(self) -> tuple[float | None, float | None]:
        """As the search takes it."""
        return self.min, self.max
