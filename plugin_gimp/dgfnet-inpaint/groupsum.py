"""Has a group of two layers of whole numbers show the fill to the last bit (see `sums` for why it might not)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import assembly
import document
import gi
import service
import staging
import sums
from client.events import Layer
from client.geometry import Bounds
from precision import Encoding

gi.require_version("Gimp", "3.0")
from gi.repository import Gimp  # noqa: E402

STRIPE_PIXELS = 1 << 18
"""Pixels that are looked at in one go; Python needs some 100 bytes for each that is shown wrongly."""


class Exact(NamedTuple):
    """Layers, bottom first, that add up in GIMP, and the composite space of the upper one in which they do."""

    layers: Sequence[Layer]
    space: Gimp.LayerColorSpace


def exact(image: Gimp.Image, answers: Sequence[Layer], encoding: Encoding, say: service.Say) -> Exact:
    """The answers for a group of the image, moved where its sum would be shown wrongly; floats stay as they were sent.

    `encoding` is the source's. It is tried on a stage, so that the image itself stays free while this takes its time.
    """
    encoding = encoding.with_alpha()
    if encoding.dtype not in sums.CODES:
        return Exact(answers, document.own_space(image))
    left, top, width, height = answers[0].bounds
    with staging.stage(image, Bounds(0, 0, width, height)) as stage:
        group = assembly.group(stage, "sum", answers, Bounds(-left, -top, width, height), encoding, assembly.TOP)
        layers = group.get_children()[::-1]
        layers[1].set_opacity(100)
        GroupSum(group, layers, answers, encoding, say).make_exact()
        whole = document.canvas(stage)
        moved = zip(answers, layers, strict=True)
        return Exact(
            [answer._replace(pixels=document.read(layer, whole, encoding)) for answer, layer in moved],
            layers[1].get_composite_space(),
        )


class GroupSum:
    """A group alone on a stage, its layers (coarse and, in grain merge, texture), and what the server sent for them."""

    def __init__(
        self,
        group: Gimp.Layer,
        layers: Sequence[Gimp.Layer],
        answers: Sequence[Layer],
        encoding: Encoding,
        say: service.Say,
    ) -> None:
        self._group, self._layers, self._encoding, self._say = group, layers, encoding, say
        self._asked = [bytes(answer.pixels) for answer in answers]
        self._whole = document.bounds_of(group)
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
            self._say("Making the layers", part.y / self._whole.height)
            pairs = self._pairs(part)
            self._write(part, pairs)
            while pairs.correct(self._shown(part)):
                self._write(part, pairs)
            if pairs.left:
                return pairs.left
        return 0

    def _stripes(self) -> Iterator[Bounds]:
        _, _, width, height = self._whole
        rows = max(1, STRIPE_PIXELS // width)
        for top in range(0, height, rows):
            yield Bounds(0, top, width, min(rows, height - top))

    def _pairs(self, part: Bounds) -> sums.Pairs:
        coarse, texture = (document.cut(asked, self._encoding.pixel_bytes, self._whole, part) for asked in self._asked)
        return sums.Pairs(self._encoding.dtype, coarse, texture, self._encoding.channels)

    def _write(self, part: Bounds, pairs: sums.Pairs) -> None:
        for layer, pixels in zip(self._layers, (pairs.coarse, pairs.texture), strict=True):
            document.write(layer, part, self._encoding, pixels, self._whole)
            layer.update(*part)

    def _shown(self, part: Bounds) -> bytes:
        return document.read(self._group, part, self._encoding)
