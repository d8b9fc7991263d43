"""Runs inside GIMP: how often the plug-in's own functions ask GIMP, what they say of looks, what undo leaves known."""

import json
import os
import sys
from unittest.mock import patch

from gi.repository import Gimp
from gimp_calls import call
from gimp_cases import BESIDE, CASES, ELLIPSE, LEFT_OUT
from gimp_copies import LOOKS_AT
from gimp_looks import digest, kept, native, state
from gimp_scenes import WORK, channel_of, filled, group, load, locked_group, masked_softly, photo, select
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
    import notes

    told = {}
    image, layer = locked_group(None)
    outer = image.get_layers()[0]
    outer.set_opacity(40)
    layer.get_parent().set_opacity(50)
    told["locked group"] = [document.special_look(layer), document.look_of_groups(layer)]
    told["map in a locked group"] = notes.of_map(layer, document.bounds_of(layer))
    image.delete()
    image, layer = group(None)
    layer.set_opacity(40)
    told["group"] = [document.special_look(layer), document.look_of_groups(layer.get_children()[0])]
    image.delete()
    image, layer = photo(None)
    told["map"] = notes.of_map(layer, document.bounds_of(layer))
    layer.set_composite_mode(Gimp.LayerCompositeMode.CLIP_TO_BACKDROP)
    told["clipped"] = document.special_look(layer)
    layer.set_mode(Gimp.LayerMode.MULTIPLY)
    told["multiplied map"] = notes.of_map(layer, document.bounds_of(layer))
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


def duplicated_channel():
    """What re-runs leave out of fills that left out a channel, and then its duplicate."""
    import records

    image, layer = load()
    first = channel_of(image, LEFT_OUT)
    first.set_name("first")
    told, made = [], []
    for name in ("first", "second"):
        channel = first
        if name == "second":
            channel = first.copy()
            channel.set_name(name)
            image.insert_channel(channel, None, 0)
        image.set_selected_layers([layer])
        select(image, ELLIPSE)
        made.append(call("inpaint", image, [layer], {"exclude": channel})[1])
        told.append([records.excluded(image, records.record_of(each)).get_name() for each in made])
    image.delete()
    return told


def painted_meanwhile():
    """Whether one undo of a copy keeps what was painted on another layer while it was made."""
    import blend
    import filling
    import settings

    image, layer = load()
    other = layer.copy()
    image.insert_layer(other, None, 1)
    image.set_selected_layers([layer])
    select(image, ELLIPSE)
    there, screen, over = state(image), Screen(image), blend.over
    del there["selected"]

    def paint(*pixels):
        other.edit_fill(Gimp.FillType.WHITE)
        there["layers"][1]["pixels"] = digest(other)
        return over(*pixels)

    with patch.object(blend, "over", paint):
        filling.inpaint(image, layer, filling.Wish(settings.Settings(output="copy")), lambda *told: None)
    undone = screen.undo(there)
    screen.close()
    image.delete()
    return undone


def gone():
    """What is said where a layer was removed, or its image closed, while the dialog was open."""
    import filling
    import settings

    told = []
    for is_closed in (False, True):
        image, layer = load()
        select(image, ELLIPSE)
        if is_closed:
            image.delete()
        else:
            image.remove_layer(layer)
        for work, wish in ((filling.inpaint, [filling.Wish(settings.Settings())]), (filling.texture_map, [0.01, 3.0])):
            try:
                told.append(str(work(image, layer, *wish, lambda *told: None)))
            except Exception as error:
                told.append(str(error))
        if not is_closed:
            image.delete()
    return told


def masked_copy():
    """By how much a copy that a fill becomes part of differs from what was seen, soft layer mask included."""
    image, layer = filled(CASES[0], masked_softly)
    select(image, BESIDE)

    def seen():
        visible = Gimp.Layer.new_from_visible(image, image, "seen")
        pixels = native(visible)
        visible.delete()
        return pixels

    before = seen()
    succeeded, made = call("inpaint", image, [layer], {"output": "copy"})
    after, width, outside = seen(), image.get_width(), range(BESIDE[1])
    pixels = [4 * (y * width + x) for y in range(image.get_height()) for x in outside]
    worst = max(abs(before[at + each] - after[at + each]) for at in pixels if before[at + 3] for each in range(4))
    told = [succeeded, made.get_mask() is None, worst]
    image.delete()
    return told


def look_inside():
    """All of it, written down."""
    sys.path.append(os.environ["GIMP3_DIRECTORY"] + "/plug-ins/dgfnet-inpaint")
    looks_at = (
        questions,
        buffers,
        looks,
        left_out_after_undo,
        duplicated_channel,
        painted_meanwhile,
        gone,
        masked_copy,
        *LOOKS_AT,
    )
    told = {each.__name__: each() for each in looks_at}
    with open(f"{WORK}/results/inside.json", "w") as file:
        json.dump(told, file)
