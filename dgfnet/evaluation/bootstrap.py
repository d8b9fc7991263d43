"""Is one filler better than another on the same pictures? Paired bootstrap intervals (Efron 1979)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

RESAMPLES = 5000
LEVEL = 0.95
_AT_ONCE = 250


class Interval(NamedTuple):
    """A mean and the limits of its 95 % interval."""

    mean: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether the sign is certain at this level; never where the limits are no numbers."""
        return self.low > 0 or self.high < 0


def mean_intervals(differences: np.ndarray, seed: int = 0) -> list[Interval]:
    """Means of paired differences with their percentile intervals over resampled pictures.

    Args:
        differences: [N, K]: N pictures, K quantities. Cases of one picture are not independent, so they must have been
            averaged to one row.
        seed: of the resampling; all quantities see the same resamples.

    Returns:
        K intervals: all NaN where a difference is not finite (two perfect results differ by no number of dB), limits
        NaN for fewer than two pictures.
    """
    count, quantities = differences.shape
    finite = np.isfinite(differences).all(axis=0) & (count > 0)
    values = np.where(finite, differences, np.nan).astype(np.float64)
    mean = values.mean(axis=0) if count else np.full(quantities, np.nan)
    low = high = np.full(quantities, np.nan)
    if count > 1:
        rng = np.random.default_rng(seed)
        rounds = (rng.multinomial(count, np.full(count, 1 / count), _AT_ONCE) for _ in range(RESAMPLES // _AT_ONCE))
        means = np.concatenate([weights @ values / count for weights in rounds])
        low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return [Interval(*map(float, limits)) for limits in zip(mean, low, high, strict=True)]
