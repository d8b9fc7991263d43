"""What comes back, as layers of the document: one layer, a group of two, or a copy of the source. One undo step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import NamedTuple

import blend
import document
import gi
import precision
import reading
import records
import staging
from client.events import Layer
from client.geometry import Bounds
from precision import Encoding

gi.require_version("Gimp", "3.0")
from gi.repository import Gimp  # noqa: E402

COPY_SUFFIX = " Inpaint (DGFNet)"
SAME_HOLE = 0.9
"""Share of an earlier fill that a new one must cover to take its place."""


class Place(NamedTuple):
    """Where a new layer goes: into a group (None: the image itself), at a position counted from the top."""

    parent: Gimp.Layer | None
    position: int


TOP = Place(None, 0)
"""Above all that is seen."""


def above(image: Gimp.Image, source: Gimp.Layer) -> Place:
    """Right above a layer, in its group unless that is locked, and above its fills and maps, which would hide it."""
    below = document.stands_in(source)
    return Place(below.get_parent(), image.get_item_position(below) - len(records.stack_on(image, source)))


@contextmanager
def one_undo_step(image: Gimp.Image) -> Iterator[None]:
    """What happens inside is undone in one go, and what is selected stays so: Ctrl+F then does the same again."""
    layers, channels = image.get_selected_layers(), image.get_selected_channels()
    image.undo_group_start()
    try:
        yield
        if layers:  # GIMP refuses to select none
            image.set_selected_layers(layers)
        elif channels:
            image.set_selected_channels(channels)
    finally:
        image.undo_group_end()


def hide_same_hole(
    image: Gimp.Image, source: Gimp.Layer, made: Gimp.Layer, refilled: Gimp.Layer | None
) -> list[Gimp.Layer]:
    """Hide the earlier fills of a layer that lie where the new one does: soft edges of both would add up.

    `refilled` is the one that gave its shape to the new one, if any did. Returns those that were hidden.
    """
    where, known = document.bounds_of(made), refilled.get_id() if refilled else None
    painted = cache(lambda: document.painted(made, where))
    seen = [
        fill for _, fill in records.fills_of(image, source) if fill.get_id() != made.get_id() and fill.get_visible()
    ]
    hidden = [fill for fill in seen if fill.get_id() == known or _is_same_hole(fill, where, painted)]
    for fill in hidden:
        document.set_visible(fill, False)
    return hidden


def single(image: Gimp.Image, answer: Layer, crop: Bounds, encoding: Encoding, place: Place) -> Gimp.Layer:
    """The answer as a layer. `encoding` is the source's, `crop` what was sent of it."""
    made = _layer(image, answer, crop, encoding.with_alpha())
    image.insert_layer(made, *place)
    return made


def group(
    image: Gimp.Image,
    name: str,
    answers: Sequence[Layer],
    crop: Bounds,
    encoding: Encoding,
    place: Place,
    space: Gimp.LayerColorSpace | None = None,
) -> Gimp.Layer:
    """Coarse (or structure) and, in grain merge, texture in a group of their own.

    `space` is the texture's composite space, the image's own where none is given.
    """
    made = Gimp.GroupLayer.new(image, name)
    image.insert_layer(made, *place)
    document.blend_as_sent(made, image)
    coarse, texture = (_layer(image, answer, crop, encoding.with_alpha()) for answer in answers)
    for layer in (coarse, texture):
        image.insert_layer(layer, made, 0)
    if space is not None:
        texture.set_composite_space(space)
    texture.set_opacity(answers[1].opacity * 100)
    return made


class Copy(NamedTuple):
    """A copy with a fill in it that is not in the image yet.

    It takes the place of the source's earlier fills that it `covers` too; `has_fills` if some of them became part of
    it. `is_plain` if its own is blended into nothing but the source's pixels.
    """

    made: Gimp.Layer
    covers: Sequence[Gimp.Layer]
    keeps_mask: bool
    has_fills: bool
    is_plain: bool


