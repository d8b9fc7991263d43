"""GIMP's side: pixels and masks out of a document, layers into it. All rectangles are in image coordinates."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import blend
import gi
import precision
from client.errors import InpaintError
from client.geometry import Bounds
from client.pixels import mask_bounds
from precision import Encoding

gi.require_version("Babl", "0.1")
gi.require_version("Gegl", "0.4")
gi.require_version("Gimp", "3.0")
from gi.repository import Babl, Gegl, Gimp, GObject  # noqa: E402

SELECTION, LAYER_MASK, TRANSPARENCY, SHAPE = "selection", "layer mask", "transparent pixels", "shape of the result"


class Hole(NamedTuple):
    """What is to be filled: where the mask comes from, its bounds, and (but for a selection) the mask over `area`."""

    kind: str
    bounds: Bounds
    area: Bounds
    mask: bytes

    def translate(self, dx: int, dy: int) -> Hole:
        """The same hole (no selection), moved by (dx, dy)."""
        return self._replace(bounds=self.bounds.translate(dx, dy), area=self.area.translate(dx, dy))


def bounds_of(item: Gimp.Item) -> Bounds:
    """Where a layer or channel lies."""
    _, x, y = item.get_offsets()
    return Bounds(x, y, item.get_width(), item.get_height())


def stands_in(layer: Gimp.Layer) -> Gimp.Layer:
    """What a new layer goes above: the layer, or the outermost group around it whose content is locked."""
    found, group = layer, layer.get_parent()
    while group:
        if group.get_lock_content():
            found = group
        group = group.get_parent()
    return found


def items_above(image: Gimp.Image, item: Gimp.Layer) -> list[Gimp.Layer]:
    """What lies above an item in its group, from the bottom."""
    parent = item.get_parent()
    siblings = parent.get_children() if parent else image.get_layers()  # from the top
    return siblings[: image.get_item_position(item)][::-1]


def with_descendants(layers: Sequence[Gimp.Layer]) -> list[Gimp.Layer]:
    """Layers, given from the top, and all that is in them; a group before what is in it."""
    found, waiting = [], list(layers[::-1])
    while waiting:
        found.append(waiting.pop())
        if found[-1].is_group():
            waiting.extend(found[-1].get_children()[::-1])
    return found


def set_visible(layer: Gimp.Layer, is_visible: bool) -> None:
    """Open or close a layer's eye; if that is locked, it stays so, but GIMP would refuse."""
    is_locked = layer.get_lock_visibility()
    layer.set_lock_visibility(False)
    layer.set_visible(is_visible)
    layer.set_lock_visibility(is_locked)


def canvas(image: Gimp.Image) -> Bounds:
    """The image's own rectangle."""
    return Bounds(0, 0, image.get_width(), image.get_height())


def is_indexed(image: Gimp.Image) -> bool:
    """Whether the image has a palette."""
    return image.get_base_type() == Gimp.ImageBaseType.INDEXED


def selection_bounds(image: Gimp.Image) -> Bounds | None:
    """The selection's rectangle; None where nothing is selected."""
    _, some, x, y, right, bottom = Gimp.Selection.bounds(image)
    return Bounds.between(x, y, right, bottom) if some else None


def has_mask(layer: Gimp.Layer) -> bool:
    """Whether a layer has a mask that is switched on."""
    return layer.get_mask() is not None and layer.get_apply_mask()


def is_translucent(layer: Gimp.Layer, part: Bounds) -> bool:
    """Whether some pixel of a layer is shown in part only, by its own transparency or by the layer's mask."""
    shares = [read(layer, part, Encoding("u1", "A u8", 1, False))]
    if has_mask(layer):
        shares.append(channel_mask(layer.get_mask(), part, bounds_of(layer)))
    return any(set(each) - {0, 255} for each in shares)


def encoding_of(drawable: Gimp.Drawable, with_curve: bool = False) -> Encoding:
    """How the pixels of a drawable travel."""
    value = int(drawable.get_image().get_precision())
    return precision.encoding(value, drawable.is_gray(), drawable.has_alpha(), with_curve)


Look = Callable[[Gimp.Layer, Bounds, Encoding], bytes]


