"""Pictures on disk: PNG, TIFF, JPEG and WebP at their own depth, as `dgfnet.pixels.Picture`.

Profile and resolution are kept, and EXIF but for TIFFs, unless they make no sense. Profiles are carried along, pixels
are never converted.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path, PurePath
from typing import Any, BinaryIO

import numpy as np
from PIL import ExifTags, Image, PngImagePlugin, TiffImagePlugin, UnidentifiedImageError

from dgfnet import deep
from dgfnet.errors import PictureError, is_out_of_memory
from dgfnet.pixels import Picture, check_pixels, from_float, full_scale, split_alpha, to_float, upright

PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY  # profiles and texts of one chunk may be large

READABLE = (".png", ".tif", ".tiff", ".jpg", ".jpeg", ".webp", ".bmp")
WRITABLE = (".png", ".tif", ".tiff", ".jpg", ".jpeg", ".webp")

_JPEG: tuple[str, dict[str, Any]] = ("JPEG", {"quality": 95, "subsampling": 0})
_WEBP = ("WEBP", {"lossless": True, "exact": True})  # `exact` keeps the colours under transparent pixels
_PILLOW_FORMATS = {".png": ("PNG", {}), ".webp": _WEBP, ".jpg": _JPEG, ".jpeg": _JPEG}
_LONGEST_SIDE = {".jpg": 65_500, ".jpeg": 65_500, ".webp": 16_383}
_LONGEST_JPEG_EXIF = 65_533
_RESOLUTION = (TiffImagePlugin.X_RESOLUTION, TiffImagePlugin.Y_RESOLUTION)
_LOSSY_NOISE = 16 / 255
"""So far values of a lossy mask ring about black and white beside its edges."""
_COLOUR_SPACE = slice(16, 20)
"""Bytes of a profile that name what its pixels are."""
_MOST_DPI = 65_535
"""What a JPEG can hold; a file that says more is mistaken."""


# --- reading ----------------------------------------------------------------------------------------------------------


def is_picture(path: PurePath) -> bool:
    """Whether a path within a folder or an archive names a picture.

    Hidden ones are left out, as macOS puts beside pictures (`._NAME.png`), and those in hidden folders, as thumbnails
    and waste bins are.
    """
    hidden = any(part.startswith(".") and part != ".." for part in path.parts)
    return path.suffix.lower() in READABLE and not hidden


def read(path: str | os.PathLike[str]) -> Picture:
    """Read a picture file upright and at its own depth.

    Palette pictures become RGB or RGBA, one-bit pictures grey. Of several pages the first is read, and colour and alpha
    are all that is read of it.

    Raises:
        PictureError: the file is absent, no picture, damaged, too large, or in a colour model other than grey or RGB.
    """
    return decode(_bytes_of(path), os.fspath(path))


def _bytes_of(path: str | os.PathLike[str]) -> bytes:
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        raise PictureError("bad_array", f"There is no file {path}.", "Check the name.") from None
    except OSError as fault:
        raise PictureError("bad_array", f"{path} cannot be read ({fault.strerror}).", "Choose another file.") from fault


def decode(data: bytes, name: str) -> Picture:
    """As `read`, of a file's bytes; `name` is what errors call it."""
    try:
        if data[:2] in (b"II", b"MM") and (tiff := deep.read_tiff(data)):
            return _picture(*tiff)
        return _read_with_pillow(data)
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

    Colours count by their mean; alpha multiplies, so a drawing on a transparent ground is a mask too. Of a JPEG or a
    lossy WebP, which ring beside their edges, nearly black counts as black and nearly white as white: there, a share of
    what is to go would stay.
    """
    data = _bytes_of(path)
    colour, alpha = split_alpha(decode(data, os.fspath(path)).pixels)
    rings = _is_lossy(data)
    if alpha is None and colour.shape[2] == 1 and not rings:
        return colour[..., 0]
    mask = to_float(colour).mean(axis=2)
    if rings:
        mask = np.clip((mask - _LOSSY_NOISE) / (1 - 2 * _LOSSY_NOISE), 0, 1)
    return mask if alpha is None else mask * to_float(alpha)


def _is_lossy(data: bytes) -> bool:
    """Whether a file is a JPEG or a WebP whose pixels are packed as its lossy kind, VP8."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        start = 12
        while start + 8 <= len(data):
            kind, length = data[start : start + 4], int.from_bytes(data[start + 4 : start + 8], "little")
            if kind in (b"VP8 ", b"VP8L"):
                return kind == b"VP8 "
            start += 8 + length + length % 2
    return data[:2] == b"\xff\xd8"


