"""Coarse and texture layers of whole numbers that add up to the fill as GIMP shows them. Pure, no GIMP in it.

GIMP's grain merge is `coarse + texture - 0.5` in single floats. In whole numbers that ends halfway between two values,
and the last bits decide which one is shown, by rules that differ with the image's precision and perhaps the machine.
So the sum is looked at in GIMP, and the few pairs that are shown one too low are moved: with one more in the texture
they end on the other side, and other pairs of the same sum have other last bits.
"""

from __future__ import annotations

import sys
from array import array

import blend

CODES = {"u1": "B", "u2": "H"}
NEUTRAL = {"u1": 127, "u2": 32767}
FULL = {"u1": 255, "u2": 65535}
SHIFTS = (0, *(sign * size for size in (1, 2, 3, 5, 8, 13, 21, 34) for sign in (1, -1)))
TRIES = tuple((shift, more) for shift in SHIFTS for more in (0, 1))[1:]
"""(from the texture to the coarse layer, added to the texture): what a wrong pair is tried with, in this order."""


class Pairs:
    """Pixels of a coarse layer and the texture layer above it: `channels` values of `dtype`, the last one alpha."""

    def __init__(self, dtype: str, coarse: bytes, texture: bytes, channels: int) -> None:
        self._code, self._neutral, self._full = CODES[dtype], NEUTRAL[dtype], FULL[dtype]
        self._asked = array(self._code, coarse), array(self._code, texture)
        self._now = array(self._code, coarse), array(self._code, texture)
        self._channels = channels
        self._lanes = _Lanes(self._code, len(self._asked[0]))
        self._tries = iter(TRIES)
        self._wrong: list[int] | None = None

    @property
    def coarse(self) -> bytes:
        """The lower layer's pixels as they are now."""
        return self._now[0].tobytes()

    @property
    def texture(self) -> bytes:
        """The upper layer's pixels as they are now."""
        return self._now[1].tobytes()

    @property
    def left(self) -> int:
        """How many values were wrong when `correct` looked last."""
        return len(self._wrong or ())

    def wrong(self, shown: bytes) -> int:
        """How many values of the sum that GIMP shows are not the asked ones."""
        return len(self._find(array(self._code, shown)))

    def correct(self, shown: bytes) -> bool:
        """Move what is wrong in the sum that GIMP shows; False where there is nothing to move (any more)."""
        self._wrong = self._find(array(self._code, shown))
        shift, more = next(self._tries, (0, 0))
        if not self._wrong or not (shift or more):
            return False
        (coarse, texture), (new_coarse, new_texture) = self._asked, self._now
        for at in self._wrong:
            low, high = coarse[at] + shift, texture[at] - shift + more
            if 0 <= low <= self._full and 0 <= high <= self._full:
                new_coarse[at], new_texture[at] = low, high
        return True

    def _find(self, shown: array[int]) -> list[int]:
        """Where the sum is not the asked one; where nothing shows (alpha 0), every sum will do."""
        coarse, texture = self._asked
        if self._wrong is not None:
            return [at for at in self._wrong if coarse[at] + texture[at] - self._neutral != shown[at]]
        lanes, neutral = self._lanes, array(self._code, [self._neutral]) * len(shown)
        differs = (lanes.added(coarse, texture) ^ lanes.added(shown, neutral)) & lanes.number(self._painted())
        return [at for at, value in enumerate(lanes.values(differs)) if value] if differs else []

    def _painted(self) -> array[int]:
        """Full where a colour shows, 0 at alphas and where nothing shows."""
        step, result = self._channels, array(self._code, [0]) * len(self._asked[0])
        alpha = self._asked[0][step - 1 :: step]
        for channel in range(step - 1):
            result[channel::step] = array(self._code, blend.whole(alpha.tobytes(), alpha.itemsize))
        return result


class _Lanes:
    """Many whole numbers in one long one: Python adds and compares millions of them at once."""

    def __init__(self, code: str, count: int) -> None:
        self._code, self._bytes = code, count * array(code).itemsize
        top = 1 << 8 * array(code).itemsize - 1  # the highest bit of a lane, apart from the lower ones
        self._tops, self._lows = (self.number(array(code, [bits]) * count) for bits in (top, top - 1))

    def number(self, values: array[int]) -> int:
        """The long number."""
        return int.from_bytes(values.tobytes(), sys.byteorder)

    def values(self, number: int) -> array[int]:
        """Undo `number`."""
        return array(self._code, number.to_bytes(self._bytes, sys.byteorder))

    def added(self, first: array[int], second: array[int]) -> int:
        """All sums, modulo what one lane holds: nothing is carried into the next."""
        one, other, lows = self.number(first), self.number(second), self._lows
        return ((one & lows) + (other & lows)) ^ ((one ^ other) & self._tops)
