"""From a hole in a document to layers in it: what is asked of the server, and what is kept of the run."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import assembly
import blend
import document
import gi
import precision
import service
from client.errors import InpaintError
from client.events import Result
from client.geometry import Bounds, request_bounds
from client.requests import InpaintRequest, TextureRequest
from client.wire import Array
from document import Hole
from precision import Encoding
from settings import PARASITE, BadRecord, Record, Settings

gi.require_version("Gimp", "3.0")
from gi.repository import Gimp  # noqa: E402

NAME = "Inpaint (DGFNet)"
TEXTURE_NAME = "Texture map (DGFNet)"
PERSISTENT, UNDOABLE = 1, 2  # flags of a parasite
"""GIMP writes "gimp_image_undo_group_end: assertion ..." to the terminal whenever an undoable one is redone. That is
GIMP's own slip, and harmless; without the flag the record would not go and come with its layer."""


class Wish(NamedTuple):
    """A run as it was asked for: settings, the channel to leave out, and what the server should run with."""

    settings: Settings
    exclude: Gimp.Channel | None = None
    weights: str = ""
    device: str = ""


def inpaint(image: Gimp.Image, layer: Gimp.Layer, wish: Wish, say: service.Say, hole: Hole | None = None) -> Gimp.Layer:
    """Fill the hole of a layer; the new layer, group or copy above it. Raises `InpaintError`, nothing changed then."""
    settings, watch = wish.settings, _Watch()
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
    )
    watch.lap("read")
    result = service.run(request, who(), say, wish.weights, wish.device)
    watch.lap("server")
    say("Making the layers", 1.0)
    with assembly.one_undo_step(image):
        if settings.output == "copy":
            made = assembly.copy(image, layer, result.layers[0], crop, encoding, hole)
        elif len(result.layers) > 1:
            made = assembly.group(image, NAME, result.layers, crop, encoding, layer)
        else:
            made = assembly.single(image, result.layers[0], crop, encoding, layer)
        watch.lap("layers")
        tattoos = layer.get_tattoo(), _tattoo(wish.exclude)
        record = Record(settings, *tattoos, hole.kind, dict(result.report), watch.began, watch.seconds)
        made.attach_parasite(Gimp.Parasite.new(PARASITE, PERSISTENT | UNDOABLE, record.to_json()))
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
        return assembly.group(image, TEXTURE_NAME, result.layers, part, encoding, layer)


def rerun(image: Gimp.Image, layer: Gimp.Layer, say: service.Say) -> Gimp.Layer:
    """Repeat the run that made `layer` (or its group), on the layer that it was made from. Raises `InpaintError`.

    The selection is the mask as ever; without one, the result's own shape is, and it neither grows nor softens again.
    """
    record, result = _recorded(layer)
    source = image.get_layer_by_tattoo(record.source) if record.source else None
    if source is None:
        raise InpaintError(
            "bad_record",
            "The layer that this result was made from is not in this image any more.",
            "Select the layer to fill and use Inpaint (DGFNet) instead.",
        )
    settings, hole = record.settings, None
    if document.selection_bounds(image) is None and settings.output != "copy":
        settings = Settings(**{**vars(settings), "grow": 0, "feather": 0.0})
        area, encoding = document.bounds_of(result), precision.alpha_encoding(int(image.get_precision()))
        hole = document.hole_of("shape of the result", area, document.read(result, area, encoding), encoding)
    exclude = image.get_channel_by_tattoo(record.exclude) if record.exclude else None
    return inpaint(image, source, Wish(settings, exclude), say, hole)


def who() -> str:
    """What the server is told about this client."""
    return f"gimp {Gimp.version()}"


def _recorded(layer: Gimp.Layer) -> tuple[Record, Gimp.Layer]:
    """What is kept with a result, and the result; one of its layers will do."""
    for item in (layer, layer.get_parent()):
        parasite = item.get_parasite(PARASITE) if item else None
        if parasite:
            try:
                return Record.from_json(bytes(parasite.get_data())), item
            except BadRecord as error:
                raise InpaintError(
                    "bad_record", str(error), "Select the source layer and use Inpaint (DGFNet)."
                ) from None
    raise InpaintError(
        "bad_record", "The selected layer was not made by Inpaint (DGFNet).", "Select a result, then try again."
    )


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
