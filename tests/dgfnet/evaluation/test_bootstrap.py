import numpy as np
import pytest

from dgfnet.evaluation.bootstrap import mean_intervals

RNG = np.random.default_rng(5)


def test_the_interval_is_that_of_the_mean_difference():
    """200 pictures with a small, steady difference: the percentile interval is near the normal one."""
    difference = RNG.normal(0.3, 0.5, 200)
    (interval,) = mean_intervals(difference[:, None])
    assert interval.mean == pytest.approx(difference.mean())
    half = 1.96 * difference.std(ddof=1) / np.sqrt(200)
    assert interval.low == pytest.approx(difference.mean() - half, abs=0.15 * half)
    assert interval.high == pytest.approx(difference.mean() + half, abs=0.15 * half)
    assert interval.excludes_zero


def test_of_differences_that_are_none_few_exclude_zero():
    """About 5 of 100 may at 95 %; the percentile interval of 40 pictures is a little narrow."""
    assert sum(interval.excludes_zero for interval in mean_intervals(RNG.normal(size=(40, 100)))) <= 15
    assert mean_intervals(np.zeros((9, 1))) == [(0, 0, 0)]


def test_what_is_no_number_or_a_single_picture_makes_no_claim():
    infinite, sound = mean_intervals(np.array([[np.inf, 1.0], [0.0, 1.0]]))
    assert np.isnan(infinite).all()
    assert not infinite.excludes_zero
    assert sound == (1, 1, 1)
    (one,) = mean_intervals(np.array([[2.0]]))
    assert one.mean == 2
    assert not one.excludes_zero
    assert np.isnan(mean_intervals(np.zeros((0, 1)))).all()
