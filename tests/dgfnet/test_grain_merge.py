"""Pairs of layers whose sum is exact."""

import numpy as np
import pytest

from dgfnet.grain_merge import split


def pixels(code, seed, shape=(40, 30, 3)):
    values = np.random.default_rng(seed).random(shape)
    return (values * {"u1": 255.99, "u2": 65535.99}.get(code, 1)).astype(code)


@pytest.mark.parametrize("code", ["u1", "u2"])
def test_integer_sums_are_exact_even_where_the_texture_is_out_of_range(code):
    final, coarse = pixels(code, 1), pixels(code, 2)
    final[0, 0], coarse[0, 0] = 0, np.iinfo(code).max
    final[0, 1], coarse[0, 1] = np.iinfo(code).max, 0
    offset = np.iinfo(code).max // 2
    base, texture = split(final, coarse)
    assert base.dtype == texture.dtype == final.dtype
    np.testing.assert_array_equal(base.astype(int) + texture.astype(int) - int(offset), final)


def test_the_coarse_layer_stays_as_it_is_where_the_texture_fits():
    final, coarse = np.full((2, 2, 1), 200, np.uint8), np.full((2, 2, 1), 150, np.uint8)
    base, texture = split(final, coarse)
    assert (base == 150).all()
    assert (texture == 177).all()


def test_the_excess_goes_into_the_coarse_layer():
    base, texture = split(np.full((1, 1, 1), 255, np.uint8), np.zeros((1, 1, 1), np.uint8))
    assert (int(base[0, 0, 0]), int(texture[0, 0, 0])) == (127, 255)


@pytest.mark.parametrize(("code", "error"), [("f2", 2.5e-4), ("f4", 6e-8)])
def test_float_sums_are_exact_to_the_last_bits(code, error):
    final, coarse = pixels(code, 1), pixels(code, 2)
    base, texture = split(final, coarse)
    assert texture.min() >= 0
    assert texture.max() <= 1
    total = base.astype(np.float64) + texture.astype(np.float64) - 0.5
    np.testing.assert_allclose(total, final.astype(np.float64), atol=error)


def test_half_floats_keep_the_coarse_layer_but_in_the_dark():
    fill, coarse = pixels("f4", 1), np.clip(pixels("f4", 1) + pixels("f4", 3) / 5 - 0.1, 0, 1)
    base, _ = split(fill.astype(np.float16), coarse.astype(np.float16))
    moved = np.abs(base.astype(np.float32) - coarse) > 1e-3
    assert moved.mean() < 0.1
    assert (fill[moved] < 0.25).all()
