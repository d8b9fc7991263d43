"""Encodings of results: exact sums, and what an editor shows of them."""

from __future__ import annotations

import numpy as np
import pytest

from dgfnet.grain_merge import offset_of
from server import layers
from server.client.pixels import DEPTHS
from server.colour import linear_to_srgb, srgb_to_linear


def pixels(code, seed, shape=(40, 30, 3)):
    values = np.random.default_rng(seed).random(shape)
    return (values * {"u1": 255.99, "u2": 65535.99}.get(code, 1)).astype(code)


def test_the_offset_is_the_one_that_plug_ins_know():
    assert {code: offset_of(np.dtype(code)) for code in DEPTHS} == {
        code: depth.grain_merge_offset for code, depth in DEPTHS.items()
    }


def over_with_clipping(below, coarse, texture, opacity, full, offset):
    """What GIMP (grain merge, clip to backdrop) and Krita (inherit alpha) show: a group over a picture, in floats."""
    colour, alpha = coarse[..., :3].astype(float), coarse[..., 3:].astype(float) / full
    share = opacity * texture[..., 3:].astype(float) / full
    colour = colour + share * (texture[..., :3].astype(float) - offset)
    return below + alpha * (colour - below)


def test_the_group_shows_what_the_single_layer_shows_at_soft_edges_too():
    rng = np.random.default_rng(3)
    fill, coarse = rng.random((8, 9, 3), np.float32), rng.random((8, 9, 3), np.float32)
    alpha = np.linspace(0, 1, 72, dtype=np.float32).reshape(8, 9)
    below = rng.random((8, 9, 3)) * 255
    (single,) = layers.fill_layer(fill, alpha, 5, 6, np.dtype("u1"))
    base, texture = layers.fill_group(fill, coarse, alpha, 5, 6, np.dtype("u1"), 1.0)
    shown = over_with_clipping(below, base.pixels, texture.pixels, texture.opacity, 255, 127)
    share = single.pixels[..., 3:] / 255
    np.testing.assert_allclose(shown, below + share * (single.pixels[..., :3] - below), atol=1e-9)
    assert (base.x, base.y, texture.x, texture.y) == (5, 6, 5, 6)
    assert ((base.pixels[..., 3] > 0) == (texture.pixels[..., 3] > 0)).all()


def test_texture_opacity_is_the_strength():
    fill, coarse = np.full((1, 1, 3), 0.6, np.float32), np.full((1, 1, 3), 0.4, np.float32)
    base, texture = layers.fill_group(fill, coarse, np.ones((1, 1), np.float32), 0, 0, np.dtype("u1"), 0.5)
    shown = over_with_clipping(np.zeros(3), base.pixels, texture.pixels, texture.opacity, 255, 127)
    np.testing.assert_allclose(shown, 127.5, atol=0.5)


def test_grey_gets_the_mean():
    values = np.array([[[0.0, 0.3, 0.6]]], np.float32)
    np.testing.assert_allclose(layers.match_channels(values, 1), [[[0.3]]], atol=1e-7)


def test_the_srgb_curve_has_its_known_values_and_inverts():
    np.testing.assert_allclose(linear_to_srgb(np.array([0, 0.0031308, 0.21404114, 1])), [0, 0.04045, 0.5, 1], atol=1e-5)
    values = np.linspace(-0.5, 4, 1000, dtype=np.float32)
    np.testing.assert_allclose(srgb_to_linear(linear_to_srgb(values)), values, atol=2e-6)


def in_single_floats(base, texture):
    """What GIMP computes for float pictures."""
    return (base.astype(np.float32) + texture.astype(np.float32)) - np.float32(0.5)


@pytest.mark.parametrize("code", ["f2", "f4"])
def test_the_float_group_is_the_float_fill_bit_for_bit(code):
    fill, coarse = pixels("f4", 1, (30, 20, 3)) ** 3, pixels("f4", 2, (30, 20, 3))
    fill[0], fill[1], coarse[2] = 0, 1, 0
    alpha = np.ones(fill.shape[:2], np.float32)
    (single,) = layers.fill_layer(fill, alpha, 0, 0, np.dtype(code))
    base, texture = layers.fill_group(fill, coarse, alpha, 0, 0, np.dtype(code), 1.0)
    shown = in_single_floats(base.pixels[..., :3], texture.pixels[..., :3])
    np.testing.assert_array_equal(shown, single.pixels[..., :3].astype(np.float32))
    np.testing.assert_allclose(single.pixels[..., :3], fill, atol=6e-8 if code == "f4" else 2.5e-4)
    assert texture.pixels.min() >= 0
    assert texture.pixels.max() <= 1
