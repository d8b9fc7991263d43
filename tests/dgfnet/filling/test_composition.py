"""Reduction, selection, seam and blending: small arrays with known values."""

from itertools import pairwise

import cv2
import numpy as np
import pytest

from dgfnet.filling.composition import blend, reduced, seam_offset, selection
from dgfnet.filling.holes import Box

WHOLE = Box(0, 0, 20, 12)


def test_selection_grows_by_a_disc_and_keeps_soft_values():
    mask = np.zeros((12, 20), np.uint8)
    mask[6, 10] = 51
    np.testing.assert_allclose(selection(mask, WHOLE, 0, 0)[6, 10], 0.2, atol=1e-6)
    grown = selection(mask, WHOLE, 3, 0)
    y, x = np.mgrid[:12, :20]
    np.testing.assert_array_equal(grown > 0, (x - 10) ** 2 + (y - 6) ** 2 <= 9)
    np.testing.assert_allclose(grown[6, 13], 0.2, atol=1e-6)
    hard = selection((mask > 0), WHOLE, 3, 0)
    np.testing.assert_array_equal(hard, grown > 0)


@pytest.fixture
def antialiased():
    mask = np.zeros((90, 120), np.uint8)
    cv2.circle(mask, (60, 40), 15, 255, -1, cv2.LINE_AA)
    mask = cv2.GaussianBlur(mask, (0, 0), 2)
    mask[70, 20] = 3  # alone, and less than a level
    return mask


def grown(mask, radius):
    return selection(mask, Box(0, 0, mask.shape[1], mask.shape[0]), radius, 0)


@pytest.mark.parametrize("radius", [1, 5, 25])
def test_growing_is_dilation_by_a_disc_to_a_level_if_soft_and_to_the_bit_if_hard(antialiased, radius):
    steps = np.arange(-radius, radius + 1)
    disc = (steps[:, None] ** 2 + steps[None] ** 2 <= radius**2).astype(np.uint8)
    soft, exact = grown(antialiased, radius), cv2.dilate(antialiased / np.float32(255), disc)
    assert soft.dtype == np.float32
    np.testing.assert_array_equal(soft > 0, exact > 0)
    assert (soft <= exact).all()
    assert (soft > exact - 1 / 15).all()
    assert (soft >= antialiased / np.float32(255)).all()
    hard = antialiased > 99
    np.testing.assert_array_equal(grown(hard, radius), cv2.dilate(hard.astype(np.float32), disc))


