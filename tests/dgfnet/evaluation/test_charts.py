import xml.etree.ElementTree as ET

import pytest

from dgfnet.evaluation.charts import line_chart, ticks


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0, 1], [0, 0.25, 0.5, 0.75, 1]),
        ([21, 49], [20, 30, 40, 50]),
        ([-3, 14], [-5, 0, 5, 10, 15]),
        ([], [0, 0.25, 0.5, 0.75, 1]),
    ],
)
def test_ticks_are_round_and_hold_all_values(values, expected):
    assert ticks(values) == pytest.approx(expected)


@pytest.mark.parametrize("value", [0.0, 7.0, -1e-9, 1e12])
def test_ticks_around_a_single_value(value):
    found = ticks([value])
    assert found[0] <= value <= found[-1]
    assert 2 <= len(found) <= 7


def test_points_lie_where_their_values_say():
    svg = ET.fromstring(line_chart("a < b", {"one": [(0, 0), (10, 1)], "two": [(5, 0.5)]}, "x"))
    circles = [(float(c.get("cx")), float(c.get("cy"))) for c in svg.iter("circle")]
    (x0, y0), (x1, y1), (x2, y2) = circles
    assert x0 < x2 < x1
    assert y1 < y2 < y0
    assert x2 == pytest.approx((x0 + x1) / 2, abs=0.1)
    assert y2 == pytest.approx((y0 + y1) / 2, abs=0.1)
    assert svg.get("aria-label") == "a < b"


def test_what_is_not_finite_is_left_out():
    svg = ET.fromstring(line_chart("t", {"one": [(0, float("inf")), (1, 2.0)], "none": []}, "x"))
    assert len(list(svg.iter("circle"))) == 1
