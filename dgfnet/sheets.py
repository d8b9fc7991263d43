"""Contact sheets: labelled rows of pictures, to look at before, mask and after side by side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from dgfnet.pixels import from_float, split_alpha, to_float

BEFORE_MASK_AFTER = ("before", "mask", "after")
_GAP = 8
_TEXT = 16  # height of the labels in pixels
_PAPER, _INK = (24, 24, 24), (230, 230, 230)


def contact_sheet(
    rows: Sequence[Sequence[np.ndarray]],
    columns: Sequence[str] = BEFORE_MASK_AFTER,
    labels: Sequence[str] | None = None,
    cell: int = 320,
) -> Image.Image:
    """Pictures in a grid, a title above each column and, where given, a label above each row.

    Args:
        rows: pictures [H, W] or [H, W, 1 to 4] of any supported depth (bool too); transparency is shown on mid grey.
            Each is reduced to fit a cell of `cell` x `cell` pixels (small ones are not enlarged) and centred.
        columns: one title per picture of a row.
        labels: one per row.
        cell: side in pixels.

    Returns:
        RGB picture.
    """
    if any(len(row) != len(columns) for row in rows) or (labels is not None and len(labels) != len(rows)):
        raise ValueError("every row needs one picture per column, and every row or none a label")
    pictures = [[_thumbnail(pixels, cell) for pixels in row] for row in rows]
    label_height = _TEXT + _GAP if labels is not None else 0
    heights = [max(picture.height for picture in row) + label_height + _GAP for row in pictures]
    size = (len(columns) * (cell + _GAP) + _GAP, _TEXT + 2 * _GAP + sum(heights))
    sheet = Image.new("RGB", size, _PAPER)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(_TEXT - 2)
    for index, title in enumerate(columns):
        draw.text((_GAP + index * (cell + _GAP), _GAP), title, _INK, font)
    top = _TEXT + 2 * _GAP
    for number, row in enumerate(pictures):
        if labels is not None:
            draw.text((_GAP, top), labels[number], _INK, font)
        for index, picture in enumerate(row):
            x = _GAP + index * (cell + _GAP) + (cell - picture.width) // 2
            sheet.paste(picture, (x, top + label_height))
        top += heights[number]
    return sheet


def _thumbnail(pixels: np.ndarray, cell: int) -> Image.Image:
    """8-bit RGB within the cell, by area average."""
    step = max(max(pixels.shape[:2]) // (4 * cell), 1)  # a huge picture is thinned first: no picture-sized float copy
    colour, opacity = split_alpha(pixels[::step, ::step])
    values = np.nan_to_num(to_float(colour))
    if opacity is not None:
        share = to_float(opacity)[..., None]
        values = values * share + 0.5 * (1 - share)
    rgb = np.repeat(values, 3, axis=2) if values.shape[2] == 1 else values
    picture = Image.fromarray(from_float(rgb, np.uint8))
    picture.thumbnail((cell, cell), Image.Resampling.BOX)
    return picture
