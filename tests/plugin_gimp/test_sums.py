"""Pairs of whole numbers are moved until the sum that is shown is the asked one."""

from __future__ import annotations

import numpy as np
import pytest

FULL = {"u1": 255, "u2": 65535}
NEUTRAL = {"u1": 127, "u2": 32767}


@pytest.fixture
def sums(module):
    return module("sums")


def shown(dtype: str, coarse: bytes, texture: bytes, channels: int) -> bytes:
    """GIMP's grain merge in single floats, rounded as in images with the profile's own curve."""
    low, high = (np.frombuffer(data, f"<{dtype}").reshape(-1, channels) for data in (coarse, texture))
    full = np.float32(FULL[dtype])
    values = low.astype(np.float32) / full + high.astype(np.float32) / full - np.float32(0.5)
    seen = np.clip(np.floor(values * full + np.float32(0.5)), 0, FULL[dtype]).astype(f"<{dtype}")
    seen[:, -1] = low[:, -1]
    return seen.tobytes()


def layers(dtype: str, pixels: int = 4000, channels: int = 4) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What is asked, and coarse and texture for it, opaque."""
    random = np.random.default_rng(5)
    final = random.integers(0, FULL[dtype] + 1, (pixels, channels))
    coarse = np.clip(final + random.integers(-FULL[dtype] // 8, FULL[dtype] // 8, final.shape), 0, FULL[dtype])
    texture = final - coarse + NEUTRAL[dtype]
    for each in (final, coarse, texture):
        each[:, -1] = FULL[dtype]
    return tuple(each.astype(f"<{dtype}") for each in (final, coarse, texture))


@pytest.mark.parametrize("dtype", ["u1", "u2"])
def test_all_is_exact_in_the_end(sums, dtype) -> None:
    final, coarse, texture = layers(dtype)
    pairs = sums.Pairs(dtype, coarse.tobytes(), texture.tobytes(), 4)
    wrong_at_first = pairs.wrong(shown(dtype, pairs.coarse, pairs.texture, 4))
    while pairs.correct(shown(dtype, pairs.coarse, pairs.texture, 4)):
        pass
    assert pairs.left == 0
    seen = np.frombuffer(shown(dtype, pairs.coarse, pairs.texture, 4), f"<{dtype}").reshape(-1, 4)
    np.testing.assert_array_equal(seen, final)
    assert (wrong_at_first > 1000) == (dtype == "u2")
    moved = np.frombuffer(pairs.coarse, f"<{dtype}").reshape(-1, 4).astype(int) - coarse
    assert np.abs(moved).max() <= 34
    assert np.count_nonzero(moved) <= wrong_at_first


@pytest.mark.parametrize("dtype", ["u1", "u2"])
def test_every_wrong_value_is_found_and_no_other(sums, dtype) -> None:
    """One too low and one too high, at 0 and at full scale; alphas and what does not show do not count."""
    final, coarse, texture = layers(dtype, 400)
    final[:2, :3] = coarse[:2, :3] = [[0], [FULL[dtype]]]
    texture[:2, :3] = NEUTRAL[dtype]
    coarse[::3, -1] = 0
    seen = final.copy()
    seen[::2, 0] ^= 1
    seen[::5, 3] = 7
    wrong = (seen != final)[coarse[:, -1] > 0, :3]
    pairs = sums.Pairs(dtype, coarse.tobytes(), texture.tobytes(), 4)
    assert pairs.wrong(final.tobytes()) == 0
    assert pairs.wrong(seen.tobytes()) == np.count_nonzero(wrong) > 100


def test_what_does_not_show_is_left_alone(sums) -> None:
    _, coarse, texture = layers("u2", 10)
    coarse[:, -1] = 0
    pairs = sums.Pairs("u2", coarse.tobytes(), texture.tobytes(), 4)
    assert not pairs.correct(bytes(coarse.nbytes))
    assert pairs.coarse == coarse.tobytes()


def test_what_cannot_be_shown_ends(sums) -> None:
    _, coarse, texture = layers("u2", 10)
    pairs = sums.Pairs("u2", coarse.tobytes(), texture.tobytes(), 4)
    rounds = 0
    while pairs.correct(bytes(coarse.nbytes)):
        rounds += 1
    assert rounds == len(sums.TRIES)
    assert pairs.left > 0
