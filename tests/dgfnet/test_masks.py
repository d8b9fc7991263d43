import numpy as np
import pytest
import torch
from PIL import Image

from dgfnet.errors import UserError
from dgfnet.masks import KINDS, MaskFolder, blob, irregular, random_masks, square


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


@pytest.fixture
def drawn(tmp_path):
    """A folder with one mask of 40 x 64 px, white left of the middle."""
    picture = np.zeros((40, 64), np.uint8)
    picture[:, :32] = 255
    Image.fromarray(picture).save(tmp_path / "a.png")
    return tmp_path


def test_the_polarity_of_masks_is_what_is_said(drawn):
    white, black = MaskFolder(drawn, "white"), MaskFolder(drawn, "black")
    assert (white.masks[0][:, :32] == 0).all()
    assert white.masks[0][:, 32:].all()
    assert torch.equal(white.masks[0], ~black.masks[0])


def test_drawn_masks_are_binary_repeatable_and_turned(drawn):
    folder = MaskFolder(drawn, "white")
    masks = folder.sample(40, 16, generator())
    assert masks.shape == (40, 1, 16, 16)
    assert set(masks.unique().tolist()) == {0.0, 1.0}
    assert torch.equal(masks, folder.sample(40, 16, generator()))
    upright = [m for m in masks[:, 0] if 0 < m.mean() < 1 and (m == m[0]).all()]
    lying = [m for m in masks[:, 0] if 0 < m.mean() < 1 and (m == m[:, :1]).all()]
    assert upright
    assert lying
    assert {bool(m[0, 0]) for m in upright} == {True, False}


def test_drawn_masks_replace_their_share(drawn):
    mixed = MaskFolder(drawn, "white").mix_into(torch.full((400, 1, 8, 8), 0.5), 0.25, generator())
    replaced = (mixed != 0.5).all(dim=(1, 2, 3))
    assert ((mixed == 0.5).all(dim=(1, 2, 3)) | replaced).all()
    assert 70 < replaced.sum() < 130


def test_an_empty_mask_folder_gets_a_sentence(tmp_path):
    with pytest.raises(UserError, match="holds no pictures"):
        MaskFolder(tmp_path, "white")
