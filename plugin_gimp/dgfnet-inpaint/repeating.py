"""Runs like one that was made before: the same again, or another fill of the same hole."""

from __future__ import annotations

import random
from dataclasses import replace

import document
import filling
import gi
import reading
import records
import service
from client.errors import InpaintError
from settings import MAX_VARIATION, BadRecord, Record, Settings

gi.require_version("Gimp", "3.0")
from gi.repository import Gimp  # noqa: E402


def rerun(image: Gimp.Image, layer: Gimp.Layer, say: service.Say) -> Gimp.Layer:
    """Repeat the run that made `layer` (or its group), on the layer that it was made from, or on the copy that it is.

    The selection is the mask as ever; without one, the result's own shape is, and it neither grows nor softens again.
    Raises `InpaintError`.
    """
    found = _recorded(layer)
    if found is None:
        raise InpaintError(
            "bad_record", "The selected layer was not made by Inpaint (DGFNet).", "Select a result, then try again."
        )
    return _repeat(image, layer, *found, say)


def another(image: Gimp.Image, layer: Gimp.Layer, say: service.Say) -> Gimp.Layer:
    """Fill another way, with the settings of the newest result made from `layer`, or of the result that it is.

    The mask is as in `rerun`. A layer without results has its hole filled by the default settings.

    Raises:
        InpaintError: as `rerun`.
    """
    variation = random.randint(1, MAX_VARIATION)  # not the next one: a fill that was undone does not come back
    found = _newest(image, layer)
    if found is None:
        wish = filling.Wish(Settings(variation=variation), left_out(image, layer))  # of a fill that was undone
        return filling.inpaint(image, layer, wish, say)
    record, result = found
    return _repeat(image, layer, replace(record, settings=replace(record.settings, variation=variation)), result, say)


def left_out(image: Gimp.Image, layer: Gimp.Layer) -> Gimp.Channel | None:
    """The channel that the last fill of a layer left out, even if it was undone: GIMP keeps none among last values.

    Raises:
        InpaintError: it is not in the image any more.
    """
    number = records.remembered(image, records.original(image, layer))
    if number is None:  # not in this session
        found = _newest(image, layer)
        return _left_out(image, found[0]) if found else None
    channel = next((item for item in image.get_channels() if item.get_id() == number), None)
    if number and channel is None:
        raise _gone()
    return channel


def _newest(image: Gimp.Image, layer: Gimp.Layer) -> tuple[Record, Gimp.Layer] | None:
    """The newest result that was made from a layer, else the result that the layer is (or is one layer of)."""
    return max(records.fills_of(image, layer), key=lambda each: each[0].began, default=None) or _recorded(layer)


def _repeat(image: Gimp.Image, layer: Gimp.Layer, record: Record, result: Gimp.Layer, say: service.Say) -> Gimp.Layer:
    """A run like a recorded one. Without a selection the mask is the result's shape, or for a copy found again.

    A copy that is the selected `layer` itself is the picture to fill: it has more in it than its source.
    """
    source = records.source_of(image, record, result)
    is_copy, none_selected = record.settings.output == "copy", document.selection_bounds(image) is None
    fills_copy = is_copy and layer.get_id() == result.get_id()
    if source is None and (none_selected or not fills_copy):
        raise InpaintError(
            "bad_record",
            "The layer that this result was made from is not in this image.",
            "Select the layer to fill and use Inpaint (DGFNet) instead.",
        )
    if is_copy and none_selected and record.hole not in (document.LAYER_MASK, document.TRANSPARENCY):
        raise _shapeless()
    wish = filling.Wish(record.settings, _left_out(image, record))
    if fills_copy:
        return filling.inpaint(image, result, wish, say, _again(image, record, result, source) if source else None)
    shape = filling.Again(document.shape_of(result), shape=result) if none_selected and not is_copy else None
    return filling.inpaint(image, source, wish, say, shape)


def _again(image: Gimp.Image, record: Record, copy: Gimp.Layer, source: Gimp.Layer) -> filling.Again | None:
    """The hole of a copy, if it is to be filled again; None where the selection is another one.

    Then the new fill takes the place of the earlier one, also at soft edges, where both would add up. That needs the
    source's pixels, which are of no use once source and copy lie or are shown otherwise than each other. A hole that
    is no selection has gone where the copy went.
    """
    hole = document.find_hole(image, source, reading.looker(image, source, for_copy=True))
    is_same = document.digest_of(image, hole, source) == record.mask and reading.is_plain_copy(image, source, copy)
    if hole.kind == document.SELECTION:
        return filling.Again(hole, source=source) if is_same else None
    lies, lay = document.bounds_of(copy), document.bounds_of(source)
    if lies[2:] != lay[2:]:
        raise _shapeless()
    return filling.Again(hole.translate(lies.x - lay.x, lies.y - lay.y), source=source, is_plain=is_same)


def _left_out(image: Gimp.Image, record: Record) -> Gimp.Channel | None:
    """The channel that a run left out, if any. Raises `InpaintError` where it is gone: the fill would be made of it."""
    found = records.excluded(image, record)
    if record.exclude and found is None:
        raise _gone()
    return found


def _shapeless() -> InpaintError:
    return InpaintError(
        "empty_mask",
        "A copy does not keep the shape of the hole that was filled in it.",
        "Select the region to fill, then try again.",
    )


def _gone() -> InpaintError:
    return InpaintError(
        "bad_record",
        "The channel that the earlier fill left out is no longer in this image.",
        "Bring it back by undo, or use Inpaint (DGFNet) with another channel or none.",
    )


def _recorded(layer: Gimp.Layer) -> tuple[Record, Gimp.Layer] | None:
    try:
        return records.recorded(layer)
    except BadRecord as error:
        raise InpaintError("bad_record", str(error), "Select the source layer and use Inpaint (DGFNet).") from None
