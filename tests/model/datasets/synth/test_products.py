import numpy as np
import pytest

from model.datasets.synth.products import SILHOUETTES, silhouette
from model.datasets.synth.world import TAGS


def filled(tag, roundness=0.3):
    return np.asarray(silhouette(tag, 96, roundness)) > 127


def test_every_tag_has_a_silhouette_of_its_own():
    assert set(SILHOUETTES) == set(TAGS)
    shapes = [filled(tag) for tag in range(len(TAGS))]
    for i, one in enumerate(shapes):
        assert 0.05 < one.mean() < 0.95
        for other in shapes[:i]:
            assert (one & other).sum() / (one | other).sum() < 0.93


@pytest.mark.parametrize("tag", [1, 13])
def test_roundness_melts_the_corners(tag):
    assert filled(tag, 1.0).sum() != filled(tag, 0.0).sum()
