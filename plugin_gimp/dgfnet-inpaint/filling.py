"""From a hole in a document to layers in it: what is asked of the server, and what is kept of the run."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import NamedTuple

import assembly
import document
import gi
import groupsum
import notes
import precision
import reading
import records
import service
from before import Before, still_there
from client.errors import InpaintError
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


class Again(NamedTuple):
    """A hole that was filled before.

    `shape` is the result that gave its shape to it, if any did; that is filled as it is, neither grown nor softened
    again. A copy that is filled again counts as made from `source` as before; if its fill `is_plain`, blended into
    nothing but the source, so is the new one.
    """

    hole: Hole
    shape: Gimp.Layer | None = None
    source: Gimp.Layer | None = None
    is_plain: bool = True


def inpaint(
    image: Gimp.Image, layer: Gimp.Layer, wish: Wish, say: service.Say, again: Again | None = None
) -> Gimp.Layer:
    """Fill the hole of a layer; the new layer, group or copy above it. Raises `InpaintError`, nothing changed then."""
    settings, watch = wish.settings, _Watch()
    still_there(image, layer)
    selected, layer = _selected(image), records.original(image, layer)
    _refuse(image, layer, wish)
    is_copy = settings.output == "copy"
    again = again or Again(document.find_hole(image, layer, reading.looker(image, layer, is_copy)))
    hole, source = again.hole, again.source or layer
    asked = replace(settings, grow=0, feather=0.0) if again.shape else settings
    say("Reading the picture", 0.0)
    picture = document.canvas(image) if settings.sample == "visible" else document.bounds_of(layer)
    crop = request_bounds(hole.bounds.pad(asked.grow), picture, asked.context)
    if hole.bounds.intersection(picture).is_empty or crop.is_empty:
        read = "picture" if settings.sample == "visible" else "layer"
        raise InpaintError(
            "empty_mask",
            f"Nothing of what is to be filled ({hole.kind}) lies in the {read}.",
            f"Select a region of the {read}, then try again.",
        )
    refusal = ""
    if settings.output == "group":
        refusal = precision.group_refusal(int(image.get_precision()), document.is_indexed(image))
    if settings.sample == "visible":
        looked_at = reading.of_picture(image, crop, wish.exclude)
    else:
        looked_at = reading.of_layer(image, layer, crop, wish.exclude, for_copy=is_copy)
    mask = _array("mask", document.read_hole(image, hole, crop), crop, _mask_encoding(image))
    request = _request(looked_at, crop, mask, asked, as_group=settings.output == "group" and not refusal)
    digest = document.digest_of(image, hole, layer) if is_copy else ""
    watch.lap("read")
    before, copies = Before(image, layer, crop), records.seen_copies(image, layer)
    result = service.run(request, who(), say, wish.weights, wish.device)
    watch.lap("server")
    before.look_again()
    summed = groupsum.exact(image, result.layers, before.encoding, say) if len(result.layers) > 1 else None
    say("Making the layers", 1.0)
    copy, copied = None, layer
    if is_copy:
        drops_mask = hole.kind == document.LAYER_MASK and not again.source  # an earlier copy's mask is another
        latest = _latest(image, layer, copies, digest)
        while copy is None or copied.get_id() != latest.get_id():  # making one takes long: another may come meanwhile
            if copy:
                copy.made.delete()
            copied = latest
            below = source if again.is_plain and copied.get_id() == layer.get_id() else None
            copy = assembly.copy(image, copied, result.layers[0], crop, drops_mask, below)
            before.look_again()
            latest = _latest(image, layer, copies, digest)
    differences = before.differences()
    still_there(image, copied)
    with assembly.one_undo_step(image):
        place = assembly.TOP if settings.sample == "visible" else assembly.above(image, layer)
        if copy:
            made = assembly.insert_copy(image, copied, copy)
        elif summed:
            made = assembly.group(image, NAME, summed.layers, crop, before.encoding, place, summed.space)
        else:
            made = assembly.single(image, result.layers[0], crop, before.encoding, place)
        hidden = assembly.hide_same_hole(image, source, made, again.shape)
        watch.lap("layers")
        is_left_out = wish.exclude and wish.exclude.is_valid()
        exclude = records.identify_channel(image, wish.exclude) if is_left_out else ""
        known = digest if copy and copy.is_plain else ""
        report, seconds = dict(result.report), watch.seconds
        kept = Record(settings, records.identify(source), exclude, hole.kind, known, report, watch.began, seconds)
        records.keep(made, kept)
    records.remember(image, layer, wish.exclude if exclude else None)
    replaced = [[item.get_id()] for item in (copied, *hidden)]
    if copy and _selected(image) in (selected, *replaced):  # the artist has not gone on to another layer
        image.set_selected_layers([made])  # it has taken the layer's place: the next fill builds on it
    for note in (*differences, *notes.of_fill(image, layer, settings, refusal, copy, result)):
        Gimp.message(note)
    return made


def texture_map(image: Gimp.Image, layer: Gimp.Layer, lambda_: float, sigma: float, say: service.Say) -> Gimp.Layer:
    """Split a layer, or its selected rectangle, into structure and texture: a group above it. Raises `InpaintError`."""
    still_there(image, layer)
    refusal = precision.group_refusal(int(image.get_precision()), document.is_indexed(image))
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
    looked_at = reading.of_map(image, layer, part)
    request = TextureRequest(_image(looked_at, part), looked_at.encoding.space, lambda_=lambda_, sigma=sigma)
    before = Before(image, layer, part)
    result = service.run(request, who(), say)
    before.look_again()
    summed = groupsum.exact(image, result.layers, before.encoding, say)
    differences = before.differences()
    say("Making the layers", 1.0)
    with assembly.one_undo_step(image):
        place = assembly.above(image, layer)
        made = assembly.group(image, TEXTURE_NAME, summed.layers, part, before.encoding, place, summed.space)
        records.mark_map(made, layer)
    for note in (*differences, *notes.of_map(layer, part)):
        Gimp.message(note)
    return made


def who() -> str:
    """What the server is told about this client."""
    return f"gimp {Gimp.version()}"


def _selected(image: Gimp.Image) -> list[int]:
    return [layer.get_id() for layer in image.get_selected_layers()]


def _latest(image: Gimp.Image, layer: Gimp.Layer, known: list[tuple[Record, Gimp.Layer]], digest: str) -> Gimp.Layer:
    """What to copy: the layer, or a copy of it that has taken its place since some were `known`, with another hole."""
    earlier = {copy.get_id() for _, copy in known}
    for record, copy in records.seen_copies(image, layer):
        is_as_large = document.bounds_of(copy) == document.bounds_of(layer)
        if copy.get_id() not in earlier and record.mask != digest and is_as_large:
            return copy
    return layer


def _refuse(image: Gimp.Image, layer: Gimp.Layer, wish: Wish) -> None:
    """Raise `InpaintError` where what is asked for cannot be."""
    if (wish.settings.output, wish.settings.sample) == ("copy", "visible"):
        raise InpaintError(
            "bad_option",
            "A copy of one layer cannot hold what is made from the visible picture.",
            'Choose another output, or "This layer" to sample from.',
        )
    if wish.settings.output == "copy" and layer.get_mode() == Gimp.LayerMode.PASS_THROUGH:
        raise InpaintError(
            "bad_option",
            "A pass-through group cannot be copied as one layer: it mixes with what is below it.",
            "Choose another output, or fill a layer of the group.",
        )
    if wish.exclude and not (wish.exclude.is_valid() and wish.exclude.get_image().get_id() == image.get_id()):
        raise InpaintError(
            "bad_option", "The channel to leave out is not in this image.", "Choose one that is, or none."
        )


def _request(
    looked_at: reading.Pixels, crop: Bounds, mask: Array, settings: Settings, as_group: bool
) -> InpaintRequest:
    return InpaintRequest(
        image=_image(looked_at, crop),
        space=looked_at.encoding.space,
        mask=mask,
        output="group" if as_group else "layer",
        context=float(settings.context),
        grow=int(settings.grow),
        feather=float(settings.feather),
        texture_strength=float(settings.texture_strength),
        patches=float(settings.patches),
        variation=int(settings.variation),
    )


def _image(pixels: reading.Pixels, crop: Bounds) -> Array:
    return _array("image", pixels.data, crop, pixels.encoding)


def _array(name: str, data: bytes, bounds: Bounds, encoding: Encoding) -> Array:
    shape = (bounds.height, bounds.width) + ((encoding.channels,) if encoding.channels > 1 else ())
    return Array(name, encoding.dtype, shape, data)


def _mask_encoding(image: Gimp.Image) -> Encoding:
    return precision.mask_encoding(int(image.get_precision()))


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
