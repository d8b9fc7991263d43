import pytest
import torch

from dgfnet.masks import KINDS, blob, irregular, random_masks, square


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("kind", KINDS)
def test_masks_are_binary_repeatable_and_of_the_asked_share(kind):
    masks = random_masks((kind,), (0.2, 0.4), 16, 128, generator())
    assert masks.shape == (16, 1, 128, 128)
    assert set(masks.unique().tolist()) == {0.0, 1.0}
    assert torch.equal(masks, random_masks((kind,), (0.2, 0.4), 16, 128, generator()))
    share = 1 - masks.mean(dim=(1, 2, 3))
    assert share.min() > 0.15
    assert share.max() < 0.46


@pytest.mark.parametrize(("maker", "tolerance"), [(square, 0.005), (blob, 0.001), (irregular, 0.03)])
def test_each_mask_meets_its_own_share(maker, tolerance):
    wanted = torch.tensor([0.1, 0.25, 0.4, 0.55])
    got = 1 - maker(wanted, 128, generator(3)).mean(dim=(1, 2, 3))
    assert (got - wanted).abs().max() < tolerance


def test_a_square_is_square():
    hole = 1 - square(torch.tensor([0.25]), 64, generator())[0, 0]
    assert hole.amax(0).sum() == hole.amax(1).sum() == 32
    assert hole.sum() == 32 * 32


def test_kinds_are_mixed():
    masks = random_masks(("square", "irregular"), (0.25, 0.25), 16, 64, generator())
    squares = [int(m.amin(1).eq(0).sum()) * int(m.amin(2).eq(0).sum()) == int((1 - m).sum()) for m in masks]
    assert 0 < sum(squares) < 16
