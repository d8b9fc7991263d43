import pytest
import torch

from dgfnet.network.discriminator import PatchDiscriminator
from dgfnet.training import losses


def test_hole_and_valid_share_the_picture_by_the_mask():
    """Four pixels, one in the hole; differences 1, 2, 3 outside and 4 inside, each over all four."""
    prediction = torch.tensor([1.0, 2.0, 3.0, 4.0]).view(1, 1, 2, 2)
    known = torch.tensor([1.0, 1.0, 1.0, 0.0]).view(1, 1, 2, 2)
    zero = torch.zeros_like(prediction)
    assert losses.hole_loss(prediction, zero, known).item() == 1.0
    assert losses.valid_loss(prediction, zero, known).item() == 1.5


def test_gram_of_two_channels():
    features = torch.tensor([[1.0, 2.0], [3.0, 4.0]]).view(1, 2, 1, 2)
    assert losses.gram(features).tolist() == [[[5 / 4, 11 / 4], [11 / 4, 25 / 4]]]


def test_feature_losses_are_zero_for_equal_and_sum_over_pools():
    one, two = [torch.ones(1, 2, 2, 2), torch.ones(1, 1, 1, 1)], [torch.zeros(1, 2, 2, 2), torch.zeros(1, 1, 1, 1)]
    assert losses.perceptual_loss(one, one).item() == losses.style_loss(one, one).item() == 0
    assert losses.perceptual_loss(one, two).item() == 2
    assert losses.style_loss(one, two).item() == pytest.approx(0.5 + 1)


def test_hinge_losses():
    assert losses.discriminator_loss(torch.tensor([2.0]), torch.tensor([-2.0])).item() == 0
    assert losses.discriminator_loss(torch.tensor([0.0]), torch.tensor([0.5])).item() == 2.5
    assert losses.adversarial_loss(torch.tensor([-1.0, 3.0])).item() == 1


def test_discriminator_is_spectrally_normal_and_sees_the_mask():
    torch.manual_seed(0)
    judge = PatchDiscriminator(0.125).train()
    image, known = torch.rand(2, 3, 64, 64), torch.ones(2, 1, 64, 64)
    for _ in range(30):
        scores = judge(image, known)
    assert scores.shape == (2, 32, 1, 1)
    for layer in judge.layers:
        norm = torch.linalg.matrix_norm(layer.weight.flatten(1), ord=2)
        assert norm.item() == pytest.approx(1, abs=0.05)
    assert not torch.equal(judge(image, torch.zeros_like(known)), scores)
    scores.sum().backward()
    assert all(p.grad is not None for p in judge.parameters())
