import numpy as np
import pytest

from dgfnet.filling.patchmatch import patchmatch


@pytest.fixture
def hole():
    hole = np.zeros((64, 64), bool)
    hole[20:44, 24:50] = True
    return hole


def test_a_pattern_that_repeats_is_continued(hole):
    tile = np.random.default_rng(3).integers(0, 256, (8, 8, 3)).astype(np.uint8)
    truth = np.tile(tile, (8, 8, 1))
    filled = patchmatch(np.where(hole[..., None], 0, truth).astype(np.uint8), hole)
    assert np.array_equal(filled[~hole], truth[~hole])
    wrong = np.abs(filled.astype(int) - truth).max(axis=2) > 2
    assert wrong[hole].mean() < 0.02


def test_nothing_under_the_hole_is_read_and_equal_seeds_fill_alike(hole, photograph):
    picture = photograph[:64, :64].copy()
    first = patchmatch(picture, hole)
    picture[hole] = np.random.default_rng(0).integers(0, 256, (int(hole.sum()), 3))
    assert np.array_equal(patchmatch(picture, hole)[hole], first[hole])


@pytest.mark.parametrize("size", [5, 7, 17, 40])
def test_no_patch_to_copy_gives_the_nearest_colours(size):
    picture = np.full((size, size, 3), 90, np.uint8)
    hole = np.ones((size, size), bool)
    hole[0] = False
    picture[hole] = 0
    assert (patchmatch(picture, hole) == 90).all()


def test_odd_sizes_and_holes_at_the_border(photograph):
    picture, hole = photograph[:61, :83].copy(), np.zeros((61, 83), bool)
    hole[30:, 50:] = True
    picture[hole] = 255
    filled = patchmatch(picture, hole)
    assert np.array_equal(filled[~hole], picture[~hole])
    assert filled[hole].mean() < 250
