"""Fixtures of the method's tests: small pictures, a small network, the reference material if it is there."""

import contextlib
import pathlib
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch

from dgfnet.model import DGFNet, DGFNetConfig
from dgfnet.network.rtv import rtv
from dgfnet.training.data import PictureBank
from dgfnet.training.recipes import PAPER, Recipe, Stage

SHARED = pathlib.Path(__file__).resolve().parents[3] / "shared"


@pytest.fixture(scope="session")
def shared() -> pathlib.Path:
    """The folder with reference material that lies beside the repository on our own machines."""
    if not SHARED.is_dir():
        pytest.skip("the reference material (../shared) is not on this machine")
    return SHARED


@pytest.fixture(scope="session")
def photograph() -> np.ndarray:
    """uint8 [256, 256, 3], a part of a photograph that scikit-image ships."""
    data = pytest.importorskip("skimage.data")
    return np.ascontiguousarray(data.astronaut()[0:256, 96:352])


@pytest.fixture
def image(photograph: np.ndarray) -> torch.Tensor:
    """[1, 3, 64, 64], 0 to 1."""
    return torch.from_numpy(photograph[64:128, 64:128].copy()).permute(2, 0, 1)[None].float() / 255


@pytest.fixture
def known() -> torch.Tensor:
    """[1, 1, 64, 64] with a hole of 24 x 20 px."""
    mask = torch.ones(1, 1, 64, 64)
    mask[..., 20:44, 16:36] = 0
    return mask


@pytest.fixture
def network() -> DGFNet:
    """The smallest full network, in eval mode, every weight random."""
    torch.manual_seed(0)
    network = DGFNet(DGFNetConfig(width=0.125, detail_width=0.125, recurrences=2)).eval()
    torch.nn.init.normal_(network.fusion.out.weight, std=0.1)
    return network


@pytest.fixture
def recipe() -> Recipe:
    """Four steps of the smallest full network: two with a discriminator, two with frozen BatchNorm."""
    return Recipe(
        name="test",
        network=DGFNetConfig(width=0.125, detail_width=0.125, recurrences=2),
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
def bank(image: torch.Tensor) -> PictureBank:
    """One picture of 64 px to train on."""
    texture = ((image - rtv(image)) * 254).round().to(torch.int8)
    return PictureBank([(image[0] * 255).to(torch.uint8)], [texture[0]])


@pytest.fixture
def room() -> Callable[[int], contextlib.AbstractContextManager[None]]:
    """`with room(n):` no file can grow beyond n bytes, as on a disk that is full."""
    resource = pytest.importorskip("resource")

    @contextlib.contextmanager
    def limited(size: int) -> Iterator[None]:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    return limited
