"""A good snapshot passes; each thing that can be wrong fails the check that is meant for it."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from index_builder import gate, layout
from index_builder import snapshot as snapshots
from index_builder.build import BuildJob, BuildReport, build
from index_builder.search import FlatSearch
from index_builder.snapshot import Snapshot
from model.bundle import Bundle
from model.errors import BadPool, Corrupt


@pytest.fixture
def good(built: tuple[Path, BuildReport]) -> tuple[Snapshot, Bundle]:
    store, report = built
    return Snapshot.open(store, report.snapshot), Bundle.open(layout.bundles(store) / report.bundle)


def failed(snapshot: Snapshot, bundle: Bundle, **counts: int) -> list[str]:
    checks = gate.inspect(snapshot, bundle, **({"failed": 0, "offered": 4} | counts))
    return [check.name for check in checks if not check.passed]


def with_vectors(snapshot: Snapshot, vectors: Any) -> Snapshot:
    vectors = np.asarray(vectors, np.float32)
    return replace(snapshot, embeddings=vectors, search=FlatSearch(vectors))


def moved(snapshot: Snapshot) -> Snapshot:
    segments = snapshot.segments.copy()
    segments["start_s"][1] += 1
    return replace(snapshot, segments=segments)


def shuffled(snapshot: Snapshot) -> Snapshot:
    """Vectors of the index that are not those of the file: every track's are another's."""
    return replace(snapshot, search=FlatSearch(np.roll(snapshot.embeddings, 5, axis=0)))


def poisoned(snapshot: Snapshot) -> Snapshot:
    vectors = np.array(snapshot.embeddings)
    vectors[0, 0] = np.nan
    return with_vectors(snapshot, vectors)


def unreachable(snapshot: Snapshot) -> Snapshot:
    first = snapshot.first_segment.copy()
    first[1] = first[2]
    return replace(snapshot, first_segment=first)


def test_a_good_snapshot_passes(good: tuple[Snapshot, Bundle]) -> None:
    assert failed(*good) == []
    assert len(gate.inspect(*good, failed=0, offered=4)) == 6


@pytest.mark.parametrize(
    ("spoil", "check"),
    [
        (poisoned, "unit_norms"),
        (lambda s: with_vectors(s, s.embeddings * 1.01), "unit_norms"),
        (lambda s: with_vectors(s, np.repeat(s.embeddings[:1], len(s.embeddings), 0)), "spread"),
        (shuffled, "self_retrieval"),
        (moved, "counts"),
        (unreachable, "counts"),
        (lambda s: with_vectors(s, s.embeddings[:-1]), "counts"),
        (lambda s: replace(s, segments=s.segments[::-1]), "counts"),
        (lambda s: replace(s, bundle_id="0" * 16), "bundle"),
    ],
)
def test_each_fault_fails_its_check(
    good: tuple[Snapshot, Bundle], spoil: Callable[[Snapshot], Snapshot], check: str
) -> None:
    snapshot, bundle = good
    assert check in failed(spoil(snapshot), bundle)


@pytest.mark.parametrize(("lost", "refused"), [(0, False), (1, False), (2, True), (4, True)])
def test_a_quarter_of_the_pool_may_be_missing(
    good: tuple[Snapshot, Bundle], lost: int, refused: bool
) -> None:
    assert ("failed_share" in failed(*good, failed=lost, offered=4)) == refused


def test_a_tower_that_hears_nothing_never_becomes_current(
    store: Path, pool: Path, blind_bundle: Path
) -> None:
    old = snapshots.current(store)
    with pytest.raises(Corrupt, match="spread"):
        build(BuildJob(pool, store, blind_bundle, processes=1), lambda _: None)
    assert snapshots.current(store) == old
    (bad,) = [info for info in snapshots.list_snapshots(store) if not info.passed]
    with pytest.raises(Corrupt, match="spread"):
        snapshots.activate(store, bad.id)
    assert snapshots.current(store) == old


def test_a_pool_that_is_half_gone_never_becomes_current(
    store: Path, pool: Path, bundle: Path, tmp_path: Path
) -> None:
    old = snapshots.current(store)
    shutil.copytree(pool, tmp_path / "pool")
    (tmp_path / "pool" / "high.wav").unlink()  # as listed, and its copy, which is not
    (tmp_path / "pool" / "again.wav").unlink()
    with pytest.raises(BadPool, match="failed_share"):
        build(BuildJob(tmp_path / "pool", store, bundle, processes=1), lambda _: None)
    assert snapshots.current(store) == old
