import numpy as np
import pytest
import torch

from dgfnet.network.diffusion import harmonic_fill
from dgfnet.network.rtv import EXACT, FAST, masked_texture, rtv


@pytest.mark.parametrize("name", ["astronaut", "coffee", "chelsea"])
@pytest.mark.parametrize(("iterations", "worst", "mean"), [(EXACT, 1.0, 0.1), (FAST, 5.0, 0.4)])
def test_parity_with_the_original_code(shared, name, iterations, worst, mean):
    """Errors in units of 1/255 against what the authors' MATLAB code answers with its direct solver."""
    reference = np.load(shared / "reference" / f"rtv_{name}_256.npz")
    image = torch.from_numpy(reference["I"].astype(np.float32) / 255).permute(2, 0, 1)[None]
    structure = rtv(image, solver_iterations=iterations)[0].permute(1, 2, 0).numpy()
    error = 255 * np.abs(structure - reference["S_direct"])
    assert error.max() < worst
    assert error.mean() < mean


def test_a_constant_picture_is_all_structure():
    image = torch.full((1, 3, 20, 17), 0.25)
    assert (rtv(image) - image).abs().max() < 1e-5


def test_an_edge_is_structure_and_a_fine_checkerboard_is_texture():
    step = torch.zeros(1, 1, 48, 48)
    step[..., 24:] = 1.0
    board = 0.1 * ((torch.arange(48)[:, None] + torch.arange(48)[None]) % 2 - 0.5)
    structure = rtv((0.2 + 0.6 * step) + board)
    inside = structure[..., 8:40, 8:16]
    assert inside.std() < 0.01 < board.std()
    assert (structure[..., 26] - structure[..., 21]).mean() > 0.5


def test_pictures_of_a_batch_do_not_see_each_other():
    images = torch.rand(2, 3, 24, 40, generator=torch.Generator().manual_seed(0))
    both = rtv(images)
    assert torch.allclose(both[1:], rtv(images[1:]), atol=1e-5)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 1), (33, 18)])
@pytest.mark.parametrize("channels", [1, 3])
def test_any_size(size, channels):
    image = torch.rand(1, channels, *size, generator=torch.Generator().manual_seed(0))
    structure = rtv(image)
    assert structure.shape == image.shape
    assert structure.dtype == torch.float32
    assert torch.isfinite(structure).all()


def test_autocast_changes_nothing(image):
    with torch.autocast("cpu", torch.bfloat16):
        within = rtv(image)
    assert torch.equal(within, rtv(image))


def test_a_larger_lambda_smooths_more(image):
    assert (image - rtv(image, lam=0.03)).abs().mean() > (image - rtv(image, lam=0.003)).abs().mean()


@pytest.mark.parametrize("noise", [torch.rand, lambda *s: torch.full(s, float("nan")), lambda *s: torch.full(s, 1e30)])
def test_masked_texture_reads_nothing_in_the_hole(image, known, noise):
    hidden = torch.where(known > 0, image, noise(*image.shape))
    assert torch.equal(
        masked_texture(harmonic_fill(hidden, known), known), masked_texture(harmonic_fill(image, known), known)
    )


def test_masked_texture_is_zero_in_the_hole_and_true_far_from_it(photograph):
    image = torch.from_numpy(photograph.copy()).permute(2, 0, 1)[None].float() / 255
    known = torch.ones(1, 1, 256, 256)
    known[..., 100:140, 100:140] = 0
    texture = masked_texture(harmonic_fill(image, known), known)
    truth = image - rtv(image)
    assert (texture[..., 100:140, 100:140] == 0).all()
    far = torch.ones(256, 256, dtype=torch.bool)
    far[70:170, 70:170] = False
    assert (texture - truth)[0, :, far].abs().mean() < 0.1 * truth.abs().mean()
