"""Krita's colour spaces as the wire sees them: pure functions, no Krita."""

from __future__ import annotations

import re
import struct
from array import array
from typing import Iterator, NamedTuple

from .client import pixels
from .client.geometry import Bounds
from .client.zmtp import Buffer

DTYPES = {"U8": "u1", "U16": "u2", "F16": "f2", "F32": "f4"}
CHANNELS = {"RGBA": 4, "GRAYA": 2, "CMYKA": 5, "LABA": 4, "XYZA": 4, "YCbCrA": 4}
CODES = {"u1": "B", "u2": "H", "f2": "e", "f4": "f"}  # of struct
SRGB = "sRGB-elle-V2-srgbtrc.icc"
NAMES = {"CMYKA": "CMYK", "LABA": "L*a*b*", "XYZA": "XYZ", "YCbCrA": "YCbCr"}
BAND_PIXELS = 1 << 17  # read or written in one go, so that the window stays live


class Space(NamedTuple):
    """A colour space as Krita names it: model, depth, profile."""

    model: str
    depth: str
    profile: str

    @property
    def pixel_bytes(self) -> int:
        """Bytes of one pixel."""
        return CHANNELS[self.model] * pixels.DEPTHS[self.dtype].item_bytes

    @property
    def dtype(self) -> str:
        """The wire's name of the depth."""
        return DTYPES[self.depth]

    @property
    def is_known(self) -> bool:
        """Whether this plug-in can read and write it."""
        return self.model in CHANNELS and self.depth in DTYPES


def working_space(document: Space) -> Space:
    """The space in which a document's pixels are filled.

    RGB and grey keep their own values, whatever the profile: nothing is converted and the layers add up exactly. Other
    models go through sRGB, at 16 bits or more.
    """
    if document.model in ("RGBA", "GRAYA"):
        return document
    return Space("RGBA", "F32" if document.depth.startswith("F") else "U16", SRGB)


def loss(document: Space) -> str:
    """What the colour model loses on the way, one sentence; empty where nothing is lost."""
    if working_space(document) == document:
        return ""
    name = NAMES.get(document.model, document.model)
    parts = " and your choice of black ink" if document.model == "CMYKA" else ""
    return f"The picture is {name}; its fill was made in sRGB and lacks colours outside of that{parts}."


def byte_order(space: Space) -> str:
    """The channels of a pixel in Krita's memory: integer RGB is stored with blue first."""
    if space.model == "GRAYA":
        return "GA"
    return "BGRA" if space.depth.startswith("U") else "RGBA"


def to_wire(data: Buffer, space: Space) -> Buffer:
    """Krita's pixels of a working space in the wire's order."""
    order = byte_order(space)
    return data if order == "GA" else pixels.reorder(data, space.dtype, order, "RGBA")


def from_wire(data: Buffer, space: Space) -> Buffer:
    """The wire's pixels in Krita's order for a working space."""
    order = byte_order(space)
    return data if order == "GA" else pixels.reorder(data, space.dtype, "RGBA", order)


def middle_grey(space: Space) -> bytes:
    """One opaque pixel of a working space with every colour at half its range."""
    full, colours = pixels.DEPTHS[space.dtype], CHANNELS[space.model] - 1
    half = full.full / 2 if space.dtype.startswith("f") else round(full.full / 2)
    return struct.pack("<" + CODES[space.dtype], half) * colours + full.full_bytes


def is_linear(middle: int) -> bool:
    """Whether a space whose `middle_grey` looks like sRGB value `middle` (0 to 255) holds linear light.

    Half of linear light is 188 in sRGB; half of the usual curves is 119 to 146, and of PQ it is beyond white.
    """
    return 167 < middle < 230


