"""What a run of the inpainter returns: colours and soft selection, and the picture composed with them."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from dgfnet.filling.composition import blend
from dgfnet.filling.holes import Box, around

_STRIPE = 256  # rows composed in one go


@dataclass(frozen=True)
class FillPart:
    """One crop's part of a fill: arrays [height, width(, 3)] over `box`, zero where another hole or nothing is.

    `fill` and `coarse` are already weighted by the crop's share: parts are added. `alpha` is the whole selection: of
    overlapping parts the largest counts, and they agree.
    """

    box: Box
    fill: np.ndarray
    coarse: np.ndarray
    alpha: np.ndarray

    def trimmed(self) -> FillPart:
        """Without the rows and columns at the sides that hold nothing; alpha must hold something."""
        inner = around(self.alpha > 0)
        box = inner.moved(self.box.x, self.box.y)
        return FillPart(box, *(part[inner.slices].copy() for part in (self.fill, self.coarse, self.alpha)))


@dataclass(frozen=True)
class Fill:
    """The pixels for the holes of a picture.

    Attributes:
        parts: of the crops; far holes do not make a picture-sized array of them.
        scales: network pixels per picture pixel, for each crop.
        seconds: time per stage.
    """

    parts: tuple[FillPart, ...]
    scales: list[float]
    seconds: dict[str, float] = field(compare=False)

    @cached_property
    def bounds(self) -> Box:
        """Box (x, y, width, height) around all pixels that change."""
        bounds = self.parts[0].box
        for part in self.parts[1:]:
            bounds = bounds.union(part.box)
        return bounds

    def region(self, box: Box) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Fill and coarse [height, width, 3] and alpha [height, width] over any box of the picture, float32, 0 to 1."""
        fill = np.zeros((box.height, box.width, 3), np.float32)
        coarse = np.zeros_like(fill)
        alpha = np.zeros((box.height, box.width), np.float32)
        for part in self.parts:
            common = part.box.within(box)
            if common.width and common.height:
                here, there = common.relative_to(box).slices, common.relative_to(part.box).slices
                fill[here] += part.fill[there]
                coarse[here] += part.coarse[there]
                np.maximum(alpha[here], part.alpha[there], out=alpha[here])
        return np.minimum(fill, 1, out=fill), np.minimum(coarse, 1, out=coarse), alpha

    @cached_property
    def _assembled(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return self.region(self.bounds)

    @property
    def fill(self) -> np.ndarray:
        """The final colours in `bounds`, zero outside the selection."""
        return self._assembled[0]

    @property
    def coarse(self) -> np.ndarray:
        """The fill without its texture, in `bounds`; fill - coarse is the texture."""
        return self._assembled[1]

    @property
    def alpha(self) -> np.ndarray:
        """The soft selection in `bounds`, zero outside it."""
        return self._assembled[2]

    def compose(self, image: np.ndarray) -> np.ndarray:
        """The filled picture: the fill as a normal layer above `image`, at its dtype and shape.

        Every byte where alpha is 0 stays as it is. Transparent pixels in the hole become as opaque as the fill.
        """
        result = image.copy()
        bounds = self.bounds
        for top in range(bounds.y, bounds.bottom, _STRIPE):
            stripe = Box(bounds.x, top, bounds.width, _STRIPE).within(bounds)
            fill, _, alpha = self.region(stripe)
            if alpha.any():
                result[stripe.slices] = blend(image[stripe.slices], fill, alpha)
        return result
