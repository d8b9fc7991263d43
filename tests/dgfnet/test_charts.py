import itertools
import re
import xml.etree.ElementTree as ET

import pytest

from dgfnet.charts import chart_file, line_chart, log_ticks, ticks


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


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.02, 0.9], [0.02, 0.05, 0.1, 0.2, 0.5, 1]),
        ([0.3, 40, 800], [0.1, 1, 10, 100, 1000]),
        ([1.1, 2.6], [1, 1.5, 2, 2.5, 3]),
        ([0, 1], [1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1]),
    ],
)
def test_ticks_of_a_logarithmic_axis_are_round_and_hold_all_values(values, expected):
    assert log_ticks(values) == pytest.approx(expected)


@pytest.mark.parametrize("values", [[7.0], [1e-30], [0.001], [1e12], [2.0, 4.999], [1.0, 2.5]])
def test_a_logarithmic_axis_stays_above_zero(values):
    found = log_ticks(values)
    assert 2 <= len(found) <= 8
    assert found[0] > 0
    assert all(value <= found[-1] * (1 + 1e-9) for value in values)


def test_equal_factors_are_equal_distances_on_a_logarithmic_axis_and_zero_is_at_its_bottom():
    svg = ET.fromstring(line_chart("t", {"one": [(0, 0), (1, 1), (2, 10), (3, 100)]}, "x", log=True))
    zero, one, ten, hundred = (float(c.get("cy")) for c in svg.iter("circle"))
    assert one - ten == pytest.approx(ten - hundred, abs=0.2)
    assert zero > one


@pytest.mark.parametrize("points", [[], [(0, 0.0), (1, 0.0)]])
def test_nothing_above_zero_makes_a_chart_all_the_same(points):
    svg = ET.fromstring(line_chart("t", {"one": points}, "x", log=True))
    assert len(list(svg.iter("circle"))) == len(points)


def test_many_points_are_a_faint_line_and_a_smooth_one():
    svg = ET.fromstring(line_chart("t", {"one": [(step, step % 2) for step in range(1000)]}, "x"))
    assert not list(svg.iter("circle"))
    raw, smooth = (
        [tuple(map(float, dot.split())) for dot in path.get("d")[1:].split("L")]
        for path in svg.iter("path")
        if path.get("stroke")
    )
    assert 300 <= len(raw) == len(smooth) <= 400

    def movement(line):
        return sum(abs(b[1] - a[1]) for a, b in itertools.pairwise(line))

    assert movement(smooth) < movement(raw) / 4


def test_a_file_of_charts_is_whole_and_loads_nothing():
    charts = [line_chart(f"{number} & more", {"a": [(1, 2)]}, "x") for number in range(4)]
    page = chart_file(charts)
    root = ET.fromstring(page)
    places = [(panel.get("x"), panel.get("y")) for panel in root if panel.tag.endswith("}svg")]
    assert len(set(places)) == 4
    assert (int(root.get("width")), int(root.get("height"))) == (3 * 420, 2 * 280)
    assert not re.search(r"url\(|href|<script", page)
    assert ET.fromstring(chart_file([])) is not None
