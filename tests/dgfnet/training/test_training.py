import argparse
import contextlib
import csv
import json
import re
import signal
from dataclasses import asdict, replace

import pytest
import torch
from PIL import Image

from dgfnet import model
from dgfnet.errors import UsageError, UserError
from dgfnet.model import DGFNetConfig
from dgfnet.training import checkpoints, session
from dgfnet.training import command as training
from dgfnet.training.losses import LossWeights
from dgfnet.training.recipes import FULL, MEMBRANE, PAPER, RECIPES, restored
from dgfnet.training.session import Session
from dgfnet.training.trainer import Trainer


def test_stages_follow_their_shares(recipe):
    assert [recipe.stage_at(s).rate for s in range(5)] == [1e-3] * 2 + [1e-4] * 3
    for recipe in RECIPES.values():
        assert sum(stage.share for stage in recipe.stages) == pytest.approx(1)
        assert recipe.stage_at(recipe.steps - 1).frozen_norm


def test_the_papers_numbers():
    """Section 4.1."""
    assert PAPER.coarse == LossWeights(6, 1, 0.1, 180)
    assert PAPER.texture == LossWeights(50, 50, 0.1, 180)
    assert PAPER.fused == LossWeights(50, 50, 0.1, 180, 0.1)
    assert [(s.rate, s.batch, s.size) for s in PAPER.stages] == [(5e-4, 6, 256), (5e-5, 6, 256)]
    assert PAPER.network == DGFNetConfig() == replace(FULL.network, membrane=False, finer=False)
    assert not PAPER.deviations


@pytest.fixture
def folder(tmp_path, photograph, monkeypatch, recipe):
    """A folder with a picture; the recipe `narrow` is the small one of the tests."""
    (tmp_path / "pictures").mkdir()
    Image.fromarray(photograph).save(tmp_path / "pictures" / "a.png")
    monkeypatch.setitem(RECIPES, "narrow", replace(recipe, short_sides=(64, 80)))
    return tmp_path


def train(folder, *words):
    parser = argparse.ArgumentParser()
    training.add_arguments(parser)
    given = [str(folder / "pictures"), "--out", str(folder / "run"), "--device", "cpu", *words]
    return training.run(parser.parse_args(given))


def test_the_command_trains_stops_and_resumes(folder):
    assert train(folder, "--no-features", "--steps", "40", "--minutes", "0.0001") == 0
    assert int(model.load_info(folder / "run" / "weights.safetensors").notes["step"]) < 40
    with pytest.raises(UserError, match="--resume"):
        train(folder, "--no-features")
    assert train(folder, "--no-features", "--steps", "11", "--sheet-every", "5", "--resume") == 0
    assert model.load_info(folder / "run" / "weights.safetensors").notes["step"] == "11"
    with open(folder / "run" / "log.csv") as file:
        rows = list(csv.reader(file))
    assert {"fused hole", "sample fused hole"} <= {row[2] for row in rows}
    assert {row[0] for row in rows if row[2] == "fused hole"} == {"10"}
    assert "fused hole" in (folder / "run" / "losses.svg").read_text()
    with Image.open(folder / "run" / "samples" / "step-0000010.png") as sheet:
        assert sheet.size == (5 * (32 + 8) + 8, 32 + 8 * (32 + 8))


def test_a_rate_falls_within_its_stage(recipe):
    stage = replace(recipe.stages[0], share=0.5, rate=1e-2, final_rate=1e-4)
    falling = replace(recipe, stages=(stage, recipe.stages[1]), steps=20)
    assert [falling.rate_at(step) for step in (0, 5, 10, 19)] == pytest.approx([1e-2, 1e-3, 1e-4, 1e-4])
    assert [falling.slower(0.5).rate_at(step) for step in (0, 5, 10)] == pytest.approx([5e-3, 5e-4, 5e-5])


