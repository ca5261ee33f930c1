"""What one track may be used for, and the words that licences are written in: text in, checked values out.

Three rules hold wherever a licence is written or asked about:

* an instant is UTC unless it names its own offset, a date is its first instant, and ends are exclusive;
* names of platforms and account kinds are compared without case, territories are ISO 3166-1 alpha-2;
* `*` in a list means every one. A fact that is missing matches no question: it is never read as "any".
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from index_builder.rights.territories import OFTEN_MEANT, TERRITORIES

EVERY = "*"
LISTS = ("platforms", "territories", "account_kinds")
INSTANTS = ("exclusive_until", "valid_from", "valid_until")
FACTS = ("licence_id", *LISTS, "product_link", *INSTANTS)  # the columns of a catalogue; their order is stored
LONGEST_NAME = 200
_TIME = r"[T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:\d\d)?"
_INSTANT = re.compile(rf"\d{{4}}-\d\d-\d\d({_TIME})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Licence:
    """What is known of the rights to one track; None where nobody said."""

    licence_id: str | None = None
    platforms: tuple[str, ...] | None = None  # ascending; matches only what it names
    territories: tuple[str, ...] | None = None
    account_kinds: tuple[str, ...] | None = None
    product_link: bool | None = None  # may lie under a video that links to a product
    exclusive_until: datetime | None = None  # until then somebody else has it alone
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    withdrawn: bool = False  # no catalogue says this, only an order
    unreadable: tuple[str, ...] = ()  # facts that a catalogue gives and that make no sense; in order of FACTS

    @property
    def known(self) -> bool:
        """Whether anybody said anything; a withdrawal alone is no licence."""
        return bool(self.unreadable) or any(getattr(self, name) is not None for name in FACTS)


NOTHING = Licence()


def name_of(text: str) -> str:
    """A platform or an account kind as it is compared; raises `ValueError`."""
    folded = text.strip().casefold()
    if not folded or len(folded) > LONGEST_NAME or any(unicodedata.category(c) == "Cc" for c in folded):
        raise ValueError(f"a name has 1 to {LONGEST_NAME} characters, none of them control characters")
    return folded


def territory_of(text: str) -> str:
    """A territory's code, or `*`; raises `ValueError`."""
    code = text.strip().upper()
    if code != EVERY and code not in TERRITORIES:
        meant = OFTEN_MEANT.get(code)
        hint = f"write {meant}" if meant else "write such as DE, or * for the whole world"
        raise ValueError(f"{text.strip()[:20]!r} is no ISO 3166-1 alpha-2 code: {hint}")
    return code


def instant_of(text: str) -> datetime:
    """An instant in UTC; raises `ValueError`."""
    written = text.strip()
    if not _INSTANT.fullmatch(written):
        raise ValueError("not a date such as 2027-01-31 or an instant such as 2027-01-31T18:00:00Z")
    try:
        found = datetime.fromisoformat(written)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"no instant of the calendar ({error})") from error


def day_of(text: str) -> date:
    """A day; raises `ValueError`."""
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", text, re.ASCII):
        raise ValueError("not a date such as 2027-01-31")
    return date.fromisoformat(text)


def names_of(texts: Iterable[str]) -> tuple[str, ...]:
    """Each name once, ascending; raises `ValueError`."""
    return tuple(sorted({name_of(text) for text in texts}))


def territories_of(texts: Iterable[str]) -> tuple[str, ...]:
    """Each code once, ascending; raises `ValueError`."""
    return tuple(sorted({territory_of(text) for text in texts}))


def written(instant: datetime) -> str:
    """An instant as JSON has it; the shortest spelling that `instant_of` reads back as the same."""
    return instant.isoformat().replace("+00:00", "Z")


def to_json(value: Any) -> Any:
    """One fact of a licence in JSON types."""
    if isinstance(value, datetime):
        return written(value)
    return list(value) if isinstance(value, tuple) else value


def from_json(name: str, value: Any) -> Any:
    """The fact called `name` again from what `to_json` made of it."""
    if name in INSTANTS:
        return instant_of(value)
    return tuple(value) if name in LISTS else value
