"""From a hole in a document to layers in it: what is sent, what is made of the answer. One undo step, or nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import blend
import document
import gi
import precision
import service
from client.errors import InpaintError
from client.events import Layer, Result
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
        mask=_array("mask", document.read_hole(image, hole, crop), crop, _mask_encoding(image)),
        output="group" if settings.output == "group" and not refusal else "layer",
        context=float(settings.context),
        grow=int(settings.grow),
        feather=float(settings.feather),
        texture_strength=float(settings.texture_strength),
    )
    watch.lap("read")
    result = service.run(request, who(), say, wish.weights, wish.device)
    watch.lap("server")
    with _one_undo_step(image, layer):
        if settings.output == "copy":
            made = _copy(image, layer, result.layers[0], crop, encoding, hole)
        elif len(result.layers) > 1:
            made = _group(image, NAME, result, crop, encoding.with_alpha(), layer)
        else:
            made = _insert(image, _layer(image, result.layers[0], crop, encoding.with_alpha()), layer)
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
    result = service.run(TextureRequest(array, lambda_=lambda_, sigma=sigma), who(), say)
    with _one_undo_step(image, layer):
        return _group(image, TEXTURE_NAME, result, part, encoding.with_alpha(), layer)


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
    try:
        own = document.encoding_of(source)
        sent = own.with_alpha() if wish.exclude else own
        pixels = document.read(source, crop, sent)
    finally:
        if source is not layer:
            source.delete()
    if wish.exclude:
        excluded = document.channel_mask(wish.exclude, crop)
        pixels = blend.hide(pixels, sent.dtype, sent.channels, excluded)
    return _array("image", pixels, crop, sent), document.encoding_of(layer)


def _array(name: str, data: bytes, bounds: Bounds, encoding: Encoding) -> Array:
    shape = (bounds.height, bounds.width) + ((encoding.channels,) if encoding.channels > 1 else ())
    return Array(name, encoding.dtype, shape, data)


def _mask_encoding(image: Gimp.Image) -> Encoding:
    return precision.mask_encoding(int(image.get_precision()))


def _layer(image: Gimp.Image, answer: Layer, crop: Bounds, encoding: Encoding) -> Gimp.Layer:
    bounds = answer.bounds.from_relative(crop)
    layer = document.new_layer(image, answer.name, bounds, encoding, bytes(answer.pixels))
    if answer.blend == "grain_merge":
        layer.set_mode(Gimp.LayerMode.GRAIN_MERGE)
    layer.set_opacity(answer.opacity * 100)
    document.blend_as_sent(layer, image)
    return layer


def _insert(image: Gimp.Image, made: Gimp.Layer, source: Gimp.Layer) -> Gimp.Layer:
    """Put a layer right above the source, in its group."""
    image.insert_layer(made, source.get_parent(), image.get_item_position(source))
    return made


def _group(
    image: Gimp.Image, name: str, result: Result, crop: Bounds, encoding: Encoding, source: Gimp.Layer
) -> Gimp.Layer:
    """The answer's layers in a group of their own, the first at the bottom."""
    group = _insert(image, Gimp.GroupLayer.new(image, name), source)
    document.blend_as_sent(group, image)
    for answer in result.layers:
        image.insert_layer(_layer(image, answer, crop, encoding), group, 0)
    return group


def _copy(
    image: Gimp.Image, source: Gimp.Layer, answer: Layer, crop: Bounds, encoding: Encoding, hole: Hole
) -> Gimp.Layer:
    """A copy of the source with the fill in it, in the source's place; only selected pixels are written."""
    lies = document.bounds_of(source)
    copy = _plain_copy(image, source)
    if hole.kind == document.LAYER_MASK:
        copy.remove_mask(Gimp.MaskApplyMode.DISCARD)
    where = answer.bounds.from_relative(crop)
    part = where.intersection(lies)
    fill_encoding = encoding.with_alpha()
    fill_pixel = fill_encoding.channels * blend.ITEM_BYTES[encoding.dtype]
    fill = document.cut(bytes(answer.pixels), fill_pixel, where, part)
    colours, own_pixel = fill_encoding.channels - 1, encoding.channels * blend.ITEM_BYTES[encoding.dtype]
    pixels = blend.over(document.read(source, part, encoding), fill, encoding.dtype, colours, encoding.has_alpha)
    for span in blend.spans(blend.painted(fill, encoding.dtype, fill_encoding.channels), part.width):
        run = Bounds(part.x + span.start, part.y + span.row, span.end - span.start, 1)
        start = span.row * part.width + span.start
        document.write(copy, run, encoding, pixels[start * own_pixel : (start + run.width) * own_pixel], lies)
    copy.set_name(f"{source.get_name()} {NAME}")
    source.set_visible(False)
    return _insert(image, copy, source)


def _plain_copy(image: Gimp.Image, source: Gimp.Layer) -> Gimp.Layer:
    """A layer like the source; groups and text layers become pixels."""
    if not (source.is_group() or source.is_text_layer()):
        return source.copy()
    bounds = document.bounds_of(source)
    own = document.encoding_of(source).with_alpha()
    plain = document.new_layer(image, source.get_name(), bounds, own, document.read(source, bounds, own))
    plain.set_opacity(source.get_opacity())
    return plain


@contextmanager
def _one_undo_step(image: Gimp.Image, layer: Gimp.Layer) -> Iterator[None]:
    """What happens inside is undone in one go, and `layer` stays the selected one: Ctrl+F then fills it again."""
    image.undo_group_start()
    try:
        yield
        image.set_selected_layers([layer])
    finally:
        image.undo_group_end()


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
        self.began, self.seconds = time.time(), {}
        self._last = time.monotonic()

    def lap(self, stage: str) -> None:
        """The stage that has just ended."""
        now = time.monotonic()
        self.seconds[stage], self._last = round(now - self._last, 3), now


def _tattoo(item: Gimp.Item | None) -> int:
    return item.get_tattoo() if item else 0
