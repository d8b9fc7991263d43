from dataclasses import replace
from functools import partialmethod

import pytest
import torch

from dgfnet.errors import UserError
from dgfnet.masks import square
from dgfnet.model import DGFNet
from dgfnet.training.features import VGGFeatures
from dgfnet.training.losses import LossWeights
from dgfnet.training.trainer import Trainer, set_mode


def losses_of(trainer, steps):
    return [values["total"] for values in trainer.run(steps)]


def test_resumed_training_is_the_same_to_the_bit(recipe, bank, tmp_path):
    recipe = replace(recipe, network=replace(recipe.network, finer=True))
    features = VGGFeatures()
    straight = Trainer(recipe, bank, features)
    expected = losses_of(straight, 4)
    first = Trainer(recipe, bank, features)
    begun = losses_of(first, 2)
    torch.save(first.state(), tmp_path / "checkpoint.pt")
    second = Trainer(recipe, bank, features)
    second.restore(torch.load(tmp_path / "checkpoint.pt", weights_only=True))
    assert begun + losses_of(second, 4) == expected
    for name in ("network", "average", "discriminator"):
        a, b = getattr(straight, name).state_dict(), getattr(second, name).state_dict()
        assert all(torch.equal(a[k], b[k]) for k in a)


def test_compiled_training_compiles_all_of_every_stage(recipe, bank, monkeypatch):
    """By a compiler that changes nothing: equal losses, and no part falls back to being run as it is written."""
    stages = tuple(replace(stage, size=size) for stage, size in zip(recipe.stages, (32, 64), strict=True))
    recipe = replace(recipe, network=replace(recipe.network, finer=True), stages=stages, recurrences=(1, 3), steps=8)
    expected = losses_of(Trainer(recipe, bank, VGGFeatures()), 8)
    monkeypatch.setattr(torch.nn.Module, "compile", partialmethod(torch.nn.Module.compile, backend="eager"))
    torch._dynamo.reset()
    with monkeypatch.context() as patched:
        patched.setattr(torch._dynamo.config, "fail_on_recompile_limit_hit", True)
        assert losses_of(Trainer(recipe, bank, VGGFeatures(), compiled=True), 8) == pytest.approx(expected, rel=1e-5)


def test_it_overfits_one_picture(recipe, image):
    """A hole whose content was seen sixty times is filled far better than by the mean colour."""
    torch.manual_seed(0)
    image = image[..., 16:48, 16:48]
    network = DGFNet(replace(recipe.network, width=0.25, detail_width=0.25))
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


def test_frozen_norm_keeps_running_statistics(recipe, bank):
    trainer = Trainer(recipe, bank, None)
    losses_of(trainer, 2)
    before = trainer.network.coarse.grow_norm.running_mean.clone()
    losses_of(trainer, 4)
    assert torch.equal(trainer.network.coarse.grow_norm.running_mean, before)


def test_the_average_follows_the_network(recipe, bank):
    trainer = Trainer(recipe, bank, None)
    start = trainer.average.coarse.out.weight.clone()
    losses_of(trainer, 4)
    now, mean = trainer.network.coarse.out.weight, trainer.average.coarse.out.weight
    assert not torch.equal(mean, start)
    assert (mean - start).abs().sum() < 2 * (now - start).abs().sum()


@pytest.mark.parametrize("fusion", ["plain", "none"])
def test_the_ablations_train(recipe, bank, fusion):
    trainer = Trainer(replace(recipe, network=replace(recipe.network, fusion=fusion)), bank, VGGFeatures())
    assert all(value > 0 for value in losses_of(trainer, 2))


def test_a_loss_that_is_not_finite_stops_before_anything_changes(recipe, bank):
    trainer = Trainer(replace(recipe, coarse=LossWeights(float("inf"), 1)), bank, None)
    before = trainer.network.coarse.out.weight.clone()
    with pytest.raises(UserError, match="not finite at step 0"):
        losses_of(trainer, 1)
    assert torch.equal(trainer.network.coarse.out.weight, before)


def test_what_a_run_used_once_it_used(recipe, bank):
    state = Trainer(recipe, bank, VGGFeatures()).state()
    trainer = Trainer(recipe, bank, None)
    assert trainer.used == {"features": False, "masks": False}
    trainer.restore(state)
    assert trainer.used == {"features": True, "masks": False}


def test_a_checkpoint_of_another_network_is_refused(recipe, bank):
    trainer = Trainer(recipe, bank, None)
    other = Trainer(replace(recipe, network=replace(recipe.network, fusion="none")), bank, None)
    with pytest.raises(UserError, match="another network"):
        other.restore(trainer.state())


def test_the_second_role_is_trained(recipe, bank):
    """The coarse branch learns nothing from it; texture branch and fusion do, at 16 and 32 px."""
    plain, both = (
        Trainer(replace(recipe, network=replace(recipe.network, finer=finer)), bank, VGGFeatures())
        for finer in (False, True)
    )
    first, second = (next(trainer.run(1)) for trainer in (plain, both))
    assert {name for name in second if name not in first} == {
        f"finer {branch} {term}" for branch in ("texture", "fused") for term in ("hole", "valid", "perceptual", "style")
    }
    assert first["coarse hole"] == second["coarse hole"]
    assert not torch.equal(plain.network.texture.out.weight, both.network.texture.out.weight)


def test_the_structure_from_below_reads_nothing_in_the_hole(recipe, bank, image):
    trainer = Trainer(recipe, bank, None)
    trainer.network.eval()
    known = square(torch.tensor([0.3]), 64, torch.Generator().manual_seed(0))
    poisoned = torch.where(known > 0, image, torch.full_like(image, float("nan")))
    clean, dirty = (trainer._from_below(trainer.batches.halved(x, known), 2) for x in (image, poisoned))
    assert clean.shape == image.shape
    assert torch.equal(clean, dirty)


def test_a_step_depends_on_its_number_alone(recipe, bank):
    trainer = Trainer(recipe, bank, None)
    first, other, again = (trainer.ahead.take(step) for step in (3, 2, 3))
    assert torch.equal(first.crops.image, again.crops.image)
    assert torch.equal(first.known, again.known)
    assert not torch.equal(first.known, other.known)


def test_a_run_may_be_as_long_as_a_time(recipe, bank):
    """Its stages and rates go by the seconds of training, and it ends with them."""
    trainer = Trainer(replace(recipe, hours=100 / 3600), bank, None)
    first, last = recipe.stages[0], recipe.stages[-1]
    assert trainer.stage == first
    trainer.seconds = 99.999
    assert trainer.stage == last
    assert len(list(trainer.run())) == 1
    assert trainer.over


def test_a_gradient_that_is_not_finite_changes_no_weight(recipe, bank):
    trainer = Trainer(recipe, bank, None)
    trainer.network.coarse.out.weight.register_hook(lambda gradient: gradient * float("nan"))
    before = {k: v.clone() for k, v in trainer.network.named_parameters()}
    with pytest.raises(UserError, match="not finite"):
        losses_of(trainer, 1)
    assert all(torch.equal(before[k], v) for k, v in trainer.network.named_parameters())
