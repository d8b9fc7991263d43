import numpy as np
import pytest
from scipy.ndimage import binary_dilation, distance_transform_edt, gaussian_filter

from dgfnet.errors import Cancelled
from dgfnet.filling import patches, synthesis
from dgfnet.filling.synthesis import RIM, synthesise
from dgfnet.inpainting import FillOptions, Inpainter


@pytest.fixture
def pattern():
    """A picture that repeats every 8 px, float32 [128, 128, 3]."""
    tile = np.random.default_rng(3).random((8, 8, 3), np.float32)
    return np.tile(tile, (16, 16, 1))


@pytest.fixture
def hole():
    hole = np.zeros((128, 128), bool)
    hole[40:90, 44:96] = True
    return hole


@pytest.fixture
def soft(pattern, hole):
    """The pattern with a fill as of a network that knows it and is unsure: paler and blurred in the hole."""
    blurred = gaussian_filter(pattern, (1, 1, 0))
    return np.where(hole[..., None], blurred, pattern)


def test_detail_comes_back_in_place(pattern, hole, soft):
    deep = distance_transform_edt(hole) > RIM
    before, after = (np.abs(picture - pattern)[deep].mean() for picture in (soft, synthesise(soft, hole)))
    assert after < 0.05 * before


def test_only_the_hole_changes_and_its_rim_less(hole, soft):
    depth = distance_transform_edt(hole)
    found = synthesise(soft, hole)
    assert found.dtype == soft.dtype
    np.testing.assert_array_equal(found[~hole], soft[~hole])
    outermost, deep = (np.abs(found - soft)[at].mean() for at in (depth == 1, depth > RIM))
    assert 0 < outermost < 0.4 * deep
    assert (found[depth > RIM] != soft[depth > RIM]).any(axis=-1).mean() > 0.9


def test_what_is_blank_beside_the_hole_is_neither_filled_nor_copied(pattern, hole, soft):
    frame = binary_dilation(hole, iterations=24)
    garbage = np.where(frame[..., None], soft, 1 - soft)
    found = synthesise(garbage, hole, blank=~frame)
    np.testing.assert_array_equal(found[~hole], garbage[~hole])
    deep = distance_transform_edt(hole) > RIM
    assert np.abs(found - pattern)[deep].mean() < 0.05 * np.abs(soft - pattern)[deep].mean()


def test_a_gradient_stays_one(hole):
    y, x = np.mgrid[:128, :128].astype(np.float32) / 128
    sky = np.stack([0.2 + 0.5 * y, 0.3 + 0.5 * y, 0.6 + 0.3 * x], axis=-1)
    error = np.abs(synthesise(sky, hole) - sky)[hole]  # no other part of the picture has these colours
    assert error.mean() < 0.008
    assert error.max() < 0.04


def test_a_haze_deep_in_the_fill_does_not_lie_over_the_copies(pattern, hole, soft):
    depth = distance_transform_edt(hole)
    haze = np.float32(0.05) * (depth / depth.max()).astype(np.float32)[..., None]
    found = synthesise(soft - haze, hole)
    deep = depth > 0.75 * depth.max()
    assert abs((found - pattern)[deep].mean()) < 0.5 * haze[deep].mean()


def test_equal_seeds_give_equal_fills(hole, soft):
    np.testing.assert_array_equal(synthesise(soft, hole), synthesise(soft.copy(), hole))


def test_a_variation_is_another_fill_as_good_and_always_the_same_one(hole):
    texture = gaussian_filter(np.random.default_rng(5).standard_normal((128, 128, 3)), (2, 2, 0)).astype(np.float32)
    texture = np.clip(0.5 + texture / (6 * texture.std()), 0, 1)
    soft = np.where(hole[..., None], gaussian_filter(texture, (6, 6, 0)), texture)
    deep = distance_transform_edt(hole) > RIM
    fills = [synthesise(soft, hole, variation=number)[deep] for number in (0, 1, 2, 1)]
    np.testing.assert_array_equal(fills[1], fills[3])
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert np.abs(fills[one] - fills[other]).mean() > 0.2 * texture.std()
    for fill in fills:
        assert fill.std() == pytest.approx(texture[deep].std(), rel=0.3)


def test_large_levels_take_over_what_was_found_below(monkeypatch, pattern, hole, soft):
    monkeypatch.setattr(synthesis, "_SEARCHED", 64 * 64)
    searched, search = set(), patches.search

    def watched(at, *rest):
        searched.add(at.size)
        return search(at, *rest)

    monkeypatch.setattr(patches, "search", watched)
    found = synthesise(soft, hole)
    assert searched == {(64, 64)}
    deep = distance_transform_edt(hole) > RIM
    np.testing.assert_allclose(found[deep].std(axis=0), pattern[deep].std(axis=0), rtol=0.15)


@pytest.mark.parametrize(
    "hole",
    [
        np.pad(np.ones((8, 8), bool), 30),  # no pixel of it is deep
        np.pad(np.ones((62, 62), bool), 5),  # no patch is known
        np.pad(np.ones((2, 2), bool), 1),
        np.pad(np.ones((300, 300), bool), 10),  # a frame with patches at its own scale alone
    ],
)
def test_where_nothing_can_be_copied_the_fill_stays(hole):
    picture = np.random.default_rng(0).random((*hole.shape, 3), np.float32)
    np.testing.assert_array_equal(synthesise(picture, hole), picture)


def test_it_tells_how_far_it_is_and_can_be_stopped(hole, soft):
    told = []
    synthesise(soft, hole, told.append)
    assert told == sorted(told)
    assert told[0] == 0
    assert len(told) > 10

    def stop(fraction):
        stopped_at.append(fraction)
        if fraction >= share:
            raise Cancelled

    for share in (0, 0.1, 0.5):
        stopped_at = []
        with pytest.raises(Cancelled):
            synthesise(soft, hole, stop)
        assert share <= stopped_at[-1] < share + 0.1


def test_the_share_of_patches_is_an_option(pattern, hole, network):
    full, half, none = (
        Inpainter(network).fill(pattern, hole, FillOptions(patches=share)).fill for share in (1.0, 0.5, 0.0)
    )
    inside = (np.minimum(full, none) > 0) & (np.maximum(full, none) < 1)
    assert np.abs(full - none)[inside].max() > 0.05
    np.testing.assert_allclose(half[inside], (full + none)[inside] / 2, atol=1e-5)