def test_factors_multiply_what_the_recipe_began_with(recipe):
    assert [stage.batch for stage in recipe.larger(1.6).stages] == [3, 3]
    assert [stage.batch for stage in recipe.larger(0.1).stages] == [1, 1]
    assert recipe.slower(0.5).larger(2).slower(0.5).larger(2) == recipe.slower(0.5).larger(2)
    assert recipe.slower(0.5).slower(0.25) == recipe.slower(0.25)
    assert recipe.slower(0.5).slower(1) == recipe
    assert [stage.batch for stage in recipe.larger(0.1).larger(1).stages] == [stage.batch for stage in recipe.stages]


def test_a_recipe_comes_back_from_its_settings():
    for recipe in RECIPES.values():
        assert restored(asdict(recipe)) == recipe
    with pytest.raises(UserError, match="another version"):
        restored({**asdict(FULL), "of_another_time": 1})


def test_a_run_goes_on_by_its_own_recipe(folder, network, monkeypatch, recipe, capsys):
    """What is not said again is as it was; the weights that it began with need not be there any more."""
    other = replace(recipe, name="finetune", short_sides=(64, 80), steps=3, start=str(folder / "begun.safetensors"))
    monkeypatch.setitem(RECIPES, "finetune", other)
    model.save(network, folder / "begun.safetensors")
    words = ["--no-features", "--sheet-every", "0"]
    begun = ["--recipe", "finetune", "--rate-factor", "0.5", "--batch-factor", "2", "--seed", "7", "--minutes", "1e-9"]
    assert train(folder, *words, *begun) == 0
    first = json.loads((folder / "run" / "recipe.json").read_text())
    origin = model.load_info(folder / "run" / "weights.safetensors").notes["origin"]
    (folder / "begun.safetensors").unlink()
    capsys.readouterr()
    assert train(folder, *words, "--minutes", "1e-9", "--resume") == 0
    assert json.loads((folder / "run" / "recipe.json").read_text()) == first
    assert "in the checkpoint" not in capsys.readouterr().err
    with pytest.raises(UserError, match="of the recipe 'finetune'; leave --recipe out"):
        train(folder, *words, "--resume", "--recipe", "narrow")
    changed = ["--steps", "4", "--rate-factor", "0.25", "--batch-factor", "2", "--start", "others"]
    assert train(folder, *words, *changed, "--recipe", "finetune", "--resume") == 0
    said = capsys.readouterr().err
    assert "Length: 3 steps in the checkpoint, 4 steps from here on.\n" in said
    assert "Learning rates: 0.0005, 5e-05 in the checkpoint, 0.00025, 2.5e-05 from here on.\n" in said
    assert "'others' is not used" in said
    assert "Batches" not in said
    info = model.load_info(folder / "run" / "weights.safetensors")
    assert (info.notes["step"], info.notes["recipe"], info.notes["origin"]) == ("4", "finetune", origin)


def test_full_and_brief_widen_what_they_begin_with(network, tmp_path):
    """The others train the network that they begin with."""
    model.save(network, tmp_path / "begun.safetensors")
    parser = argparse.ArgumentParser()
    training.add_arguments(parser)
    for name, widens in {"full": True, "brief": True, "narrow": False, "finetune": False, "small": False}.items():
        words = ["x", "--no-features", "--recipe", name, "--start", str(tmp_path / "begun.safetensors")]
        found = training._recipe(parser.parse_args(words)).network
        assert found.width == found.detail_width == (1.0 if widens else network.config.width), name


def test_mistakes_are_found_before_pictures_are_decoded(folder, monkeypatch):
    monkeypatch.setattr(training, "_bank", lambda *_: pytest.fail("pictures were decoded"))
    (folder / "masks").mkdir()
    with pytest.raises(UserError, match="holds no pictures"):
        train(folder, "--no-features", "--masks", str(folder / "masks"), "--holes-are", "white")
    with pytest.raises(UsageError, match="no device 'toaster'"):
        train(folder, "--no-features", "--device", "toaster")
    assert not (folder / "run").exists()
    with pytest.raises(UserError, match="absent"):
        train(folder, "--features", str(folder / "absent"))


