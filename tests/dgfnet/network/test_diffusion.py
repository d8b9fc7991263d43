import pytest
import torch

from dgfnet.network.diffusion import blank, harmonic_fill


def test_a_ramp_is_harmonic_and_comes_back():
    ramp = torch.linspace(0, 1, 33).expand(1, 1, 33, 33).contiguous()
    known = torch.ones(1, 1, 33, 33)
    known[..., 10:22, 8:24] = 0
    assert (harmonic_fill(ramp * known, known) - ramp).abs().max() < 0.01


def test_known_pixels_are_unchanged_to_the_bit(image, known):
    filled = harmonic_fill(image, known)
    assert torch.equal(blank(filled, known), blank(image, known))


def test_the_fill_stays_within_the_range_of_the_known_pixels(image, known):
    filled = harmonic_fill(image, known)
    seen = image[:, :, known[0, 0] > 0]
    assert filled.min() >= seen.min() - 1e-6
    assert filled.max() <= seen.max() + 1e-6


@pytest.mark.parametrize("hidden", [float("nan"), float("inf"), 7.0])
def test_nothing_under_the_hole_is_read(image, known, hidden):
    poisoned = torch.where(known > 0, image, torch.tensor(hidden))
    assert torch.equal(harmonic_fill(poisoned, known), harmonic_fill(image, known))


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (6, 1), (7, 13)])
def test_nothing_known_becomes_zero_at_any_size(size):
    values = torch.rand(2, 3, *size)
    assert torch.equal(harmonic_fill(values, torch.zeros(2, 1, *size)), torch.zeros(2, 3, *size))


def test_one_known_pixel_spreads_everywhere():
    values = torch.zeros(1, 1, 40, 23)
    known = torch.zeros(1, 1, 40, 23)
    values[..., 3, 5], known[..., 3, 5] = 0.75, 1
    assert torch.allclose(harmonic_fill(values, known), torch.full((1, 1, 40, 23), 0.75), atol=1e-5)


def test_keeps_double_precision():
    known = torch.ones(1, 1, 8, 8, dtype=torch.float64)
    known[..., 3, 3] = 0
    assert harmonic_fill(torch.rand(1, 1, 8, 8, dtype=torch.float64), known).dtype == torch.float64
