"""What comes back, as layers of the document: one layer, a group of two, or a copy of the source. One undo step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import blend
import document
import gi
import records
import sums
from client.events import Layer
from client.geometry import Bounds
from document import Hole
from groupsum import GroupSum
from precision import Encoding

gi.require_version("Gimp", "3.0")
from gi.repository import Gimp  # noqa: E402

COPY_NAME = "{} Inpaint (DGFNet)"


class Place(NamedTuple):
    """Where a new layer goes: into a group (None: the image itself), at a position counted from the top."""

    parent: Gimp.Layer | None
    position: int


TOP = Place(None, 0)
"""Above all that is seen."""


def above(image: Gimp.Image, source: Gimp.Layer) -> Place:
    """Right above a layer, in its group unless that is locked, and above its earlier fills, which would hide it."""
    below = document.stands_in(source)
    return Place(below.get_parent(), image.get_item_position(below) - len(records.fills_above(image, source)))


@contextmanager
def one_undo_step(image: Gimp.Image) -> Iterator[None]:
    """What happens inside is undone in one go, and what is selected stays so: Ctrl+F then does the same again."""
    selected = image.get_selected_layers()
    image.undo_group_start()
    try:
        yield
        image.set_selected_layers(selected)
    finally:
        image.undo_group_end()


def single(image: Gimp.Image, answer: Layer, crop: Bounds, encoding: Encoding, place: Place) -> Gimp.Layer:
    """The answer as a layer. `encoding` is the source's, `crop` what was sent of it."""
    made = _layer(image, answer, crop, encoding.with_alpha())
    image.insert_layer(made, *place)
    return made


def group(
    image: Gimp.Image, name: str, answers: Sequence[Layer], crop: Bounds, encoding: Encoding, place: Place
) -> Gimp.Layer:
    """Coarse (or structure) and, in grain merge, texture in a group of their own."""
    made = Gimp.GroupLayer.new(image, name)
    image.insert_layer(made, *place)
    document.blend_as_sent(made, image)
    layers = [_layer(image, answer, crop, encoding.with_alpha()) for answer in answers]
    for layer in layers:
        image.insert_layer(layer, made, 0)
    if encoding.dtype in sums.CODES:
        GroupSum(made, layers, answers, encoding.with_alpha()).make_exact()
    layers[1].set_opacity(answers[1].opacity * 100)
    return made


def copy(
    image: Gimp.Image, source: Gimp.Layer, answer: Layer, crop: Bounds, encoding: Encoding, hole: Hole
) -> Gimp.Layer:
    """A copy of the source with the fill in it, in the source's place; only selected pixels are written."""
    lies = document.bounds_of(source)
    made = _plain_copy(image, source)
    made.set_lock_content(False)  # GIMP ends a plug-in that writes into what is locked
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
        document.write(made, run, encoding, pixels[start * own_pixel : (start + run.width) * own_pixel], lies)
    made.set_name(COPY_NAME.format(source.get_name()))
    source.set_visible(False)
    image.insert_layer(made, *above(image, source))
    if hole.kind == document.LAYER_MASK:
        made.remove_mask(Gimp.MaskApplyMode.DISCARD)  # no sooner: GIMP only does it inside an image
    return made


def _plain_copy(image: Gimp.Image, source: Gimp.Layer) -> Gimp.Layer:
    """A layer like the source; groups and text layers become pixels."""
    if not (source.is_group() or source.is_text_layer()):
        return source.copy()
    bounds = document.bounds_of(source)
    own = document.encoding_of(source).with_alpha()
    plain = document.new_layer(image, source.get_name(), bounds, own, document.read(source, bounds, own))
    plain.set_opacity(source.get_opacity())
    return plain


def _layer(image: Gimp.Image, answer: Layer, crop: Bounds, encoding: Encoding) -> Gimp.Layer:
    bounds = answer.bounds.from_relative(crop)
    layer = document.new_layer(image, answer.name, bounds, encoding, bytes(answer.pixels))
    if answer.blend == "grain_merge":
        layer.set_mode(Gimp.LayerMode.GRAIN_MERGE)  # which forgets the spaces, so they follow
    document.blend_as_sent(layer, image)
    return layer
