import csv

import pytest

from dgfnet.evaluation.bootstrap import Interval
from dgfnet.evaluation.tables import (
    ALL,
    Row,
    Score,
    best,
    difference_table,
    differences,
    interval_text,
    mean_table,
    means,
    number_text,
    write_csv,
)


def scored(filler, photograph, cell, psnr, l1=0.1):
    return Score(f"{photograph}-{cell}", photograph, "square", cell, 0.25, filler, {"mean L1": l1, "PSNR": psnr})


SCORES = [
    scored(filler, photograph, cell, base + better)
    for photograph, base in (("a", 10.0), ("b", 20.0), ("c", 30.0))
    for cell in ("small", "large")
    for filler, better in (("poor", 0.0), ("good", 1.0 if cell == "small" else 3.0))
]


def test_means_per_cell_with_the_frechet_distance_of_the_cell():
    rows = means(SCORES, {("small", "good"): {"Frechet": 4.0}})
    assert [(row.cell, row.filler, row.cases) for row in rows] == [
        ("small", "poor", 3),
        ("small", "good", 3),
        ("large", "poor", 3),
        ("large", "good", 3),
    ]
    assert rows[1].figures == pytest.approx({"mean L1": 0.1, "PSNR": 21, "Frechet": 4})
    assert "Frechet" not in rows[0].figures


def test_the_table_marks_the_best_of_each_cell():
    text = mean_table(means(SCORES, {}))
    assert "| small | 3 | good | **0.1** | **21** |" in text
    assert "| small | 3 | poor | **0.1** | 20 |" in text


def test_the_best_seam_is_the_one_nearest_to_one():
    rows = [Row("x", str(value), 1, {"seam": value}) for value in (0.2, 0.8, 1.2, 3.0)]
    assert best(rows, "seam") == 1.2
    assert best([*rows, Row("x", "nan", 1, {"seam": float("nan")})], "seam") == 1.2


def test_differences_are_paired_by_photograph_and_averaged_over_its_cases():
    """Photographs differ by 10 dB, the fillers always by the same: an interval without width."""
    by_cell = {d.cell: d for d in differences(SCORES, "poor") if d.figure == "PSNR"}
    assert by_cell[ALL].interval == pytest.approx((2, 2, 2))
    assert by_cell["small"].interval == pytest.approx((1, 1, 1))
    assert by_cell["large"].better
    assert differences(SCORES, "good")[1].better is False
    assert {d.better for d in differences(SCORES, "poor") if d.figure == "mean L1"} == {None}
    assert "| good | +0 (+0 to +0) | **+2** (+2 to +2) |" in difference_table(differences(SCORES, "poor"), "poor")


@pytest.mark.parametrize(
    ("limits", "text"),
    [
        ((0.314, 0.12, 0.5), "**+0.314** (+0.12 to +0.5)"),
        ((0.314, -0.12, 0.5), "+0.314 (-0.12 to +0.5)"),
        ((0.314, float("nan"), float("nan")), "+0.314 (one photograph)"),
        ((float("nan"), float("nan"), float("nan")), "no number"),
    ],
)
def test_intervals_in_words(limits, text):
    assert interval_text(Interval(*limits)) == text


def test_numbers_in_words():
    assert [number_text(v) for v in (0.0123456, 23.456, 12345.6, float("inf"))] == ["0.01235", "23.46", "12346", "inf"]


def test_one_filler_has_no_differences():
    assert differences([s for s in SCORES if s.filler == "good"], "good") == []


def test_csv_keeps_six_digits(tmp_path):
    write_csv(tmp_path / "t.csv", ["name", "value"], [("ä", 1 / 3), ("count", 7)])
    with open(tmp_path / "t.csv", encoding="utf-8", newline="") as file:
        assert list(csv.reader(file)) == [["name", "value"], ["ä", "0.333333"], ["count", "7"]]