def _picture(pixels: np.ndarray, info: Mapping[Any, Any], exif: bytes | None = None) -> Picture:
    return Picture(np.ascontiguousarray(pixels), info.get("icc_profile"), _dpi(info), exif)


def _read_with_pillow(data: bytes) -> Picture:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what is odd in a file that can be read
        with Image.open(BytesIO(data)) as image:
            if isinstance(image, TiffImagePlugin.TiffImageFile):
                image.load()  # which turns it upright, by the orientation that getexif() would take away
                if not all(tag in image.tag_v2 for tag in _RESOLUTION):
                    image.info.pop("dpi", None)  # Pillow says one where the file says nothing
                return _picture(_pillow_pixels(image), image.info)
            exif = image.getexif()
            orientation = exif.pop(ExifTags.Base.Orientation, 1)
            bits = data[24] if image.format == "PNG" else 8  # per channel
            pixels = deep.read_png(data) if bits == 16 else _pillow_pixels(image)  # Pillow would cut colours to eight
            if pixels.ndim == 2 and "transparency" in image.info:
                transparent = image.info["transparency"] * (255 // (2**bits - 1) if bits in (2, 4) else 1)
                alpha = np.where(pixels == transparent, 0, full_scale(pixels.dtype)).astype(pixels.dtype)
                pixels = np.stack([pixels, alpha], axis=-1)
            return _picture(upright(pixels, orientation), image.info, _exif_block(exif))


def _pillow_pixels(image: Image.Image) -> np.ndarray:
    """Eight-bit pictures of every format; the transparent value of a grey one is left to the caller."""
    image.load()
    if image.mode == "1":
        image = image.convert("L")
    elif image.mode == "PA" or ("transparency" in image.info and image.mode != "L"):
        image = image.convert("RGBA")
    elif image.mode in ("P", "YCbCr"):
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
    """Write a picture at its own depth; the file, or what a link of its name leads to, appears complete or not at all.

    JPEG is the only lossy ending (quality 95); every other keeps each pixel. A JPEG cannot hold a large EXIF block: it
    is left out, and a WebP, which has no grey, no profile of grey.

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
                deep.write_tiff(file, picture)
            elif suffix == ".png" and picture.pixels.dtype == np.uint16:
                deep.write_png(file, picture)
            else:
                _write_with_pillow(file, picture, suffix)
    except OSError as fault:
        reason = fault.strerror or str(fault)
        raise PictureError("bad_option", f"{path} cannot be written ({reason}).", "Choose another place.") from fault
    except ValueError as fault:  # of the encoders
        raise PictureError("bad_option", f"{path} cannot be written ({fault}).", "Use the ending .tiff.") from fault


@contextlib.contextmanager
def _appearing(path: Path) -> Iterator[BinaryIO]:
    """A file that takes its name only once it is complete; links are followed, as by every other program."""
    path = path.resolve()
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
    pixels, icc, exif = picture.pixels, picture.icc, picture.exif
    if kind == "JPEG" and len(exif or b"") > _LONGEST_JPEG_EXIF:
        exif = None
    colour, alpha = split_alpha(pixels)
    if kind == "WEBP" and colour.shape[2] == 1:  # WebP knows no grey
        pixels = np.stack([colour[..., 0]] * 3 + ([] if alpha is None else [alpha]), axis=-1)
        if icc and icc[_COLOUR_SPACE] == b"GRAY":  # it does not fit a file of colours
            icc = None
    known = {"icc_profile": icc, "exif": exif, "dpi": picture.dpi}
    extra: dict[str, Any] = settings | {key: value for key, value in known.items() if value is not None}
    Image.fromarray(pixels).save(file, kind, **extra)