def test_a_place_that_is_a_file_is_noticed_before_features_are_loaded(folder, monkeypatch):
    monkeypatch.setattr(training, "load_features", lambda _: pytest.fail("features were loaded"))
    (folder / "run").write_text("mine")
    with pytest.raises(UserError, match=r"Nothing can be written to .*run\. Choose another place"):
        train(folder, "--features", "download")


def test_one_process_per_machine_downloads_features(folder, monkeypatch):
    alone = False

    @contextlib.contextmanager
    def first_here():
        nonlocal alone
        alone = True
        yield
        alone = False

    def load_features(source):
        raise UserError(f"{source}, {'the others wait' if alone else 'as all do'}")

    monkeypatch.setattr(training.parallel, "first_here", first_here)
    monkeypatch.setattr(training, "load_features", load_features)
    with pytest.raises(UserError, match="download, the others wait"):
        train(folder, "--features", "download")


def test_a_gpu_that_is_full_gets_a_sentence(folder, monkeypatch):
    def full(*_):
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(Trainer, "gradients", full)
    for given, half in (([], "0.5"), (["--batch-factor", "3"], "1.5")):
        with pytest.raises(UserError, match=f"memory is full; `--batch-factor {half}` halves the batches"):
            train(folder, "--no-features", "--sheet-every", "0", *given)


def test_training_goes_on_from_weights(folder, network):
    """A rate of next to nothing leaves what was begun with; the records say what that was."""
    notes = {"step": "9", "hours": "0.50", "origin": "others, 3 steps"}
    model.save(network, folder / "begun.safetensors", notes)
    words = ["--no-features", "--steps", "2", "--sheet-every", "0", "--rate-factor", "1e-12"]
    assert train(folder, *words, "--start", str(folder / "begun.safetensors")) == 0
    info = model.load_info(folder / "run" / "weights.safetensors")
    assert info.config == network.config
    assert info.notes["origin"].startswith("begun, 9 steps, 0.50 hours, sha256 ")
    assert info.notes["origin"].endswith(", begun with others, 3 steps")
    trained = model.load(folder / "run" / "weights.safetensors").state_dict()
    begun = dict(network.named_parameters())
    assert all(torch.allclose(trained[name], value, atol=1e-6) for name, value in begun.items())


def test_a_recipe_may_widen_what_it_begins_with(folder, network, monkeypatch):
    recipe = RECIPES["narrow"]
    wide = replace(recipe, network=replace(recipe.network, width=0.25), widens=True)
    monkeypatch.setitem(RECIPES, "narrow", wide)
    model.save(network, folder / "begun.safetensors")
    words = ["--no-features", "--steps", "1", "--sheet-every", "0", "--start", str(folder / "begun.safetensors")]
    assert train(folder, *words) == 0
    info = model.load_info(folder / "run" / "weights.safetensors")
    assert info.config == replace(network.config, width=0.25)
    assert info.notes["origin"].startswith("begun, sha256 ")


@pytest.mark.parametrize("membrane", [False, True])
def test_a_coarse_branch_alone_may_be_begun_with(folder, monkeypatch, capsys, membrane):
    """As an imported RFR checkpoint is: it goes on predicting what it did, and the rest is the recipe's."""
    recipe = RECIPES["narrow"]
    network = replace(recipe.network, width=0.25, membrane=True, finer=True)
    monkeypatch.setitem(RECIPES, "narrow", replace(recipe, network=network, deviations=(MEMBRANE, "short")))
    alone = model.DGFNet(DGFNetConfig(width=0.125, fusion="none", membrane=membrane))
    model.save(alone, folder / "rfr.safetensors")
    words = ["--no-features", "--steps", "1", "--sheet-every", "0", "--rate-factor", "1e-12"]
    assert train(folder, *words, "--start", str(folder / "rfr.safetensors")) == 0
    said = capsys.readouterr().err
    assert "rfr.safetensors' is a coarse branch alone, which predicts" in said
    assert ("the picture itself; texture branch" in said) == (not membrane)
    trained = model.load(folder / "run" / "weights.safetensors")
    assert trained.config == replace(network, width=0.125, membrane=membrane, recurrences=alone.config.recurrences)
    assert all(
        torch.allclose(trained.get_parameter(name), value, atol=1e-6) for name, value in alone.named_parameters()
    )
    kept = json.loads((folder / "run" / "recipe.json").read_text())
    assert kept["deviations"] == ([MEMBRANE, "short"] if membrane else ["short"])