def find_hole(image: Gimp.Image, layer: Gimp.Layer, look: Look) -> Hole:
    """The selection, else what the layer mask hides, else what is transparent to `look`. Raises `InpaintError`.

    What is hidden or transparent in part is filled as a whole: a share of a fill above it would still be seen through.
    """
    selected = selection_bounds(image)
    if selected:
        return Hole(SELECTION, selected, selected, b"")
    area = bounds_of(layer)
    sources = []
    if has_mask(layer):
        encoding = precision.mask_encoding(int(image.get_precision()))
        sources.append((LAYER_MASK, encoding, read(layer.get_mask(), area, encoding, area)))
    if layer.has_alpha():
        encoding = precision.alpha_encoding(int(image.get_precision()))
        sources.append((TRANSPARENCY, encoding, look(layer, area, encoding)))
    for kind, encoding, kept in sources:
        missing = blend.inverted(kept)
        found = _hole_of(kind, area, blend.whole(missing, encoding.pixel_bytes), encoding)
        if not found.bounds.is_empty:
            return found
    raise InpaintError(
        "empty_mask",
        "Nothing is selected, and this layer has neither hidden nor transparent pixels.",
        "Select the region to fill, then try again.",
    )


def shape_of(result: Gimp.Layer) -> Hole:
    """What of a result is not transparent, as a hole to be filled; its bounds are empty where nothing is."""
    area, encoding = bounds_of(result), precision.alpha_encoding(int(result.get_image().get_precision()))
    return _hole_of(SHAPE, area, read(result, area, encoding), encoding)


def painted(layer: Gimp.Layer, part: Bounds) -> bytes:
    """One byte per pixel of `part`: 255 where a layer is not transparent, else 0."""
    encoding = precision.alpha_encoding(int(layer.get_image().get_precision()))
    return blend.nonzero(read(layer, part, encoding), encoding.pixel_bytes)


def _hole_of(kind: str, area: Bounds, mask: bytes, encoding: Encoding) -> Hole:
    return Hole(kind, mask_bounds(blend.nonzero(mask, encoding.pixel_bytes), area), area, mask)


def read_hole(image: Gimp.Image, hole: Hole, part: Bounds) -> bytes:
    """The mask over `part`, in the image's mask encoding; 0 where there is no hole."""
    encoding = precision.mask_encoding(int(image.get_precision()))
    if hole.kind == SELECTION:
        return read(image.get_selection(), part, encoding, canvas(image))
    return cut(hole.mask, encoding.pixel_bytes, hole.area, part)


def digest_of(image: Gimp.Image, hole: Hole, layer: Gimp.Layer) -> str:
    """By what the same hole is known again, wherever its layer lies."""
    where = ",".join(map(str, hole.bounds.relative_to(bounds_of(layer))))
    return hashlib.sha256(where.encode() + read_hole(image, hole, hole.bounds)).hexdigest()


def read(drawable: Gimp.Drawable, part: Bounds, encoding: Encoding, lies: Bounds | None = None) -> bytes:
    """Pixels of `part`; zero (transparent black) where the drawable has none. `lies`: where it is, if known."""
    where = part.relative_to(lies or bounds_of(drawable))
    data = drawable.get_buffer().get(_rectangle(where), 1.0, _format(drawable, encoding), Gegl.AbyssPolicy.NONE)
    expected = part.area * encoding.pixel_bytes
    if len(data) != expected:
        raise InpaintError(
            "internal", f"GIMP gave {len(data)} bytes for {expected}.", "Please report this with the image's precision."
        )
    return data


def cut(data: bytes, pixel_bytes: int, area: Bounds, part: Bounds) -> bytes:
    """The pixels of `part` out of those of `area`, zero outside it."""
    inside = part.intersection(area)
    if inside == part == area:
        return data
    result, stride = bytearray(part.area * pixel_bytes), part.width * pixel_bytes
    length = inside.width * pixel_bytes
    for row in range(inside.y, inside.bottom):
        source = ((row - area.y) * area.width + inside.x - area.x) * pixel_bytes
        target = (row - part.y) * stride + (inside.x - part.x) * pixel_bytes
        result[target : target + length] = data[source : source + length]
    return bytes(result)


def write(layer: Gimp.Layer, part: Bounds, encoding: Encoding, pixels: bytes, lies: Bounds) -> None:
    """Put pixels into a layer that lies at `lies`; `part` must be inside it."""
    write_parts(layer, [(part, pixels)], encoding, lies)


