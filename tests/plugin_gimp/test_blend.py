"""Masks and blending on bytes, against numpy and the engine's own composition."""

from __future__ import annotations

import numpy as np
import pytest

from dgfnet.filling.composition import blend as engine_blend
from dgfnet.pixels import from_float, to_float

DTYPES = {"u1": np.uint8, "u2": np.uint16, "f4": np.float32}


@pytest.fixture
def blend(module):
    return module("blend")


def random(dtype: str, *shape: int, seed: int = 3) -> np.ndarray:
    return from_float(np.random.default_rng(seed).random(shape, np.float32), DTYPES[dtype])


@pytest.mark.parametrize("dtype", ["u1", "u2"])
def test_an_inverted_mask_adds_up_to_full(blend, dtype) -> None:
    mask = random(dtype, 7, 5)
    turned = np.frombuffer(blend.inverted(mask.tobytes()), mask.dtype).reshape(mask.shape)
    assert (mask.astype(int) + turned == np.iinfo(mask.dtype).max).all()


def test_nonzero_sees_both_bytes(blend) -> None:
    assert blend.nonzero(np.array([0, 1, 256, 65535], "<u2").tobytes(), 2) == b"\0\xff\xff\xff"
    assert blend.nonzero(b"\0\1\xff", 1) == b"\0\xff\xff"
    assert blend.nonzero(b"\0\0\0\0\0\7\0\0\0", 3) == b"\0\xff\0"


@pytest.mark.parametrize("dtype", ["u1", "u2"])
def test_a_whole_mask_has_no_shares(blend, dtype) -> None:
    mask = np.array([0, 1, 128, 255, 0], DTYPES[dtype]) * (np.iinfo(DTYPES[dtype]).max // 255)
    made = np.frombuffer(blend.whole(mask.tobytes(), mask.itemsize), mask.dtype)
    assert np.array_equal(made, np.where(mask, np.iinfo(mask.dtype).max, 0))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("channels", [2, 4])
def test_hidden_pixels_become_transparent_and_no_others(blend, dtype, channels) -> None:
    pixels = random(dtype, 3, 4, channels)
    excluded = np.array([[0, 127, 128, 255]] * 3, np.uint8)
    hidden = np.frombuffer(blend.hide(pixels.tobytes(), dtype, channels, excluded.tobytes()), pixels.dtype)
    expected = pixels.copy()
    expected[:, 2:, -1] = 0
    assert np.array_equal(hidden.reshape(pixels.shape), expected)


def test_changed_pixels_are_found_by_any_of_their_bytes(blend) -> None:
    assert blend.changed(b"abcdefgh", b"abcdxfgy", 2) == b"\0\0\xff\xff"
    assert blend.changed(b"", b"", 4) == b""


def test_how_much_of_a_shape_another_one_covers(blend) -> None:
    shape, cover = b"\xff\xff\xff\xff\0\0", b"\xff\0\xff\xff\xff\xff"
    assert blend.covered(shape, cover) == 0.75
    assert blend.covered(cover, shape) == 0.6
    assert blend.covered(bytes(6), cover) == 1


def test_spans_are_the_runs_of_each_row(blend) -> None:
    mask = np.array([[0, 9, 9, 0, 1], [0, 0, 0, 0, 0], [5, 5, 5, 5, 5]], np.uint8)
    assert [tuple(span) for span in blend.spans(mask.tobytes(), 5)] == [(0, 1, 3), (0, 4, 5), (2, 0, 5)]
    assert list(blend.spans(b"", 0)) == []


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("colours", [1, 3])
@pytest.mark.parametrize("has_alpha", [False, True])
def test_over_is_the_engines_own_blend(blend, dtype, colours, has_alpha) -> None:
    below = random(dtype, 9, 8, colours + has_alpha, seed=1)
    if has_alpha:
        below[0, :, -1] = 0
    fill = random(dtype, 9, 8, colours + 1, seed=2)
    fill[:3, :, -1], fill[3:6, :, -1] = 0, np.iinfo(fill.dtype).max if dtype != "f4" else 1
    fill[0, 4:, -1] = fill[6, 4:, -1]
    made = np.frombuffer(blend.over(below.tobytes(), fill.tobytes(), dtype, colours, has_alpha), below.dtype)
    made = made.reshape(below.shape)
    new = to_float(fill[..., :-1])
    expected = engine_blend(below, np.repeat(new, 3, axis=2) if colours == 1 else new, to_float(fill[..., -1]))
    step = 1 if dtype != "f4" else 1e-5
    assert np.abs(made.astype(float) - expected.astype(float)).max() <= step
    untouched = fill[..., -1] == 0
    assert np.array_equal(made[untouched], below[untouched])


@pytest.mark.parametrize("dtype", DTYPES)
def test_painted_is_where_alpha_is(blend, dtype) -> None:
    pixels = random(dtype, 2, 3, 2)
    pixels[0, 1, 1] = 0
    assert blend.painted(pixels.tobytes(), dtype, 2) == b"\xff\0\xff\xff\xff\xff"
