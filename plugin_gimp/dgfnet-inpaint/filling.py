"""From a hole in a document to layers in it: what is asked of the server, and what is kept of the run."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import assembly
import blend
import document
import gi
import precision
import records
import service
from client.errors import InpaintError
from client.events import Result
from client.geometry import Bounds, request_bounds
from client.requests import InpaintRequest, TextureRequest
from client.wire import Array
from document import Hole
from precision import Encoding
from settings import Record, Settings

gi.require_version("Gimp", "3.0")
from gi.repository import Gimp  # noqa: E402

NAME = "Inpaint (DGFNet)"
TEXTURE_NAME = "Texture map (DGFNet)"


class Wish(NamedTuple):
    """A run as it was asked for: settings, the channel to leave out, and what the server should run with."""

    settings: Settings
    exclude: Gimp.Channel | None = None
    weights: str = ""
    device: str = ""


def inpaint(image: Gimp.Image, layer: Gimp.Layer, wish: Wish, say: service.Say, hole: Hole | None = None) -> Gimp.Layer:
    """Fill the hole of a layer; the new layer, group or copy above it. Raises `InpaintError`, nothing changed then."""
    settings, watch = wish.settings, _Watch()
    if (settings.output, settings.sample) == ("copy", "visible"):
        raise InpaintError(
            "bad_option",
            "A copy of one layer cannot hold what is made from the visible picture.",
            'Choose another output, or "This layer" to sample from.',
        )
    hole = hole or document.find_hole(image, layer)
    say("Reading the picture", 0.0)
    picture = document.canvas(image) if settings.sample == "visible" else document.bounds_of(layer)
    crop = request_bounds(hole.bounds.pad(settings.grow), picture, settings.context)
    if hole.bounds.intersection(picture).is_empty or crop.is_empty:
        raise InpaintError(
            "empty_mask", f"The {hole.kind} does not touch the layer.", "Select a region of this layer, then try again."
        )
    refusal = ""
    if settings.output == "group":
        refusal = precision.group_refusal(int(image.get_precision()), _is_indexed(image))
    array, encoding = _picture(image, layer, crop, wish)
    request = InpaintRequest(
        image=array,
        space=encoding.space,
        mask=_array("mask", document.read_hole(image, hole, crop), crop, _mask_encoding(image)),
        output="group" if settings.output == "group" and not refusal else "layer",
        context=float(settings.context),
        grow=int(settings.grow),
        feather=float(settings.feather),
        texture_strength=float(settings.texture_strength),
        patches=float(settings.patches),
        variation=int(settings.variation),
    )
    watch.lap("read")
    result = service.run(request, who(), say, wish.weights, wish.device)
    watch.lap("server")
    say("Making the layers", 1.0)
    with assembly.one_undo_step(image):
        place = assembly.TOP if settings.sample == "visible" else assembly.above(image, layer)
        if settings.output == "copy":
            made = assembly.copy(image, layer, result.layers[0], crop, encoding, hole)
        elif len(result.layers) > 1:
            made = assembly.group(image, NAME, result.layers, crop, encoding, place)
        else:
            made = assembly.single(image, result.layers[0], crop, encoding, place)
        watch.lap("layers")
        tattoos = layer.get_tattoo(), _tattoo(wish.exclude)
        record = Record(settings, *tattoos, hole.kind, dict(result.report), watch.began, watch.seconds)
        records.keep(made, record)
    for note in _notes(image, refusal, result):
        Gimp.message(note)
    return made


def texture_map(image: Gimp.Image, layer: Gimp.Layer, lambda_: float, sigma: float, say: service.Say) -> Gimp.Layer:
    """Split a layer, or its selected rectangle, into structure and texture: a group above it. Raises `InpaintError`."""
    refusal = precision.group_refusal(int(image.get_precision()), _is_indexed(image))
    if refusal:
        raise InpaintError(
            "bad_precision",
            "In indexed and 8-bit linear images structure and texture do not add up exactly.",
            "Choose another mode in Image > Mode or a higher precision in Image > Precision.",
        )
    picture = document.bounds_of(layer)
    part = (document.selection_bounds(image) or picture).intersection(picture)
    if part.is_empty:
        raise InpaintError("empty_mask", "The selection does not touch the layer.", "Select a part of this layer.")
    say("Reading the picture", 0.0)
    array, encoding = _picture(image, layer, part, Wish(Settings()))
    result = service.run(TextureRequest(array, encoding.space, lambda_=lambda_, sigma=sigma), who(), say)
    say("Making the layers", 1.0)
    with assembly.one_undo_step(image):
        return assembly.group(image, TEXTURE_NAME, result.layers, part, encoding, assembly.above(image, layer))


def who() -> str:
    """What the server is told about this client."""
    return f"gimp {Gimp.version()}"


def _picture(image: Gimp.Image, layer: Gimp.Layer, crop: Bounds, wish: Wish) -> tuple[Array, Encoding]:
    """The pixels to send, and how those of `layer` travel; what is left out is sent as transparent."""
    source = document.visible(image) if wish.settings.sample == "visible" else layer
    to_be_mixed = wish.settings.output == "copy"
    try:
        own = document.encoding_of(source, to_be_mixed)
        sent = own.with_alpha() if wish.exclude else own
        pixels = document.read(source, crop, sent)
    finally:
        if source is not layer:
            source.delete()
    if wish.exclude:
        excluded = document.channel_mask(wish.exclude, crop)
        pixels = blend.hide(pixels, sent.dtype, sent.channels, excluded)
    return _array("image", pixels, crop, sent), document.encoding_of(layer, to_be_mixed)


def _array(name: str, data: bytes, bounds: Bounds, encoding: Encoding) -> Array:
    shape = (bounds.height, bounds.width) + ((encoding.channels,) if encoding.channels > 1 else ())
    return Array(name, encoding.dtype, shape, data)


def _mask_encoding(image: Gimp.Image) -> Encoding:
    return precision.mask_encoding(int(image.get_precision()))


def _notes(image: Gimp.Image, refusal: str, result: Result) -> list[str]:
    notes = [refusal] if refusal else []
    if _is_indexed(image) and not refusal:
        notes.append(
            "This image is indexed, so the fill was reduced to its palette; for better colours, choose "
            "Image > Mode > RGB first."
        )
    report: dict[str, Any] = dict(result.report)
    return notes + [str(note) for note in report.get("notes", [])]


def _is_indexed(image: Gimp.Image) -> bool:
    return image.get_base_type() == Gimp.ImageBaseType.INDEXED


class _Watch:
    """Seconds per stage."""

    def __init__(self) -> None:
        self.began = time.time()
        self.seconds: dict[str, float] = {}
        self._last = time.monotonic()

    def lap(self, stage: str) -> None:
        """The stage that has just ended."""
        now = time.monotonic()
        self.seconds[stage], self._last = round(now - self._last, 3), now


def _tattoo(item: Gimp.Item | None) -> int:
    return item.get_tattoo() if item else 0
