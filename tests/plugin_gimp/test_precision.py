"""Which pixels travel how: the table of GIMP's precisions."""

from __future__ import annotations

import pytest


@pytest.fixture
def precision(module):
    return module("precision")


@pytest.mark.parametrize(
    ("value", "dtype", "babl"),
    [
        (100, "u1", "RGB u8"),
        (150, "u1", "R'G'B' u8"),
        (175, "u1", "R~G~B~ u8"),
        (200, "u2", "RGB u16"),
        (250, "u2", "R'G'B' u16"),
        (275, "u2", "R~G~B~ u16"),
        (350, "f4", "R'G'B' float"),
        (500, "f2", "RGB half"),
        (550, "f2", "R'G'B' half"),
        (600, "f4", "RGB float"),
        (650, "f4", "R'G'B' float"),
        (775, "f4", "R~G~B~ float"),
    ],
)
def test_colour(precision, value, dtype, babl) -> None:
    found = precision.encoding(value, False, False)
    assert found == (dtype, babl, 3, False)
    model, component = babl.split()
    assert precision.encoding(value, False, True) == (dtype, f"{model}A {component}", 4, True)


@pytest.mark.parametrize(
    ("value", "dtype", "babl"),
    [(100, "f4", "R~G~B~ float"), (250, "u2", "R'G'B' u16"), (500, "f4", "R~G~B~ float"), (550, "f4", "R'G'B' float")],
)
def test_what_is_mixed_has_a_curve_and_no_half_floats(precision, value, dtype, babl) -> None:
    assert precision.encoding(value, False, False, with_curve=True) == (dtype, babl, 3, False)


def test_the_server_is_told_of_linear_light(precision) -> None:
    assert [precision.encoding(value, False, True).space for value in (200, 250, 275)] == ["linear", "srgb", "srgb"]


def test_grey_and_alpha(precision) -> None:
    assert precision.encoding(250, True, False) == ("u2", "Y' u16", 1, False)
    with_alpha = precision.encoding(250, True, True)
    assert with_alpha == ("u2", "Y'A u16", 2, True)
    assert with_alpha.with_alpha() is with_alpha


def test_masks_are_as_deep_as_needed(precision) -> None:
    assert precision.mask_encoding(100).babl == "Y u8"
    assert precision.mask_encoding(650).babl == "Y u16"
    assert precision.alpha_encoding(150) == ("u1", "A u8", 1, False)


def test_groups_are_refused_only_where_they_cannot_add_up(precision) -> None:
    assert "indexed" in precision.group_refusal(150, True).lower()
    assert "8-bit linear" in precision.group_refusal(100, False)
    assert [precision.group_refusal(value, False) for value in (150, 175, 200, 250, 500, 600, 650)] == [""] * 7
