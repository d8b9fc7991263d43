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
    notes = {"recipe": "narrow", "step": "7", "steps": "9", "hours": "1.50", "device": "CPU"}
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


def test_a_run_without_records_gets_a_sentence(finished, capsys):
    (finished / "run" / "recipe.json").unlink()
    assert publish(finished) == 1
    assert "cannot be read" in capsys.readouterr().err
