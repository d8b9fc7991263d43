"""Holes found and crops planned: every hole pixel is covered once, at a scale that the network can fill."""

from itertools import chain, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import distance_transform_edt

from dgfnet.errors import Cancelled, PictureError
from dgfnet.filling import crops
from dgfnet.filling import holes as holes_module
from dgfnet.filling.crops import REACH_MARGIN, STRIDE, Fade, Window, network_length, plan, windows
from dgfnet.filling.holes import Box, depth_in, find_holes


def test_box_arithmetic():
    a, b = Box(2, 3, 10, 5), Box(8, 0, 10, 5)
    assert a.within(b) == Box(8, 3, 4, 2)
    assert a.union(b) == Box(2, 0, 16, 8)
    assert a.grown(1) == Box(1, 2, 12, 7)
    assert a.grown(1, 2, 3, 4) == Box(1, 1, 14, 11)
    assert a.within(Box(50, 50, 3, 3))[2:] == (0, 0)
    assert b.relative_to(a) == Box(6, -3, 10, 5)


def test_holes_have_boxes_and_depths():
    mask = np.zeros((60, 80), np.uint8)
    mask[10:21, 10:31] = 1  # 11 rows: depth 6
    mask[50:60, 70:80] = 255  # in the corner: known pixels above and to the left only
    mask[40, 5] = 7
    hole_map, found = find_holes(mask)
    by_box = {hole.box: hole.depth for hole in found}
    assert set(by_box) == {Box(10, 10, 21, 11), Box(70, 50, 10, 10), Box(5, 40, 1, 1)}
    assert by_box[Box(10, 10, 21, 11)] == pytest.approx(6, abs=0.1)
    assert by_box[Box(70, 50, 10, 10)] == pytest.approx(10, abs=0.1)
    assert by_box[Box(5, 40, 1, 1)] == pytest.approx(1, abs=0.1)
    own = [hole_map.own(hole, Box(0, 0, 80, 60)) & (mask > 0) for hole in found]
    np.testing.assert_array_equal(np.sum(own, axis=0), mask > 0)


def test_growing_joins_holes():
    mask = np.zeros((40, 40), bool)
    mask[20, 10] = mask[20, 18] = True
    assert len(find_holes(mask)[1]) == 2
    assert len(find_holes(mask, grow=4)[1]) == 1


def test_empty_and_full_masks():
    for mask, code in (
        (np.zeros((5, 5)), "empty_mask"),
        (np.ones((5, 5)), "full_mask"),
        (np.full((5, 5), np.nan), "not_finite"),
    ):
        with pytest.raises(PictureError) as caught:
            find_holes(mask)
        assert caught.value.code == code


@pytest.mark.parametrize("side", [2048, 40])
def test_holes_grow_by_a_disc_in_coarse_maps_too(monkeypatch, side):
    monkeypatch.setattr(holes_module, "MAP_SIDE", side)
    mask = np.zeros((100, 120), bool)
    mask[30, 50] = mask[33, 51] = True
    hole_map, (hole,) = find_holes(mask, grow=20)
    own = hole_map.own(hole, Box(0, 0, 120, 100))
    distance = distance_transform_edt(~mask)
    assert own[distance <= 20].all()
    assert not own[distance > 20 + 3 * (hole_map.block - 1)].any()
    assert not own[12, 32]  # in the square, not in the disc


def test_a_hole_in_every_block_is_deep_and_no_error(monkeypatch):
    monkeypatch.setattr(holes_module, "MAP_SIDE", 10)
    mask = np.ones((100, 90), bool)
    mask[50] = False
    assert [hole.depth for hole in find_holes(mask)[1]] == [100]
    corners = np.zeros((9, 9), bool)
    corners[4, 4] = True
    assert find_holes(corners, grow=5)[1][0].depth == pytest.approx(32**0.5, abs=0.1)


def test_coarse_maps_never_understate_a_hole(monkeypatch):
    rng = np.random.default_rng(5)
    mask = rng.random((150, 170)) > 0.995
    mask[40:80, 60:120] = True
    exact = find_holes(mask)[1]
    monkeypatch.setattr(holes_module, "MAP_SIDE", 40)
    hole_map, found = find_holes(mask)
    assert hole_map.block == 5
    assert max(hole.depth for hole in found) >= max(hole.depth for hole in exact)
    covered = np.sum([hole_map.own(hole, Box(0, 0, 170, 150)) & mask for hole in found], axis=0)
    np.testing.assert_array_equal(covered, mask)


def one_hole(width, height, box, depth):
    mask = np.zeros((height, width), bool)
    mask[box.slices] = True
    hole_map, holes = find_holes(mask)
    assert holes[0].depth == pytest.approx(depth, abs=0.5)
    return hole_map, holes