def test_a_finished_run_keeps_its_records(folder, capsys):
    words = ["--no-features", "--sheet-every", "0"]
    assert train(folder, *words, "--steps", "2") == 0
    before = {file: file.read_bytes() for file in (folder / "run").iterdir() if file.is_file()}
    capsys.readouterr()
    assert train(folder, *words, "--resume", "--rate-factor", "0.5", "--seed", "9") == 0
    assert f"step 2 of 2; weights in {folder / 'run' / 'weights.safetensors'}\n" in capsys.readouterr().err
    assert {file: file.read_bytes() for file in before} == before


@pytest.mark.parametrize("masked", [True, False])
def test_what_is_not_used_as_before_is_told(folder, capsys, masked):
    (folder / "masks").mkdir()
    Image.new("L", (40, 30), 255).save(folder / "masks" / "all.png")
    words = ["--no-features", "--sheet-every", "0"]
    masks = ["--masks", str(folder / "masks"), "--holes-are", "white"]
    assert train(folder, *words, "--minutes", "1e-9", *(masks if masked else [])) == 0
    assert train(folder, *words, "--resume", *([] if masked else masks)) == 0
    told = [line for line in capsys.readouterr().err.splitlines() if "from here on" in line]
    one, other = ("used", "none") if masked else ("none", "used")
    assert told == [f"Masks: {one} in the checkpoint, {other} from here on."]


def test_a_run_by_time_ends_with_it(folder, capsys):
    assert train(folder, "--no-features", "--hours", "0.0002", "--sheet-every", "0") == 0
    said = capsys.readouterr().err
    info = model.load_info(folder / "run" / "weights.safetensors")
    assert int(info.notes["step"]) > 0
    assert "steps" not in info.notes
    assert f"step {info.notes['step']}, minute 0.0 of 0.0; weights in" in said


def test_checkpoints_are_written_as_often_as_asked(recipe, bank, tmp_path, monkeypatch):
    written = []
    monkeypatch.setattr(checkpoints, "write", lambda trainer, *_: written.append(trainer.step))
    Session(Trainer(recipe, bank, None), tmp_path, save_seconds=0).run()
    assert written == [1, 2, 3, 4, 4]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("steps", [1, 3])
def test_however_often_a_stop_is_asked_for_the_checkpoint_is_written(folder, monkeypatch, capsys, steps, number):
    """While the checkpoint is written, before that during a step too; the networks still to train are left."""
    write, gradients = checkpoints.write, Trainer.gradients

    def write_asked(*given):
        signal.raise_signal(number)
        write(*given)

    def gradients_asked(*given):
        if steps > 1:
            signal.raise_signal(number)
        return gradients(*given)

    monkeypatch.setattr(checkpoints, "write", write_asked)
    monkeypatch.setattr(Trainer, "gradients", gradients_asked)
    assert train(folder, "--no-features", "--sheet-every", "0", "--ablation", "--steps", str(steps)) == 0
    said, run = capsys.readouterr().err, folder / "run"
    assert said.count("Stopping after this step; please wait until the checkpoint is written.\n") == 1
    assert f"step 1 of {steps}; weights in {run / 'full' / 'weights.safetensors'}" in said
    assert model.load_info(run / "full" / "weights.safetensors").notes["step"] == "1"
    assert checkpoints.exists(run / "full")
    assert not (run / "without-dpfm").exists()


def test_an_ablation_is_three_runs_of_one_budget(folder):
    words = ["--no-features", "--sheet-every", "0", "--ablation"]
    assert train(folder, *words, "--steps", "3", "--minutes", "0.0001") == 0
    assert not (folder / "run" / "without-dpfm").exists()
    assert train(folder, *words, "--steps", "3", "--resume") == 0
    found = {name: model.load_info(folder / "run" / name / "weights.safetensors") for name in model.ABLATION}
    assert {name: info.config.fusion for name, info in found.items()} == model.ABLATION
    assert all(info.notes["step"] == "3" for info in found.values())