def write_parts(layer: Gimp.Layer, parts: Iterable[tuple[Bounds, bytes]], encoding: Encoding, lies: Bounds) -> None:
    """As `write`, of many parts: GIMP is asked for its buffer, and told of it, once."""
    buffer, format_ = layer.get_buffer(), _format(layer, encoding)
    for part, pixels in parts:
        if len(pixels) != part.area * encoding.pixel_bytes:
            raise ValueError(f"{len(pixels)} bytes are not {part} in {encoding}")  # GEGL would only warn
        buffer.set(_rectangle(part.relative_to(lies)), format_, pixels)
    buffer.flush()


def new_layer(image: Gimp.Image, name: str, bounds: Bounds, encoding: Encoding, pixels: bytes) -> Gimp.Layer:
    """A layer with alpha that is not in the image yet. `encoding` says what the pixels are."""
    kinds = {
        Gimp.ImageBaseType.RGB: Gimp.ImageType.RGBA_IMAGE,
        Gimp.ImageBaseType.GRAY: Gimp.ImageType.GRAYA_IMAGE,
        Gimp.ImageBaseType.INDEXED: Gimp.ImageType.INDEXEDA_IMAGE,
    }
    kind = kinds[image.get_base_type()]
    layer = Gimp.Layer.new(image, name, bounds.width, bounds.height, kind, 100.0, Gimp.LayerMode.NORMAL)
    write(layer, bounds, encoding, pixels, bounds)
    layer.set_offsets(bounds.x, bounds.y)
    return layer


def own_space(image: Gimp.Image) -> Gimp.LayerColorSpace:
    """In which values the image keeps its pixels."""
    space, value = Gimp.LayerColorSpace, int(image.get_precision())
    if precision.is_linear(value):
        return space.RGB_LINEAR
    return space.RGB_NON_LINEAR if precision.has_profile_curve(value) else space.RGB_PERCEPTUAL


def blend_as_sent(layer: Gimp.Layer, image: Gimp.Image) -> None:
    """Let a layer blend in the values that travel: fill and texture were computed in those.

    Those are the image's own values, in linear images linear light: any other way would change the last bits of the
    sum, and of floats under a layer that shows nothing there.
    """
    layer.set_composite_space(own_space(image))
    layer.set_blend_space(own_space(image))


def special_look(layer: Gimp.Layer) -> str:
    """How a layer is blended with what is below it, in words; empty for Normal at 100 %."""
    modes, mode = Gimp.LayerMode, layer.get_mode()
    plain = mode in (modes.NORMAL, modes.NORMAL_LEGACY, modes.PASS_THROUGH)
    words = [] if plain else [f"in the mode {_title(mode)}"]
    if not is_composed_plainly(layer):
        words.append(f"in the composite mode {_title(layer.get_composite_mode())}")
    if layer.get_opacity() < 100:
        words.append(f"at {layer.get_opacity():.0f} % opacity")
    return " ".join(words)


def look_of_groups(layer: Gimp.Layer) -> str:
    """How the groups are blended that a new layer goes above with `stands_in`, in words; empty for Normal at 100 %."""
    looks, top = [], stands_in(layer)
    while layer.get_id() != top.get_id():
        layer = layer.get_parent()
        looks.append(special_look(layer))
    return " and ".join(filter(None, looks))


def is_composed_plainly(layer: Gimp.Layer) -> bool:
    """Whether a layer neither clips nor is clipped, but as its mode does by itself."""
    return layer.get_composite_mode() in (Gimp.LayerCompositeMode.AUTO, Gimp.LayerCompositeMode.UNION)


def _title(value: GObject.GEnum) -> str:
    """The name of a mode, nearly as GIMP's menus have it."""
    return value.value_nick.replace("-", " ").title()


def channel_mask(channel: Gimp.Channel, part: Bounds, lies: Bounds | None = None) -> bytes:
    """An 8-bit mask of a channel, 0 outside it. `lies`: where it is, if known."""
    return read(channel, part, Encoding("u1", "Y u8", 1, False), lies)


def _rectangle(bounds: Bounds) -> Gegl.Rectangle:
    return Gegl.Rectangle.new(*bounds)


def _format(drawable: Gimp.Drawable, encoding: Encoding) -> str:
    """The babl format in the drawable's own colour space; a plain name would mean sRGB and cut what sRGB lacks.

    Only formats of `precision` come here: babl ends the process on a name that it does not know.
    """
    if isinstance(drawable, Gimp.Channel) or encoding.babl.startswith("A "):
        return encoding.babl  # masks and transparency have no colour space
    return Babl.get_name(Babl.format_with_space(encoding.babl, drawable.get_format()))
