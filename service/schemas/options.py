"""What may be asked of a recommendation: filters, and everything beside the video."""

from typing import Any

from pydantic import ConfigDict, Field, ValidationError, model_validator

from index_builder.search import Filters
from model.errors import BadOptions
from service.errors import explain
from service.schemas.asked import Asked, Names, Range, Seconds


class AskedFilters(Asked):
    """Facets are ANDed, lists mean any of, a fact that a track lacks does not match."""

    bpm: Range | None = Field(default=None, description="Tempo in beats per minute.")
    duration_s: Range | None = Field(default=None, description="Length of the track in seconds.")
    genres: Names | None = Field(default=None, description="Any of these genres.")
    moods: Names | None = Field(default=None, description="Any of these moods.")
    include_ids: Names | None = Field(default=None, description="Search only inside these track ids.")
    exclude_ids: Names | None = Field(default=None, description="Never return these track ids.")

    def for_search(self) -> Filters:
        """The same as the search takes it."""
        asked: dict[str, Any] = {}
        for name in type(self).model_fields:
            value = getattr(self, name)
            if value is not None:
                asked[name] = value.pair() if isinstance(value, Range) else value
        return Filters(**asked)


class Options(Asked):
    """All optional."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"top_k": 5, "filters": {"bpm": {"min": 90, "max": 130}, "moods": ["happy"]}}]
        }
    )

    top_k: int | None = Field(
        default=None, ge=1, le=100, description="How many tracks to return; 10 unless set otherwise."
    )
    start_s: Seconds | None = Field(default=None, description="Use the video from here.")
    end_s: Seconds | None = Field(default=None, description="Use the video up to here.")
    filters: AskedFilters = Field(default=AskedFilters(), description="Which tracks may come out.")

    @model_validator(mode="after")
    def _ordered(self) -> "Options":
        if self.end_s is not None and self.end_s <= (self.start_s or 0.0):
            raise ValueError("end_s must be larger than start_s")
        return self

    @classmethod
    def parse(cls, text: str | None, *, top_k_max: int) -> "Options":
        """The options of a request; raises `BadOptions` that names every field at fault."""
        if text is None or not text.strip():
            return cls()
        try:
            options = cls.model_validate_json(text)
        except ValidationError as error:
            known = ", ".join(cls.model_fields)
            raise BadOptions(f"{explain(error.errors())}; options are a JSON object of {known}") from error
        if options.top_k is not None and options.top_k > top_k_max:
            raise BadOptions(f"'top_k': this server returns at most {top_k_max} tracks")
        return options
