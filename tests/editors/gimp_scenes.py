"""Runs inside GIMP: the documents of the cases. Each function takes the case and returns (image, layer to fill)."""

import os

import gi

gi.require_version("Babl", "0.1")
from gi.repository import Gegl, Gimp, Gio  # noqa: E402
from gimp_calls import call  # noqa: E402
from gimp_cases import ELLIPSE, LEFT_OUT, SPECKS  # noqa: E402

WORK = os.environ["WORK"]


def select(image, *pieces):
    for number, (kind, *box) in enumerate(pieces):
        operation = Gimp.ChannelOps.ADD if number else Gimp.ChannelOps.REPLACE
        (image.select_ellipse if kind == "ellipse" else image.select_rectangle)(operation, *box)


def channel_of(image, piece):
    """A channel that marks a piece; GIMP selects it. Nothing else is selected then."""
    select(image, piece)
    saved = Gimp.Selection.save(image)
    Gimp.Selection.none(image)
    return saved


def with_filter(layer):
    """Give a layer an inversion that stays a filter."""
    layer.append_filter(Gimp.DrawableFilter.new(layer, "gegl:invert-gamma", ""))
    return layer


def load(name="photo"):
    image = Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, Gio.File.new_for_path(f"{WORK}/{name}.png"))
    return image, image.get_layers()[0]


def photo(case):
    return load()


elsewhere = photo
"""The driver makes the channel in another image."""


def filtered(case):
    image, layer = load()
    return image, with_filter(layer)


def filtered_hidden(case):
    """The eye is closed, and locked."""
    image, layer = filtered(case)
    layer.set_visible(False)
    layer.set_lock_visibility(True)
    return image, layer


def large(case):
    return load("large")


def adobe(case):
    image, _ = load()
    image.convert_color_profile(
        Gimp.ColorProfile.new_rgb_adobe(), Gimp.ColorRenderingIntent.RELATIVE_COLORIMETRIC, True
    )
    return image, image.get_layers()[0]


def grey(case):
    image, layer = load()
    image.convert_grayscale()
    return image, layer


def indexed(case):
    image, layer = load()
    image.convert_indexed(Gimp.ConvertDitherType.NONE, Gimp.ConvertPaletteType.GENERATE, 64, False, False, "")
    return image, layer


def over_base(x, y):
    """A second, smaller layer of other content above the photograph."""
    image, base = load()
    layer = base.copy()
    image.insert_layer(layer, None, 0)
    layer.scale(150, 120, False)
    layer.set_offsets(x, y)
    return image, layer


def offset(case):
    return over_base(30, 25)


def outside(case):
    return over_base(-60, 20)


def grouped(case):
    image, layer = load()
    group = Gimp.GroupLayer.new(image, "group")
    image.insert_layer(group, None, 0)
    image.reorder_item(layer, group, 0)
    return image, layer


def group(case):
    image, layer = grouped(case)
    return image, layer.get_parent()


def filtered_group(case):
    """What is in the group must not be moved."""
    image, layer = group(case)
    layer.get_children()[0].set_lock_position(True)
    return image, with_filter(layer)


def filtered_text(case):
    image, layer = text(case)
    return image, with_filter(layer)


def text(case):
    image, _ = load()
    layer = Gimp.TextLayer.new(image, "WWWWW", Gimp.context_get_font(), 70.0, Gimp.Unit.pixel())
    image.insert_layer(layer, None, 0)
    layer.set_offsets(40, 30)
    return image, layer


def locked(case):
    image, layer = load()
    layer.set_lock_content(True)
    layer.set_lock_visibility(True)
    return image, layer


def locked_group(case):
    """The photograph in a group of which the content is locked, and that one in another group."""
    image, layer = grouped(case)
    inner = Gimp.GroupLayer.new(image, "inner")
    image.insert_layer(inner, layer.get_parent(), 0)
    image.reorder_item(layer, inner, 0)
    inner.set_lock_content(True)
    return image, layer


