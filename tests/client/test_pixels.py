"""Pixels: known values in, known values out, for every depth."""

from __future__ import annotations

import numpy as np
import pytest

from server.client import pixels
from server.client.geometry import Bounds

DTYPES = {"u1": "<u1", "u2": "<u2", "f2": "<f2", "f4": "<f4"}


@pytest.mark.parametrize("dtype", DTYPES)
def test_bgra_and_rgba(dtype: str) -> None:
    bgra = np.array([[1, 2, 3, 4], [5, 6, 7, 8]], DTYPES[dtype])
    rgba = pixels.reorder(bgra.tobytes(), dtype, "BGRA", "RGBA")
    assert np.frombuffer(rgba, DTYPES[dtype]).tolist() == [3, 2, 1, 4, 7, 6, 5, 8]
    assert pixels.reorder(rgba, dtype, "RGBA", "BGRA") == bgra.tobytes()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("channels", [1, 3])
def test_alpha_is_full_when_added_and_gone_when_stripped(dtype: str, channels: int) -> None:
    plain = np.arange(6, dtype=DTYPES[dtype]).reshape(-1, channels)
    added = pixels.rearrange(plain.tobytes(), dtype, channels, (*range(channels), pixels.OPAQUE))
    values = np.frombuffer(added, DTYPES[dtype]).reshape(-1, channels + 1)
    assert (values[:, -1] == pixels.DEPTHS[dtype].full).all()
    assert pixels.rearrange(added, dtype, channels + 1, range(channels)) == plain.tobytes()


def test_grey_becomes_rgba() -> None:
    assert pixels.rearrange(b"\x01\x02\x03\x04", "u1", 2, (0, 0, 0, 1)) == bytes([1, 1, 1, 2, 3, 3, 3, 4])
    assert pixels.rearrange(memoryview(b""), "u2", 4, (2, 1, 0, 3)) == b""


def test_half_a_pixel_is_refused() -> None:
    with pytest.raises(ValueError, match="whole pixels"):
        pixels.rearrange(bytes(5), "u2", 3, (0, 1, 2))


def test_crop_takes_the_rows_of_the_part() -> None:
    picture = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)
    part = pixels.crop(picture.tobytes(), 3, Bounds(10, 20, 5, 4), Bounds(11, 22, 3, 2))
    assert part == picture[2:4, 1:4].tobytes()
    with pytest.raises(ValueError, match="not inside"):
        pixels.crop(picture.tobytes(), 3, Bounds(10, 20, 5, 4), Bounds(9, 20, 2, 2))
    with pytest.raises(ValueError, match="20 pixels"):
        pixels.crop(bytes(7), 3, Bounds(0, 0, 5, 4), Bounds(0, 0, 1, 1))


def test_grain_merge_offsets_are_those_proven_in_the_editors() -> None:
    assert {name: depth.grain_merge_offset for name, depth in pixels.DEPTHS.items()} == {
        "u1": 127,
        "u2": 32767,
        "f2": 0.5,
        "f4": 0.5,
    }


def test_mask_bounds() -> None:
    mask = np.zeros((6, 8), np.uint8)
    bounds = Bounds(-3, 100, 8, 6)
    assert pixels.mask_bounds(mask.tobytes(), bounds).is_empty
    assert pixels.is_blank(mask.tobytes())
    mask[2, 5] = 1
    mask[4, 1] = 255
    assert pixels.mask_bounds(memoryview(mask.tobytes()), bounds) == Bounds(-2, 102, 5, 3)
    mask[3] = 0
    mask[0, 0] = mask[5, 7] = 9
    assert pixels.mask_bounds(mask.tobytes(), bounds) == bounds
    with pytest.raises(ValueError, match="does not cover"):
        pixels.mask_bounds(bytes(5), bounds)
