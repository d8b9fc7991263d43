"""Runs like one that was made before: the same again, or another fill of the same hole."""

from __future__ import annotations

import random
from dataclasses import replace

import document
import filling
import gi
import precision
import records
import service
from client.errors import InpaintError
from settings import MAX_VARIATION, BadRecord, Record, Settings

gi.require_version("Gimp", "3.0")
from gi.repository import Gimp  # noqa: E402


def rerun(image: Gimp.Image, layer: Gimp.Layer, say: service.Say) -> Gimp.Layer:
    """Repeat the run that made `layer` (or its group), on the layer that it was made from. Raises `InpaintError`.

    The selection is the mask as ever; without one, the result's own shape is, and it neither grows nor softens again.
    """
    found = _recorded(layer)
    if found is None:
        raise InpaintError(
            "bad_record", "The selected layer was not made by Inpaint (DGFNet).", "Select a result, then try again."
        )
    return _repeat(image, *found, say)


def another(image: Gimp.Image, layer: Gimp.Layer, say: service.Say) -> Gimp.Layer:
    """Fill another way, with the settings of the newest result made from `layer`, or of the result that it is.

    The mask is as in `rerun`. A layer without results has its hole filled by the default settings.

    Raises:
        InpaintError: as `rerun`.
    """
    variation = random.randint(1, MAX_VARIATION)  # not the next one: a fill that was undone does not come back
    found = _newest(image, layer)
    if found is None:
        return filling.inpaint(image, layer, filling.Wish(Settings(variation=variation)), say)
    record, result = found
    return _repeat(image, replace(record, settings=replace(record.settings, variation=variation)), result, say)


def left_out(image: Gimp.Image, layer: Gimp.Layer) -> Gimp.Channel | None:
    """The channel that the run which `another` would repeat left out: GIMP keeps no channel among last values."""
    found = _newest(image, layer)
    return records.excluded(image, found[0]) if found else None


def _newest(image: Gimp.Image, layer: Gimp.Layer) -> tuple[Record, Gimp.Layer] | None:
    """The newest result that was made from a layer, else the result that the layer is (or is one layer of)."""
    return max(records.fills_of(image, layer), key=lambda each: each[0].began, default=None) or _recorded(layer)


def _repeat(image: Gimp.Image, record: Record, result: Gimp.Layer, say: service.Say) -> Gimp.Layer:
    """A run like a recorded one. Without a selection the mask is the result's shape."""
    source = records.source_of(image, record, result)
    if source is None:
        raise InpaintError(
            "bad_record",
            "The layer that this result was made from is not in this image.",
            "Select the layer to fill and use Inpaint (DGFNet) instead.",
        )
    hole = None
    if document.selection_bounds(image) is None and record.settings.output != "copy":
        area, encoding = document.bounds_of(result), precision.alpha_encoding(int(image.get_precision()))
        hole = document.hole_of("shape of the result", area, document.read(result, area, encoding), encoding)
    return filling.inpaint(image, source, filling.Wish(record.settings, records.excluded(image, record)), say, hole)


def _recorded(layer: Gimp.Layer) -> tuple[Record, Gimp.Layer] | None:
    try:
        return records.recorded(layer)
    except BadRecord as error:
        raise InpaintError("bad_record", str(error), "Select the source layer and use Inpaint (DGFNet).") from None
