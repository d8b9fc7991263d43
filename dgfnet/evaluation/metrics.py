"""How far a filled picture is from the truth. Pictures are uint8 RGB [H, W, 3]; masks bool [H, W], True in the hole.

The papers' definitions disagree, so these are written down: every figure is taken from the composed picture after
rounding to 8 bit, in RGB, per picture; a table shows the mean over pictures.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import binary_dilation, gaussian_filter


def mean_l1(result: np.ndarray, truth: np.ndarray) -> float:
    """Mean absolute difference over the whole picture, 0 to 1."""
    return float(np.abs(result.astype(np.int16) - truth).mean() / 255)


def psnr(result: np.ndarray, truth: np.ndarray, hole: np.ndarray | None = None) -> float:
    """Peak signal-to-noise ratio in dB, range 255; over the pixels of the hole only where one is given."""
    difference = result.astype(np.float64) - truth
    error = np.square(difference if hole is None else difference[hole]).mean()
    return float(10 * np.log10(255**2 / error)) if error > 0 else float("inf")


def ssim(result: np.ndarray, truth: np.ndarray) -> float:
    """Structural similarity (Wang et al. 2004): Gaussian window of sigma 1.5 and 11 px, mean over channels.

    Equals scikit-image's with `gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255`.
    """
    x, y = result.astype(np.float64), truth.astype(np.float64)

    def blur(values: np.ndarray) -> np.ndarray:
        return gaussian_filter(values, (1.5, 1.5, 0), truncate=3.5)

    mean_x, mean_y = blur(x), blur(y)
    variance_x, variance_y = blur(x * x) - mean_x**2, blur(y * y) - mean_y**2
    covariance = blur(x * y) - mean_x * mean_y
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    similarity = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    similarity /= (mean_x**2 + mean_y**2 + c1) * (variance_x + variance_y + c2)
    return float(similarity[5:-5, 5:-5].mean())


def seam(result: np.ndarray, hole: np.ndarray) -> float:
    """How much the hole's border stands out: 1 = no more than other edges beside it.

    Mean step in value between neighbours on the two sides of the border, over the mean step between neighbours that
    both lie within 4 px of the border on the same side. Needs no truth.
    """
    near = binary_dilation(hole, iterations=4) & binary_dilation(~hole, iterations=4)
    grey = result.astype(np.float64).mean(axis=2)
    across, beside = [], []
    for values, inside, close in ((grey, hole, near), (grey.T, hole.T, near.T)):
        step, crosses = np.abs(np.diff(values, axis=0)), inside[1:] != inside[:-1]
        across.append(step[crosses])
        beside.append(step[~crosses & close[1:] & close[:-1]])
    return float((np.concatenate(across).mean() + 1e-9) / (np.concatenate(beside).mean() + 1e-9))


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Frechet distance between the Gaussians fitted to two sets of features (Dowson and Landau 1982).

        |mean_a - mean_b|^2 + Tr(A + B - 2 (A B)^(1/2)),  A and B the sample covariances (divisor N - 1).

    Tr (A B)^(1/2) is the sum of the singular values of Ra Rb^T, where R is the triangular factor of the centred
    features over sqrt(N - 1): exact also for fewer vectors than dimensions, where a root of A B is ill-defined.

    Args:
        a: [N, D].
        b: [M, D]. The distance of finite sets grows as they shrink, so only distances between sets of equal sizes
            compare.

    Returns:
        0 or more; NaN for fewer than two vectors in either set.
    """
    if min(len(a), len(b)) < 2:
        return float("nan")

    def factor(features: np.ndarray) -> np.ndarray:
        centred = (features - features.mean(axis=0)) / np.sqrt(len(features) - 1)
        return np.asarray(np.linalg.qr(centred, mode="r"))

    a, b = a.astype(np.float64), b.astype(np.float64)
    root_a, root_b = factor(a), factor(b)
    common = np.linalg.svd(root_a @ root_b.T, compute_uv=False).sum()
    distance = np.square(a.mean(axis=0) - b.mean(axis=0)).sum() + np.square(root_a).sum() + np.square(root_b).sum()
    return max(float(distance - 2 * common), 0.0)
