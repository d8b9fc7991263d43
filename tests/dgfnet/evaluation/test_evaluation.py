import csv
import html.parser
import re

import numpy as np
import pytest
import torch
from PIL import Image

from dgfnet import cli, model
from dgfnet.errors import UserError
from dgfnet.evaluation import fillers
from dgfnet.evaluation.cases import Case
from dgfnet.evaluation.judgement import Judgement
from dgfnet.evaluation.perception import Comparison


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
    truth = np.ascontiguousarray(photograph[:64, :64])
    return Case("x-0", "x", "square", "square 20% to 30%", truth, hole)


class MeanColour:
    """A perception that sees mean colours."""

    frechet = "Frechet (colour)"
    distance = "colour"

    def compare(self, pictures):
        colours = pictures.mean((2, 3))
        return Comparison(colours, (colours[1:] - colours[:1]).abs().sum(1))


@pytest.mark.parametrize("name", sorted(fillers.CLASSICAL))
def test_classical_fillers_fill_and_do_not_look_under_the_hole(name, case):
    """OpenCV's read under a hole that touches the border unless the border is extended first."""
    fill = fillers.CLASSICAL[name]
    filled = fill(case.name, case.given, case.hole)
    assert filled.shape == case.truth.shape
    assert filled.dtype == np.uint8
    assert np.array_equal(filled[~case.hole], case.truth[~case.hole])
    assert filled[case.hole].mean() > 20
    noisy = case.given.copy()
    noisy[case.hole] = np.random.default_rng(0).integers(0, 255, (int(case.hole.sum()), 3))
    assert np.array_equal(fill(case.name, noisy, case.hole)[case.hole], filled[case.hole])


def test_a_perfect_filler_scores_perfectly_whatever_it_does_outside(case):
    everywhere_else_wrong = np.where(case.hole[..., None], case.truth, 0).astype(np.uint8)
    judgement = Judgement("perfect", [MeanColour()])
    judgement.add(case, {"perfect": everywhere_else_wrong})
    figures = judgement.scores[0].figures
    assert figures["mean L1"] == figures["colour"] == 0
    assert figures["PSNR"] == figures["hole PSNR"] == float("inf")
    assert figures["SSIM"] == pytest.approx(1)


def test_the_worst_cases_are_kept_the_worst_first(case):
    judgement = Judgement("grey")
    for error in (10, 50, 20, 90, 30, 40, 60, 70, 50):
        filled = np.clip(case.truth.astype(int) + error, 0, 255).astype(np.uint8)
        judgement.add(case._replace(name=str(error)), {"grey": filled})
    assert [e.case for e in judgement.examples()] == ["90", "70", "60", "50", "50", "40"]


def test_frechet_distances_are_between_a_fillers_results_and_the_truths(case):
    judgement = Judgement("one", [MeanColour()])
    for shift in (0, 20, 40):
        truth = np.roll(case.truth, shift, axis=1)
        judgement.add(case._replace(truth=truth), {"one": truth, "other": np.zeros_like(truth)})
    found = judgement.frechet()
    assert found[case.cell, "one"]["Frechet (colour)"] == pytest.approx(0, abs=1e-6)
    assert found[case.cell, "other"]["Frechet (colour)"] > 1e-4


def evaluate(pictures, *words):
    return cli.main(["evaluate", str(pictures), "--size", "64", "--device", "cpu", *map(str, words)])