def test_more_growth_and_more_selection_select_no_less(antialiased):
    fuller = np.maximum(antialiased, np.roll(antialiased, 7, axis=1) // 2)
    masks = [grown(antialiased, radius) for radius in (0, 1, 2, 9)]
    for less, more in pairwise(masks):
        assert (less <= more).all()
    assert (grown(antialiased, 4) <= grown(fuller, 4)).all()


def test_wide_growth_of_a_soft_selection_costs_no_more_than_narrow(antialiased, monkeypatch):
    calls, transform = [], cv2.distanceTransform
    monkeypatch.setattr(cv2, "distanceTransform", lambda *given: calls.append(1) or transform(*given))
    monkeypatch.setattr(cv2, "dilate", None)
    counts = []
    for radius in (3, 30):
        calls.clear()
        grown(antialiased, radius)
        counts.append(len(calls))
    assert counts[0] == counts[1] <= 16


def test_feather_goes_inward_and_not_at_the_picture_border():
    mask = np.zeros((12, 20), bool)
    mask[:, :10] = True
    alpha = selection(mask, WHOLE, 0, 3)
    np.testing.assert_allclose(alpha[5], [1] * 7 + [0.75, 0.5, 0.25] + [0] * 10)


@pytest.mark.parametrize(("grow", "feather"), [(0, 0), (2, 0), (0, 4), (3, 2.5)])
def test_selection_of_a_part_is_the_part_of_the_selection(grow, feather):
    mask = (np.random.default_rng(1).random((60, 70)) > 0.9).astype(np.uint8) * 255
    mask[20:40, 20:50] = 255
    whole = selection(mask, Box(0, 0, 70, 60), grow, feather)
    for box in (Box(0, 0, 30, 30), Box(25, 17, 20, 31), Box(60, 50, 10, 10)):
        np.testing.assert_array_equal(selection(mask, box, grow, feather), whole[box.slices])


def test_reduction_averages_known_pixels_only():
    values = np.float32([[0, 1, 9, 9], [1, np.nan, 9, 9]])[..., None].repeat(3, axis=2)
    known = np.array([[True, True, True, False], [True, False, False, False]])
    small, small_known = reduced(values, known, 2, 1)
    np.testing.assert_allclose(small[0, 0], 2 / 3, atol=1e-6)
    np.testing.assert_array_equal(small_known, [[True, False]])  # three quarters, one quarter
    assert (small[0, 1] == 0).all()


def test_reduction_keeps_thin_known_frames():
    known = np.zeros((64, 64), bool)
    known[0] = True
    small, small_known = reduced(np.full((64, 64, 3), 0.5, np.float32), known, 8, 8)
    assert small_known[0].all()
    assert not small_known[1:].any()
    np.testing.assert_allclose(small[0], 0.5, atol=1e-6)


def test_seam_offset_is_the_missing_colour_and_detail_fades():
    known = np.ones((64, 64), bool)
    known[20:44, 20:44] = False
    picture = np.full((64, 64, 3), 0.5, np.float32)
    picture[~known] = np.nan
    copied = np.where(known[..., None], picture, np.float32(0.3))  # right where known, as a network's answer is
    np.testing.assert_allclose(seam_offset(picture, copied, known, ~known)[~known], 0.2, atol=1e-3)
    rows, columns = np.indices((64, 64))
    board = np.where((rows + columns) % 2, 0.1, -0.1).astype(np.float32)[..., None]
    of_texture = np.abs(seam_offset(picture, np.full_like(picture, 0.5) + board, known, ~known))
    np.testing.assert_allclose(of_texture[20, 24:40], 0.1, atol=0.01)  # met exactly at the border
    assert of_texture[24:40, 24:40].max() < 0.01  # and gone four pixels further in


def test_a_line_that_meets_the_hole_is_met_in_its_own_colour():
    """A membrane alone would answer with the mean of the line and of what is beside it."""
    known = np.ones((64, 64), bool)
    known[20:44, 20:44] = False
    picture = np.zeros((64, 64, 3), np.float32)
    picture[:, 30:33] = 1
    flat = np.where(known[..., None], picture, np.float32(0))
    assert (seam_offset(picture, flat, known, ~known)[20, 31] > 0.7).all()


def test_seam_offset_leaves_a_continued_gradient_alone():
    known = np.ones((64, 64), bool)
    known[20:44, 20:44] = False
    ramp = np.broadcast_to(np.linspace(0, 1, 64, dtype=np.float32)[None, :, None], (64, 64, 3)).copy()
    np.testing.assert_allclose(seam_offset(ramp, ramp, known, ~known)[~known], 0, atol=5e-3)


def test_blend_is_the_editors_normal_mode():
    pixels = np.array([[[200, 100, 0, 255], [200, 100, 0, 0], [200, 100, 0, 51]]], np.uint8)
    fill = np.full((1, 3, 3), 0.4, np.float32)
    opaque = blend(pixels, fill, np.ones((1, 3), np.float32))
    np.testing.assert_array_equal(opaque, [[[102, 102, 102, 255]] * 3])
    half = blend(pixels, fill, np.full((1, 3), 0.5, np.float32))
    np.testing.assert_array_equal(half[0, 0], [151, 101, 51, 255])
    np.testing.assert_array_equal(half[0, 1], [102, 102, 102, 128])
    np.testing.assert_array_equal(half[0, 2], [118, 102, 85, 153])  # 0.1 of old, 0.5 of new, over 0.6
    np.testing.assert_array_equal(blend(pixels, fill, np.zeros((1, 3), np.float32)), pixels)


def test_blend_never_reads_broken_floats():
    pixels = np.full((1, 2, 3), np.nan, np.float32)
    result = blend(pixels, np.full((1, 2, 3), 0.25, np.float32), np.float32([[1, 0.5]]))
    np.testing.assert_array_equal(result, np.full((1, 2, 3), 0.25))


def test_no_hole_needs_no_correction():
    """What becomes of a hole thinner than half a pixel of a reduced crop."""
    picture, known = np.full((9, 12, 3), 0.5, np.float32), np.ones((9, 12), bool)
    np.testing.assert_array_equal(seam_offset(picture, picture + 0.1, known, ~known), 0)
