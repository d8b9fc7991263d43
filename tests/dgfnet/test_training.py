import argparse
import csv
from dataclasses import replace

import pytest
import torch
from PIL import Image

from dgfnet import model, training
from dgfnet.data import PictureBank
from dgfnet.features import VGGFeatures
from dgfnet.losses import LossWeights
from dgfnet.masks import square
from dgfnet.model import DGFNet, DGFNetConfig
from dgfnet.recipes import FULL, PAPER, RECIPES, Recipe, Stage
from dgfnet.rtv import rtv
from dgfnet.training import Trainer, TrainingError, set_mode, write_checkpoint

SMALL = DGFNetConfig(width=0.125, detail_width=0.125, recurrences=2)
RECIPE = Recipe(
    name="test",
    network=SMALL,
    stages=(
        Stage(share=0.5, size=32, batch=2, rate=1e-3, adversarial=True),
        Stage(share=0.5, size=32, batch=2, rate=1e-4, frozen_norm=True),
    ),
    steps=4,
    coarse=PAPER.coarse,
    texture=PAPER.texture,
    fused=PAPER.fused,
    recurrences=(1, 2),
    average=0.9,
)


@pytest.fixture
def bank(image):
    texture = ((image - rtv(image)) * 254).round().to(torch.int8)
    return PictureBank([(image[0] * 255).to(torch.uint8)], [texture[0]])


def losses_of(trainer, steps):
    return [values["total"] for values in trainer.run(steps)]


def test_resumed_training_is_the_same_to_the_bit(bank, tmp_path):
    features = VGGFeatures()
    straight = Trainer(RECIPE, bank, features)
    expected = losses_of(straight, 4)
    first = Trainer(RECIPE, bank, features)
    begun = losses_of(first, 2)
    torch.save(first.state(), tmp_path / "checkpoint.pt")
    second = Trainer(RECIPE, bank, features)
    second.restore(torch.load(tmp_path / "checkpoint.pt", weights_only=True))
    assert begun + losses_of(second, 4) == expected
    for name in ("network", "average", "discriminator"):
        a, b = getattr(straight, name).state_dict(), getattr(second, name).state_dict()
        assert all(torch.equal(a[k], b[k]) for k in a)


def test_it_overfits_one_picture(image):
    """A hole whose content was seen sixty times is filled far better than by the mean colour."""
    torch.manual_seed(0)
    image = image[..., 16:48, 16:48]
    network = DGFNet(replace(SMALL, width=0.25, detail_width=0.25))
    known = square(torch.tensor([0.15]), 32, torch.Generator().manual_seed(1))
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)

    def error(picture):
        return ((picture - image).abs() * (1 - known)).sum() / (3 * (1 - known).sum())

    set_mode(network, frozen_norm=False)
    for _ in range(60):
        out = network(image, known, 1)
        loss = error(out.fused) + error(out.coarse) + (out.fused - image).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    mean = (image * known).sum((2, 3), keepdim=True) / known.sum()
    with torch.no_grad():
        assert error(network(image, known, 1).fused) < 0.4 * error(mean.expand_as(image))


def test_frozen_norm_keeps_running_statistics(bank):
    trainer = Trainer(RECIPE, bank, None)
    losses_of(trainer, 2)
    before = trainer.network.coarse.grow_norm.running_mean.clone()
    losses_of(trainer, 4)
    assert torch.equal(trainer.network.coarse.grow_norm.running_mean, before)


def test_the_average_follows_the_network(bank):
    trainer = Trainer(RECIPE, bank, None)
    start = trainer.average.coarse.out.weight.clone()
    losses_of(trainer, 4)
    now, mean = trainer.network.coarse.out.weight, trainer.average.coarse.out.weight
    assert not torch.equal(mean, start)
    assert (mean - start).abs().sum() < 2 * (now - start).abs().sum()