def test_the_command_writes_tables_report_and_sheets(pictures, tmp_path, network, capsys):
    weights = tmp_path / "w.safetensors"
    model.save(network, weights)
    assert evaluate(pictures, "--kinds", "square", "--export", "--out", tmp_path / "cases") == 0
    assert len(list((tmp_path / "cases" / "masks").iterdir())) == 9
    assert np.asarray(Image.open(tmp_path / "cases" / "pictures" / "0000-a-3.png")).shape == (64, 64, 3)

    out, others = tmp_path / "out", tmp_path / "cases" / "pictures"
    out.mkdir()
    (out / "worst-object-20-to-30.png").write_bytes(b"of an evaluation before")
    words = ("--kinds", "square", "--out", out, "--weights", weights, "--against", "telea", "--results", others)
    assert evaluate(pictures, *words) == 0
    rows = read(out / "scores.csv")
    assert {row["filler"] for row in rows} == {"telea", "pictures", "coarse branch", "network alone", "dgfnet"}
    assert len(rows) == 9 * 5
    assert (out / "table.md").read_text() in capsys.readouterr().out
    assert len(list(out.glob("worst-*.png"))) == 3
    assert len(read(out / "table.csv")) == 3 * 5
    assert {row["reference"] for row in read(out / "differences.csv")} == {"dgfnet"}
    page = (out / "report.html").read_text()
    assert page.count("<img") == 9 * 7  # given, five fillers, truth
    assert page.count("<svg") == 5
    assert "telea" in page


def test_the_report_is_whole_and_loads_nothing(pictures, tmp_path, network):
    model.save(network, tmp_path / "w.safetensors")
    out = tmp_path / "out"
    assert (
        evaluate(pictures, "--limit", 1, "--kinds", "object", "--out", out, "--weights", tmp_path / "w.safetensors")
        == 0
    )
    page = (out / "report.html").read_text(encoding="utf-8")
    open_tags = []

    class Checker(html.parser.HTMLParser):
        def handle_starttag(self, tag, attrs):
            for name, value in attrs:
                assert name not in ("href", "srcset"), tag
                assert name != "src" or value.startswith("data:image/jpeg;base64,")
            if tag not in ("meta", "img", "br"):
                open_tags.append(tag)

        def handle_startendtag(self, tag, attrs):
            pass

        def handle_endtag(self, tag):
            assert open_tags.pop() == tag

    Checker().feed(page)
    assert not open_tags
    assert not re.search(r"url\(|@import|<script|https?:", page)


@pytest.mark.parametrize("whole_folder", [True, False])
def test_an_ablation_compares_weights_on_the_same_cases(pictures, tmp_path, whole_folder):
    torch.manual_seed(5)
    for name, fusion in model.ABLATION.items():
        (tmp_path / "runs" / name).mkdir(parents=True)
        config = model.DGFNetConfig(width=0.125, detail_width=0.125, fusion=fusion, recurrences=2)
        model.save(model.DGFNet(config), tmp_path / "runs" / name / "weights.safetensors")
    files = [tmp_path / "runs" / name / "weights.safetensors" for name in model.ABLATION]
    words = ("--kinds", "square", "--against", "--out", tmp_path / "out")
    assert evaluate(pictures, *words, "--ablation", *([tmp_path / "runs"] if whole_folder else files)) == 0
    found = read(tmp_path / "out" / "differences.csv")
    assert {(row["filler"], row["reference"]) for row in found} == {("without-dpfm", "full"), ("baseline", "full")}
    assert {row["filler"] for row in read(tmp_path / "out" / "table.csv")} == set(model.ABLATION)
    over_all = [row for row in found if row["hole"] == "all holes" and row["figure"] == "PSNR"]
    assert all(float(row["low"]) <= float(row["mean"]) <= float(row["high"]) for row in over_all)
    scores = read(tmp_path / "out" / "scores.csv")
    psnr = {f: np.mean([float(r["PSNR"]) for r in scores if r["filler"] == f]) for f in ("full", "baseline")}
    (baseline,) = [row for row in over_all if row["filler"] == "baseline"]
    assert float(baseline["mean"]) == pytest.approx(psnr["baseline"] - psnr["full"], abs=1e-4)