def test_small_holes_at_scale_one_with_room_around():
    (crop,) = plan(*one_hole(400, 300, Box(200, 150, 20, 20), 10), Box(0, 0, 400, 300), 1.0, 80, 512)
    assert crop.scale == 1
    assert crop.core == Box(200, 150, 20, 20)
    assert crop.box.width % STRIDE == crop.box.height % STRIDE == 0
    assert crop.box.within(crop.core.grown(64)) == crop.core.grown(64)
    assert (crop.share() == 1).all()


def test_deep_holes_go_down_in_scale():
    (crop,) = plan(*one_hole(3000, 3000, Box(1000, 1000, 801, 801), 401), Box(0, 0, 3000, 3000), 1.0, 84, 512)
    assert crop.scale == pytest.approx(80 / 401, rel=0.01)
    assert max(crop.box.width, crop.box.height) * crop.scale <= 512 + 1


@pytest.mark.parametrize(
    ("picture", "hole"),
    [
        (Box(0, 0, 3000, 3000), Box(1450, 1450, 100, 100)),
        (Box(0, 0, 3000, 3000), Box(40, 1200, 500, 260)),
        (Box(0, 0, 900, 700), Box(500, 20, 60, 90)),
        (Box(0, 0, 4000, 300), Box(900, 100, 1500, 9)),  # which is cut
    ],
)
def test_more_context_is_never_less(picture, hole):
    found = one_hole(picture.width, picture.height, hole, min(hole.width, hole.height) / 2)
    seen = [plan(*found, picture, context, 81, 512) for context in (0, 0.5, 1, 2, 3, 3.5, 4, 8, 16)]
    for less, more in pairwise(seen):
        if len(less) == 1:
            assert len(more) == 1
            assert less[0].box.within(more[0].box) == less[0].box
        else:
            assert len(less) <= len(more)
    for crop in chain(*seen):
        assert max(crop.box.width, crop.box.height) * crop.scale <= 512 + STRIDE


def test_holes_are_not_joined_at_the_cost_of_their_context():
    mask = np.zeros((3000, 3000), np.uint8)
    mask[1450:1550, 1250:1350] = mask[1450:1550, 1650:1750] = 255
    found = find_holes(mask, 0)
    seen = []
    for context in (2, 3, 3.5, 8):
        crops = plan(*found, Box(0, 0, 3000, 3000), context, 81, 512)
        seen.append([next(c.box for c in crops if hole.box.within(c.target) == hole.box) for hole in found[1]])
    for less, more in pairwise(seen):
        assert [box.within(wider) for box, wider in zip(less, more, strict=True)] == less


def test_thin_holes_are_cut_into_crops_that_fade():
    picture = Box(0, 0, 2000, 200)
    crops = plan(*one_hole(2000, 200, Box(0, 100, 2000, 8), 4), picture, 1.0, 80, 512)
    assert len(crops) > 4
    assert {crop.scale for crop in crops} == {1.0}
    total = np.zeros((200, 2000))
    for crop in crops:
        assert max(crop.box.width, crop.box.height) <= 512
        assert crop.box.height <= 8 + 2 * 64 + STRIDE
        total[crop.target.slices] += crop.share()
    np.testing.assert_allclose(total[100:108], 1, atol=1e-5)


def test_crops_of_a_diagonal_line_leave_the_empty_parts_out():
    mask = np.eye(3000, dtype=bool)
    hole_map, found = find_holes(mask)
    crops = plan(hole_map, found, Box(0, 0, 3000, 3000), 1.0, 80, 512)
    assert len(crops) < 30
    total = np.zeros(mask.shape, np.float32)
    for crop in crops:
        total[crop.target.slices] += crop.share()
    np.testing.assert_allclose(total[mask], 1, atol=1e-5)


def test_no_hole_needs_no_window():
    assert windows(np.zeros((40, 50), bool), 128, 24) == []


def test_near_holes_share_a_crop_and_far_ones_do_not():
    mask = np.zeros((2000, 2000), bool)
    mask[100:110, 100:110] = mask[100:110, 130:140] = mask[1900:1910, 1900:1910] = True
    crops = plan(*find_holes(mask), Box(0, 0, 2000, 2000), 1.0, 80, 512)
    assert [crop.core for crop in crops] == [Box(100, 100, 40, 10), Box(1900, 1900, 10, 10)]