@pytest.mark.parametrize("fusion", ["plain", "none"])
def test_the_ablations_train(bank, fusion):
    trainer = Trainer(replace(RECIPE, network=replace(SMALL, fusion=fusion)), bank, VGGFeatures())
    assert all(value > 0 for value in losses_of(trainer, 2))


def test_a_loss_that_is_not_finite_stops_before_anything_changes(bank):
    trainer = Trainer(replace(RECIPE, coarse=LossWeights(float("inf"), 1)), bank, None)
    before = trainer.network.coarse.out.weight.clone()
    with pytest.raises(TrainingError, match="not finite at step 0"):
        losses_of(trainer, 1)
    assert torch.equal(trainer.network.coarse.out.weight, before)


def test_a_checkpoint_of_another_network_is_refused(bank):
    trainer = Trainer(RECIPE, bank, None)
    other = Trainer(replace(RECIPE, network=replace(SMALL, fusion="none")), bank, None)
    with pytest.raises(TrainingError, match="another network"):
        other.restore(trainer.state())


def test_checkpoint_weights_can_be_used(bank, tmp_path):
    trainer = Trainer(RECIPE, bank, None)
    losses_of(trainer, 1)
    write_checkpoint(trainer, tmp_path)
    info = model.load_info(tmp_path / "weights.safetensors")
    assert info.notes["step"] == "1"
    assert info.notes["recipe"] == "test"
    loaded = model.load(tmp_path / "weights.safetensors")
    assert torch.equal(loaded.coarse.out.weight, trainer.average.coarse.out.weight)
    assert not list(tmp_path.glob("*.partial"))


def test_stages_follow_their_shares():
    assert [RECIPE.stage_at(s).rate for s in range(5)] == [1e-3] * 2 + [1e-4] * 3
    for recipe in RECIPES.values():
        assert sum(stage.share for stage in recipe.stages) == pytest.approx(1)
        assert recipe.stage_at(recipe.steps - 1).frozen_norm


def test_the_papers_numbers():
    """Section 4.1."""
    assert PAPER.coarse == LossWeights(6, 1, 0.1, 180)
    assert PAPER.texture == LossWeights(50, 50, 0.1, 180)
    assert PAPER.fused == LossWeights(50, 50, 0.1, 180, 0.1)
    assert [(s.rate, s.batch, s.size) for s in PAPER.stages] == [(5e-4, 6, 256), (5e-5, 6, 256)]
    assert PAPER.network == DGFNetConfig() == FULL.network
    assert not PAPER.deviations


def arguments(tmp_path, *words):
    parser = argparse.ArgumentParser()
    training.add_arguments(parser)
    return parser.parse_args([str(tmp_path / "pictures"), "--out", str(tmp_path / "run"), "--device", "cpu", *words])


def test_the_command_trains_stops_and_resumes(tmp_path, photograph, monkeypatch):
    (tmp_path / "pictures").mkdir()
    Image.fromarray(photograph).save(tmp_path / "pictures" / "a.png")
    monkeypatch.setitem(RECIPES, "narrow", replace(RECIPE, short_sides=(64, 80)))
    with pytest.raises(TrainingError, match="--features"):
        training.run(arguments(tmp_path))
    with pytest.raises(TrainingError, match="no checkpoint"):
        training.run(arguments(tmp_path, "--no-features", "--resume"))
    assert training.run(arguments(tmp_path, "--no-features", "--steps", "40", "--minutes", "0.0001")) == 0
    step = int(model.load_info(tmp_path / "run" / "weights.safetensors").notes["step"])
    assert step < 40
    with pytest.raises(TrainingError, match="--resume"):
        training.run(arguments(tmp_path, "--no-features"))
    assert training.run(arguments(tmp_path, "--no-features", "--steps", "11", "--resume")) == 0
    assert model.load_info(tmp_path / "run" / "weights.safetensors").notes["step"] == "11"
    with open(tmp_path / "run" / "log.csv") as file:
        rows = list(csv.reader(file))
    assert {row[0] for row in rows} == {"10"}
    assert "fused hole" in {row[2] for row in rows}
