"""What is kept in the document: a result's record, and identities by which records name layers and channels.

All of it is in parasites, which go and come with their layer and follow it into copies of the image, where GIMP's own
numbers (tattoos) are given out anew. GIMP writes "gimp_image_undo_group_end: assertion ..." to the terminal whenever
one is redone: its own slip, and harmless; without UNDOABLE they would not go and come.
"""

from __future__ import annotations

import json
import uuid
from itertools import takewhile

import document
import gi
from settings import PARASITE, BadRecord, Record

gi.require_version("Gimp", "3.0")
from gi.repository import Gimp  # noqa: E402

IDENTITY, MAP = "dgfnet-identity", "dgfnet-texture-map"
"""Parasites of sources and of texture maps; a map's is the identity of its source."""
LAST = "dgfnet-last"
"""Parasite of an image, for the session: what the last fill of each layer left out."""
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


def identify_channel(image: Gimp.Image, channel: Gimp.Channel) -> str:
    """As `identify`; a duplicate, which has the identity of the first, gets one of its own."""
    meant = _channel(image, identity(channel))
    if meant and meant.get_id() != channel.get_id():
        _attach(channel, IDENTITY, uuid.uuid4().hex.encode())
    return identify(channel)


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
    layers, names, found = _Layers(image), _names(source), []
    for place, item in enumerate(layers.items):
        record = _readable(item)
        if record and record.source in names:  # or a duplicate of the source is meant
            meant = layers.nearest(record.source, place)
            if meant and meant.get_id() == source.get_id():
                found.append((record, item))
    return found


def stack_on(image: Gimp.Image, source: Gimp.Layer) -> list[Gimp.Layer]:
    """The results and texture maps of a layer that lie right above it (or its locked group), from the bottom."""
    above, names = document.items_above(image, document.stands_in(source)), _names(source)
    return list(takewhile(lambda item: _names_one(item, names), above))


def seen_maps(image: Gimp.Image, source: Gimp.Layer) -> list[Gimp.Layer]:
    """The visible texture maps in `stack_on`."""
    return [item for item in stack_on(image, source) if _kept(item, MAP) and item.get_visible()]


def seen_copies(image: Gimp.Image, source: Gimp.Layer) -> list[tuple[Record, Gimp.Layer]]:
    """The visible copies of a layer, from the top, and what is kept with each."""
    found = fills_of(image, source)
    return [(record, item) for record, item in found if record.settings.output == "copy" and item.get_visible()]


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
    layers = _Layers(image)
    return layers.nearest(record.source, [item.get_id() for item in layers.items].index(result.get_id()))


def remember(image: Gimp.Image, source: Gimp.Layer, exclude: Gimp.Channel | None) -> None:
    """Note what the last fill of a layer left out, for as long as GIMP runs: undo takes the result and its record."""
    noted = {**_noted(image), str(source.get_id()): exclude.get_id() if exclude else 0}
    image.attach_parasite(Gimp.Parasite.new(LAST, 0, json.dumps(noted).encode()))


def remembered(image: Gimp.Image, source: Gimp.Layer) -> int | None:
    """GIMP's number of the channel that the last fill of a layer left out, 0 for none; None where nothing is noted."""
    return _noted(image).get(str(source.get_id()))


def excluded(image: Gimp.Image, record: Record) -> Gimp.Channel | None:
    """The channel that a run left out; None where there was none, or it is not in the image."""
    return _channel(image, record.exclude)


def _channel(image: Gimp.Image, name: str) -> Gimp.Channel | None:
    """The lowest channel of a name: GIMP puts a duplicate above the first."""
    return next((item for item in reversed(image.get_channels()) if name in _names(item)), None)


class _Layers:
    """All layers of an image, from the top, and where each name is: GIMP is asked for those once."""

    def __init__(self, image: Gimp.Image) -> None:
        self.items = document.with_descendants(image.get_layers())
        self._places: dict[str, list[int]] = {}
        for place, item in enumerate(self.items):
            for name in _names(item):
                self._places.setdefault(name, []).append(place)

    def nearest(self, name: str, place: int) -> Gimp.Layer | None:
        """The first layer of a name below a place, else the first one above it."""
        places = self._places.get(name, [])
        below, above = ([at for at in places if at > place], [at for at in places if at < place])
        found = below[0] if below else above[-1] if above else None
        return None if found is None else self.items[found]


def _names(item: Gimp.Item) -> set[str]:
    """By what records mean an item; those of earlier versions have its tattoo."""
    return {identity(item), str(item.get_tattoo())} - {""}


def _names_one(item: Gimp.Layer, names: set[str]) -> bool:
    """Whether a layer is a result or a texture map of a layer with one of the names."""
    record = _readable(item)
    return (record is not None and record.source in names) or _kept(item, MAP).decode(errors="replace") in names


def _noted(image: Gimp.Image) -> dict[str, int]:
    """By GIMP's numbers for layers, which live as long as it and are not those of a duplicate."""
    return dict(json.loads(_kept(image, LAST) or b"{}"))


def _readable(item: Gimp.Item) -> Record | None:
    try:
        return record_of(item)
    except BadRecord:
        return None


def _attach(item: Gimp.Item, name: str, content: bytes) -> None:
    item.attach_parasite(Gimp.Parasite.new(name, PERSISTENT | UNDOABLE, content))


def _kept(item: Gimp.Item | Gimp.Image, name: str) -> bytes:
    """What a parasite holds; empty where there is none."""
    parasite = item.get_parasite(name)
    return bytes(parasite.get_data()).rstrip(b"\0") if parasite else b""