def test_masks_from_a_folder_through_the_command(pictures, tmp_path, network):
    (tmp_path / "objects").mkdir()
    Image.fromarray(np.pad(np.full((20, 20), 255, np.uint8), 22)).save(tmp_path / "objects" / "m.png")
    model.save(network, tmp_path / "w.safetensors")
    words = ("--masks", tmp_path / "objects", "--holes-are", "white", "--weights", tmp_path / "w.safetensors")
    assert evaluate(pictures, *words, "--out", tmp_path / "out") == 0
    assert {row["hole"] for row in read(tmp_path / "out" / "table.csv")} == {"objects 0% to 10%"}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--masks", "."], "--masks and --holes-are go together"),
        (["--holes-are", "white"], "--masks and --holes-are go together"),
        (["--squeezenet", "absent.h5"], "absent.h5"),
        (["--inception", "absent.pth"], "absent.pth"),
        (["--weights", "absent"], "no weights called 'absent'"),
        (["--size", "8"], "--size must be 32"),
        (["--seed", "-1"], "--seed must be a number from 0"),
        (["--ablation", "."], "'.' has no full/weights.safetensors; finish `dgfnet train"),
        (["--device", "toaster"], "no device 'toaster'"),
    ],
)
def test_bad_options_get_a_sentence(pictures, tmp_path, capsys, words, sentence):
    assert evaluate(pictures, "--out", tmp_path / "out", *words) == (cli.MISUSED if "--device" in words else cli.FAILED)
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1


def test_a_place_that_is_a_file_gets_a_sentence(pictures, capsys):
    assert evaluate(pictures, "--out", pictures / "a.png") == 1
    assert capsys.readouterr().err == f"dgfnet: Nothing can be written to {pictures / 'a.png'}. Choose another place.\n"


@pytest.mark.parametrize("export", [True, False])
def test_damaged_pictures_are_named_before_anything_is_filled(pictures, tmp_path, network, monkeypatch, capsys, export):
    model.save(network, tmp_path / "w.safetensors")
    monkeypatch.setitem(fillers.CLASSICAL, "telea", lambda *_: pytest.fail("filled"))
    for name in "bc":
        (pictures / f"{name}.png").write_bytes(b"damaged")
    words = ("--weights", tmp_path / "w.safetensors", "--out", tmp_path / "out", *(["--export"] if export else []))
    assert evaluate(pictures, *words) == 1
    said = capsys.readouterr().err
    assert all(f"{pictures / name} is not a picture" in said for name in ("b.png", "c.png"))
    assert not list((tmp_path / "out").iterdir())


def test_columns_of_one_name_get_a_sentence(pictures, tmp_path, network, capsys):
    model.save(network, tmp_path / "w.safetensors")
    (tmp_path / "telea").mkdir()
    words = ("--weights", tmp_path / "w.safetensors", "--results", tmp_path / "telea")
    assert evaluate(pictures, "--out", tmp_path / "out", *words) == 1
    assert "same name" in capsys.readouterr().err


def test_results_that_cannot_be_used_get_a_sentence(tmp_path, case):
    fill = fillers.results(tmp_path)
    with pytest.raises(UserError, match="no result for 'x-0'"):
        fill("x-0", case.given, case.hole)
    Image.new("RGB", (60, 64)).save(tmp_path / "x-0.png")
    with pytest.raises(UserError, match="60 x 64"):
        fill("x-0", case.given, case.hole)
    (tmp_path / "x-0.png").write_text("no")
    with pytest.raises(UserError, match="cannot be read"):
        fill("x-0", case.given, case.hole)


