"""Bytes and colour spaces: the plug-in's pure functions, imported without Krita."""

from __future__ import annotations

import importlib
import struct
import sys
import types

import numpy as np
import pytest

from plugin_krita import installation


@pytest.fixture(scope="module")
def colour(tmp_path_factory):
    folder = tmp_path_factory.mktemp("krita")
    installation.install(folder)
    package = types.ModuleType("dgfnet_pure")  # in place of the plug-in's own start, which needs Krita
    package.__path__ = [str(folder / "pykrita" / "dgfnet_inpaint")]
    sys.modules["dgfnet_pure"] = package
    yield importlib.import_module("dgfnet_pure.colour")
    for name in [name for name in sys.modules if name.startswith("dgfnet_pure")]:
        del sys.modules[name]


@pytest.mark.parametrize(("model", "depth"), [("CMYKA", "U8"), ("LABA", "U16"), ("RGBA", "U8")])
def test_split_adds_up_and_keeps_alpha(colour, model, depth):
    space = colour.Space(model, depth, "")
    dtype, offset = (np.uint8, 127) if depth == "U8" else (np.uint16, 32767)
    full, channels = np.iinfo(dtype).max, colour.CHANNELS[model]
    rng = np.random.default_rng(0)
    final = rng.integers(0, full, (500, channels), dtype, endpoint=True)
    coarse = rng.integers(0, full, (500, channels), dtype, endpoint=True)
    final[:50, -1] = 0
    lower, texture = (
        np.frombuffer(part, dtype).reshape(500, channels)
        for part in colour.split(final.tobytes(), coarse.tobytes(), space)
    )
    total = lower.astype(int) + texture - offset
    np.testing.assert_array_equal(total[:, :-1], final[:, :-1])
    np.testing.assert_array_equal(lower[:, -1], final[:, -1])
    np.testing.assert_array_equal(texture[:, -1], np.where(final[:, -1] > 0, full, 0))
    merged = colour.merge(lower.tobytes(), texture.tobytes(), space)
    np.testing.assert_array_equal(np.frombuffer(merged, dtype).reshape(500, channels), final)


def test_rgb_and_grey_keep_their_own_space(colour):
    for space in (("RGBA", "F16", "any"), ("GRAYA", "U8", "any")):
        assert colour.working_space(colour.Space(*space)) == space
        assert colour.loss(colour.Space(*space)) == ""
    assert colour.working_space(colour.Space("CMYKA", "U8", "ink")) == ("RGBA", "U16", colour.SRGB)
    assert colour.working_space(colour.Space("LABA", "F32", "")) == ("RGBA", "F32", colour.SRGB)
    assert "black ink" in colour.loss(colour.Space("CMYKA", "U8", "ink"))


def test_blue_comes_first_in_integer_rgb_only(colour):
    assert bytes(colour.to_wire(b"\1\2\3\4", colour.Space("RGBA", "U8", ""))) == b"\3\2\1\4"
    assert bytes(colour.from_wire(b"\3\2\1\4", colour.Space("RGBA", "U8", ""))) == b"\1\2\3\4"
    floats = struct.pack("<4f", 1, 2, 3, 4)
    assert bytes(colour.to_wire(floats, colour.Space("RGBA", "F32", ""))) == floats
    assert bytes(colour.to_wire(b"\1\2", colour.Space("GRAYA", "U8", ""))) == b"\1\2"


def test_bands_cover_a_rectangle_once(colour):
    bounds = colour.Bounds(-5, 7, 3000, 1234)
    bands = colour.bands(bounds)
    assert sum(band.area for band in bands) == bounds.area
    assert max(band.area for band in bands) <= colour.BAND_PIXELS
    assert (bands[0].y, bands[-1].bottom) == (bounds.y, bounds.bottom)
    assert colour.bands(colour.Bounds(0, 0, colour.BAND_PIXELS * 2, 2))[0].height == 1


def test_holes(colour):
    assert colour.holes(bytes([0, 1, 254, 255])) == b"\xff\xff\xff\0"


@pytest.mark.parametrize(("model", "depth", "code"), [("RGBA", "U16", "H"), ("GRAYA", "U8", "B"), ("RGBA", "F32", "f")])
def test_shown_and_hidden_pixels(colour, model, depth, code):
    space, channels = colour.Space(model, depth, ""), colour.CHANNELS[model]
    alpha = [0, 1, 0.25, 0] if code == "f" else [0, 1, 255, 0]
    values = [value for share in alpha for value in [1] * (channels - 1) + [share]]
    data = struct.pack(f"<{len(values)}{code}", *values)
    assert colour.shown(data, space) == b"\0\xff\xff\0"
    hidden = bytes(colour.hide(data, space, b"\0\7\0\0"))
    assert colour.shown(hidden, space) == b"\0\0\xff\0"
    assert struct.unpack(f"<{len(values)}{code}", hidden)[: 2 * channels - 1] == tuple(values[: 2 * channels - 1])


@pytest.mark.parametrize("opacity", [1.0, 0.5])
@pytest.mark.parametrize(
    ("depth", "dtype", "full"),
    [("U8", np.uint8, 255), ("U16", np.uint16, 65535), ("F16", np.float16, 1.0), ("F32", np.float32, 1.0)],
)
@pytest.mark.parametrize("model", ["RGBA", "GRAYA"])
def test_a_fill_over_its_source(colour, model, depth, dtype, full, opacity):
    space, channels = colour.Space(model, depth, ""), colour.CHANNELS[model]
    rng = np.random.default_rng(1)
    below, fill = (rng.uniform(0, full, (400, channels)).astype(dtype) for _ in range(2))
    fill[:100, -1], fill[100:200, -1] = 0, full
    below[50:150, -1], below[250:300, -1], below[300:, -1] = 0, 0, full
    raw = colour.over(below.tobytes(), fill.tobytes(), space, opacity)
    result = np.frombuffer(raw, dtype).reshape(400, channels)
    np.testing.assert_array_equal(result[:100], below[:100])
    if opacity == 1:
        np.testing.assert_array_equal(result[100:200], fill[100:200])
    low, high = below.astype(np.float64) / full, fill.astype(np.float64) / full
    share = high[:, -1:] * opacity
    covered = share + low[:, -1:] * (1 - share)
    weight = np.divide(share, covered, out=np.zeros_like(share), where=covered > 0)
    wanted = np.hstack([low[:, :-1] + weight * (high - low)[:, :-1], covered]) * full
    shown = covered[:, 0] > 0
    step = {"F16": 5e-4, "F32": 1e-6}.get(depth, 0.5 + 1e-6)
    assert np.abs(result.astype(np.float64) - wanted)[shown].max() <= step


@pytest.mark.parametrize(
    ("depth", "pixel"), [("U8", b"\x80" * 3 + b"\xff"), ("F32", struct.pack("<4f", 0.5, 0.5, 0.5, 1))]
)
def test_middle_grey(colour, depth, pixel):
    assert colour.middle_grey(colour.Space("RGBA", depth, "")) == pixel
    assert colour.is_linear(188)
    assert not colour.is_linear(128)
    assert not colour.is_linear(255)  # PQ
