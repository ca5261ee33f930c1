"""What the demo says of its own matches: percentiles are calibrated, reasons go with what they name."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import kstest

from model.features.profiles import load_profile
from service.ranking.blend import Pool
from service.ranking.calibration import judge
from service.ranking.reasons import COLUMNS, Asked, ablations, explain

pytestmark = pytest.mark.slow


def test_percentiles_of_unrelated_pictures_are_uniform(shop) -> None:
    """Every null query takes its turn as the picture, against the others, on a track drawn for it."""
    nulls, rng = shop.bundle.null_queries, np.random.default_rng(0)
    found = []
    for i, picture in enumerate(nulls):
        track = int(rng.integers(len(shop.snapshot.catalogue)))
        found += judge(shop.snapshot, [track], picture, np.delete(nulls, i, axis=0), 15.0)
    pvalue = kstest([verdict.percentile for verdict in found], "uniform").pvalue
    print(f"{len(found)} pairs: p {pvalue:.3f}")
    assert pvalue > 0.01


def test_a_reason_goes_with_the_factor_that_it_names(shop, clips) -> None:
    """The columns of the factor at the training mean: a track that it drove to the top no longer owes it."""
    extractors, tower = load_profile(shop.bundle.profile).video, shop.bundle.towers.video
    pool, named, fell = Pool.of(shop.snapshot.embeddings), dict.fromkeys(COLUMNS, 0), []
    for video in clips.values():
        features, length_s = shop.features(video), video.info.duration_s

        def reasons(features, match, length_s=length_s) -> dict[str, float]:
            query = shop.query(features)
            without = ablations(Asked(query, (), features), tower, extractors, {}, pool)
            found = explain(shop.snapshot, match, length_s, pool.standard(query), without, pool)
            return {reason.factor: reason.strength for reason in found}

        ranking = shop.top(features, length_s, len(shop.snapshot.catalogue))
        for match in ranking[:3]:
            for factor in reasons(features, match):
                columns = {
                    name: [one.startswith(COLUMNS[factor]) for one in extractors[name].features]
                    for name in features
                }
                blind = {
                    name: replace(rows, values=np.where(columns[name], np.float32(np.nan), rows.values))
                    for name, rows in features.items()
                }
                assert factor not in reasons(blind, match)
                after = shop.top(blind, length_s, len(shop.snapshot.catalogue))
                fell.append([one.track for one in after].index(match.track) - ranking.index(match))
                named[factor] += 1
    print(f"named {named}; places lost without the factor: median {np.median(fell)}")
    assert all(named.values())
    assert np.median(fell) >= 1
