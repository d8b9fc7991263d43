"""Pictures on disk and in memory: PNG, TIFF, JPEG and WebP at their own depth.

Profile and resolution are kept, and EXIF but for TIFFs, unless they make no sense.

Pixels are arrays [H, W] (grey) or [H, W, 2 | 3 | 4] (grey + alpha, RGB, RGBA; alpha straight) of uint8, uint16, float16
or float32; integers span 0 to 255 or 65535, floats 0 to 1. Profiles are carried along, pixels are never converted.
"""

from __future__ import annotations

import contextlib
import os
import struct
import tempfile
import warnings
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from dgfnet.errors import PictureError, is_out_of_memory

READABLE = (".png", ".tif", ".tiff", ".jpg", ".jpeg", ".webp", ".bmp")
WRITABLE = (".png", ".tif", ".tiff", ".jpg", ".jpeg", ".webp")
DEPTHS = ("uint8", "uint16", "float16", "float32")

_JPEG: tuple[str, dict[str, Any]] = ("JPEG", {"quality": 95, "subsampling": 0})
_WEBP = ("WEBP", {"lossless": True, "exact": True})  # `exact` keeps the colours under transparent pixels
_PILLOW_FORMATS = {".png": ("PNG", {}), ".webp": _WEBP, ".jpg": _JPEG, ".jpeg": _JPEG}
_PNG_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}  # channels -> the header's colour type
_LONGEST_SIDE = {".jpg": 65_500, ".jpeg": 65_500, ".webp": 16_383}
_LONGEST_JPEG_EXIF = 65_533
_JPEG_NOISE = 16 / 255
"""Values of a JPEG mask up to this are ringing beside its edges, not hole."""
_METRE_PER_INCH = 0.0254
_MOST_DPI = 65_535
"""What a JPEG can hold; a file that says more is mistaken."""


@dataclass(frozen=True)
class Picture:
    """Pixels, upright, and what a file says about them: ICC profile, dots per inch, EXIF block (orientation 1)."""

    pixels: np.ndarray
    icc: bytes | None = None
    dpi: tuple[float, float] | None = None
    exif: bytes | None = None


# --- depth ------------------------------------------------------------------------------------------------------------


def full_scale(dtype: np.dtype | type) -> float:
    """The value that means 1.0: 255, 65535, or 1 for floats."""
    dtype = np.dtype(dtype)
    return float(np.iinfo(dtype).max) if dtype.kind == "u" else 1.0


def to_float(pixels: np.ndarray) -> np.ndarray:
    """Pixels of any supported depth as float32, full scale 1."""
    if pixels.dtype == np.bool_:
        return pixels.astype(np.float32)
    return pixels.astype(np.float32) / np.float32(full_scale(pixels.dtype))


def from_float(values: np.ndarray, dtype: np.dtype | type) -> np.ndarray:
    """Float values, full scale 1, at a depth: integers rounded and cut to their range, floats as they are."""
    if np.dtype(dtype).kind != "u":
        return values.astype(dtype)
    scale = full_scale(dtype)
    return np.rint(np.clip(values, 0, 1) * np.float64(scale)).astype(dtype)


