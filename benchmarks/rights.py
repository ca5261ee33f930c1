"""What do licences cost a request, a PATCH and a reindex, with a million tracks?

Nothing in, a Markdown row per number of tracks out: milliseconds of CPU of judging all tracks (nothing
asked; all asked), of a PATCH until it is in force in the process that was asked, of following one made
elsewhere, and seconds to take a catalogue in and to lay it out for an index.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from rows import p50_p95, table

from index_builder.rights.eligibility import Use
from index_builder.rights.licence import FACTS, Licence
from index_builder.rights.told import Catalogued
from index_builder.rights.versions import merge, order
from service.serving.rightsbook import Rightsbook

SIZES = (10_000, 1_000_000)
NOW = datetime(2028, 2, 29, 12, tzinfo=UTC)
PLATFORMS, TERRITORIES = ("tiktok", "youtube", "meta", "tv"), ("DE", "US", "JP", "BR", "CN", "FR")
ASKED = Use("tiktok", "DE", "shop", True, date(2028, 3, 1))


@dataclass(frozen=True, slots=True)
class Tracks:
    """What the rights need of a snapshot's catalogue."""

    track_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Index:
    """What they need of a snapshot."""

    id: str
    catalogue: Tracks


def draw(rng: np.random.Generator) -> Licence:
    """Nine in ten in force; each with an id and an end of its own, as a publisher's list has them."""
    platforms, territories = (
        tuple(sorted(rng.choice(names, rng.integers(1, len(names)), replace=False).tolist()))
        for names in (PLATFORMS, TERRITORIES)
    )
    days = int(rng.integers(-36, 324))
    return Licence(
        licence_id=f"L{rng.integers(1 << 40):x}",
        platforms=platforms if rng.random() < 0.5 else ("*",),
        territories=territories if rng.random() < 0.5 else ("*",),
        account_kinds=("*",),
        product_link=bool(rng.random() < 0.7),
        valid_from=NOW - timedelta(days=400),
        valid_until=NOW + timedelta(days=days, seconds=int(rng.integers(86_400))),
    )


def milliseconds(work: Callable[[], object], times: int = 20) -> str:
    """CPU time of this thread, median and 95th percentile: the wall clock of a shared machine says little."""
    spent = []
    for _ in range(times):
        began_s = time.thread_time()
        work()
        spent.append((time.thread_time() - began_s) * 1000)
    return p50_p95(spent, 1)


def measure(tracks: int) -> list[str]:
    """One row."""
    rng = np.random.default_rng(tracks)
    some = [draw(rng) for _ in range(min(tracks, 20_000))]
    track_ids = tuple(f"{number:08d}" for number in range(tracks))
    told = Catalogued(frozenset(FACTS), {one: some[i % len(some)] for i, one in enumerate(track_ids)})
    index = Index("one", Tracks(track_ids))
    with TemporaryDirectory() as folder:
        began_s = time.thread_time()
        merge(Path(folder), told)
        merged_s = time.thread_time() - began_s
        book, other = Rightsbook(Path(folder)), Rightsbook(Path(folder))
        book.follow()
        began_s = time.thread_time()
        ruling = book.take(index)
        laid_out_s = time.thread_time() - began_s
        other.follow(index)
        number = iter(range(tracks))

        def patch() -> None:
            book.patch(track_ids[next(number)], {"withdrawn": True}, index)

        def follow() -> None:
            order(Path(folder), track_ids[next(number)], {"withdrawn": True}, held=book.take(index).rights)
            other.follow(index)

        return [
            f"{tracks:,}",
            milliseconds(lambda: ruling.allowed(Use(), NOW)),
            milliseconds(lambda: ruling.allowed(ASKED, NOW)),
            milliseconds(patch),
            milliseconds(follow),
            f"{merged_s:.1f}",
            f"{laid_out_s:.2f}",
        ]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tracks", type=int, nargs="+", default=SIZES, help="default 10,000 and a million")
    given = parser.parse_args()
    columns = [
        "tracks",
        "judge, nothing asked, ms p50 / p95",
        "all asked",
        "PATCH",
        "PATCH elsewhere, follow",
    ]
    rows = [measure(tracks) for tracks in given.tracks]
    table([*columns, "take a catalogue in, s", "lay it out, s"], rows)


if __name__ == "__main__":
    main()
