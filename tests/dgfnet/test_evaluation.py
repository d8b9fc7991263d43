import argparse
import csv

import numpy as np
import pytest
from PIL import Image

from dgfnet import evaluation, fillers, model
from dgfnet.data import DataError
from dgfnet.evaluation import Case, cases, score, table


@pytest.fixture
def pictures(tmp_path, photograph):
    """A folder with three photographs."""
    (tmp_path / "pictures").mkdir()
    for name, part in (("a", photograph), ("b", photograph[::-1]), ("c", photograph[:, ::-1])):
        Image.fromarray(part).save(tmp_path / "pictures" / f"{name}.png")
    return tmp_path / "pictures"


@pytest.fixture
def case(photograph):
    hole = np.zeros((64, 64), bool)
    hole[20:40, 30:64] = True
    return Case("x-0", "square 20% to 30%", np.ascontiguousarray(photograph[:64, :64]), hole)


def test_cases_have_the_share_of_their_cell_and_do_not_depend_on_the_limit(pictures):
    every = list(cases([str(pictures)], ("square",), 64, None, seed=1))
    assert [c.name for c in every] == [f"{n}-{i}" for n in "abc" for i in range(3)]
    for c in every:
        low, high = (float(part.strip("%")) for part in c.cell.removeprefix("square ").split(" to "))
        assert low - 2 < 100 * c.hole.mean() < high + 2
    few = list(cases([str(pictures)], ("square",), 64, 1, seed=1))
    assert len(few) == 3
    assert np.array_equal(few[0].hole, every[0].hole)


@pytest.mark.parametrize("name", sorted(evaluation.CLASSICAL))
def test_classical_fillers_fill_and_do_not_look_under_the_hole(name, case):
    fill = evaluation.CLASSICAL[name]
    filled = fill(case.name, case.picture, case.hole)
    assert filled.shape == case.truth.shape
    assert filled.dtype == np.uint8
    assert np.array_equal(filled[~case.hole], case.truth[~case.hole])
    assert filled[case.hole].mean() > 20


@pytest.mark.parametrize("name", ["mean", "telea", "ns"])
def test_classical_fillers_do_not_leak(name, case):
    """OpenCV's read under a hole that touches the border unless the border is extended first."""
    fill = evaluation.CLASSICAL[name]
    noisy = case.picture.copy()
    noisy[case.hole] = np.random.default_rng(0).integers(0, 255, (int(case.hole.sum()), 3))
    a, b = (fill(case.name, p, case.hole)[case.hole] for p in (case.picture, noisy))
    assert np.array_equal(a, b)


def test_a_perfect_filler_scores_perfectly_whatever_it_does_outside(case):
    everywhere_else_wrong = np.where(case.hole[..., None], case.truth, 0).astype(np.uint8)
    figures = score(case, everywhere_else_wrong)
    assert figures["mean L1"] == 0
    assert figures["PSNR"] == figures["hole PSNR"] == float("inf")
    assert figures["SSIM"] == pytest.approx(1)


def test_the_table_marks_the_best(case):
    scores = [
        evaluation.Score("x", case.cell, "poor", {"mean L1": 0.2, "PSNR": 10.0}),
        evaluation.Score("x", case.cell, "good", {"mean L1": 0.1, "PSNR": 20.0}),
    ]
    assert "| good | **0.1** | **20** |" in table(scores)
    assert "| poor | 0.2 | 10 |" in table(scores)


def test_the_command_writes_table_scores_and_sheets(pictures, tmp_path, network, capsys):
    model.save(network, tmp_path / "w.safetensors")
    parser = argparse.ArgumentParser()
    evaluation.add_arguments(parser)

    def command(*words):
        return evaluation.run(parser.parse_args([str(pictures), "--size", "64", "--kinds", "square", *words]))

    assert command("--export", "--out", str(tmp_path / "cases")) == 0
    assert len(list((tmp_path / "cases" / "masks").iterdir())) == 9
    assert np.asarray(Image.open(tmp_path / "cases" / "pictures" / "a-0.png")).shape == (64, 64, 3)

    out = tmp_path / "out"
    weights = str(tmp_path / "w.safetensors")
    others = str(tmp_path / "cases" / "pictures")
    assert command("--out", str(out), "--weights", weights, "--against", "telea", "--results", others) == 0
    with open(out / "scores.csv") as file:
        rows = list(csv.DictReader(file))
    assert {row["filler"] for row in rows} == {"telea", "pictures", "coarse branch", "dgfnet"}
    assert len(rows) == 9 * 4
    assert (out / "table.md").read_text() in capsys.readouterr().out
    assert len(list(out.glob("worst-*.png"))) == 3


def test_missing_results_get_a_sentence(tmp_path, case):
    with pytest.raises(DataError, match="no result for 'x-0'"):
        fillers.results(tmp_path)("x-0", case.picture, case.hole)