@pytest.mark.parametrize("option", ["--steps", "--hours", "--seed", "--rate-factor", "--batch-factor"])
def test_an_ablation_does_not_change_once_one_of_it_is_finished(folder, recipe, bank, option):
    """Here the second, as where the first fell apart at its end; what changes nothing is taken."""
    words = ["--no-features", "--sheet-every", "0", "--ablation", "--resume", "--minutes", "1e-9"]
    for name, steps in (("full", 1), ("without-dpfm", 4)):
        trainer = Trainer(training._variant(RECIPES["narrow"], name), bank, None)
        list(trainer.run(steps))
        checkpoints.write(trainer, folder / "run" / name)
    with pytest.raises(UserError, match="is finished, and the others must have its length"):
        train(folder, *words, option, "5")
    assert train(folder, *words, "--steps", "4", "--rate-factor", "1", "--seed", "1") == 0


def test_options_reach_the_run(folder):
    """A checkpoint in parts, masks and pictures of others, a weight, a learning rate."""
    (folder / "masks").mkdir()
    Image.new("L", (40, 30), 255).save(folder / "masks" / "all.png")
    words = ["--no-features", "--steps", "2", "--sheet-every", "2", "--rate-factor", "0.5", "--checkpoint-part-mb", "1"]
    words += ["--keep-every", "1", "--batch-factor", "3"]
    words += ["--masks", str(folder / "masks"), "--holes-are", "white", "--validation", str(folder / "pictures")]
    parser = argparse.ArgumentParser()
    training.add_arguments(parser)
    source = f"{folder / 'pictures'}=2.5"
    assert training.run(parser.parse_args([source, "--out", str(folder / "run"), "--device", "cpu", *words])) == 0
    assert len(list((folder / "run").glob("checkpoint-*.part"))) > 1
    assert not (folder / "run" / checkpoints.WHOLE).exists()
    kept = sorted((folder / "run" / "kept").iterdir())
    assert [model.load_info(file).notes["step"] for file in kept] == ["1", "2"]
    kept_recipe = (folder / "run" / "recipe.json").read_text()
    assert '"rate": 0.0005' in kept_recipe
    assert '"batch": 6' in kept_recipe


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "--features"),
        (["--no-features", "--resume"], "no checkpoint"),
        (["--no-features", "--masks", "x"], "--holes-are go together"),
        (["--no-features", "--checkpoint-part-mb", "0"], "1 or more"),
        (["--no-features", "--checkpoint-part-mb", "nan"], "1 or more"),
        (["--no-features", "--checkpoint-part-mb", "inf"], "1 or more"),
        (["--no-features", "--rate-factor", "0"], "positive"),
        (["--no-features", "--batch-factor", "0"], "positive"),
        (["--no-features", "--batch-factor", "nan"], "positive"),
        (["--no-features", "--minutes", "0"], "positive number; leave it out"),
        (["--no-features", "--minutes", "-1"], "positive"),
        (["--no-features", "--threads", "-1"], "positive"),
        (["--no-features", "--seed", "-1"], "--seed must be a number from 0"),
        (["--no-features", "--steps", "0"], "positive"),
        (["--no-features", "--hours", "-1"], "positive"),
        (["--no-features", "--save-every", "0"], "positive"),
        (["--no-features", "--ablation", "--start", "x"], "from scratch"),
        (["--no-features", "--ablation", "--recipe", "finetune"], "from scratch"),
    ],
)
def test_bad_options_get_a_sentence_before_anything_is_written(folder, words, sentence):
    with pytest.raises(UserError, match=sentence):
        train(folder, *words)
    assert not (folder / "run").exists()


