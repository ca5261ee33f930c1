"""What may be asked of a recommendation: filters, and everything beside the video."""

from typing import Any

from pydantic import ConfigDict, Field, ValidationError, model_validator

from index_builder.search import Filters
from model.errors import BadOptions
from service.errors import explain
from service.schemas.asked import Asked, Names, Range, Seconds, Text, TrackId, Weight
from service.schemas.rights import AskedLicence


class AskedFilters(Asked):
    """Facets are ANDed, lists mean any of, a fact that a track lacks does not match."""

    bpm: Range | None = Field(default=None, description="Tempo in beats per minute.")
    duration_s: Range | None = Field(default=None, description="Length of the track in seconds.")
    energy: Range | None = Field(
        default=None, description="How intense it sounds at any volume: 0 a drone, 1 dense, bright, struck."
    )
    genres: Names | None = Field(default=None, description="Any of these genres.")
    moods: Names | None = Field(default=None, description="Any of these moods.")
    artists: Names | None = Field(default=None, description="By any of these artists, in any letter case.")
    key: Names | None = Field(
        default=None,
        description="In any of these keys, however spelt.",
        examples=[["A minor", "Bbm", "F# major"]],
    )
    vocals: bool | None = Field(default=None, description="true: sung; false: instrumental.")
    explicit: bool | None = Field(
        default=None, description="false: only tracks that are known to be clean; true: only explicit ones."
    )
    include_ids: Names | None = Field(default=None, description="Search only inside these track ids.")
    exclude_ids: Names | None = Field(default=None, description="Never return these track ids.")
    licence: AskedLicence = Field(
        default=AskedLicence(), description="What the music is wanted for; an expired licence never counts."
    )

    def for_search(self) -> Filters:
        """The same as the search takes it."""
        asked: dict[str, Any] = {}
        for name in set(type(self).model_fields) - {"licence"}:  # rights are asked elsewhere
            value = getattr(self, name)
            if value is not None:
                asked[name] = value.pair() if isinstance(value, Range) else value
        return Filters(**asked)


class Options(Asked):
    """All optional."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"top_k": 5, "filters": {"bpm": {"min": 90, "max": 130}, "moods": ["happy"]}},
                {"max_per_artist": 1, "diversity": 0.3, "segments_per_track": 2},
            ]
        }
    )

    top_k: int | None = Field(
        default=None, ge=1, le=100, description="How many tracks to return; 10 unless set otherwise."
    )
    start_s: Seconds | None = Field(default=None, description="Use the video from here.")
    end_s: Seconds | None = Field(default=None, description="Use the video up to here.")
    text: Text | None = Field(
        default=None,
        description="One of the bundle's own tags, listed by GET /version, in any letter case; counts as "
        "much as the picture. Anything else is refused with the list.",
        examples=["sportswear"],
    )
    reference_track_ids: tuple[TrackId, ...] = Field(
        default=(),
        max_length=20,
        description="Tracks of this pool to go towards, or away from. A reference may come out itself: "
        "name it in filters.exclude_ids too if it shall not.",
        examples=[["demo-house-03", "demo-rock-01"]],
    )
    weights: tuple[Weight, ...] | None = Field(
        default=None,
        description="One for each reference track, -10 to 10, 1 unless set: 1 tells the tracks of the pool "
        "apart as strongly as the picture does, 0.5 half as strongly, a negative one goes away from it.",
        examples=[[1.0, -0.5]],
    )
    filters: AskedFilters = Field(default=AskedFilters(), description="Which tracks may come out.")
    max_per_artist: int | None = Field(
        default=None,
        ge=1,
        le=100,
        description="At most so many tracks of one artist, the best ones; a track without an artist is its "
        "own. No limit unless set.",
        examples=[1],
    )
    diversity: float = Field(
        default=0.0,
        ge=0,
        le=1,
        allow_inf_nan=False,
        description="0: by score. Above it each next track, out of the 100 best, is also unlike those before "
        "it (maximal marginal relevance), so scores no longer descend; 1: only unlike.",
        examples=[0.3],
    )
    segments_per_track: int = Field(
        default=1,
        ge=1,
        le=20,
        description="How many moments of each track to show, best first, none overlapping; fewer where no "
        "more fit.",
    )

    @model_validator(mode="after")
    def _ordered(self) -> "Options":
        if self.end_s is not None and self.end_s <= (self.start_s or 0.0):
            raise ValueError("end_s must be larger than start_s")
        return self

    @model_validator(mode="after")
    def _weighted(self) -> "Options":
        if self.weights is not None and len(self.weights) != len(self.reference_track_ids):
            raise ValueError(
                f"weights has {len(self.weights)} numbers for {len(self.reference_track_ids)} "
                "reference_track_ids: give one for each"
            )
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
        options.check(top_k_max)
        return options

    def check(self, top_k_max: int) -> None:
        """Raise `BadOptions` unless this server returns so many tracks."""
        if self.top_k is not None and self.top_k > top_k_max:
            raise BadOptions(f"'top_k': this server returns at most {top_k_max} tracks")
