"""What is kept in the document: a result's record, and identities by which records name layers and channels.

All of it is in parasites, which go and come with their layer and follow it into copies of the image, where GIMP's own
numbers (tattoos) are given out anew. GIMP writes "gimp_image_undo_group_end: assertion ..." to the terminal whenever
one is redone: its own slip, and harmless; without UNDOABLE they would not go and come.
"""

from __future__ import annotations

import uuid
from itertools import takewhile

import document
import gi
from settings import PARASITE, BadRecord, Record

gi.require_version("Gimp", "3.0")
from gi.repository import Gimp  # noqa: E402

IDENTITY, MAP = "dgfnet-identity", "dgfnet-texture-map"
"""Parasites of sources and of texture maps; a map's is the identity of its source."""
PERSISTENT, UNDOABLE = 1, 2  # flags of a parasite


def keep(result: Gimp.Layer, record: Record) -> None:
    """Keep a record with a result."""
    _attach(result, PARASITE, record.to_json())


def mark_map(group: Gimp.Layer, source: Gimp.Layer) -> None:
    """Tell that a group is a texture map of a layer: fills of that one belong above it."""
    _attach(group, MAP, identify(source).encode())


def identify(item: Gimp.Item) -> str:
    """The identity of a layer or channel, which gets one if it has none."""
    if not identity(item):
        _attach(item, IDENTITY, uuid.uuid4().hex.encode())
    return identity(item)


def identity(item: Gimp.Item) -> str:
    """The identity of a layer or channel; empty where it has none yet."""
    return _kept(item, IDENTITY).decode(errors="replace")


def forget_identity(copy: Gimp.Layer) -> None:
    """Let a copy of a layer, not in an image yet, be a picture of its own."""
    copy.detach_parasite(IDENTITY)


def record_of(item: Gimp.Item) -> Record | None:
    """What is kept with a layer, None where it is no result. Raises `BadRecord`."""
    kept = _kept(item, PARASITE)
    return Record.from_json(kept) if kept else None


def fills_of(image: Gimp.Image, source: Gimp.Layer) -> list[tuple[Record, Gimp.Layer]]:
    """The results that were made from a layer, wherever they lie, and what is kept with each."""
    found = []
    for item in document.with_descendants(image.get_layers()):
        record = _readable(item)
        if record and _is_named(source, record.source):  # or one of its duplicates is
            meant = source_of(image, record, item)
            if meant and meant.get_id() == source.get_id():
                found.append((record, item))
    return found


def stack_on(image: Gimp.Image, source: Gimp.Layer) -> list[Gimp.Layer]:
    """The results and texture maps of a layer that lie right above it (or its locked group), from the bottom."""
    above = document.items_above(image, document.stands_in(source))
    return list(takewhile(lambda item: is_fill_of(item, source) or _is_map_of(item, source), above))


def seen_fills(image: Gimp.Image, source: Gimp.Layer) -> list[Gimp.Layer]:
    """The visible results in `stack_on`. Copies are none of them: each is a picture of its own, to be filled itself."""
    records = ((_readable(item), item) for item in stack_on(image, source))  # a map has none
    return [item for record, item in records if record and record.settings.output != "copy" and item.get_visible()]


def recorded(layer: Gimp.Layer) -> tuple[Record, Gimp.Layer] | None:
    """What is kept with a result, and the result, of which one layer will do; None where it is no result.

    Raises:
        BadRecord: what is kept cannot be read.
    """
    for item in (layer, layer.get_parent()):
        record = record_of(item) if item else None
        if record:
            return record, item
    return None


def original(image: Gimp.Image, layer: Gimp.Layer) -> Gimp.Layer:
    """The layer that a result was made from, if it is still there; the layer itself if it is a copy or no result."""
    try:
        found = recorded(layer)
    except BadRecord:
        found = None
    if found is None or found[0].settings.output == "copy":
        return layer
    return source_of(image, *found) or layer


def source_of(image: Gimp.Image, record: Record, result: Gimp.Layer) -> Gimp.Layer | None:
    """The layer that a result was made from; None where it is not in the image.

    A duplicated layer has the identity of the first: the nearest one below the result is meant, if any is.
    """
    layers = document.with_descendants(image.get_layers())
    place = [item.get_id() for item in layers].index(result.get_id())
    nearest = [*layers[place + 1 :], *layers[:place][::-1]]
    return next((item for item in nearest if _is_named(item, record.source)), None)


def excluded(image: Gimp.Image, record: Record) -> Gimp.Channel | None:
    """The channel that a run left out; None where there was none, or it is not in the image."""
    return next((item for item in image.get_channels() if _is_named(item, record.exclude)), None)


def is_fill_of(item: Gimp.Layer, source: Gimp.Layer) -> bool:
    """Whether a layer is a result that was made from the other, or from one with the same identity."""
    record = _readable(item)
    return record is not None and _is_named(source, record.source)


def _is_named(item: Gimp.Item, name: str) -> bool:
    """Whether a record means an item by a name; records of earlier versions have its tattoo."""
    return bool(name) and name in (identity(item), str(item.get_tattoo()))


def _is_map_of(item: Gimp.Layer, source: Gimp.Layer) -> bool:
    kept = _kept(item, MAP)
    return bool(kept) and kept.decode(errors="replace") == identity(source)


def _readable(item: Gimp.Item) -> Record | None:
    try:
        return record_of(item)
    except BadRecord:
        return None


def _attach(item: Gimp.Item, name: str, content: bytes) -> None:
    item.attach_parasite(Gimp.Parasite.new(name, PERSISTENT | UNDOABLE, content))


def _kept(item: Gimp.Item, name: str) -> bytes:
    """What a parasite holds; empty where there is none."""
    parasite = item.get_parasite(name)
    return bytes(parasite.get_data()).rstrip(b"\0") if parasite else b""