def copy(
    image: Gimp.Image,
    source: Gimp.Layer,
    answer: Layer,
    crop: Bounds,
    drops_mask: bool,
    below: Gimp.Layer | None = None,
) -> Copy:
    """A copy of the source with the fill in it; takes long, and leaves the image itself to the artist.

    Its earlier fills that are seen become part of it, as far as they lie on it, but for those of the same hole. Without
    such fills, the fill is blended into the pixels of `below`, if the copy's are the same around it. Only what is
    selected or filled is written. A layer mask that hid the hole is not kept (`drops_mask`).
    """
    lies, where = document.bounds_of(source), answer.bounds.from_relative(crop)
    seen = records.seen_fills(image, source)  # of which those of the visible picture may lie beside the layer
    fills = [fill for fill in seen if not document.bounds_of(fill).intersection(lies).is_empty]
    sent = document.encoding_of(source, with_curve=True).with_alpha()
    painted = cache(lambda: blend.painted(bytes(answer.pixels), sent.dtype, sent.channels))
    merged = [fill for fill in fills if not _is_same_hole(fill, where, painted)]
    applies_mask = bool(merged) and not drops_mask and document.has_mask(source)
    made = _plain_copy(image, source, applies_mask)  # a mask would hide what comes from the fills
    made.set_lock_content(False)  # GIMP ends a plug-in that writes into what is locked
    made.set_name(source.get_name().partition(COPY_SUFFIX)[0] + COPY_SUFFIX)
    if merged:
        _merge(image, made, merged, lies)
    is_plain = _mix(made, answer, where, lies, None if fills else below)
    covers = [fill for fill in fills if lies.contains(document.shape_of(fill).bounds)]
    return Copy(made, covers, not (drops_mask or applies_mask), bool(merged), is_plain)


def insert_copy(image: Gimp.Image, source: Gimp.Layer, copy: Copy) -> Gimp.Layer:
    """Put a copy in the place of its source."""
    made = copy.made
    image.insert_layer(made, *above(image, source))
    document.set_visible(made, True)  # the source of an earlier copy is hidden
    if copy.keeps_mask:
        _copy_mask(source, made)
    elif made.get_mask():
        made.remove_mask(Gimp.MaskApplyMode.DISCARD)
    for item in (source, *copy.covers):
        if item.is_valid():  # the artist may have removed a fill meanwhile
            document.set_visible(item, False)
    return made


def _is_same_hole(fill: Gimp.Layer, where: Bounds, painted: Callable[[], bytes]) -> bool:
    """Whether a fill has the bounds `where`, and what is `painted` there (255 or 0 per pixel) covers it.

    Its layer may have become larger than the fill. Specks all over a picture have its bounds, whatever they are.
    """
    lies = document.bounds_of(fill)
    is_there = lies == where or (lies.intersection(where) == where and document.shape_of(fill).bounds == where)
    return is_there and blend.covered(document.painted(fill, where), painted()) >= SAME_HOLE


def _merge(image: Gimp.Image, made: Gimp.Layer, fills: Sequence[Gimp.Layer], lies: Bounds) -> None:
    """Write what is seen of some fills above a layer into it."""
    encoding, part = document.encoding_of(made), _around(fills).intersection(lies)
    before = document.read(made, part, encoding, lies)
    after = staging.under(image, before, part, encoding, fills)
    _write(made, part, encoding, after, blend.changed(before, after, encoding.pixel_bytes), lies)


def _around(layers: Sequence[Gimp.Layer]) -> Bounds:
    """The rectangle that holds them all."""
    all_bounds = [document.bounds_of(layer) for layer in layers]
    left, top = (min(bounds[axis] for bounds in all_bounds) for axis in (0, 1))
    return Bounds.between(left, top, max(b.right for b in all_bounds), max(b.bottom for b in all_bounds))


