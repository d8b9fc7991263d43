"""Runs inside GIMP: what is seen of a document, written down for the checks."""

import hashlib
import os

import gi

gi.require_version("Babl", "0.1")
from gi.repository import Babl, Gegl, Gimp  # noqa: E402

NOWHERE = Gegl.AbyssPolicy.NONE


def encoding(drawable, with_curve=False):
    """(wire dtype, babl format, channels) that the checks compare in: the image's own values.

    `with_curve`: those that are mixed at soft edges of copies; linear light and half floats become floats with a curve.
    """
    kind, curve = divmod(int(drawable.get_image().get_precision()), 100)
    dtype, component = {1: ("u1", "u8"), 2: ("u2", "u16"), 5: ("f2", "half")}.get(kind, ("f4", "float"))
    if with_curve and (curve == 0 or kind == 5):
        dtype, component = "f4", "float"
    prime = "'" if curve == 50 else "~" if curve or with_curve else ""
    model = f"Y{prime}" if drawable.is_gray() else f"R{prime}G{prime}B{prime}"
    name = f"{model}{'A' if drawable.has_alpha() else ''} {component}"
    return dtype, Babl.get_name(Babl.format_with_space(name, drawable.get_format())), model_channels(drawable)


def model_channels(drawable):
    return (1 if drawable.is_gray() else 3) + drawable.has_alpha()


def dump(path, drawable, with_curve=False):
    """Write all pixels of a drawable; returns how to read them."""
    dtype, name, channels = encoding(drawable, with_curve)
    if isinstance(drawable, Gimp.LayerMask):
        dtype, name, channels = "u2", "Y u16", 1
    width, height = drawable.get_width(), drawable.get_height()
    pixels = drawable.get_buffer().get(Gegl.Rectangle.new(0, 0, width, height), 1.0, name, NOWHERE)
    with open(path, "wb") as file:
        file.write(pixels)
    return {"file": os.path.basename(path), "dtype": dtype, "shape": [height, width, channels]}


def native(drawable):
    rectangle = Gegl.Rectangle.new(0, 0, drawable.get_width(), drawable.get_height())
    return drawable.get_buffer().get(rectangle, 1.0, None, NOWHERE)


def dump_native(path, image, with_curve):
    """The visible picture in GIMP's own bytes, to compare what must not change."""
    seen = Gimp.Layer.new_from_visible(image, image, "seen")
    with open(path, "wb") as file:
        file.write(native(seen))
    described = dump(path + ".values", seen, with_curve)
    seen.delete()
    return {"file": os.path.basename(path), "values": described}


def dump_mask(path, image):
    width, height = image.get_width(), image.get_height()
    rectangle = Gegl.Rectangle.new(0, 0, width, height)
    with open(path, "wb") as file:
        file.write(image.get_selection().get_buffer().get(rectangle, 1.0, "Y u16", NOWHERE))
    return {"file": os.path.basename(path), "dtype": "u2", "shape": [height, width]}


def tree(layers):
    return [[layer.get_name(), tree(layer.get_children()) if layer.is_group() else []] for layer in layers]


def describe(path, layer, with_curve):
    """One new layer with all that is in it."""
    known = {
        "name": layer.get_name(),
        "offset": list(layer.get_offsets())[1:],
        "mode": int(layer.get_mode()),
        "opacity": layer.get_opacity(),
        "pixels": dump(path, layer, with_curve),
        "masked": layer.get_mask() is not None,
        "record": kept(layer, "dgfnet-inpaint"),
        "inside": [],
    }
    if layer.is_group():
        known["inside"] = [describe(f"{path}.{n}", child, with_curve) for n, child in enumerate(layer.get_children())]
    return known


def kept(item, name):
    """What a parasite holds; empty where there is none."""
    parasite = item.get_parasite(name)
    return bytes(parasite.get_data()).decode() if parasite else ""


def digest(drawable):
    return hashlib.sha256(native(drawable)).hexdigest()


def state(image):
    """All that one undo must bring back: layers and channels with their pixels and places, what is selected."""

    def layer(item):
        mask = item.get_mask()
        return {
            **place(item),
            "mode": int(item.get_mode()),
            "opacity": item.get_opacity(),
            "mask": mask and digest(mask),
            "pixels": [layer(child) for child in item.get_children()] if item.is_group() else digest(item),
        }

    def place(item):
        size = item.get_width(), item.get_height()
        tattoo, parasites = item.get_tattoo(), sorted(item.get_parasite_list())
        return {"name": item.get_name(), "at": list(item.get_offsets()), "size": size, "shown": item.get_visible(),
                "eye locked": item.get_lock_visibility(), "tattoo": tattoo, "parasites": parasites}  # fmt: skip

    return {
        "layers": [layer(item) for item in image.get_layers()],
        "channels": [{**place(item), "pixels": digest(item)} for item in image.get_channels()],
        "selection": digest(image.get_selection()),
        "selected": sorted(item.get_name() for item in image.get_selected_layers()),
    }
