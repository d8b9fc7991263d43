"""Runs inside GIMP: how often the plug-in's own functions ask GIMP, what they say of looks, what undo leaves known."""

import json
import os
import sys
from unittest.mock import patch

from gi.repository import Gimp
from gimp_calls import call
from gimp_cases import ELLIPSE, LEFT_OUT
from gimp_looks import kept, state
from gimp_scenes import WORK, channel_of, group, load, locked_group, photo, select
from gimp_screen import Screen

FILLS = 30


def questions():
    """How often names of layers are asked for among many fills, and which fills are mixed for a far part."""
    import document
    import precision
    import records
    import settings
    import staging
    from client.geometry import Bounds

    image, layer = load()
    encoding = precision.encoding(int(image.get_precision()), False, True)
    for number in range(FILLS):
        spot = Bounds(4 * number, 0, 4, 4)
        fill = document.new_layer(image, "fill", spot, encoding, bytes(spot.area * encoding.pixel_bytes))
        image.insert_layer(fill, None, 0)
        records.keep(fill, settings.Record(settings.Settings(), records.identify(layer)))
    with patch.object(records, "identity", wraps=records.identity) as asked:
        found = len(records.fills_of(image, layer))
    part, fills = Bounds(0, 0, 8, 8), records.seen_fills(image, layer)
    fills[-1].append_filter(Gimp.DrawableFilter.new(fills[-1], "gegl:invert-gamma", ""))
    fills[-2].set_composite_mode(Gimp.LayerCompositeMode.INTERSECTION)
    with patch.object(staging, "_put", wraps=staging._put) as put:
        staging.under(image, document.read(layer, part, encoding), part, encoding, fills)
    image.delete()
    return {"fills": found, "asked": asked.call_count, "mixed": put.call_count}


def buffers():
    """How often GIMP gives and takes back a layer's pixels where many runs of them are written."""
    import assembly
    import document
    from client.geometry import Bounds

    image, layer = load()
    lies, encoding, part = document.bounds_of(layer), document.encoding_of(layer), Bounds(10, 10, 16, 16)
    pixels, two = bytes(part.area * encoding.pixel_bytes), Bounds(10, 10, 2, 1)
    original = document.read(layer, two, encoding)
    buffer = layer.get_buffer()
    with patch.object(type(layer), "get_buffer", return_value=buffer) as got:
        assembly._write(layer, part, encoding, pixels, b"\0\xff" * (part.area // 2), lies)
    written = document.read(layer, two, encoding)
    image.delete()
    return {"got": got.call_count, "pixels": written == original[:3] + bytes(3)}


def looks():
    """What is said of layers that do not look as a new one above them does."""
    import document
    import filling

    told = {}
    image, layer = locked_group(None)
    outer = image.get_layers()[0]
    outer.set_opacity(40)
    layer.get_parent().set_opacity(50)
    told["locked group"] = [document.special_look(layer), document.look_of_groups(layer)]
    told["map in a locked group"] = filling._map_notes(layer)
    image.delete()
    image, layer = group(None)
    layer.set_opacity(40)
    told["group"] = [document.special_look(layer), document.look_of_groups(layer.get_children()[0])]
    image.delete()
    image, layer = photo(None)
    told["map"] = filling._map_notes(layer)
    layer.set_composite_mode(Gimp.LayerCompositeMode.CLIP_TO_BACKDROP)
    told["clipped"] = document.special_look(layer)
    layer.set_mode(Gimp.LayerMode.MULTIPLY)
    told["multiplied map"] = filling._map_notes(layer)
    image.delete()
    return told


def left_out_after_undo():
    """Whether the next fills leave out what the one that was undone left out; the last has nothing else to go by."""
    image, layer = load()
    channel = channel_of(image, LEFT_OUT)
    image.set_selected_layers([layer])
    select(image, ELLIPSE)
    there, screen, told = state(image), Screen(image), []
    del there["selected"]
    last_values = Gimp.RunMode.WITH_LAST_VALS
    first = ("inpaint", {"exclude": channel})
    for procedure, arguments, *run_mode in (first, ("inpaint", {}, last_values), ("another", {})):
        succeeded, made = call(procedure, image, [layer], arguments, *run_mode)
        told.append(bool(json.loads(kept(made, "dgfnet-inpaint"))["exclude"]) if succeeded else str(made))
        if not screen.undo(there):
            told.append("not undone")
    screen.close()
    image.delete()
    return told


def look_inside():
    """All of it, written down."""
    sys.path.append(os.environ["GIMP3_DIRECTORY"] + "/plug-ins/dgfnet-inpaint")
    told = {each.__name__: each() for each in (questions, buffers, looks, left_out_after_undo)}
    with open(f"{WORK}/results/inside.json", "w") as file:
        json.dump(told, file)
