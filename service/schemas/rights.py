"""Licences on the wire: what is asked of them, what PATCH sets, what is told of a track."""

from datetime import date, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, WithJsonSchema

from index_builder.rights.eligibility import Use
from index_builder.rights.licence import (
    LISTS,
    LONGEST_NAME,
    Licence,
    day_of,
    instant_of,
    name_of,
    territory_of,
    to_json,
)
from service.schemas.asked import Asked

_Text = Annotated[str, Field(min_length=1, max_length=LONGEST_NAME)]
Name = Annotated[_Text, AfterValidator(name_of)]
Territory = Annotated[_Text, AfterValidator(territory_of)]


def _read(value: Any) -> Any:
    return instant_of(value) if isinstance(value, str) else value


def _day(value: Any) -> Any:
    return day_of(value) if isinstance(value, str) else value


Instant = Annotated[
    datetime,
    BeforeValidator(_read),
    WithJsonSchema({"type": "string", "examples": ["2027-01-31", "2027-01-31T18:00:00Z"]}),
]
Day = Annotated[date, BeforeValidator(_day), WithJsonSchema({"type": "string", "format": "date"})]


class AskedLicence(Asked):
    """What the music is wanted for: a track must be licensed for all of it. Case of names does not matter."""

    platform: Name | None = Field(default=None, description="Where the video will run, such as tiktok.")
    territory: Territory | None = Field(
        default=None, description="ISO 3166-1 alpha-2, such as DE; * asks for the whole world."
    )
    account: Name | None = Field(default=None, description="Kind of the account that posts it.")
    product_link: bool | None = Field(default=None, description="The video links to a product.")
    on_date: Day | None = Field(
        default=None,
        description="The day on which it runs: the licence must hold for all of it, in UTC. A past day "
        "counts as now; without one, now counts.",
    )

    def use(self) -> Use:
        """As eligibility takes it."""
        return Use(self.platform, self.territory, self.account, bool(self.product_link), self.on_date)


class TrackPatch(Asked):
    """What to change of a track's rights. What is left out stays; null gives a fact back to the catalogue."""

    withdrawn: bool = Field(default=False, description="Never returned, until set to false again.")
    licence_id: _Text | None = None
    platforms: list[Name] | None = Field(default=None, max_length=1000, description="* is every one.")
    territories: list[Territory] | None = Field(
        default=None, max_length=1000, description="ISO 3166-1 alpha-2; * is the whole world."
    )
    account_kinds: list[Name] | None = Field(default=None, max_length=1000, description="* is every one.")
    product_link: bool | None = Field(
        default=None, description="May lie under videos that link to a product."
    )
    exclusive_until: Instant | None = Field(
        default=None, description="Until then somebody else has it alone."
    )
    valid_from: Instant | None = Field(default=None, description="UTC; a date is its first instant.")
    valid_until: Instant | None = Field(
        default=None, description="The same, exclusive; 9999-12-31 is no end."
    )

    def changes(self) -> dict[str, Any]:
        """The facts that were given, as `index_builder.rights` has them."""
        given = {name: getattr(self, name) for name in self.model_fields_set}
        return {
            name: tuple(sorted(set(value))) if name in LISTS and value is not None else value
            for name, value in given.items()
        }


class LicenceFacts(BaseModel):
    """What is known of the rights to a track; null where nobody said. Times are UTC, ends exclusive."""

    licence_id: str | None
    platforms: list[str] | None = Field(description="* is every one; null matches no question.")
    territories: list[str] | None
    account_kinds: list[str] | None
    product_link: bool | None
    exclusive_until: str | None
    valid_from: str | None
    valid_until: str | None
    withdrawn: bool
    unreadable: list[str] = Field(
        description="Cells of the catalogue that make no sense: the track is not returned."
    )

    @classmethod
    def of(cls, licence: Licence) -> "LicenceFacts":
        """The same on the wire."""
        return cls.model_validate({name: to_json(getattr(licence, name)) for name in cls.model_fields})


class PatchedTrack(BaseModel):
    """The rights to a track after a change."""

    track_id: str
    rights: str = Field(description="The new version, in force.")
    licence: LicenceFacts
    patched: list[str] = Field(description="Facts that PATCH set: no catalogue changes them.")
    warnings: list[str]


class Obstacle(BaseModel):
    """One thing that keeps a track back."""

    reason: str = Field(
        description="As `excluded` of a recommendation counts it, or `not_indexed`.", examples=["territory"]
    )
    detail: str


class Eligibility(BaseModel):
    """Whether a track may be returned, and everything that keeps it back."""

    track_id: str
    snapshot: str
    rights: str | None
    at: str = Field(description="The instant that this holds at; UTC, ISO 8601.")
    eligible: bool
    reasons: list[Obstacle] = Field(description="All of them, in the order in which a recommendation asks.")
    licence: LicenceFacts | None = Field(description="null where nobody said anything.")
    patched: list[str] = Field(description="Facts that PATCH set: no catalogue changes them.")
