from dataclasses import replace

import pytest
import torch

from dgfnet.model import DGFNet, DGFNetConfig
from dgfnet.training.trainer import Trainer
from dgfnet.training.widening import completed, widened, widest

NARROW = DGFNetConfig(width=0.125, detail_width=0.125, recurrences=2, membrane=True, finer=True)


def lively(config: DGFNetConfig) -> DGFNet:
    """A network that has been trained a little: nothing of it is zero, and its statistics are its own."""
    torch.manual_seed(0)
    network = DGFNet(config)
    for out in (network.coarse.out, *([network.fusion.out] if config.fusion != "none" else [])):
        torch.nn.init.normal_(out.weight, std=0.05)
    for _ in range(5):
        network(torch.rand(2, 3, 64, 64), hole(64))
    return network.eval()


def hole(size: int) -> torch.Tensor:
    known = torch.ones(1, 1, size, size)
    known[..., size // 4 : size // 2, size // 4 : size // 2] = 0
    return known.expand(2, -1, -1, -1)


@pytest.mark.parametrize("fusion", ["dpfm", "plain", "none"])
def test_a_widened_network_begins_where_the_narrow_one_is(fusion):
    narrow = lively(replace(NARROW, fusion=fusion))
    wide = widened(narrow, widest(narrow.config, DGFNetConfig(width=0.25, detail_width=0.1875))).eval()
    assert wide.config == replace(narrow.config, width=0.25, detail_width=0.1875)
    image, known = torch.rand(2, 3, 64, 64), hole(64)
    with torch.no_grad():
        before, after = (network(image, known) for network in (narrow, wide))
        assert (before.coarse - after.coarse).abs().max() < 0.2 * before.coarse.std()
        before, after = (network.refine(image, known, image.flip(0)) for network in (narrow, wide))
    for old, new in zip(before, after, strict=True):
        torch.testing.assert_close(new, old, atol=1e-5, rtol=1e-4)


def test_what_is_new_learns(recipe, bank):
    """After one step the old channels read the new ones, and after two these have changed themselves."""
    narrow = lively(replace(NARROW, recurrences=recipe.network.recurrences))
    config = replace(narrow.config, width=0.25, detail_width=0.25)
    wide = widened(narrow, config)
    trainer = Trainer(replace(recipe, network=config), bank, None, start=wide)
    list(trainer.run(2))
    for name, value in trainer.network.named_parameters():
        if value.ndim == 4:
            changed = (value != wide.get_parameter(name)).flatten(2).any(dim=2)
            assert changed.float().mean() > 0.9, name


def test_a_coarse_branch_alone_gets_the_rest_anew():
    alone = lively(replace(NARROW, fusion="none", membrane=False, finer=False))
    config = completed(alone.config, DGFNetConfig(detail_width=0.1875))
    assert config == replace(alone.config, fusion="dpfm", detail_width=0.1875)
    whole = widened(alone, config).eval()
    image, known = torch.rand(2, 3, 64, 64), hole(64)
    with torch.no_grad():
        before, after = (network(image, known).coarse for network in (alone, whole))
    assert torch.equal(before, after)
    assert completed(whole.config, NARROW) == whole.config


def test_as_wide_is_the_same():
    narrow = lively(NARROW)
    same = widened(narrow, widest(narrow.config, NARROW))
    assert all(torch.equal(a, b) for a, b in zip(narrow.state_dict().values(), same.state_dict().values(), strict=True))