def test_a_clean_stop_keeps_the_last_good_checkpoint_too(recipe, bank, tmp_path, capsys):
    trainer = Trainer(recipe, bank, None)
    for _ in trainer.run(1):
        pass
    checkpoints.write(trainer, tmp_path)
    kept = (tmp_path / checkpoints.WHOLE).read_bytes()
    stage = trainer.stage
    for number in range(60):
        trainer.watch.see({"fused hole": 0.1, "fused valid": 0.1}, number, stage)
    trainer.watch.error = 0.7
    Session(trainer, tmp_path).run(deadline=0.0)
    assert trainer.step == 2
    assert (tmp_path / checkpoints.WHOLE).read_bytes() == kept
    said = capsys.readouterr().err
    assert "The checkpoint is kept from before that; go on from there with --resume --rate-factor 0.5." in said
    assert "weights in" not in said


def test_what_a_run_without_a_checkpoint_can_do_is_said(recipe, bank, tmp_path, capsys):
    """Whether it falls apart, or ends with an error that has risen; and what one that is compared can do."""
    endless = replace(recipe, coarse=LossWeights(float("inf"), 1)).slower(0.5)
    for alone, remedy in ((True, "No checkpoint is from before that; start again"), (False, "start all again")):
        with pytest.raises(UserError, match=rf"not finite at step 0\. .*{remedy} with --rate-factor 0\.25 and another"):
            Session(Trainer(endless, bank, None), tmp_path, alone=alone).run()
    trainer = Trainer(recipe, bank, None)
    for number in range(60):
        trainer.watch.see({"fused hole": 0.1, "fused valid": 0.1}, number, trainer.stage)
    trainer.watch.error = 0.7
    Session(trainer, tmp_path).run(deadline=0.0)
    assert "risen. No checkpoint is from before that; start again with --rate-factor 0.5" in capsys.readouterr().err
    assert checkpoints.exists(tmp_path)


def test_a_resumed_run_with_another_rate_keeps_the_last_good_checkpoint_too(folder):
    words = ["--no-features", "--sheet-every", "0", "--steps", "200"]
    assert train(folder, *words, "--minutes", "1e-9") == 0
    run = folder / "run"
    state = checkpoints.read(run, "cpu")
    watch = {**state["watch"], "seen": 60, "error": 0.2, "lowest": 0.08}
    torch.save({**state, "watch": watch}, run / checkpoints.WHOLE)
    kept = (run / checkpoints.WHOLE).read_bytes()
    assert train(folder, *words, "--resume", "--rate-factor", "0.25", "--minutes", "1e-9") == 0
    assert (run / checkpoints.WHOLE).read_bytes() == kept


def test_without_a_terminal_a_line_tells_how_it_goes(folder, monkeypatch, capsys):
    monkeypatch.setattr(session, "_TELL_SECONDS", 0)
    assert train(folder, "--no-features", "--steps", "10", "--sheet-every", "0") == 0
    assert re.search(r"step 10 of 10: .*fused hole .*images/s .*share of peak ", capsys.readouterr().err)
    with open(folder / "run" / "log.csv") as file:
        figures = {row[2]: float(row[3]) for row in csv.reader(file)}
    assert figures["images/s"] > 0
    assert 0 < figures["share of peak"] < 1


def test_divergence_keeps_the_last_good_checkpoint(recipe, bank, tmp_path):
    """A learning rate a thousand times too high: every loss stays finite, the error grows."""
    trainer = Trainer(replace(recipe, steps=400), bank, None)
    for _ in trainer.run(2):
        pass
    checkpoints.write(trainer, tmp_path)
    kept = (tmp_path / checkpoints.WHOLE).read_bytes()
    wild = [replace(stage, rate=1.0, adversarial=False) for stage in recipe.stages]
    trainer.recipe = replace(trainer.recipe, stages=tuple(wild), clip=0.0)
    trainer.watch.see({"fused hole": 0.1, "fused valid": 0.1}, 0, wild[0])
    trainer.watch.seen, trainer.watch.lowest = 50, 0.2
    with pytest.raises(UserError, match=r"diverges.* go on from there with --resume --rate-factor 0\.5\."):
        Session(trainer, tmp_path).run()
    assert (tmp_path / checkpoints.WHOLE).read_bytes() == kept
