"""The words of licences: what they mean, what comes back as it went, what is refused and what is said."""

from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from index_builder.rights.licence import (
    NOTHING,
    Licence,
    day_of,
    instant_of,
    name_of,
    names_of,
    territories_of,
    territory_of,
    written,
)
from index_builder.rights.territories import TERRITORIES

ISO_3166 = Path("/usr/share/zoneinfo/iso3166.tab")  # of the time zone database
NO_INSTANTS = [
    "",
    "never",
    "45322",
    "2027-02-29",
    "2027-13-01",
    "2027-1-31",
    "31.01.2027",
    "01/31/2027",
    "20270131",
    "2027-W04-7",
    "2027-01-31T18",
    "2027-01-31T24:30",
    "2027-01-31T18:00:60",
    "2027-01-31T18:00:00.1234567",
    "2027-01-31T18:00+25:00",
    "2027-01-31+01:00",
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-14:00",
    "\u0662\u0660\u0662\u0667-01-31",
    "2027-01-31\n2027",
]
OFFSETS = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2027-01-31", datetime(2027, 1, 31, tzinfo=UTC)),
        (" 2028-02-29 ", datetime(2028, 2, 29, tzinfo=UTC)),
        ("2027-01-31T18:00", datetime(2027, 1, 31, 18, tzinfo=UTC)),
        ("2027-01-31 18:00:30", datetime(2027, 1, 31, 18, 0, 30, tzinfo=UTC)),
        ("2027-01-31T18:00:00.000001Z", datetime(2027, 1, 31, 18, 0, 0, 1, tzinfo=UTC)),
        ("2027-01-01T02:00:00+08:00", datetime(2026, 12, 31, 18, tzinfo=UTC)),
        ("2028-02-28T23:30:00-01:00", datetime(2028, 2, 29, 0, 30, tzinfo=UTC)),
        ("9999-12-31", datetime(9999, 12, 31, tzinfo=UTC)),
    ],
)
def test_an_instant_is_utc_unless_it_says_otherwise(text: str, expected: datetime) -> None:
    assert instant_of(text) == expected
    assert instant_of(text).utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    "text",
    NO_INSTANTS,
)
def test_what_is_no_instant_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a date such as|no instant of the calendar"):
        instant_of(text)


@given(st.datetimes(datetime(1900, 1, 1), datetime(9000, 1, 1), timezones=OFFSETS))
def test_instants_come_back_to_the_microsecond(instant: datetime) -> None:
    assert instant_of(written(instant.astimezone(UTC))) == instant
    assert instant_of(instant.isoformat()) == instant


def test_days() -> None:
    assert day_of("2028-02-29") == date(2028, 2, 29)
    for text in ("2027-02-29", "2027-1-1", "today", "2027-01-31T00:00", ""):
        with pytest.raises(ValueError, match=r"such as|day|range|month"):
            day_of(text)


def test_names_are_compared_without_case() -> None:
    assert names_of([" TikTok ", "tiktok", "Stra\u00dfe", "*"]) == ("*", "strasse", "tiktok")
    for text in ("", "  ", "a\nb", "x" * 201, "\0"):
        with pytest.raises(ValueError, match="1 to 200 characters"):
            name_of(text)


def test_territories_are_those_of_the_standard() -> None:
    assert territories_of([" de", "US", "de"]) == ("DE", "US")
    assert territory_of("*") == "*"
    for text, said in (("UK", "write GB"), ("Germany", "such as DE"), ("EU", "such as DE"), ("", "such as")):
        with pytest.raises(ValueError, match=said):
            territory_of(text)
    if not ISO_3166.exists():
        pytest.skip("this system has no list of ISO 3166-1 to compare with")
    rows = [line for line in ISO_3166.read_text("utf-8").splitlines() if not line.startswith("#")]
    assert {line.split("\t")[0] for line in rows} | {"XK"} == TERRITORIES


def test_a_withdrawal_is_no_licence() -> None:
    assert not NOTHING.known
    assert not Licence(withdrawn=True).known
    assert Licence(product_link=False).known
    assert Licence(platforms=()).known
    assert Licence(unreadable=("valid_until",)).known
