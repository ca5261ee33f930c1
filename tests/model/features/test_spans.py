import numpy as np
import pytest

from model.features.spans import Spans, slope

RNG = np.random.default_rng(1)


@pytest.fixture(params=[1, 2, 37, 400])
def values(request: pytest.FixtureRequest) -> np.ndarray:
    return RNG.normal(size=request.param)


def spans_over(frames: int) -> Spans:
    first = RNG.integers(0, frames, size=9)
    return Spans(first, np.maximum(first + 1, RNG.integers(0, frames + 1, size=9)))


def test_statistics_are_those_of_each_slice(values):
    spans = spans_over(len(values))
    weights = RNG.uniform(0.1, 1, size=len(values))
    slices = [slice(a, b) for a, b in zip(spans.first, spans.end, strict=True)]
    expected = {
        "sum": [values[s].sum() for s in slices],
        "mean": [values[s].mean() for s in slices],
        "std": [values[s].std() for s in slices],
        "max": [values[s].max() for s in slices],
        "weighted": [np.average(values[s], weights=weights[s]) for s in slices],
        "quantile": [np.quantile(values[s], 0.9) for s in slices],
        "slope": [
            np.polyfit(np.arange(b), values[s], 1)[0] if (b := len(values[s])) > 1 else 0 for s in slices
        ],
    }
    found = {
        "sum": spans.sum(values),
        "mean": spans.mean(values),
        "std": spans.std(values),
        "max": spans.max(values),
        "weighted": spans.weighted(values, weights),
        "quantile": spans.quantile(values, 0.9),
        "slope": slope(*spans.gather(values)),
    }
    for name, numbers in expected.items():
        np.testing.assert_allclose(found[name], numbers, atol=1e-9, err_msg=name)


def test_sums_of_many_columns():
    table = RNG.normal(size=(50, 3))
    found = Spans(np.array([0, 10, 49]), np.array([50, 12, 50])).mean(table)
    np.testing.assert_allclose(found, [table.mean(axis=0), table[10:12].mean(axis=0), table[49]])


def test_a_span_takes_the_frames_whose_centre_it_holds():
    spans = Spans.between(
        np.array([0.0, 0.2, 0.99, 5.0, -3.0]), np.array([1.0, 0.3, 1.01, 9.0, -2.0]), 10, 20
    )
    # centres lie at .05, .15 ... 1.95 s; the last two spans lie outside the track
    assert spans.first.tolist() == [0, 2, 10, 19, 0]
    assert spans.end.tolist() == [10, 3, 11, 20, 1]


def test_neighbours_share_no_frame_and_miss_none():
    edges = np.cumsum(RNG.uniform(0.1, 3, size=30))
    spans = Spans.between(edges[:-1], edges[1:], 50, 10_000)
    assert (spans.first[1:] == spans.end[:-1]).all()


def test_weights_of_nothing_give_nothing():
    assert Spans(np.array([0]), np.array([4])).weighted(np.ones(4), np.zeros(4)).tolist() == [0.0]
