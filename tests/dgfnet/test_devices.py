"""Filling, splitting and training on each kind of device here, against the CPU; on a machine without a GPU, the CPU."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dgfnet.filling.composition import enlarged
from dgfnet.inpainting import FillOptions, Inpainter
from dgfnet.maps import texture_maps
from dgfnet.model import DGFNet, DGFNetConfig
from dgfnet.training import checkpoints
from dgfnet.training.data import PictureBank
from dgfnet.training.features import VGGFeatures
from dgfnet.training.recipes import FULL
from dgfnet.training.throughput import matrix_peak, operations
from dgfnet.training.trainer import Trainer
from server.engine import NetworkEngine, choose_device

GPU = pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device is here"))
DEVICES = ["cpu", GPU]


@pytest.fixture
def lively() -> DGFNet:
    """A network for refinement too, whose random weights show in its answers."""
    torch.manual_seed(0)
    network = DGFNet(DGFNetConfig(width=0.125, detail_width=0.125, recurrences=2, membrane=True, finer=True)).eval()
    for out in (network.coarse.out, network.fusion.out):
        torch.nn.init.normal_(out.weight, std=0.02)
    return network


@pytest.fixture
def hole() -> np.ndarray:
    hole = np.zeros((256, 256), bool)
    hole[60:150, 80:190] = True
    return hole


@pytest.mark.parametrize("device", DEVICES)
def test_fills_are_those_of_the_cpu(photograph, hole, lively, device):
    """The network's own fill closely; of copied detail, in which small differences grow, the large shapes."""
    for share, radius, most in ((0.0, 1, 0.01), (1.0, 16, 0.05)):
        fills = []
        for where in ("cpu", device):
            inpainter = Inpainter(lively, where, max_side=128)
            inpainter.bfloat16 = False
            fills.append(inpainter.fill(photograph, hole, FillOptions(patches=share)).compose(photograph) / 255)
        small = [enlarged(fill.astype(np.float32)[::radius, ::radius], 32, 32) for fill in fills]
        assert np.abs(small[0] - small[1]).mean() < most
        np.testing.assert_array_equal(fills[1][~hole], photograph[~hole] / 255)


@pytest.mark.parametrize("device", DEVICES)
def test_the_server_fills_on_it(photograph, hole, lively, device):
    engine = NetworkEngine(lively, choose_device(device), "lively", "/lively.safetensors", "")
    first, again = (engine.inpaint(photograph, hole, {}, False, lambda stage, fraction: None) for _ in range(2))
    assert first.notes == []
    np.testing.assert_array_equal(first.fill.fill, again.fill.fill)


@pytest.mark.parametrize("device", DEVICES)
def test_texture_maps_are_those_of_the_cpu(photograph, device):
    here, there = (texture_maps(photograph, device=where)[0].astype(np.float32) for where in ("cpu", device))
    assert np.abs(here - there).max() <= 1


@pytest.fixture
def small(photograph) -> tuple:
    """The full recipe in small, with pictures for it."""
    stages = tuple(replace(stage, size=64, batch=2) for stage in FULL.stages)
    network = replace(FULL.network, width=0.125, detail_width=0.125)
    image = torch.from_numpy(photograph).permute(2, 0, 1)
    bank = PictureBank([image], [torch.zeros_like(image, dtype=torch.int8)])
    return replace(FULL, network=network, stages=stages, steps=6, recurrences=(1, 2)), bank


def losses_of(trainer, steps):
    return [values["total"] for values in trainer.run(steps)]


@pytest.mark.parametrize("device", DEVICES)
def test_training_goes_from_device_to_device(small, device, tmp_path):
    """A step here, one on the CPU, and so on through all stages: as if on the CPU alone, but for the holes drawn."""
    recipe, bank = small
    features = VGGFeatures()
    straight = losses_of(Trainer(recipe, bank, features), recipe.steps)
    moving = []
    for step in range(recipe.steps):
        trainer = Trainer(recipe, bank, features, device if step % 2 == 0 else "cpu")
        if step:
            trainer.restore(checkpoints.read(tmp_path, trainer.device))
        moving += losses_of(trainer, step + 1)
        checkpoints.write(trainer, tmp_path)
    assert moving == pytest.approx(straight, rel=1e-6 if device == "cpu" else 0.5)


@pytest.mark.parametrize("device", [GPU])
def test_recorded_training_has_the_same_losses(small, device):
    """Through all stages, with recordings of either number of recurrences in each, and with a checkpoint on the way."""
    recipe, bank = small
    recipe, features = replace(recipe, steps=36), VGGFeatures()
    plain = losses_of(Trainer(recipe, bank, features, device, graphs=False), recipe.steps)
    trainer = Trainer(recipe, bank, features, device)
    recorded = losses_of(trainer, 20)
    again = Trainer(recipe, bank, features, device)
    again.restore(trainer.state())
    recorded += losses_of(again, recipe.steps)
    assert again._make_gradients._recordings
    assert recorded == pytest.approx(plain, rel=0.1)


@pytest.mark.parametrize("device", [GPU])
def test_compiled_training_has_the_same_losses(small, device):
    recipe, bank = small
    features = VGGFeatures()
    trainers = (Trainer(recipe, bank, features, device, compiled=compiled) for compiled in (False, True))
    plain, compiled = (losses_of(trainer, recipe.steps) for trainer in trainers)
    assert compiled == pytest.approx(plain, rel=0.1)


@pytest.mark.parametrize("device", DEVICES)
def test_speed_is_measured(small, device):
    recipe, bank = small
    trainer = Trainer(recipe, bank, VGGFeatures(), device)
    assert 0 < operations(trainer) < matrix_peak(trainer.device)
