"""What is kept with a result in the document: its record, in a parasite that goes and comes with its layer."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import takewhile

import document
import gi
from settings import PARASITE, BadRecord, Record

gi.require_version("Gimp", "3.0")
from gi.repository import Gimp  # noqa: E402

PERSISTENT, UNDOABLE = 1, 2  # flags of a parasite
"""GIMP writes "gimp_image_undo_group_end: assertion ..." to the terminal whenever an undoable one is redone. That is
GIMP's own slip, and harmless; without the flag the record would not go and come with its layer."""


def keep(result: Gimp.Layer, record: Record) -> None:
    """Keep a record with a result."""
    result.attach_parasite(Gimp.Parasite.new(PARASITE, PERSISTENT | UNDOABLE, record.to_json()))


def record_of(item: Gimp.Item) -> Record | None:
    """What is kept with a layer, None where it is no result. Raises `BadRecord`."""
    parasite = item.get_parasite(PARASITE)
    return Record.from_json(bytes(parasite.get_data())) if parasite else None


def all_in(image: Gimp.Image) -> Iterator[tuple[Record, Gimp.Layer]]:
    """Every result of an image; those with records that cannot be read are left out."""
    layers = list(image.get_layers())
    for item in layers:
        layers.extend(item.get_children() if item.is_group() else ())
        record = _readable(item)
        if record:
            yield record, item


def fills_of(image: Gimp.Image, source: Gimp.Layer) -> list[Gimp.Layer]:
    """The results that were made from a layer, wherever they lie."""
    return [item for record, item in all_in(image) if record.source == source.get_tattoo()]


def fills_above(image: Gimp.Image, source: Gimp.Layer) -> list[Gimp.Layer]:
    """The results of a layer that lie right above it (or its locked group), nothing between, from the bottom."""
    above = document.items_above(image, document.stands_in(source))
    return list(takewhile(lambda item: is_fill_of(item, source), above))


def seen_fills(image: Gimp.Image, source: Gimp.Layer) -> list[Gimp.Layer]:
    """The visible ones of `fills_above`. Copies are none of them: each is a picture of its own, to be filled itself."""
    return [item for item in fills_above(image, source) if item.get_visible() and not _is_copy(item)]


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
    return image.get_layer_by_tattoo(found[0].source) or layer


def is_fill_of(item: Gimp.Layer, source: Gimp.Layer) -> bool:
    """Whether a layer is a result that was made from the other."""
    record = _readable(item)
    return record is not None and record.source == source.get_tattoo()


def _is_copy(item: Gimp.Layer) -> bool:
    record = _readable(item)
    return record is not None and record.settings.output == "copy"


def _readable(item: Gimp.Item) -> Record | None:
    try:
        return record_of(item)
    except BadRecord:
        return None