def translucent(case):
    image, layer = load()
    layer.add_alpha()
    rectangle = Gegl.Rectangle.new(0, 0, layer.get_width(), layer.get_height())
    pixels = bytearray(layer.get_buffer().get(rectangle, 1.0, "R'G'B'A u8", Gegl.AbyssPolicy.NONE))
    for number in range(3, len(pixels), 4):
        pixels[number] = 120 + number // 4 % 192 // 2
    layer.get_buffer().set(rectangle, "R'G'B'A u8", bytes(pixels))
    layer.get_buffer().flush()
    return image, layer


def masked(case, soft=0):
    image, layer = load()
    layer.add_alpha()
    image.select_ellipse(Gimp.ChannelOps.REPLACE, 80, 50, 50, 40)
    if soft:
        Gimp.Selection.feather(image, soft)
    Gimp.Selection.invert(image)
    layer.add_mask(layer.create_mask(Gimp.AddMaskType.SELECTION))
    Gimp.Selection.none(image)
    return image, layer


def mask_edited(case):
    image, layer = masked(case)
    layer.set_edit_mask(True)
    return image, layer


def masked_softly(case):
    return masked(case, 12)


def masked_unapplied(case):
    """A layer mask that is switched off hides nothing; a part of the layer is transparent."""
    image, layer = holed(case)
    layer.add_mask(layer.create_mask(Gimp.AddMaskType.BLACK))
    layer.set_apply_mask(False)
    return image, layer


def holed(case, soft=0):
    image, layer = load()
    layer.add_alpha()
    image.select_ellipse(Gimp.ChannelOps.REPLACE, 80, 50, 50, 40)
    if soft:
        Gimp.Selection.feather(image, soft)
    layer.edit_clear()
    Gimp.Selection.none(image)
    return image, layer


def emptied_by_a_filter(case):
    """Opaque white, of which a filter shows nothing."""
    image, layer = load()
    layer.add_alpha()
    layer.fill(Gimp.FillType.WHITE)
    layer.append_filter(Gimp.DrawableFilter.new(layer, "gegl:color-to-alpha", ""))
    return image, layer


def holed_softly(case):
    return holed(case, 12)


def covered(case):
    """The photograph under a half-transparent layer of another colour."""
    image, layer = load()
    veil = Gimp.Layer.new(image, "veil", 192, 160, Gimp.ImageType.RGBA_IMAGE, 50.0, Gimp.LayerMode.NORMAL)
    veil.fill(Gimp.FillType.WHITE)
    image.insert_layer(veil, None, 0)
    return image, layer


def beside(case):
    """The hole of a layer lies outside the image."""
    image, layer = holed(case)
    layer.set_offsets(-140, 0)
    return image, layer


def quick_mask(case):
    """It has the selection, and a name by which GIMP knows it."""
    image, layer = load()
    channel_of(image, ELLIPSE).set_name("Qmask")
    return image, layer


def channel(case):
    image, _ = load()
    made = Gimp.Channel.new(image, "channel", 192, 160, 50.0, Gegl.Color.new("red"))
    image.insert_channel(made, None, 0)
    return image, made


def floating(case):
    image, layer = load()
    select(image, ("rectangle", 20, 20, 40, 30))
    return image, Gimp.Selection.float(image, [layer], 5, 5)


def mapped(case):
    """The photograph below its texture map."""
    image, layer = load()
    call("texture-map", image, [layer], {})
    return image, layer


def two_layers(case):
    image, layer = load()
    image.insert_layer(layer.copy(), None, 0)
    return image, layer


def group_blended(case):
    """A group in Multiply mode at 60 %, with a soft layer mask, above the photograph."""
    image, layer = over_base(30, 25)
    group = Gimp.GroupLayer.new(image, "group")
    image.insert_layer(group, None, 0)
    image.reorder_item(layer, group, 0)
    group.set_mode(Gimp.LayerMode.MULTIPLY)
    group.set_opacity(60)
    image.select_ellipse(Gimp.ChannelOps.REPLACE, 60, 40, 100, 90)
    Gimp.Selection.feather(image, 20)
    group.add_mask(group.create_mask(Gimp.AddMaskType.SELECTION))
    Gimp.Selection.none(image)
    return image, group


