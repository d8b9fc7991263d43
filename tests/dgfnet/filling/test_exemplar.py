import numpy as np
import pytest
from scipy.ndimage import binary_dilation, gaussian_filter

from dgfnet.filling.exemplar import _Comparison, copy_greedily


@pytest.fixture
def region():
    region = np.zeros((40, 48), bool)
    region[14:27, 18:33] = True
    return region


def corners(region):
    """Patches of 7 x 7 px that do not touch the region."""
    windows = np.lib.stride_tricks.sliding_window_view(region, (7, 7))
    return np.argwhere(~windows.any(axis=(2, 3)))


TRUST = np.ones((40, 48), np.float32)


def soft(image):
    return gaussian_filter(image, (2, 2, 0)).astype(np.float32)


def test_a_pattern_goes_on_and_its_origin_is_told(region):
    tile = np.random.default_rng(3).uniform(0, 255, (8, 8, 3)).astype(np.float32)
    truth = np.tile(tile, (5, 6, 1))
    given = np.where(region[..., None], np.float32(0), truth)
    image, origin = copy_greedily(given, region, corners(region), soft(truth), TRUST)
    np.testing.assert_array_equal(image, truth)
    np.testing.assert_array_equal(origin[~region], np.flatnonzero(~region))
    rows, columns = np.unravel_index(origin[region], region.shape)
    assert not region[rows, columns].any()
    np.testing.assert_array_equal(given[rows, columns], image[region])
    assert ((np.argwhere(region).T - (rows, columns)) % 8 == 0).all()


def test_nothing_in_the_region_is_read(region, photograph):
    picture = photograph[:40, :48].astype(np.float32)
    lead = soft(picture)
    first, _ = copy_greedily(picture, region, corners(region), lead, TRUST)
    other = picture.copy()
    other[region] = np.random.default_rng(0).uniform(0, 255, (int(region.sum()), 3))
    np.testing.assert_array_equal(copy_greedily(other, region, corners(region), lead, TRUST)[0], first)


def test_every_pixel_is_one_of_the_picture_with_all_its_channels(region, photograph):
    picture = photograph[:40, :48].astype(np.float32)
    more = np.concatenate([picture, picture.sum(axis=2, keepdims=True)], axis=2)
    image, origin = copy_greedily(more, region, corners(region), soft(picture), TRUST)
    rows, columns = np.unravel_index(origin[region], region.shape)
    np.testing.assert_array_equal(image[region], more[rows, columns])


@pytest.mark.parametrize(("shift", "moved"), [(0, 0), (4, 4), (10, 10), (16, 10)])
def test_a_copy_may_be_as_much_lighter_as_it_pays(shift, moved):
    """The first source is 10 darker than what is there, the second another pattern; half of the patch is known."""
    rng = np.random.default_rng(2)
    here, other = rng.uniform(50, 200, (2, 7, 7, 3)).astype(np.float32)
    held = np.arange(7)[:, None] < np.full(7, 3)
    sources = np.stack([here - 10, other]).reshape(2, -1)
    distances, moves = _Comparison(sources, sources, shift)(here, held, here, 0.5 * ~held)
    weights = held + 0.5 * ~held
    assert distances[0] == pytest.approx(3 * weights.sum() * (10 - moved) ** 2, abs=2)
    np.testing.assert_allclose(moves[0], moved, atol=1e-4)
    off = other + moves[1] - here
    assert distances[1] == pytest.approx((weights[..., None] * off**2).sum(), rel=1e-4)
    assert np.abs(moves).max() <= shift


@pytest.mark.parametrize("colour", [40, 128, 220])
def test_the_soft_picture_decides_what_the_surroundings_leave_open(colour):
    """A grey field with a dark and a bright half beside it: what is copied has the colour of the lead."""
    image = np.full((40, 90, 3), 128, np.float32)
    image[:20, 50:], image[20:, 50:] = 40, 220
    region = np.zeros((40, 90), bool)
    region[12:28, 12:28] = True
    lead = soft(image)
    lead[12:28, 12:28] = colour
    trusted, ignored = (
        copy_greedily(image, region, corners(region), lead, np.full((40, 90), t))[0] for t in (1.0, 0.0)
    )
    assert abs(trusted[16:24, 16:24].mean() - colour) <= 0.6 * abs(128 - colour)
    assert (ignored[region] == 128).all()


@pytest.mark.parametrize("trusted", [0.0, 1.0])
def test_what_is_blank_is_not_gone_on(region, photograph, trusted):
    """Whatever lies in it, also where the region has no other neighbour; a second region does."""
    picture, region = photograph[:40, :48].astype(np.float32), region.copy()
    blank = binary_dilation(region, iterations=4) & ~region
    region[30:36, 2:8] = True
    given = corners(region | blank), soft(picture), np.full((40, 48), trusted, np.float32)
    noisy = np.where(blank[..., None], np.float32(255) - picture, picture)
    fills = [copy_greedily(image, region, *given, blank=blank) for image in (picture, noisy)]
    for (image, origin), before in zip(fills, (picture, noisy), strict=True):
        np.testing.assert_array_equal(image[~region], before[~region])
        assert not (region | blank).flat[origin[region]].any()
    np.testing.assert_array_equal(fills[0][0][region], fills[1][0][region])


def test_a_region_in_a_corner_and_one_of_all_but_a_patch(photograph):
    picture = photograph[:30, :30].astype(np.float32)
    for region in (np.zeros((30, 30), bool), np.ones((30, 30), bool)):
        region[:9, :9] = ~region[:9, :9]
        image, origin = copy_greedily(picture, region, corners(region), soft(picture), TRUST[:30, :30])
        assert not region.flat[origin[region]].any()
        assert np.array_equal(image[~region], picture[~region])
