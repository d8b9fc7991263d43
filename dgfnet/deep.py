"""Pictures that Pillow cannot read or write in full: TIFFs of 16-bit integers and floats, PNGs of 16 bit."""

from __future__ import annotations

import contextlib
import logging
import struct
import zlib
from io import BytesIO
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from dgfnet.errors import PictureError
from dgfnet.pixels import Picture, check_pixels, from_float, split_alpha, to_float, upright

if TYPE_CHECKING:
    import tifffile

logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # what it cannot read it raises; the rest is not for users

_PNG_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}  # channels -> the header's colour type
_PNG_GREY_ALPHA = 4
_PIXEL_CHUNKS = (b"IHDR", b"tRNS", b"IDAT", b"IEND")
_METRE_PER_INCH = 0.0254


# --- TIFF -------------------------------------------------------------------------------------------------------------


def read_tiff(data: bytes) -> tuple[np.ndarray, dict[str, Any]] | None:
    """Pixels of a TIFF of 16-bit integers or floats, upright, and what else it says; None for any other TIFF.

    Returns:
        pixels; `icc_profile` and `dpi`, where they are given, as Pillow's `info` holds them.
    """
    import tifffile

    with tifffile.TiffFile(BytesIO(data)) as file:
        page = file.pages.first
        if page.dtype is None or page.dtype.kind not in "uf" or page.dtype.itemsize == 1:
            return None
        kind = tifffile.PHOTOMETRIC(page.photometric).name
        if kind not in ("MINISBLACK", "RGB"):
            raise PictureError(
                "bad_array", f"A deep TIFF of kind {kind} is not supported.", "Convert it to RGB or grey."
            )
        tags = {tag.name: tag.value for tag in page.tags}
        try:
            pixels = page.asarray()
        except ValueError as fault:
            if "imagecodecs" not in str(fault):  # the package of optional codecs
                raise
            pixels = _tiff_by_opencv(data, page)  # which turns it upright itself
        else:
            if pixels.ndim == 3 and page.planarconfig == tifffile.PLANARCONFIG.SEPARATE:
                pixels = np.moveaxis(pixels, 0, -1)
            pixels = upright(pixels, tags.get("Orientation", 1))
        extra = [tifffile.EXTRASAMPLE(sample).name for sample in page.extrasamples]
    if extra:
        pixels = _with_straight_alpha(pixels, extra[0])
    if pixels.dtype == np.float64:
        pixels = pixels.astype(np.float32)
    pixels = pixels.astype(pixels.dtype.newbyteorder("="))
    check_pixels(pixels)
    info = {"icc_profile": tags.get("InterColorProfile")}
    if "XResolution" in tags and "YResolution" in tags and tags.get("ResolutionUnit", 2) in (2, 3):
        per_inch = 2.54 if tags.get("ResolutionUnit") == 3 else 1.0
        with contextlib.suppress(ZeroDivisionError):
            info["dpi"] = tuple(per_inch * a / b for a, b in (tags["XResolution"], tags["YResolution"]))
    return pixels, info


def _tiff_by_opencv(data: bytes, page: tifffile.TiffPage) -> np.ndarray:
    """Pixels of a TIFF, upright. What is refused here OpenCV reads wrongly, or not at all."""
    one_plane = page.planarconfig == 1 or page.samplesperpixel == 1
    if not one_plane or page.samplesperpixel not in (1, 3, 4) or page.dtype == np.float16:
        packed = getattr(page.compression, "name", page.compression)
        raise PictureError(
            "bad_array", f"Its compression ({packed}) is not supported for this layout.", "Save it without compression."
        )
    return _by_opencv(data)


def _with_straight_alpha(pixels: np.ndarray, extra: str) -> np.ndarray:
    """Pixels [H, W, C] of a TIFF by what its first channel beyond colour is; other than alpha is dropped."""
    colours = 1 if pixels.shape[2] < 4 else 3
    if extra not in ("ASSOCALPHA", "UNASSALPHA"):
        return pixels[..., :colours] if colours == 3 else pixels[..., 0]
    pixels = pixels[..., : colours + 1]
    if extra == "ASSOCALPHA":
        values = to_float(pixels)
        alpha = values[..., -1:]
        values[..., :-1] /= np.where(alpha > 0, alpha, 1)
        pixels = from_float(values, pixels.dtype)
    return pixels


def write_tiff(file: BinaryIO, picture: Picture) -> None:
    """A TIFF of any depth, 8 bit too."""
    import tifffile

    colour, alpha = split_alpha(picture.pixels)
    tifffile.imwrite(
        file,
        picture.pixels,
        photometric="rgb" if colour.shape[2] == 3 else "minisblack",
        planarconfig="contig" if picture.pixels.ndim == 3 else None,
        extrasamples=["unassalpha"] if alpha is not None else None,
        compression="zlib",
        iccprofile=picture.icc,
        resolution=picture.dpi,
        resolutionunit="INCH" if picture.dpi else "NONE",
        metadata=None,
    )


# --- PNG --------------------------------------------------------------------------------------------------------------


def read_png(data: bytes) -> np.ndarray:
    """Pixels of a PNG of 16 bit per channel as they are stored; a transparent colour (but not grey) becomes alpha."""
    pixels = _by_opencv(_without_metadata(data))
    return pixels[..., [0, -1]] if data[25] == _PNG_GREY_ALPHA else pixels


def _without_metadata(data: bytes) -> bytes:
    """A PNG's pixels alone: of the rest, profiles above all, libpng complains on stderr."""
    kept, start, kind = [data[:8]], 8, b""
    while kind != b"IEND" and start + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, start)
        if kind in _PIXEL_CHUNKS:
            kept.append(data[start : start + 12 + length])
        start += 12 + length
    return b"".join(kept)


def write_png(file: BinaryIO, picture: Picture) -> None:
    """PNG with 16 bits per channel, which Pillow cannot write in colour (PNG specification, sections 5, 9 and 11)."""
    pixels = picture.pixels
    height, width = pixels.shape[:2]
    channels = pixels.shape[2] if pixels.ndim == 3 else 1

    def chunk(kind: bytes, body: bytes) -> None:
        file.write(struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)))

    file.write(b"\x89PNG\r\n\x1a\n")
    chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, _PNG_COLOUR_TYPES[channels], 0, 0, 0))
    if picture.icc:
        chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(picture.icc))
    if picture.dpi:
        chunk(b"pHYs", struct.pack(">IIB", *(round(dpi / _METRE_PER_INCH) for dpi in picture.dpi), 1))
    if picture.exif:
        chunk(b"eXIf", picture.exif.removeprefix(b"Exif\0\0"))
    compressor = zlib.compressobj(6)
    above = np.zeros(width * channels * 2, np.uint8)
    for row in pixels.reshape(height, -1):
        current = row.astype(">u2").view(np.uint8)
        body = compressor.compress(b"\x02" + (current - above).tobytes())  # filter 2: difference to the row above
        above = current
        if body:
            chunk(b"IDAT", body)
    chunk(b"IDAT", compressor.flush())
    chunk(b"IEND", b"")


# --- both -------------------------------------------------------------------------------------------------------------


def _by_opencv(data: bytes) -> np.ndarray:
    """Grey [H, W], RGB or RGBA; it says nothing on stderr, between the sentences for the user."""
    import cv2

    level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    finally:
        cv2.utils.logging.setLogLevel(level)
    if pixels is None:
        raise ValueError("damaged or in an unknown encoding")
    return pixels if pixels.ndim == 2 else pixels[..., [2, 1, 0, 3][: pixels.shape[2]]]