def filled(case, scene=photo, hole=(ELLIPSE,), **arguments):
    """Another scene with a fill: an editable group, unless the arguments say otherwise."""
    image, layer = scene(case)
    select(image, *hole)
    if case.soften:
        Gimp.Selection.feather(image, case.soften)
    call("inpaint", image, [layer], {"output": "group", "context": 1.5, **arguments})
    return image, layer


def filled_by_copy(case):
    return filled(case, locked, output="copy")


def filled_by_copy_retouched(case):
    """The artist has painted on the copy, beside the hole."""
    return retouched(*filled_by_copy(case))


def retouched(image, layer):
    """White is painted on the topmost layer."""
    select(image, ("rectangle", 20, 20, 30, 20))
    image.get_layers()[0].edit_fill(Gimp.FillType.WHITE)
    return image, layer


def filled_twice_by_copy(case):
    """A copy that another fill has become part of."""
    return filled(case, filled, case.select, output="copy")


def filled_masked_by_copy(case):
    """A copy in which what the layer mask hid is filled; the artist has painted on it."""
    return retouched(*filled(case, masked, (), output="copy"))


def filled_holed_by_copy(case):
    """The hole of the fill was another than the transparent pixels."""
    return filled(case, holed, output="copy")


def filled_enlarged_source(case):
    """The layers of the earlier fill have become larger than its shape."""
    image, layer = filled(case)
    for part in image.get_layers()[0].get_children():
        part.resize_to_image_size()
    return image, layer


filled_deselected_enlarged = filled_enlarged_source


def filled_locked_source(case):
    """The earlier fill must be neither moved nor hidden by hand."""
    image, layer = filled(case)
    fill = image.get_layers()[0]
    fill.set_lock_visibility(True)
    for part in fill.get_children():
        part.set_lock_position(True)
    return image, layer


def filled_deselected_grown(case):
    return filled(case, grow=5, feather=4.0)


def filled_filtered_source(case):
    return filled(case, filtered)


def filled_mapped_source(case):
    return filled(case, mapped)


def filled_specks_source(case):
    return filled(case, hole=SPECKS)


def filled_leaving_out_source(case):
    image, layer = load()
    channel = channel_of(image, LEFT_OUT)
    return filled(case, lambda case: (image, layer), exclude=channel)


def filled_leaving_out_gone(case):
    image, layer = filled_leaving_out_source(case)
    image.remove_channel(image.get_channels()[0])
    return image, layer


def filled_duplicated(case):
    """All of GIMP's numbers for the layers are others in a duplicate."""
    image = filled(case)[0].duplicate()
    return image, image.get_layers()[-1]


def filled_elsewhere(case):
    """A result alone, in an image of which a layer has the number that its source had."""
    result = filled(case)[0].get_layers()[0]
    image, layer = load()
    image.insert_layer(Gimp.Layer.new_from_drawable(result, image), None, 0)
    return image, layer


def filled_twins_source(case):
    """A hidden copy of the source lies on top."""
    image, layer = filled(case)
    twin = layer.copy()
    image.insert_layer(twin, None, 0)
    twin.set_visible(False)
    return image, layer


# the driver selects what the name says
filled_deselected = filled_source = filled_deselected_source = filled_inside = filled


def filled_faded_source(case):
    """The earlier fill is seen in part."""
    image, layer = filled(case)
    image.get_layers()[0].set_opacity(50)
    return image, layer


def filled_hidden_source(case):
    """The earlier fill is not seen: it is not built on."""
    image, layer = filled(case)
    image.get_layers()[0].set_visible(False)
    return image, layer


def filled_twice_source(case):
    image, layer = filled(case)
    call("another", image, [layer], {})
    return image, layer