def split_alpha(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Colour [H, W, 1 | 3] and alpha [H, W] or None; views, no copies."""
    if pixels.ndim == 2:
        return pixels[..., None], None
    channels = pixels.shape[2]
    if channels in (2, 4):
        return pixels[..., : channels - 1], pixels[..., channels - 1]
    return pixels, None


def check_pixels(pixels: np.ndarray) -> None:
    """Raise PictureError `bad_array` unless the array is a picture as this module's head describes it."""
    shape = pixels.shape
    if pixels.ndim not in (2, 3) or (pixels.ndim == 3 and shape[2] not in (1, 2, 3, 4)) or 0 in shape:
        raise PictureError(
            "bad_array",
            f"An array of shape {tuple(shape)} is not a picture.",
            "Send rows x columns, or rows x columns x 1 to 4 channels.",
        )
    if pixels.dtype.name not in DEPTHS:
        raise PictureError(
            "bad_array", f"Pixels of type {pixels.dtype} are not supported.", f"Convert them to {', '.join(DEPTHS)}."
        )


# --- reading ----------------------------------------------------------------------------------------------------------


def read(path: str | os.PathLike[str]) -> Picture:
    """Read a picture file upright and at its own depth.

    Palette pictures become RGB or RGBA, one-bit pictures grey. Of several pages the first is read, and colour and alpha
    are all that is read of it.

    Raises:
        PictureError: the file is absent, no picture, damaged, too large, or in a colour model other than grey or RGB.
    """
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        raise PictureError("bad_array", f"There is no file {path}.", "Check the name.") from None
    except OSError as fault:
        raise PictureError("bad_array", f"{path} cannot be read ({fault.strerror}).", "Choose another file.") from fault
    return decode(data, os.fspath(path))


def decode(data: bytes, name: str) -> Picture:
    """As `read`, of a file's bytes; `name` is what errors call it."""
    try:
        picture = _read_deep_tiff(data) if data[:2] in (b"II", b"MM") else None
        return picture or _read_with_pillow(data)
    except Image.DecompressionBombError:
        raise PictureError(
            "too_large", f"{name} has too many pixels.", "Cut it into parts below 170 megapixels."
        ) from None
    except UnidentifiedImageError:
        raise PictureError(
            "bad_array", f"{name} is not a picture that can be read.", f"Use one of {' '.join(READABLE)}."
        ) from None
    except PictureError as fault:
        raise PictureError(fault.code, f"{name}: {fault.message}", fault.action) from None
    except Exception as fault:  # decoders raise anything at damaged files
        if is_out_of_memory(fault):
            raise
        raise PictureError("bad_array", f"{name} cannot be read ({fault}).", "Save the file anew.") from fault


def read_mask(path: str | os.PathLike[str]) -> np.ndarray:
    """Read a mask [H, W]: white is the hole, black is kept, grey is a soft edge.

    Colours count by their mean; alpha multiplies, so a drawing on a transparent ground is a mask too. Of a JPEG, which
    rings beside its edges, nearly black counts as black.
    """
    colour, alpha = split_alpha(read(path).pixels)
    rings = Path(path).suffix.lower() in (".jpg", ".jpeg")
    if alpha is None and colour.shape[2] == 1 and not rings:
        return colour[..., 0]
    mask = to_float(colour).mean(axis=2)
    if rings:
        mask[mask <= _JPEG_NOISE] = 0
    return mask if alpha is None else mask * to_float(alpha)


def _read_with_pillow(data: bytes) -> Picture:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        with Image.open(BytesIO(data)) as image:
            if image.format == "TIFF":
                image.load()  # which turns it upright, by the orientation that getexif() would take away
            exif = image.getexif()
            orientation = exif.pop(ExifTags.Base.Orientation, 1)
            if image.format == "PNG" and data[24] == 16:  # bits per channel; Pillow would cut colours to eight
                pixels = _upright(_decode_with_opencv(data, grey_alpha=data[25] == 4), orientation)
            else:
                pixels = _upright(_pillow_pixels(image), orientation)
            exif_block = _exif_block(exif) if image.format != "TIFF" else None
            return Picture(np.ascontiguousarray(pixels), image.info.get("icc_profile"), _dpi(image.info), exif_block)


def _pillow_pixels(image: Image.Image) -> np.ndarray:
    """Eight-bit pictures of every format, and Pillow's own deep grey modes."""
    image.load()
    if image.mode in ("P", "PA") or "transparency" in image.info:
        image = image.convert("RGBA" if image.mode == "PA" or "transparency" in image.info else "RGB")
    elif image.mode == "1":
        image = image.convert("L")
    elif image.mode == "YCbCr":
        image = image.convert("RGB")
    if image.mode in ("L", "LA", "RGB", "RGBA"):
        return np.asarray(image)
    raise PictureError("bad_array", f"The colour mode {image.mode} is not supported.", "Convert it to RGB or grey.")


def to_rgb(picture: Picture) -> np.ndarray:
    """A picture's colours as uint8 [H, W, 3], whatever its depth; transparency is left out, grey repeated."""
    colour, _ = split_alpha(picture.pixels)
    if colour.dtype != np.uint8:
        colour = from_float(np.nan_to_num(to_float(colour)), np.uint8)
    return np.ascontiguousarray(np.broadcast_to(colour, (*colour.shape[:2], 3)))


def _read_deep_tiff(data: bytes) -> Picture | None:
    """A TIFF of 16-bit integers or floats; None for any other, which Pillow reads."""
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
        try:
            pixels = page.asarray()
            if pixels.ndim == 3 and page.planarconfig == tifffile.PLANARCONFIG.SEPARATE:
                pixels = np.moveaxis(pixels, 0, -1)
        except ValueError:  # a compression that needs tifffile's optional codecs
            pixels = _decode_with_opencv(data, grey_alpha=False)
        tags = {tag.name: tag.value for tag in page.tags}
        extra = [tifffile.EXTRASAMPLE(sample).name for sample in page.extrasamples]
    if extra:
        pixels = _with_straight_alpha(pixels, extra[0])
    if pixels.dtype == np.float64:
        pixels = pixels.astype(np.float32)
    pixels = pixels.astype(pixels.dtype.newbyteorder("="))
    check_pixels(pixels)
    info = {}
    if "XResolution" in tags and "YResolution" in tags and tags.get("ResolutionUnit", 2) in (2, 3):
        per_inch = 2.54 if tags.get("ResolutionUnit") == 3 else 1.0
        with contextlib.suppress(ZeroDivisionError):
            info["dpi"] = tuple(per_inch * a / b for a, b in (tags["XResolution"], tags["YResolution"]))
    pixels = np.ascontiguousarray(_upright(pixels, tags.get("Orientation", 1)))
    return Picture(pixels, tags.get("InterColorProfile"), _dpi(info))


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


def _decode_with_opencv(data: bytes, grey_alpha: bool) -> np.ndarray:
    import cv2

    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise ValueError("damaged or in an unknown encoding")
    if pixels.ndim == 2:
        return pixels
    if grey_alpha:
        return pixels[..., [0, -1]]
    return pixels[..., [2, 1, 0, 3][: pixels.shape[2]]]


def _upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Apply EXIF orientation 1 to 8."""
    if orientation in (5, 6, 7, 8):
        pixels = np.swapaxes(pixels, 0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels


def _dpi(info: Mapping[Any, Any]) -> tuple[float, float] | None:
    with contextlib.suppress(KeyError, TypeError, ValueError, ZeroDivisionError):
        x, y = (float(value) for value in info["dpi"])
        if 0 < x <= _MOST_DPI and 0 < y <= _MOST_DPI:
            return x, y
    return None


def _exif_block(exif: Image.Exif) -> bytes | None:
    """None where there is nothing, or an entry that cannot be written back."""
    try:
        return exif.tobytes() if len(exif) else None
    except MemoryError:
        raise
    except Exception:  # of whatever kind the odd entry leads to
        return None


# --- writing ----------------------------------------------------------------------------------------------------------


def check_writable(path: str | os.PathLike[str], pixels: np.ndarray) -> None:
    """Raise PictureError unless a file of this name can hold these pixels without loss of depth or transparency."""
    check_pixels(pixels)
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in WRITABLE:
        raise PictureError("bad_option", f"{path} has no known picture ending.", f"Use one of {' '.join(WRITABLE)}.")
    if suffix not in (".tif", ".tiff") and pixels.dtype.kind == "f":
        raise PictureError("bad_option", f"{path} cannot hold float pixels.", "Use the ending .tiff.")
    if suffix in (".jpg", ".jpeg", ".webp") and pixels.dtype != np.uint8:
        raise PictureError("bad_option", f"{path} cannot hold 16-bit pixels.", "Use the ending .png or .tiff.")
    if suffix in (".jpg", ".jpeg") and split_alpha(pixels)[1] is not None:
        raise PictureError("bad_option", f"{path} cannot hold transparency.", "Use the ending .png, .webp or .tiff.")
    longest = _LONGEST_SIDE.get(suffix)
    if longest and max(pixels.shape[:2]) > longest:
        raise PictureError(
            "bad_option", f"{path} cannot hold a side of more than {longest} pixels.", "Use the ending .png or .tiff."
        )


def write(path: str | os.PathLike[str], picture: Picture) -> None:
    """Write a picture at its own depth; the file appears complete or not at all.

    JPEG is the only lossy ending (quality 95); every other keeps each pixel. A JPEG cannot hold a large EXIF block: it
    is left out.

    Raises:
        PictureError: the ending cannot hold the pixels, or the folder cannot be written.
    """
    path = Path(path)
    check_writable(path, picture.pixels)
    pixels = picture.pixels[..., 0] if picture.pixels.shape[2:] == (1,) else picture.pixels
    picture = Picture(np.ascontiguousarray(pixels), picture.icc, picture.dpi, picture.exif)
    suffix = path.suffix.lower()
    try:
        with _appearing(path) as file:
            if suffix in (".tif", ".tiff"):
                _write_tiff(file, picture)
            elif suffix == ".png" and picture.pixels.dtype == np.uint16:
                _write_deep_png(file, picture)
            else:
                _write_with_pillow(file, picture, suffix)
    except OSError as fault:
        reason = fault.strerror or str(fault)
        raise PictureError("bad_option", f"{path} cannot be written ({reason}).", "Choose another place.") from fault
    except ValueError as fault:  # of the encoders
        raise PictureError("bad_option", f"{path} cannot be written ({fault}).", "Use the ending .tiff.") from fault


@contextlib.contextmanager
def _appearing(path: Path) -> Iterator[BinaryIO]:
    """A file that takes its name only once it is complete."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem[:40]}-", suffix=".part")
    os.close(handle)
    try:
        with open(name, "w+b") as file:
            yield file
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(name, 0o666 & ~umask)  # mkstemp makes private files
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise


def _write_with_pillow(file: BinaryIO, picture: Picture, suffix: str) -> None:
    kind, settings = _PILLOW_FORMATS[suffix]
    exif = None if kind == "JPEG" and len(picture.exif or b"") > _LONGEST_JPEG_EXIF else picture.exif
    known = {"icc_profile": picture.icc, "exif": exif, "dpi": picture.dpi}
    extra: dict[str, Any] = settings | {key: value for key, value in known.items() if value is not None}
    pixels = picture.pixels
    if kind == "WEBP" and split_alpha(pixels)[0].shape[2] == 1:  # WebP knows no grey
        colour, alpha = split_alpha(pixels)
        planes = [colour[..., 0]] * 3 + ([] if alpha is None else [alpha])
        pixels = np.stack(planes, axis=-1)
    Image.fromarray(pixels).save(file, kind, **extra)


def _write_tiff(file: BinaryIO, picture: Picture) -> None:
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


def _write_deep_png(file: BinaryIO, picture: Picture) -> None:
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
