"""The way of a picture through the inpainter, with a stand-in for the network."""

import importlib.util
import pathlib

import numpy as np
import pytest
import torch

from dgfnet.inpainting import Cancelled, FillOptions, Inpainter, PictureError
from dgfnet.model import DGFNet, DGFNetConfig

_spec = importlib.util.spec_from_file_location("standin", pathlib.Path(__file__).with_name("standin.py"))
standin = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(standin)
StandIn = standin.StandIn


def gradient(height, width, channels=3):
    """A smooth picture, float32 [H, W, C]."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    planes = [0.2 + 0.6 * x / width, 0.8 - 0.6 * y / height, 0.5 + 0.2 * np.sin(x / 40), np.ones_like(x)]
    return np.stack({1: planes[:1], 2: [planes[0], planes[3]], 3: planes[:3], 4: planes}[channels], axis=-1)


def at_depth(values, dtype):
    if np.dtype(dtype).kind == "f":
        return values.astype(dtype)
    return np.rint(values * np.iinfo(dtype).max).astype(dtype)


def disc(height, width, cx, cy, radius):
    y, x = np.mgrid[:height, :width]
    return (x - cx) ** 2 + (y - cy) ** 2 <= radius**2


def soft_disc(height, width, cx, cy, radius, edge):
    y, x = np.mgrid[:height, :width]
    return np.clip((radius - np.hypot(x - cx, y - cy)) / edge, 0, 1).astype(np.float32)


MASKS = {
    "disc": disc(180, 240, 120, 90, 25),
    "soft": soft_disc(180, 240, 120, 90, 40, 20),
    "corner": disc(180, 240, 0, 179, 40),
    "whole side": np.pad(np.ones((180, 30), bool), ((0, 0), (210, 0))),
    "many": disc(180, 240, 40, 40, 9) | disc(180, 240, 60, 40, 5) | disc(180, 240, 200, 150, 14),
    "large": disc(180, 240, 120, 90, 64),
    "scattered": np.random.default_rng(3).random((180, 240)) > 0.97,
    "thin": np.eye(180, 240, dtype=bool) | np.eye(180, 240, k=1, dtype=bool),
}


def as_u8(mask):
    return np.rint(np.asarray(mask, np.float32) * 255).astype(np.uint8)


@pytest.mark.parametrize("name", MASKS)
@pytest.mark.parametrize("reach", [80, 20])
def test_nothing_in_the_hole_leaks(name, reach):
    """Other content of the hole, NaN too, changes no bit of the fill, nor of the picture where the fill is opaque."""
    mask = as_u8(MASKS[name])
    image = gradient(180, 240)
    noisy = np.where((mask > 0)[..., None], np.random.default_rng(0).normal(0, 9, image.shape), image).astype(
        np.float32
    )
    noisy[np.flatnonzero(mask.any(axis=1))[0], np.flatnonzero(mask[np.flatnonzero(mask.any(axis=1))[0]])[0]] = np.nan
    inpainter = Inpainter(StandIn(reach=reach), max_side=128)
    for options in (FillOptions(), FillOptions(grow=3, feather=5)):
        a, b = inpainter.fill(image, mask, options), inpainter.fill(noisy, mask, options)
        assert a.bounds == b.bounds
        for part in ("fill", "coarse", "alpha"):
            np.testing.assert_array_equal(getattr(a, part), getattr(b, part))
        full = np.zeros(mask.shape, bool)
        full[a.bounds.slices] = a.alpha == 1
        np.testing.assert_array_equal(a.compose(image)[full], b.compose(noisy)[full])


def lively_network():
    """Random weights, drawn large: as initialised it answers with nearly one colour, which would hide a leak."""
    torch.manual_seed(0)
    network = DGFNet(DGFNetConfig(width=0.125, detail_width=0.125, recurrences=2)).eval()
    for parameter in network.parameters():
        if parameter.dim() > 1:
            torch.nn.init.kaiming_normal_(parameter)
    return network


def test_nothing_leaks_through_the_real_network():
    image, mask = gradient(96, 120), as_u8(disc(96, 120, 60, 50, 22))
    noisy = np.where((mask > 0)[..., None], np.float32(7), image)
    inpainter = Inpainter(lively_network())
    a, b = inpainter.fill(image, mask), inpainter.fill(noisy, mask)
    np.testing.assert_array_equal(a.fill, b.fill)
    np.testing.assert_array_equal(a.coarse, b.coarse)
    changed = np.where((mask > 0)[..., None], image, image[::-1])  # alive: other surroundings, another texture
    c = inpainter.fill(changed, mask)
    assert np.abs((a.fill - a.coarse) - (c.fill - c.coarse)).max() > 1e-3
    assert (a.fill - a.coarse)[a.alpha > 0].std(axis=0).min() > 1e-3


@pytest.mark.parametrize("name", MASKS)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float16, np.float32])
def test_every_byte_outside_the_mask_stays(name, dtype):
    mask, image = as_u8(MASKS[name]), at_depth(gradient(180, 240, 4), dtype)
    image[mask == 255, :3] = 0
    before = image.copy()
    result = Inpainter(StandIn(), max_side=128).fill(image, mask).compose(image)
    assert result.dtype == image.dtype
    assert result.shape == image.shape
    np.testing.assert_array_equal(image, before)
    np.testing.assert_array_equal(result[mask == 0], image[mask == 0])
    assert (result[mask == 255] != image[mask == 255]).any()


@pytest.mark.parametrize("finer", [True, False])
def test_what_is_transparent_beside_a_hole_is_not_filled_too(finer):
    """A hole within a reach of 20 px on a small object: its scale, and the fill, are those of a hole in a picture."""
    image, mask = gradient(180, 240, 4), disc(180, 240, 120, 90, 14)
    image[~disc(180, 240, 120, 90, 50), 3] = 0
    asked = []

    class Asked(StandIn):
        def recurrences_for(self, depth):
            asked.append(depth)
            return super().recurrences_for(depth)

    network = Asked(reach=20)
    network.finer = finer
    filled = Inpainter(network, max_side=128).fill(image, mask)
    assert filled.scales == [1.0]
    assert asked == [pytest.approx(14, abs=1)]
    garbage = image.copy()
    garbage[image[..., 3] == 0, :3] = 7
    np.testing.assert_array_equal(Inpainter(network, max_side=128).fill(garbage, mask).fill, filled.fill)
    for radius in (45, 30):  # deeper than the network reaches: from a lower scale, with nothing wrong at its border
        large = disc(180, 240, 120, 90, radius)
        deep = Inpainter(network, max_side=128).fill(image, large, FillOptions(patches=0))
        truth = image[deep.bounds.slices][..., :3]
        assert np.abs(deep.fill - truth)[deep.alpha > 0].max() < 0.2


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_channels(channels):
    image, mask = gradient(90, 100, channels), disc(90, 100, 50, 45, 20)
    fill = Inpainter(StandIn(amplitude=0)).fill(image, mask, FillOptions(patches=0))
    assert fill.fill.shape == (*fill.alpha.shape, 3)
    result = fill.compose(image)
    assert result.shape == image.shape
    assert (
        np.abs(result - image).max() < 0.02
    )  # the membrane over a gradient, after the seam's correction, is the gradient
    if channels < 3:
        assert (fill.fill[..., 0] == fill.fill[..., 2]).all()
    flat = Inpainter(StandIn(amplitude=0)).fill(image[..., 0], mask).compose(image[..., 0])
    assert flat.shape == (90, 100)


@pytest.mark.parametrize("name", MASKS)
def test_colour_is_corrected_at_the_seam(name):
    """The stand-in is 0.1 too dark everywhere; the result is not."""
    image, mask = np.full((180, 240, 3), 0.5, np.float32), as_u8(MASKS[name])
    result = Inpainter(StandIn(amplitude=0), max_side=128).fill(image, mask).compose(image)
    np.testing.assert_allclose(result, image, atol=2e-3)


def test_texture_strength_scales_the_texture_alone():
    image, mask = np.full((96, 96, 3), 0.5, np.float32), disc(96, 96, 48, 48, 15)
    full, half, none = (
        Inpainter(StandIn()).fill(image, mask, FillOptions(texture_strength=share, patches=0)) for share in (1, 0.5, 0)
    )
    hole = full.alpha == 1
    texture = (full.fill - full.coarse)[hole]
    assert 0.04 < np.abs(texture).max() <= 0.0501
    np.testing.assert_allclose((half.fill - half.coarse)[hole], texture / 2, atol=1e-6)
    np.testing.assert_array_equal(none.fill, none.coarse)
    assert np.abs(full.fill - none.fill)[hole].max() > 0.03  # it shows in the final colours, not only in the split


def test_scale_follows_the_depth_of_the_hole():
    network = StandIn(reach=44)
    image = gradient(600, 700)
    small = Inpainter(network).fill(image, disc(600, 700, 300, 300, 30))
    large = Inpainter(network).fill(image, disc(600, 700, 300, 300, 160))
    assert small.scales == [1.0]
    assert large.scales[0] == pytest.approx(40 / 160, rel=0.05)
    for seen, known in network.seen:
        assert max(seen.shape[-2:]) <= 512
        assert known.min() == 0
        assert (seen * (1 - known)).abs().max() == 0


def test_deep_holes_are_refined_up_to_the_pictures_own_scale():
    """Two steps of two here; each sees the picture at its scale, blank in the hole, and the fill from below."""
    network = StandIn(reach=44, finer=True)
    image, hole = gradient(600, 700), disc(600, 700, 300, 300, 158)
    alone = FillOptions(patches=0)
    fill = Inpainter(network, max_side=256).fill(image, hole, alone)
    plain = Inpainter(StandIn(reach=44), max_side=256).fill(image, hole, alone)
    assert fill.scales == plain.scales
    assert len(network.refined) > 5
    for seen, known, structure in network.refined:
        assert max(seen.shape[-2:]) <= 256 + 16
        assert (seen * (1 - known)).abs().max() == 0
        assert structure.shape == seen.shape
    inside = disc(600, 700, 300, 300, 120)[fill.bounds.slices]
    np.testing.assert_allclose(fill.coarse[inside], plain.coarse[inside], atol=0.05)
    sharpness = [np.abs(np.diff(f.fill - f.coarse, axis=1))[inside[:, 1:]].mean() for f in (fill, plain)]
    assert sharpness[0] > 2 * sharpness[1]


def test_no_step_is_taken_where_none_is_needed():
    network = StandIn(finer=True)
    image = gradient(600, 700)
    Inpainter(network).fill(image, disc(600, 700, 300, 300, 30))
    Inpainter(network).fill(image, disc(600, 700, 300, 300, 150), FillOptions(texture_strength=0))
    assert not network.refined


def test_refinement_never_sees_a_hole_and_stops_when_asked():
    image, hole = gradient(300, 300), disc(300, 300, 150, 150, 90)
    noisy = np.where(hole[..., None], np.float32(np.nan), image)
    fills = [Inpainter(StandIn(reach=44, finer=True), max_side=128).fill(x, hole) for x in (image, noisy)]
    np.testing.assert_array_equal(fills[0].fill, fills[1].fill)
    told = []

    def cancel(stage, fraction):
        told.append(fraction)
        if fraction > 0.6:
            raise Cancelled

    with pytest.raises(Cancelled):
        Inpainter(StandIn(reach=44, finer=True), max_side=128).fill(image, hole, progress=cancel)
    assert told == sorted(told)
    assert told[-1] < 0.8


def test_long_thin_holes_keep_their_scale_and_meet_without_a_seam():
    image, mask = gradient(80, 900), np.zeros((80, 900), bool)
    mask[36:44, 10:890] = True
    fill = Inpainter(StandIn(amplitude=0), max_side=256).fill(image, mask)
    assert len(fill.parts) > 3
    assert set(fill.scales) == {1.0}
    result = fill.compose(image)
    assert np.abs(result - image).max() < 0.02
    assert np.abs(np.diff(result[40], axis=0)).max() < 0.01


def test_soft_masks_blend():
    image, mask = np.full((64, 64, 3), 0.5, np.float32), np.zeros((64, 64), np.uint8)
    mask[20:40, 20:40], mask[30:40, 20:40] = 255, 51
    fill = Inpainter(StandIn(error=0, amplitude=0)).fill(image, mask)
    bright = image.copy()
    bright[20:40, 20:40] = 1.0  # the object in the hole
    result = fill.compose(bright)
    np.testing.assert_allclose(result[25, 25], 0.5, atol=2e-3)
    np.testing.assert_allclose(result[35, 25], 0.9, atol=2e-3)  # 51/255 = 0.2 of the fill


def test_transparent_pixels_are_unknown_and_filled_to_opaque():
    image = np.full((96, 96, 4), 0.5, np.float32)
    image[:, 60:] = 0  # transparent black
    image[10, 80] = (np.nan, 0, 0, 0)
    mask = np.zeros((96, 96), bool)
    mask[30:50, 40:70] = True
    fill = Inpainter(StandIn(amplitude=0)).fill(image, mask)
    np.testing.assert_allclose(fill.fill[fill.alpha > 0], 0.5, atol=2e-3)
    result = fill.compose(image)
    assert (result[mask][:, 3] == 1).all()
    np.testing.assert_array_equal(result[~mask], image[~mask])


def test_values_beyond_white_are_kept_outside():
    image = np.full((64, 64, 3), 4.0, np.float32)
    mask = disc(64, 64, 30, 30, 8)
    result = Inpainter(StandIn()).fill(image, mask).compose(image)
    assert (result[~mask] == 4.0).all()
    assert (result[mask] <= 1.0).all()


def test_far_holes_make_no_picture_sized_array():
    image, mask = np.zeros((4000, 4000), np.uint8), np.zeros((4000, 4000), np.uint8)
    mask[5:15, 5:15] = mask[3980:3990, 3980:3990] = 255
    fill = Inpainter(StandIn()).fill(image, mask)
    assert fill.bounds == (5, 5, 3985, 3985)
    assert sum(part.alpha.size for part in fill.parts) == 200
    assert fill.compose(image).shape == image.shape


@pytest.mark.parametrize(("height", "width"), [(1, 9), (2, 2), (7, 15), (16, 3), (17, 33)])
def test_tiny_pictures(height, width):
    image, mask = gradient(height, width), np.zeros((height, width), bool)
    mask[0, 0] = True
    result = Inpainter(StandIn(amplitude=0)).fill(image, mask).compose(image)
    np.testing.assert_array_equal(result[~mask], image[~mask])
    assert np.isfinite(result).all()


def test_huge_hole_with_a_thin_known_frame():
    image, mask = np.full((900, 900, 3), 0.25, np.float32), np.ones((900, 900), bool)
    mask[:2] = mask[-2:] = mask[:, :2] = mask[:, -2:] = False
    result = Inpainter(StandIn(amplitude=0)).fill(image, mask).compose(image)
    np.testing.assert_allclose(result, 0.25, atol=5e-3)


def test_same_input_same_bytes():
    image, mask = gradient(120, 120), as_u8(MASKS["soft"][:120, 60:180])
    one, two = (Inpainter(StandIn()).fill(image, mask) for _ in range(2))
    assert one.fill.tobytes() == two.fill.tobytes()
    apart = Inpainter(StandIn()).fill_apart(image, mask, FillOptions(), lambda stage, part: None)
    assert apart.fill.tobytes() == one.fill.tobytes()


def test_progress_rises_and_can_cancel():
    image, mask = gradient(180, 240), as_u8(MASKS["many"])
    calls = []
    Inpainter(StandIn(), max_side=64).fill(image, mask, progress=lambda stage, part: calls.append((stage, part)))
    fractions = [part for _, part in calls]
    assert fractions == sorted(fractions)
    assert fractions[0] == 0
    assert fractions[-1] == 1
    assert "Filling part 1 of" in calls[1][0]

    def cancel(stage, part):
        if part > 0.3:
            raise Cancelled

    with pytest.raises(Cancelled):
        Inpainter(StandIn(), max_side=64).fill(image, mask, progress=cancel)


def test_looking_for_many_holes_can_be_stopped():
    image, mask = np.zeros((400, 400), np.uint8), np.zeros((400, 400), np.uint8)
    mask[::12, ::12] = 255
    told = []

    def stop(stage, part):
        told.append(stage)
        if len(told) > 1:
            raise Cancelled

    with pytest.raises(Cancelled):
        Inpainter(StandIn()).fill(image, mask, progress=stop)
    assert told == ["Finding the holes"] * 2


def test_a_selection_that_grows_over_all_but_the_corners_is_filled():
    image, mask = np.full((101, 101, 3), 0.5, np.float32), np.zeros((101, 101), bool)
    mask[50, 50] = True
    fill = Inpainter(StandIn(amplitude=0)).fill(image, mask, FillOptions(grow=60))
    assert 0 < (fill.alpha == 0).sum() < 1500
    np.testing.assert_allclose(fill.compose(image), image, atol=5e-3)
    with pytest.raises(PictureError) as caught:
        Inpainter(StandIn()).fill(image, mask, FillOptions(grow=71))
    assert caught.value.code == "full_mask"


def bad_cases():
    image, mask = gradient(40, 50), as_u8(disc(40, 50, 20, 20, 8))
    nan = image.copy()
    nan[2, 2, 0] = np.inf
    transparent = np.zeros((40, 50, 4), np.uint8)
    return {
        "empty": (image, mask * 0, "empty_mask"),
        "full": (image, np.full_like(mask, 255), "full_mask"),
        "sizes": (image, mask[:-1], "bad_mask"),
        "mask with channels": (image, mask[..., None], "bad_mask"),
        "complex mask": (image, mask.astype(complex), "bad_mask"),
        "five channels": (np.zeros((40, 50, 5), np.uint8), mask, "bad_array"),
        "int32": (image.astype(np.int32), mask, "bad_array"),
        "infinity": (nan, mask, "not_finite"),
        "NaN in the mask": (image, np.where(mask > 0, np.float32("nan"), 0), "not_finite"),
        "nothing opaque": (transparent, mask, "full_mask"),
    }


@pytest.mark.parametrize("case", bad_cases())
def test_bad_input_is_one_sentence(case):
    image, mask, code = bad_cases()[case]
    with pytest.raises(PictureError) as caught:
        Inpainter(StandIn()).fill(image, mask)
    assert caught.value.code == code
    assert caught.value.message.endswith(".")
    assert caught.value.action.endswith(".")


@pytest.mark.parametrize(
    "bad",
    [
        {"context": -1},
        {"grow": 1.5},
        {"feather": float("nan")},
        {"texture_strength": 2},
        {"grow": "3"},
        {"variation": 0.5},
        {"variation": -1},
        {"variation": 10_000},
    ],
)
def test_bad_options(bad):
    with pytest.raises(PictureError) as caught:
        FillOptions(**bad)
    assert caught.value.code == "bad_option"


def test_whole_numbers_of_any_type_are_whole_numbers():
    options = FillOptions(context=np.float32(1), grow=3.0, variation=np.int64(2))
    assert options == FillOptions(grow=3, variation=2)
    assert type(options.grow) is type(options.variation) is int


def test_a_network_that_answers_nan_is_reported():
    with pytest.raises(PictureError, match="NaN"):
        Inpainter(StandIn(error=float("nan"))).fill(gradient(40, 50), disc(40, 50, 20, 20, 8))
