import dataclasses
import json

import pytest
import torch

from dgfnet import model
from dgfnet.cli import main
from dgfnet.training.recipes import NARROW


@pytest.fixture
def finished(tmp_path, network):
    """A run's folder and a table of credits."""
    (tmp_path / "run").mkdir()
    notes = {"recipe": "narrow", "step": "7", "steps": "9", "hours": "1.50", "device": "CPU", "photographs": "2"}
    model.save(network, tmp_path / "run" / "weights.safetensors", notes)
    (tmp_path / "run" / "recipe.json").write_text(json.dumps(dataclasses.asdict(NARROW)))
    rows = [
        "file\tset\tlicence\tcredit\turl",
        "a.jpg\tfree\tCC0-1.0\tAda\thttps://a",
        "b.jpg\tfree\tCC-BY-4.0\tBo\thttps://b",
    ]
    (tmp_path / "credits.tsv").write_text("\n".join(rows) + "\n")
    return tmp_path


def publish(folder, *words):
    given = [str(folder / "run"), "--credits", str(folder / "credits.tsv"), "--out", str(folder / "out"), *words]
    return main(["publish", *given])


@pytest.mark.parametrize(("storage", "size", "error"), [("float16", 0.6, 1e-2), ("int8", 0.4, 0.1)])
def test_published_weights_are_smaller_and_answer_nearly_the_same(
    finished, network, image, known, storage, size, error
):
    assert publish(finished, "--name", "small", "--storage", storage) == 0
    file = finished / "out" / "small.safetensors"
    assert file.stat().st_size < size * (finished / "run" / "weights.safetensors").stat().st_size
    loaded = model.load(file)
    with torch.no_grad():
        assert (loaded(image, known).fused - network(image, known).fused).abs().max() < error
    for name, value in network.state_dict().items():
        step = value.abs().amax() / 127 if value.ndim == 4 else 0
        assert (loaded.state_dict()[name] - value).abs().max() <= step


def test_the_card_is_written_from_the_records(finished):
    (finished / "table.md").write_text("| hole | filler |\n")
    sha256 = model.load_info(finished / "run" / "weights.safetensors").sha256
    (finished / "settings.json").write_text(json.dumps({"weights": f"run (sha256 {sha256[:16]})"}))
    publish(
        finished, "--interim", "--evaluation", str(finished), "--pictures", "three photographs", "--failure", "Faces."
    )
    card = (finished / "out" / "MODEL_CARD.md").read_text()
    assert "Interim" in card
    assert "objects, faces or text.\n- Faces.\n\n" in card
    assert "7 of 9 steps, 1.50 hours" in card
    assert "2 photographs: 1 under CC0-1.0, 1 under CC-BY-4.0" in card
    assert "three photographs.\n\n| hole | filler |" in card
    assert model.load_info(finished / "out" / f"{model.DEFAULT}.safetensors").sha256 in card
    credits = (finished / "out" / "CREDITS.tsv").read_text().splitlines()
    assert credits[0] == "file\tlicence\tcredit\turl"
    assert credits[1:] == ["a.jpg\tCC0-1.0\tAda\thttps://a", "b.jpg\tCC-BY-4.0\tBo\thttps://b"]


def test_nothing_is_said_that_the_records_do_not_bear_out(finished, network, capsys):
    run = finished / "run"
    (finished / "table.md").write_text("| hole | filler |\n")
    (finished / "settings.json").write_text(json.dumps({"weights": "others (sha256 0123456789abcdef)"}))
    assert publish(finished, "--evaluation", str(finished)) == 1
    weights = run / "weights.safetensors"
    assert (
        "judges other weights, others (sha256 0123456789abcdef); judge these with "
        f"`dgfnet evaluate PICTURES --weights {weights} --out {finished}`."
    ) in capsys.readouterr().err
    assert not list((finished / "out").iterdir())
    notes = model.load_info(run / "weights.safetensors").notes
    model.save(network, run / "weights.safetensors", {**notes, "features": "none", "photographs": "3"})
    assert publish(finished) == 1
    assert "credits 2 photographs, the run saw 3" in capsys.readouterr().err
    model.save(network, run / "weights.safetensors", {**notes, "features": "none"})
    assert publish(finished, "--features", "VGG from somewhere") == 0
    card = (finished / "out" / "MODEL_CARD.md").read_text()
    assert "No perceptual and style losses." in card
    assert "somewhere" not in card
    assert "| coarse | 6 | 1 | 0 | 0 | 0 |\n| texture | 50 | 50 | 0 | 0 | 0 |\n| fused | 50 | 50 | 0 | 0 | 0 |" in card
    (deviations,) = (line for line in card.splitlines() if line.startswith("Deviations"))
    assert deviations.endswith("no discriminator; no perceptual and style losses.")
    assert "x 300" not in deviations
    assert "feature losses" not in deviations


