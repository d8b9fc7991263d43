"""Texture maps of pictures of any size: sums, tiles, transparency."""

import numpy as np
import pytest
import torch

from dgfnet import maps
from dgfnet.errors import Cancelled, PictureError
from dgfnet.maps import encoded_maps, texture_maps
from dgfnet.network.rtv import rtv

data = pytest.importorskip("skimage.data")


def photograph(height=300, width=420):
    return data.astronaut()[:height, :width]


def test_tiles_meet_without_a_seam(monkeypatch):
    """Tiles of 128 pixels against the whole picture at once: below 1/255 everywhere."""
    photo = photograph()
    whole = rtv(torch.from_numpy(photo.transpose(2, 0, 1)[None].astype(np.float32) / 255))[0].numpy().transpose(1, 2, 0)
    monkeypatch.setattr(maps, "TILE", 128)
    structure, texture = texture_maps(photo)
    assert np.abs(structure - whole).max() < 1 / 255
    assert np.abs(texture).mean() > 0.005


def test_tiles_of_the_strongest_smoothing_meet_too(monkeypatch):
    """GIMP's slider ends at 0.2. Steps at the borders of tiles, beyond those of one tile over all."""
    photo = data.coffee()[100:164, :400]
    monkeypatch.setattr(maps, "TILE", 128)
    tiled = texture_maps(photo, 0.2)[0]
    monkeypatch.setattr(maps, "TILE", 1000)
    steps = np.diff(tiled - texture_maps(photo, 0.2)[0], axis=1)[:, 127::128]
    assert np.abs(steps).max() < 2 / 255
    with pytest.raises(PictureError, match=r"0\.2"):
        texture_maps(photo, 0.21)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float16, np.float32])
def test_the_sum_is_the_picture(dtype, channels):
    photo = np.dstack([photograph(60, 70), np.full((60, 70), 255, np.uint8)])
    photo = photo[..., {1: [0], 2: [0, 3], 3: [0, 1, 2], 4: [0, 1, 2, 3]}[channels]]
    scale = 1 if np.dtype(dtype).kind == "f" else np.iinfo(dtype).max
    photo = (photo / 255 * scale).astype(dtype)
    structure, texture = texture_maps(photo)
    colours = photo[..., : 1 if channels < 3 else 3]
    assert structure.dtype == texture.dtype == np.float32
    np.testing.assert_allclose(structure + texture, colours.astype(np.float32) / scale, atol=1e-6)
    smooth, rest, offset = encoded_maps(photo, structure)
    assert smooth.dtype == rest.dtype == dtype
    total = smooth.astype(np.float32) + rest.astype(np.float32) - np.float32(offset)  # as editors compute it
    np.testing.assert_allclose(total, colours.squeeze(), atol=1.2e-7 if dtype == np.float32 else 0)


def test_transparent_pixels_do_not_matter():
    photo = np.dstack([photograph(80, 80), np.full((80, 80), 255, np.uint8)]).astype(np.float32) / 255
    photo[:, 50:, 3] = 0
    other = photo.copy()
    other[:, 50:, :3] = 0
    ours, theirs = texture_maps(photo), texture_maps(other)
    np.testing.assert_array_equal(ours[0][:, :50], theirs[0][:, :50])
    assert (theirs[1][:, 50:] == 0).all()


def test_bad_input_and_cancel():
    with pytest.raises(PictureError, match="NaN"):
        texture_maps(np.full((8, 8), np.nan, np.float32))
    with pytest.raises(PictureError, match="lambda"):
        texture_maps(photograph(8, 8), lam=0)
    with pytest.raises(PictureError, match="sigma"):
        texture_maps(photograph(8, 8), sigma=100)

    def stop(stage, fraction):
        raise Cancelled

    with pytest.raises(Cancelled):
        texture_maps(photograph(8, 8), progress=stop)
