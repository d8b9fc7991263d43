"""Has a group of two layers of whole numbers show the fill to the last bit (see `sums` for why it might not)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import document
import gi
import sums
from client.events import Layer
from client.geometry import Bounds
from precision import Encoding

gi.require_version("Gimp", "3.0")
from gi.repository import Gimp  # noqa: E402

STRIPE_PIXELS = 1 << 18
"""Pixels that are looked at in one go; Python needs some 100 bytes for each."""


class GroupSum:
    """A group in the image, its layers (coarse and, in grain merge, texture), and what the server sent for them."""

    def __init__(
        self, group: Gimp.Layer, layers: Sequence[Gimp.Layer], answers: Sequence[Layer], encoding: Encoding
    ) -> None:
        self._group, self._layers, self._answers, self._encoding = group, layers, answers, encoding
        self._bounds = document.bounds_of(layers[0])
        self._own = document.own_space(group.get_image())

    def make_exact(self) -> None:
        """Find the texture's composite space and the pairs of values by which the sum is the fill everywhere.

        An opaque texture looks the same in every space, but for the last bits of its sum.
        """
        wrong = {}
        for space in self._spaces():
            wrong[space] = self._correct(space)
            if not wrong[space]:
                return
        self._correct(min(wrong, key=wrong.__getitem__))

    def _spaces(self) -> list[Gimp.LayerColorSpace]:
        """What to try: those like the image's own first, as a weaker texture is mixed in them; then the most exact."""
        space = Gimp.LayerColorSpace
        first = next(self._stripes())
        wrong = {}
        for each in (self._own, space.RGB_PERCEPTUAL, space.RGB_NON_LINEAR, space.RGB_LINEAR):
            self._layers[1].set_composite_space(each)
            wrong[each] = self._pairs(first).wrong(self._shown(first))
            if not wrong[each]:
                break
        linear = space.RGB_LINEAR
        return sorted(wrong, key=lambda each: ((each == linear) != (self._own == linear), wrong[each]))

    def _correct(self, space: Gimp.LayerColorSpace) -> int:
        """How many values stay wrong with the texture in a space, in the first part that has any."""
        self._layers[1].set_composite_space(space)
        for part in self._stripes():
            pairs = self._pairs(part)
            self._write(part, pairs)
            while pairs.correct(self._shown(part)):
                self._write(part, pairs)
            if pairs.left:
                return pairs.left
        return 0

    def _stripes(self) -> Iterator[Bounds]:
        whole = self._bounds
        rows = max(1, STRIPE_PIXELS // whole.width)
        for top in range(0, whole.height, rows):
            yield Bounds(whole.x, whole.y + top, whole.width, min(rows, whole.height - top))

    def _pairs(self, part: Bounds) -> sums.Pairs:
        coarse, texture = (
            document.cut(bytes(answer.pixels), self._encoding.pixel_bytes, self._bounds, part)
            for answer in self._answers
        )
        return sums.Pairs(self._encoding.dtype, coarse, texture, self._encoding.channels)

    def _write(self, part: Bounds, pairs: sums.Pairs) -> None:
        for layer, pixels in zip(self._layers, (pairs.coarse, pairs.texture), strict=True):
            document.write(layer, part, self._encoding, pixels, self._bounds)
            layer.update(*part.relative_to(self._bounds))

    def _shown(self, part: Bounds) -> bytes:
        return document.read(self._group, part, self._encoding)