def test_all_results_that_cannot_be_used_are_named_before_anything_is_filled(
    pictures, tmp_path, network, monkeypatch, capsys
):
    model.save(network, tmp_path / "w.safetensors")
    monkeypatch.setitem(fillers.CLASSICAL, "telea", lambda *_: pytest.fail("filled"))
    words = ("--kinds", "square", "--weights", tmp_path / "w.safetensors")
    folders = [tmp_path / "one" / "pictures", tmp_path / "two" / "pictures"]
    for folder in folders:
        assert evaluate(pictures, *words, "--export", "--out", folder.parent) == 0
    folders = [folder.rename(folder.with_name(f"by {folder.parent.name}")) for folder in folders]
    (folders[0] / "0002-c-5.png").unlink()
    Image.new("RGB", (60, 64)).save(folders[1] / "0001-b-3.png")
    (folders[1] / "0001-b-4.png").write_bytes(b"damaged")
    capsys.readouterr()
    assert evaluate(pictures, *words, "--results", *folders, "--out", tmp_path / "out") == 1
    missing, wrong, damaged = capsys.readouterr().err.splitlines()
    assert "holds no result for '0002-c-5'" in missing
    assert "0001-b-3.png' is 60 x 64 px, the case 64 px" in wrong
    assert "0001-b-4.png' cannot be read" in damaged


def test_masks_called_as_a_kind_that_is_made_get_a_sentence(pictures, tmp_path, capsys):
    (tmp_path / "square").mkdir()
    Image.fromarray(np.pad(np.full((20, 20), 255, np.uint8), 22)).save(tmp_path / "square" / "m.png")
    words = ("--masks", tmp_path / "square", "--holes-are", "white", "--export", "--out", tmp_path / "out")
    assert evaluate(pictures, *words, "--kinds", "square", "object") == 1
    assert "square' is called as one of the --kinds" in capsys.readouterr().err
    assert evaluate(pictures, *words, "--kinds", "object") == 0


def test_a_kept_fill_is_made_once_and_only_for_its_own_picture_and_hole(tmp_path, case):
    made = []

    def grey(name, picture, hole):
        made.append(name)
        return np.full_like(picture, 128)

    fill = fillers.kept(grey, tmp_path / "grey")
    first = fill(case.name, case.given, case.hole)
    assert np.array_equal(first, np.where(case.hole[..., None], 128, case.given))
    assert np.array_equal(fill(case.name, case.given, case.hole), first)
    assert np.array_equal(fillers.results(tmp_path / "grey")(case.name, case.given, case.hole), first)
    assert made == ["x-0"]
    wider = case.hole | np.roll(case.hole, 3, axis=0)
    assert (fill(case.name, case.given, wider)[wider] == 128).all()
    darker = case.given // 2
    assert np.array_equal(fill(case.name, darker, wider)[~wider], darker[~wider])
    assert made == ["x-0"] * 3


def test_an_interrupted_evaluation_goes_on_with_the_fills_it_kept(pictures, tmp_path, network, monkeypatch):
    model.save(network, tmp_path / "w.safetensors")
    words = ("--kinds", "square", "--weights", tmp_path / "w.safetensors", "--against", "mean")
    telea, fills = fillers.telea, tmp_path / "fills"

    def interrupted(name, picture, hole):
        if name.startswith("0002"):
            raise KeyboardInterrupt
        return telea(name, picture, hole)

    monkeypatch.setitem(fillers.CLASSICAL, "telea", interrupted)
    assert evaluate(pictures, *words, "telea", "--out", tmp_path / "a", "--fills", fills) != 0
    kept = {file: file.stat().st_mtime_ns for file in fills.rglob("*.png")}
    assert len(kept) == 6 * 5 + 1
    monkeypatch.setitem(fillers.CLASSICAL, "telea", telea)
    assert evaluate(pictures, *words, "telea", "--out", tmp_path / "a", "--fills", fills) == 0
    assert {file: file.stat().st_mtime_ns for file in kept} == kept
    assert evaluate(pictures, *words, "telea", "--out", tmp_path / "b") == 0
    assert (tmp_path / "a" / "table.csv").read_bytes() == (tmp_path / "b" / "table.csv").read_bytes()


def read(file):
    with open(file, newline="", encoding="utf-8") as handle:
        return list(csv.DictReader(handle))
