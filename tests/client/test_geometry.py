"""Rectangles: which crop is sent, and that an answer lands where its pixels came from."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from server.client.geometry import CONTEXT_MARGIN, CONTEXT_SIDE, Bounds, request_bounds

place, size = st.integers(-3000, 3000), st.integers(0, 3000)
anywhere = st.builds(Bounds, place, place, size, size)
pictures = st.builds(Bounds, place, place, st.integers(1, 3000), st.integers(1, 3000))


def test_known_rectangles() -> None:
    a, b = Bounds(0, 0, 10, 10), Bounds(5, -5, 10, 10)
    assert a.intersection(b) == Bounds(5, 0, 5, 5)
    assert a.union(b) == Bounds(0, -5, 15, 15)
    assert a.pad(2) == Bounds(-2, -2, 14, 14)
    assert a.pad(-6).is_empty
    assert b.relative_to(a.translate(1, 1)) == Bounds(4, -6, 10, 10)
    assert Bounds(3, 4, 0, 5).area == 0


def test_a_small_selection_gets_the_minimum_around_it() -> None:
    crop = request_bounds(Bounds(1000, 1000, 20, 10), Bounds(0, 0, 4000, 3000))
    assert crop == Bounds(754, 749, 512, 512)


def test_a_large_selection_gets_its_own_size_on_each_side() -> None:
    crop = request_bounds(Bounds(1000, 1000, 400, 200), Bounds(0, 0, 4000, 3000), context=1.0)
    assert crop == Bounds(1000 - 400 - 67, 1000 - 400 - 67, 1200 + 2 * 67, 1000 + 2 * 67)


def test_a_hole_at_the_edge_is_known_from_one_side_and_gets_twice_the_margin() -> None:
    crop = request_bounds(Bounds(0, 1000, 300, 300), Bounds(0, 0, 4000, 3000), context=1.0)
    assert crop == Bounds(0, 1000 - 600 - 100, 300 + 600 + 100, 300 + 2 * 700)


def test_a_corner_is_filled_up_from_the_inside() -> None:
    assert request_bounds(Bounds(-50, 2990, 60, 100), Bounds(0, 0, 4000, 3000)) == Bounds(0, 2488, 512, 512)


@given(anywhere, anywhere)
def test_intersection_and_union(a: Bounds, b: Bounds) -> None:
    both = a.intersection(b)
    assert both == b.intersection(a) or both.is_empty
    assert a.contains(both)
    assert b.contains(both)
    assert a.union(b).contains(a)
    assert a.union(b).contains(b)


@given(anywhere, pictures, st.floats(0, 4))
def test_the_crop_lies_in_the_picture_around_the_selection(selection: Bounds, picture: Bounds, context: float) -> None:
    crop, hole = request_bounds(selection, picture, context), selection.intersection(picture)
    assert picture.contains(crop)
    if hole.is_empty:
        assert crop.is_empty
        return
    assert crop.contains(hole.pad(CONTEXT_MARGIN).intersection(picture))
    assert crop.width >= min(CONTEXT_SIDE, picture.width)
    assert crop.height >= min(CONTEXT_SIDE, picture.height)


@given(anywhere, pictures, pictures)
def test_a_layer_returns_to_the_place_it_came_from(selection: Bounds, layer: Bounds, document: Bounds) -> None:
    """The road of a plug-in: document -> layer coordinates -> crop -> server -> document."""
    hole = selection.intersection(layer).intersection(document)
    crop = request_bounds(hole.relative_to(layer), layer.relative_to(layer)).from_relative(layer)
    answer = hole.relative_to(crop)  # what a server that fills exactly the hole returns
    assert answer.from_relative(crop) == hole
    if not hole.is_empty:
        assert answer.x >= 0
        assert answer.y >= 0
        assert answer.right <= crop.width
        assert answer.bottom <= crop.height