def bands(bounds: Bounds) -> list[Bounds]:
    """The rectangle in stripes of at most BAND_PIXELS (one row at least), from the top."""
    rows = max(1, BAND_PIXELS // max(1, bounds.width))
    return [
        Bounds(bounds.x, top, bounds.width, min(rows, bounds.bottom - top))
        for top in range(bounds.y, bounds.bottom, rows)
    ]


def stripes(data: Buffer, bounds: Bounds, space: Space) -> Iterator[tuple[Bounds, memoryview]]:
    """Pixels that cover `bounds`, as the parts that lie in each of its `bands`."""
    view, start = memoryview(data).cast("B"), 0
    for band in bands(bounds):
        end = start + band.area * space.pixel_bytes
        yield band, view[start:end]
        start = end


def over(below: Buffer, fill: Buffer, space: Space, opacity: float = 1.0) -> bytes:
    """`fill` as a normal layer above `below`, pixel by pixel; where it shows nothing, the same bytes as before.

    Straight alpha, in the working space's own values, as Krita shows it. Only soft pixels are worked on one by one.
    """
    result, size = bytearray(below), space.pixel_bytes
    for run in _RUNS.finditer(_covers(fill, space, opacity)):
        part = slice(size * run.start(), size * run.end())
        result[part] = fill[part] if run[0][0] == 2 else _blend(below[part], fill[part], space, opacity)
    return bytes(result)


_RUNS = re.compile(b"\1+|\2+")  # the bytes themselves


def _covers(fill: Buffer, space: Space, opacity: float) -> bytes:
    """A byte for each pixel: 0 where it shows nothing, 2 where nothing is seen through it, 1 between."""
    depth, last = pixels.DEPTHS[space.dtype], CHANNELS[space.model] - 1
    alpha = bytes(pixels.rearrange(fill, space.dtype, last + 1, (last,)))
    whole = 2 if opacity == 1.0 else 1
    if depth.item_bytes == 1:
        return alpha.translate(b"\0" + b"\1" * 254 + bytes([whole]))
    full = int.from_bytes(depth.full_bytes, "little")
    values = struct.unpack(f"<{len(alpha) // depth.item_bytes}{'H' if depth.item_bytes == 2 else 'I'}", alpha)
    return bytes([0 if not value else whole if value == full else 1 for value in values])


def _blend(below: Buffer, fill: Buffer, space: Space, opacity: float) -> bytes:
    full, last = pixels.DEPTHS[space.dtype].full, CHANNELS[space.model] - 1
    step = last + 1
    layout = struct.Struct(f"<{len(below) // space.pixel_bytes * step}{CODES[space.dtype]}")
    low, high = layout.unpack(below), layout.unpack(fill)
    shares = [value * opacity / full for value in high[last::step]]
    covers = [share + (1 - share) * value / full for share, value in zip(shares, low[last::step])]
    weights = [share / cover if cover else 0.0 for share, cover in zip(shares, covers)]
    mixed: list[float] = list(low)
    for channel in range(last):
        colours = zip(low[channel::step], high[channel::step], weights)
        mixed[channel::step] = [old + weight * (new - old) for old, new, weight in colours]
    mixed[last::step] = [cover * full for cover in covers]
    return layout.pack(*(mixed if space.dtype.startswith("f") else map(round, mixed)))


def alpha_of(data: Buffer, space: Space) -> bytes:
    """The alpha channel of U8 pixels of a working space."""
    return bytes(data)[CHANNELS[space.model] - 1 :: CHANNELS[space.model]]


def shown(data: Buffer, space: Space) -> bytes:
    """A byte for each pixel: 255 where its alpha is above 0, else 0."""
    last, size = CHANNELS[space.model] - 1, pixels.DEPTHS[space.dtype].item_bytes
    alpha = bytes(pixels.rearrange(data, space.dtype, last + 1, (last,)))
    any_bit = alpha[::size]
    for place in range(1, size):
        any_bit = either(any_bit, alpha[place::size])
    return any_bit.translate(b"\0" + b"\xff" * 255)


def hide(data: Buffer, space: Space, left_out: Buffer) -> bytearray:
    """Pixels with alpha 0 wherever `left_out`, one byte for each, is not 0."""
    result, keep = bytearray(data), bytes(left_out).translate(b"\xff" + b"\0" * 255)
    for place in range(space.pixel_bytes - pixels.DEPTHS[space.dtype].item_bytes, space.pixel_bytes):
        result[place :: space.pixel_bytes] = both(bytes(result[place :: space.pixel_bytes]), keep)
    return result


def either(first: bytes, second: bytes) -> bytes:
    """The bits of two equally long runs of bytes that are set in one of them."""
    return (int.from_bytes(first, "little") | int.from_bytes(second, "little")).to_bytes(len(first), "little")


def both(first: bytes, second: bytes) -> bytes:
    """The bits of two equally long runs of bytes that are set in both."""
    return (int.from_bytes(first, "little") & int.from_bytes(second, "little")).to_bytes(len(first), "little")


def holes(alpha: Buffer) -> bytes:
    """A mask of everything that is not fully opaque, from 8-bit alpha: 255 to fill, 0 to keep."""
    return bytes(alpha).translate(b"\xff" * 255 + b"\0")


def can_split(space: Space) -> bool:
    """Whether `split` knows the space: whole numbers only."""
    return space.depth.startswith("U")


def merge(coarse: Buffer, texture: Buffer, space: Space) -> bytes:
    """What a coarse and a texture layer of integers show together; alpha is the coarse layer's."""
    base, grain = _values(coarse, space), _values(texture, space)
    depth, step = pixels.DEPTHS[space.dtype], CHANNELS[space.model]
    offset, full = int(depth.grain_merge_offset), int(depth.full)
    for channel in range(step - 1):
        pairs = zip(base[channel::step], grain[channel::step])
        base[channel::step] = array(base.typecode, [min(max(low + high - offset, 0), full) for low, high in pairs])
    return base.tobytes()


def inverts_ink(version: str) -> bool:
    """Whether this Krita blends CMYK as light (from 5.2 on), which moves grain merge's middle by one."""
    numbers = [int(part) for part in version.split("-")[0].split(".")[:2] if part.isdigit()]
    return numbers >= [5, 2]


def split(final: Buffer, coarse: Buffer, space: Space, inverted: bool = False) -> tuple[bytes, bytes]:
    """(coarse, texture) of integers, so that Krita's grain merge of the two shows `final` exactly.

    `inverted`: Krita blends the space's values upside down (`inverts_ink`).
    Alpha: the coarse layer keeps `final`'s; the texture layer is opaque wherever that is above 0 (docs/protocol.md,
    "Putting layers together").
    """
    lower, texture = _values(final, space), _values(coarse, space)
    depth, step = pixels.DEPTHS[space.dtype], CHANNELS[space.model]
    full = int(depth.full)
    offset = full - int(depth.grain_merge_offset) if inverted else int(depth.grain_merge_offset)
    for channel in range(step - 1):
        whole = lower[channel::step]
        grain = [min(max(value - under + offset, 0), full) for value, under in zip(whole, texture[channel::step])]
        texture[channel::step] = array(texture.typecode, grain)
        lower[channel::step] = array(lower.typecode, [value - high + offset for value, high in zip(whole, grain)])
    texture[step - 1 :: step] = array(texture.typecode, [full if value else 0 for value in lower[step - 1 :: step]])
    return lower.tobytes(), texture.tobytes()


def _values(data: Buffer, space: Space) -> array[int]:
    return array("B" if space.depth == "U8" else "H", bytes(data))