@pytest.mark.parametrize("turned", [False, True])
def test_long_thin_holes_beside_each_other_share_their_crops(turned):
    """As they do where something joins them."""
    mask = np.zeros((1200, 600), bool)
    mask[100:1000, 200:320:12] = mask[100:1000, 201:320:12] = True
    mask[600:604, 205:209] = True  # between two of them; no reason to leave those apart
    joined = mask.copy()
    joined[500, 200:310] = True
    apart, together = (
        plan(*find_holes(m.T if turned else m), Box(0, 0, *(m.shape if turned else m.shape[::-1])), 1.0, 80, 512)
        for m in (mask, joined)
    )
    assert [(crop.core, crop.box) for crop in apart] == [(crop.core, crop.box) for crop in together]


def test_long_thin_holes_far_from_each_other_do_not():
    mask = np.zeros((1200, 1200), bool)
    mask[100:1000, [100, 700]] = True
    crops = plan(*find_holes(mask), Box(0, 0, 1200, 1200), 1.0, 80, 512)
    assert {len(crop.hole.labels) for crop in crops} == {1}
    assert len(crops) == 6


def test_planning_can_be_stopped():
    mask = np.zeros((400, 400), bool)
    mask[::12, ::12] = True

    def stop():
        raise Cancelled

    with pytest.raises(Cancelled):
        plan(*find_holes(mask), Box(0, 0, 400, 400), 1.0, 80, 512, stop)


def test_joining_misses_nothing_worth_it_among_the_holes_that_it_leaves_out(monkeypatch):
    """It costs no more than if all holes were looked at."""
    mask = np.random.default_rng(5).random((900, 300)) > 0.9995
    mask[400:420, 100:180] = True
    arguments = *find_holes(mask), Box(0, 0, 300, 900), 1.0, 80, 512

    def cost():
        return sum(crop.box.width * crop.box.height * crop.scale**2 for crop in plan(*arguments))

    some = cost()
    monkeypatch.setattr(crops, "_first_below", lambda boxes, row: len(boxes))
    assert some <= cost()


def test_a_share_fades_across_its_own_border():
    crop = Window(Box(10, 0, 8, 2), Fade(left=2), Box(0, 0, 30, 2))
    np.testing.assert_allclose(crop.share()[0], [0.125, 0.375, 0.625, 0.875] + [1] * 6)


@settings(max_examples=60, deadline=None)
@given(st.integers(8, 400), st.integers(8, 400), st.integers(0, 2**31))
def test_windows_cover_a_hole_once(width, height, seed):
    rng = np.random.default_rng(seed)
    hole = np.zeros((height, width), bool)
    for _ in range(rng.integers(1, 4)):
        x, y = rng.integers(width), rng.integers(height)
        hole[y : y + rng.integers(1, height), x : x + rng.integers(1, width)] = True
    whole = Box(0, 0, width, height)
    total = np.zeros(hole.shape)
    for window in windows(hole, 128, 24):
        assert window.box.within(whole) == window.box
        assert window.target.within(window.box) == window.target
        assert max(window.box.width, window.box.height) <= 128 + STRIDE
        total[window.target.slices] += window.share()
    np.testing.assert_allclose(total[hole], 1, atol=1e-5)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(8, 400),
    st.integers(8, 400),
    st.integers(0, 2**31),
    st.sampled_from([0.0, 1.0, 4.0]),
    st.integers(24, 80),
)
def test_any_mask_is_covered_once_within_reach(width, height, seed, context, reach):
    rng = np.random.default_rng(seed)
    mask = np.zeros((height, width), bool)
    for _ in range(rng.integers(1, 6)):
        x, y = rng.integers(width), rng.integers(height)
        mask[y : y + rng.integers(1, height), x : x + rng.integers(1, width)] = True
    if mask.all():
        return
    picture = Box(0, 0, width, height)
    hole_map, found = find_holes(mask)
    total = np.zeros(mask.shape)
    for crop in plan(hole_map, found, picture, context, reach, 128):
        assert crop.box.within(picture) == crop.box
        assert crop.target.within(crop.box) == crop.target
        assert crop.scale * crop.hole.depth <= max(reach - REACH_MARGIN, 1) + 1e-6
        assert network_length(max(crop.box.width, crop.box.height) * crop.scale - 0.5) <= 128
        total[crop.target.slices] += crop.share() * hole_map.own(crop.hole, crop.target)
    np.testing.assert_allclose(total[mask], 1, atol=1e-5)


@pytest.mark.parametrize("place", [(0, 0), (8, 12), (30, 40)])
def test_depth_is_the_distance_from_what_is_not_inside(place):
    pixels = np.zeros((40, 50), bool)
    pixels[place[0] : place[0] + 11, place[1] : place[1] + 13] = True
    pixels[5, 20] = True
    depth = depth_in(pixels)
    assert depth.dtype == np.float32
    np.testing.assert_array_equal(depth, distance_transform_edt(pixels).astype(np.float32))
    assert not depth_in(np.zeros((3, 4), bool)).any()