def _mix(made: Gimp.Layer, answer: Layer, where: Bounds, lies: Bounds, below: Gimp.Layer | None) -> bool:
    """Write an answer that lies at `where` into a layer; whether it was blended into the pixels of `below`.

    That lies as the layer does. Where its pixels around the fill are not the layer's, they would show as a rim: then
    the fill is blended into the layer's own.
    """
    encoding, part = document.encoding_of(made, with_curve=True), where.pad(1).intersection(lies)
    sent = encoding.with_alpha()
    fill = document.cut(bytes(answer.pixels), sent.pixel_bytes, where, part)
    painted = blend.painted(fill, encoding.dtype, sent.channels)
    is_plain = below is not None and _are_alike(made, below, part, painted, lies)
    before = document.read(below if below and is_plain else made, part, encoding, lies)
    after = blend.over(before, fill, encoding.dtype, sent.channels - 1, encoding.has_alpha)
    _write(made, part, encoding, after, painted, lies)
    return is_plain


def _are_alike(first: Gimp.Layer, second: Gimp.Layer, part: Bounds, painted: bytes, lies: Bounds) -> bool:
    """Whether two layers that lie alike have equal pixels wherever nothing is `painted` (0)."""
    encoding = document.encoding_of(first)
    one, other = (document.read(layer, part, encoding, lies) for layer in (first, second))
    return blend.covered(blend.changed(one, other, encoding.pixel_bytes), painted) == 1


def _write(made: Gimp.Layer, part: Bounds, encoding: Encoding, pixels: bytes, mask: bytes, lies: Bounds) -> None:
    """Write the pixels that a mask marks, and no others."""
    size = encoding.pixel_bytes

    def runs() -> Iterator[tuple[Bounds, bytes]]:
        for row, start, end in blend.spans(mask, part.width):
            first = row * part.width
            run = Bounds(part.x + start, part.y + row, end - start, 1)
            yield run, pixels[(first + start) * size : (first + end) * size]

    document.write_parts(made, runs(), encoding, lies)


def _plain_copy(image: Gimp.Image, source: Gimp.Layer, applies_mask: bool) -> Gimp.Layer:
    """A layer of pixels that looks like the source, outside the image; a mask may be left to `_copy_mask`."""
    if reading.is_copied_as_it_is(image, source) and not applies_mask:
        copy = source.copy()
        records.forget_identity(copy)
        return copy
    bounds, own = document.bounds_of(source), document.encoding_of(source).with_alpha()
    plain = document.new_layer(image, source.get_name(), bounds, own, staging.shown(source, bounds, own, applies_mask))
    plain.set_opacity(source.get_opacity())
    plain.set_mode(source.get_mode())  # which forgets what follows
    plain.set_blend_space(source.get_blend_space())
    plain.set_composite_space(source.get_composite_space())
    plain.set_composite_mode(source.get_composite_mode())
    return plain


def _copy_mask(source: Gimp.Layer, made: Gimp.Layer) -> None:
    """Give a copy its source's layer mask, if it has none yet; it must be in the image."""
    mask = source.get_mask()
    if mask is None or made.get_mask():
        return
    lies, encoding = document.bounds_of(source), precision.mask_encoding(int(source.get_image().get_precision()))
    made.add_mask(made.create_mask(Gimp.AddMaskType.WHITE))
    document.write(made.get_mask(), lies, encoding, document.read(mask, lies, encoding, lies), lies)
    made.set_apply_mask(source.get_apply_mask())
    made.set_edit_mask(source.get_edit_mask())  # a new mask is the one that is painted on


def _layer(image: Gimp.Image, answer: Layer, crop: Bounds, encoding: Encoding) -> Gimp.Layer:
    bounds = answer.bounds.from_relative(crop)
    layer = document.new_layer(image, answer.name, bounds, encoding, bytes(answer.pixels))
    if answer.blend == "grain_merge":
        layer.set_mode(Gimp.LayerMode.GRAIN_MERGE)  # which forgets the spaces, so they follow
    document.blend_as_sent(layer, image)
    return layer
