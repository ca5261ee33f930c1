"""Licences as hypothesis draws them, and what design section 6 says of each, in plain Python row by row."""

import string
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import strategies as st

from index_builder.rights.eligibility import Use
from index_builder.rights.licence import FACTS, Licence

NOW = datetime(2028, 2, 29, 12, 0, 0, 123457, tzinfo=UTC)  # a leap day
MICROSECOND = timedelta(microseconds=1)
# around now, to the microsecond and around the days that a question names
TIMES = [
    NOW + days + parts
    for days in (timedelta(), timedelta(days=-366), timedelta(days=1), timedelta(days=366))
    for parts in (timedelta(), MICROSECOND, -MICROSECOND)
] + [datetime(2028, month, day, tzinfo=UTC) for month, day in ((2, 28), (2, 29), (3, 1), (3, 2))]
DATES = [date(2028, 2, 28), date(2028, 2, 29), date(2028, 3, 1), date(2029, 2, 28)]
PLATFORMS, TERRITORIES, ACCOUNTS = ("tiktok", "youtube"), ("DE", "US"), ("shop", "personal")


def _some(names: tuple[str, ...]) -> st.SearchStrategy[Any]:
    lists = st.lists(st.sampled_from([*names, "*"]), unique=True, max_size=2)
    return st.none() | lists.map(lambda found: tuple(sorted(found)))


FACT = {
    "licence_id": st.none() | st.text(string.ascii_letters, min_size=1, max_size=3),
    "platforms": _some(PLATFORMS),
    "territories": _some(TERRITORIES),
    "account_kinds": _some(ACCOUNTS),
    "product_link": st.sampled_from([None, True, False]),
    "exclusive_until": st.none() | st.sampled_from(TIMES),
    "valid_from": st.none() | st.sampled_from(TIMES),
    "valid_until": st.none() | st.sampled_from(TIMES),
}
# mostly nothing and mostly readable, or nothing would ever be eligible
UNREADABLE = st.just(()) | st.just(()) | st.sets(st.sampled_from(FACTS), max_size=2)
LICENCES = st.builds(
    Licence,
    **FACT,
    withdrawn=st.sampled_from([False, False, False, True]),
    unreadable=UNREADABLE.map(lambda names: tuple(one for one in FACTS if one in names)),
) | st.builds(Licence)
USES = st.builds(
    Use,
    platform=st.sampled_from([None, None, *PLATFORMS, "*"]),
    territory=st.sampled_from([None, None, *TERRITORIES, "*"]),
    account=st.sampled_from([None, None, *ACCOUNTS]),
    product_link=st.booleans(),
    on_date=st.none() | st.sampled_from(DATES),
)


def slow_reasons(licence: Licence, use: Use, now: datetime, unknown_passes: bool) -> list[str]:
    """What keeps a track back, by the words of the design and of docs/music-manager.md."""
    starts, ends = now, now
    if use.on_date is not None:
        midnight = datetime(use.on_date.year, use.on_date.month, use.on_date.day, tzinfo=UTC)
        starts = midnight if midnight > now else now
        ends = midnight + timedelta(hours=24)
    facts = [getattr(licence, name) for name in FACTS]
    found = []
    if licence.withdrawn:
        found.append("withdrawn")
    if licence.unreadable or (all(fact is None for fact in facts) and not unknown_passes):
        found.append("unknown")
    if licence.valid_until is not None and (licence.valid_until <= starts or licence.valid_until < ends):
        found.append("licence_expired")
    if licence.valid_from is not None and starts < licence.valid_from:
        found.append("not_yet_valid")
    if licence.exclusive_until is not None and starts < licence.exclusive_until:
        found.append("exclusive")
    asked = (
        ("platform", use.platform, licence.platforms),
        ("territory", use.territory, licence.territories),
        ("account", use.account, licence.account_kinds),
    )
    found += [
        reason
        for reason, wanted, names in asked
        if wanted is not None and not (names and any(name in (wanted, "*") for name in names))
    ]
    if use.product_link and licence.product_link is not True:
        found.append("product_link")
    return found


@dataclass(frozen=True)
class Drawn:
    """What tests draw, and what they hold it against; a conftest cannot be imported."""

    now: datetime = NOW
    times: tuple[datetime, ...] = tuple(TIMES)
    licences: st.SearchStrategy[Licence] = LICENCES
    uses: st.SearchStrategy[Use] = USES
    fact: dict[str, st.SearchStrategy[Any]] = field(default_factory=lambda: FACT)
    slow_reasons: Callable[[Licence, Use, datetime, bool], list[str]] = slow_reasons


@pytest.fixture(scope="session")
def drawn() -> Drawn:
    return Drawn()
