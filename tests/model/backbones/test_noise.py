"""Random inputs: the shapes, types and sizes of real ones, the same for the same seed."""

import numpy as np
import pytest

from model.backbones.catalogue import AST, BACKBONES, BERT, INCEPTION, BackboneSpec
from model.backbones.noise import noise


@pytest.mark.parametrize("spec", BACKBONES.values(), ids=lambda spec: spec.name)
@pytest.mark.parametrize("count", [0, 1, 3])
def test_has_the_shape_and_type_of_what_the_backbone_takes(spec: BackboneSpec, count: int) -> None:
    x = noise(spec, count)
    assert x.shape == (count, *spec.input_shape)
    assert x.dtype == np.dtype(spec.input_dtype)


@pytest.mark.parametrize("spec", BACKBONES.values(), ids=lambda spec: spec.name)
def test_is_the_seed_s(spec: BackboneSpec) -> None:
    assert np.array_equal(noise(spec, 2, 5), noise(spec, 2, 5))
    assert not np.array_equal(noise(spec, 2, 5), noise(spec, 2, 6))
    assert not np.array_equal(*noise(spec, 2, 5))


def test_pictures_use_the_range_and_differ_in_colour() -> None:
    x = noise(INCEPTION, 8)
    assert x.min() >= -1
    assert x.max() <= 1
    assert x.std() > 0.2
    assert x.mean(axis=(2, 3)).std() > 0.1


def test_spectrograms_are_spread_as_ast_normalises_them() -> None:
    x = noise(AST, 4)
    assert abs(x.mean()) < 0.1
    assert 0.4 < x.std() < 0.6


def test_texts_are_word_pieces_between_cls_and_sep_then_nothing() -> None:
    for row in noise(BERT, 50):
        (ends,) = np.nonzero(row == 102)
        assert row[0] == 101
        assert len(ends) == 1
        assert ends[0] >= 2
        assert (row[1 : ends[0]] > 103).all()
        assert (row[1 : ends[0]] < 21_128).all()
        assert not row[ends[0] + 1 :].any()
