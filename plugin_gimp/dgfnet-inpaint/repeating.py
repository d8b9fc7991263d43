"""Runs like one that was made before: the same again, or another fill of the same hole."""

from __future__ import annotations

from dataclasses import replace

import document
import filling
import gi
import precision
import records
import service
from client.errors import InpaintError
from settings import MAX_VARIATION, BadRecord, Record

gi.require_version("Gimp", "3.0")
from gi.repository import Gimp  # noqa: E402


def rerun(image: Gimp.Image, layer: Gimp.Layer, say: service.Say) -> Gimp.Layer:
    """Repeat the run that made `layer` (or its group), on the layer that it was made from. Raises `InpaintError`.

    The selection is the mask as ever; without one, the result's own shape is, and it neither grows nor softens again.
    """
    return _repeat(image, *_recorded(layer), say, document.selection_bounds(image) is not None)


def another(image: Gimp.Image, layer: Gimp.Layer, say: service.Say) -> Gimp.Layer:
    """Fill the hole of a result another way: that of the newest result made from `layer`, or of the result it is.

    Where the selection has moved on since, the result's own shape is the mask.

    Raises:
        InpaintError: as `rerun`.
    """
    made = list(records.all_in(image))
    made_from_it = [each for each in made if records.is_fill_of(each[1], layer)]
    record, result = max(made_from_it, key=lambda each: each[0].began) if made_from_it else _recorded(layer)
    place = document.bounds_of(result)
    variation = 1 + max(each.settings.variation for each, item in made if document.bounds_of(item) == place)
    settings = replace(record.settings, variation=variation % (MAX_VARIATION + 1))
    selected = document.selection_bounds(image)
    is_the_same = selected is not None and selected.pad(settings.grow).intersection(document.canvas(image)) == place
    return _repeat(image, replace(record, settings=settings), result, say, is_the_same)


def _repeat(image: Gimp.Image, record: Record, result: Gimp.Layer, say: service.Say, by_selection: bool) -> Gimp.Layer:
    """A run like a recorded one; without `by_selection` the mask is the result's shape, which has grown already."""
    source = image.get_layer_by_tattoo(record.source) if record.source else None
    if source is None:
        raise InpaintError(
            "bad_record",
            "The layer that this result was made from is not in this image any more.",
            "Select the layer to fill and use Inpaint (DGFNet) instead.",
        )
    settings, hole = record.settings, None
    if not by_selection and settings.output != "copy":
        settings = replace(settings, grow=0, feather=0.0)
        area, encoding = document.bounds_of(result), precision.alpha_encoding(int(image.get_precision()))
        hole = document.hole_of("shape of the result", area, document.read(result, area, encoding), encoding)
    exclude = image.get_channel_by_tattoo(record.exclude) if record.exclude else None
    return filling.inpaint(image, source, filling.Wish(settings, exclude), say, hole)


def _recorded(layer: Gimp.Layer) -> tuple[Record, Gimp.Layer]:
    """What is kept with a result, and the result; one of its layers will do."""
    for item in (layer, layer.get_parent()):
        try:
            record = records.record_of(item) if item else None
        except BadRecord as error:
            raise InpaintError("bad_record", str(error), "Select the source layer and use Inpaint (DGFNet).") from None
        if record:
            return record, item
    raise InpaintError(
        "bad_record", "The selected layer was not made by Inpaint (DGFNet).", "Select a result, then try again."
    )
