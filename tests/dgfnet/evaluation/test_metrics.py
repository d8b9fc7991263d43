import numpy as np
import pytest
import scipy.linalg

from dgfnet.evaluation import metrics

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


def test_frechet_distance_is_the_formula_with_a_matrix_root():
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(40, 6)), rng.normal(0.5, 2, size=(50, 6)) @ rng.normal(size=(6, 6))
    cov_a, cov_b = np.cov(a.T), np.cov(b.T)
    root = scipy.linalg.sqrtm(cov_a @ cov_b).real
    expected = np.square(a.mean(0) - b.mean(0)).sum() + np.trace(cov_a + cov_b - 2 * root)
    assert metrics.frechet_distance(a, b) == pytest.approx(expected, rel=1e-8)


def test_frechet_distance_with_fewer_pictures_than_dimensions():
    rng = np.random.default_rng(2)
    few = rng.normal(size=(5, 512)).astype(np.float32)
    assert metrics.frechet_distance(few, few) == pytest.approx(0, abs=1e-6)
    assert metrics.frechet_distance(few, few + 1) == pytest.approx(512, rel=1e-5)
    assert metrics.frechet_distance(few, few[::-1]) == pytest.approx(0, abs=1e-6)
    assert np.isnan(metrics.frechet_distance(few[:1], few))
