import numpy as np
import pytest

from dgfnet import metrics

BLACK, WHITE = np.zeros((32, 32, 3), np.uint8), np.full((32, 32, 3), 255, np.uint8)


@pytest.fixture
def pair(photograph):
    noise = np.random.default_rng(0).normal(0, 12, photograph.shape)
    return np.clip(photograph + noise, 0, 255).astype(np.uint8), photograph


def test_l1_and_psnr_of_known_differences():
    grey = np.full((4, 4, 3), 51, np.uint8)
    black = np.zeros_like(grey)
    assert metrics.mean_l1(grey, black) == pytest.approx(0.2)
    assert metrics.psnr(grey, black) == pytest.approx(20 * np.log10(5))
    assert metrics.psnr(grey, grey) == float("inf")


def test_psnr_of_the_hole_ignores_the_rest():
    result, hole = BLACK.copy(), np.zeros((32, 32), bool)
    hole[:4], result[:4], result[8:] = True, 51, 255
    assert metrics.psnr(result, BLACK, hole) == pytest.approx(20 * np.log10(5))


def test_ssim_is_scikit_images(pair):
    structural_similarity = pytest.importorskip("skimage.metrics").structural_similarity
    expected = structural_similarity(
        *pair, channel_axis=2, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255
    )
    assert metrics.ssim(*pair) == pytest.approx(expected, abs=1e-9)
    assert metrics.ssim(WHITE, WHITE) == pytest.approx(1)


def test_a_hard_paste_has_a_seam_and_the_truth_has_none(photograph):
    hole = np.zeros(photograph.shape[:2], bool)
    hole[80:150, 90:170] = True
    pasted = photograph.copy()
    pasted[hole] = 255 - pasted[hole]
    assert metrics.seam(photograph, hole) == pytest.approx(1, abs=0.25)
    assert metrics.seam(pasted, hole) > 3
