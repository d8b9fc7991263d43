import hashlib

import numpy as np
import pytest
import torch

from dgfnet.errors import UserError
from dgfnet.training.features import VGGFeatures, load_features


def test_pools_halve_and_widen():
    pools = VGGFeatures()(torch.rand(1, 3, 32, 48))
    assert [tuple(p.shape[1:]) for p in pools] == [(64, 16, 24), (128, 8, 12), (256, 4, 6)]


def test_the_pictures_gradient_flows_through_frozen_weights():
    features, image = VGGFeatures(), torch.rand(1, 3, 16, 16, requires_grad=True)
    sum(p.sum() for p in features(image)).backward()
    assert image.grad.abs().sum() > 0
    assert all(p.grad is None for p in features.parameters())


def test_original_weights_see_bgr_from_0_to_255(shared):
    """The first convolution, computed by hand as the original network would."""
    features = load_features(shared / "weights" / "vgg19")
    image = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    folder = shared / "weights" / "vgg19"
    kernel = torch.from_numpy(np.load(folder / "block1_conv1_kernel_0.npy")).permute(3, 2, 0, 1)
    bias = torch.from_numpy(np.load(folder / "block1_conv1_bias_0.npy"))
    bgr = 255 * image.flip(1) - torch.tensor([103.939, 116.779, 123.68]).view(1, 3, 1, 1)
    expected = torch.nn.functional.conv2d(bgr, kernel, bias, padding=1)
    assert torch.allclose(features.convolutions[0](image - features.mean), expected, rtol=1e-4, atol=0.05)


def test_calibration_brings_every_pool_to_one_mean(shared, photograph):
    features = load_features(shared / "weights" / "vgg19")
    image = torch.from_numpy(photograph.copy()).permute(2, 0, 1)[None].float() / 255
    features.calibrate(image)
    assert [p.mean().item() for p in features(image)] == pytest.approx([0.2] * 3, rel=1e-3)


def torchvision_like(file):
    """Weights of torchvision's form, in a file."""
    shapes = {0: (64, 3), 2: (64, 64), 5: (128, 64), 7: (128, 128), 10: (256, 128), 12: (256, 256), 14: (256, 256)}
    state = {f"features.{i}.weight": torch.ones(*s, 3, 3) for i, s in shapes.items()}
    state |= {f"features.{i}.bias": torch.zeros(s[0]) for i, s in shapes.items()}
    torch.save(state, file)


def test_torchvision_weights_are_read(tmp_path):
    torchvision_like(tmp_path / "vgg16.pth")
    features = load_features(tmp_path / "vgg16.pth")
    assert torch.allclose(features.convolutions[0].weight[0, :, 0, 0], 1 / torch.tensor([0.229, 0.224, 0.225]))


def test_weights_are_downloaded_once_and_checked(tmp_path, monkeypatch):
    torchvision_like(tmp_path / "published")
    digest = hashlib.sha256((tmp_path / "published").read_bytes()).hexdigest()[:8]
    good, bad = tmp_path / f"vgg16-{digest}.pth", tmp_path / "vgg16-00000000.pth"
    for file in (good, bad):
        file.write_bytes((tmp_path / "published").read_bytes())
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "cache"))
    monkeypatch.setattr("dgfnet.training.features.PUBLISHED", bad.as_uri())
    with pytest.raises(UserError, match="could not be downloaded"):
        load_features("download")
    monkeypatch.setattr("dgfnet.training.features.PUBLISHED", good.as_uri())
    first = load_features("download")
    good.unlink()
    assert torch.equal(load_features("download").convolutions[0].weight, first.convolutions[0].weight)


@pytest.mark.parametrize("make", [lambda p: p.mkdir(), lambda p: p.write_text("x"), lambda p: None])
def test_absent_or_foreign_weights_get_a_sentence(tmp_path, make):
    make(tmp_path / "weights")
    with pytest.raises(UserError, match="does not hold VGG weights"):
        load_features(tmp_path / "weights")