def test_features_that_were_used_must_be_named(finished, network, capsys):
    weights = finished / "run" / "weights.safetensors"
    model.save(network, weights, {**model.load_info(weights).notes, "features": "used"})
    for words in ([], ["--features", "none"]):
        assert publish(finished, *words) == 1
        assert "say where the VGG weights came from with --features" in capsys.readouterr().err
    assert publish(finished, "--features", "VGG from somewhere") == 0
    card = (finished / "out" / "MODEL_CARD.md").read_text()
    assert "VGG features:\nVGG from somewhere." in card
    assert "| fused | 50 | 50 | 30 | 1000 | 0 |" in card
    assert "x 300" in card
    assert "no perceptual" not in card


def test_a_table_of_earlier_runs_too_says_what_this_one_saw(finished, network):
    weights = finished / "run" / "weights.safetensors"
    model.save(network, weights, {**model.load_info(weights).notes, "photographs": "1"})
    assert publish(finished) == 0
    card = (finished / "out" / "MODEL_CARD.md").read_text()
    assert "2 photographs" in card
    assert "This run saw 1 of them." in card


def test_nothing_is_replaced_unasked_and_equal_runs_give_equal_bytes(finished, capsys):
    given = ["publish", str(finished / "run"), "--credits", str(finished / "credits.tsv")]
    assert main(given) == 0
    file = finished / "run" / "published" / f"{model.DEFAULT}.safetensors"
    first = file.read_bytes()
    assert main(given) == 1
    assert "add --overwrite" in capsys.readouterr().err
    assert main([*given, "--overwrite"]) == 0
    assert file.read_bytes() == first


@pytest.mark.parametrize("there", ["other.safetensors", "MODEL_CARD.md", "CREDITS.tsv"])
def test_each_file_is_protected(finished, there, capsys):
    (finished / "out").mkdir()
    (finished / "out" / there).write_text("mine")
    assert publish(finished, "--name", "other") == 1
    assert f"{there}' already; add --overwrite" in capsys.readouterr().err
    assert [(file.name, file.read_text()) for file in (finished / "out").iterdir()] == [(there, "mine")]
    assert publish(finished, "--name", "other", "--overwrite") == 0


@pytest.mark.parametrize(
    ("file", "text", "sentence"),
    [
        ("credits.tsv", "file\tlicense\tcredit\turl\n" + "a\tCC0\tx\ty\n" * 2, "no column licence"),
        ("credits.tsv", "", "no column file and licence and credit and url"),
        ("run/recipe.json", "{", "damaged"),
        ("run/recipe.json", "[1]", "damaged"),
        ("run/recipe.json", '{"stages": []}', "not a run's recipe"),
    ],
)
def test_bad_records_get_a_sentence_before_anything_is_replaced(finished, file, text, sentence, capsys):
    assert publish(finished) == 0
    before = {file: file.read_bytes() for file in (finished / "out").iterdir()}
    (finished / file).write_text(text)
    capsys.readouterr()
    assert publish(finished, "--storage", "int8", "--overwrite") == 1
    said = capsys.readouterr().err
    assert sentence in said
    assert said.count("\n") == 1
    assert {file: file.read_bytes() for file in (finished / "out").iterdir()} == before


def test_what_is_no_run_gets_a_sentence(finished, capsys):
    (finished / "run").rename(finished / "other")
    assert publish(finished) == 1
    assert f"'{finished / 'run'}' is not the folder of a training run" in capsys.readouterr().err


def test_a_run_without_records_gets_a_sentence(finished, capsys):
    (finished / "run" / "recipe.json").unlink()
    assert publish(finished) == 1
    assert "cannot be read" in capsys.readouterr().err
