"""What fillers are judged on: photographs with holes, always the same for the same list, size and seed."""

from __future__ import annotations

import itertools
import pathlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from dgfnet.errors import UserError, check_seed
from dgfnet.masks import KINDS, Colour, Kind, hole_of, random_masks
from dgfnet.photographs import Entry, find_pictures, noted, refuse

SHARES = ((0.2, 0.3), (0.3, 0.4), (0.4, 0.5))
_MADE = list(itertools.product(KINDS, SHARES))
"""The holes that can be made for a picture; a case's name ends with its hole's index here, one more for a mask."""
SMALLEST = 32
_STROKES = 256
"""Side in px at which irregular holes are drawn, since their strokes have a fixed width; they are scaled from there."""


class Case(NamedTuple):
    """One picture with one hole."""

    name: str
    photograph: str  # cases of one photograph are not independent of each other
    kind: str
    cell: str  # kind and span of the hole's share: a row of the table
    truth: np.ndarray  # uint8 [size, size, 3]
    hole: np.ndarray  # bool [size, size]

    @property
    def given(self) -> np.ndarray:
        """What a filler is given: nothing under the hole."""
        return np.where(self.hole[..., None], np.uint8(0), self.truth)

    @property
    def share(self) -> float:
        """The hole's share of the area, 0 to 1."""
        return float(self.hole.mean())


@dataclass(frozen=True)
class MaskFiles:
    """Masks from files, scaled to the square of a case without interpolation; values above 127 count as white."""

    folder: pathlib.Path
    holes: Colour

    @property
    def name(self) -> str:
        """The kind of hole, in tables."""
        return self.folder.resolve().name

    @cached_property
    def files(self) -> list[Entry]:
        """Sorted by path.

        Raises:
            UserError: there is none.
        """
        return find_pictures([str(self.folder)])

    def hole(self, number: int, size: int, seed: int) -> np.ndarray:
        """The hole for a picture: bool [size, size].

        Raises:
            UserError: the mask drawn cannot be read, or has nothing to fill or to go by.
        """
        drawn = self.files[int(np.random.default_rng((seed, number)).integers(len(self.files)))]
        hole = hole_of(drawn.picture().resize((size, size), Image.Resampling.NEAREST), self.holes)
        if hole.all() or not hole.any():
            share = "all" if hole.all() else "no"
            raise UserError(f"The mask '{drawn.place}' is {share} hole when holes are {self.holes}.")
        return hole


@dataclass(frozen=True)
class CaseSet:
    """Every picture (its centre square at `size` px), spread evenly over the list if limited, with every kind of hole.

    Kinds of `random_masks` come in three spans of share each; of a mask folder each picture gets one mask. A hole
    depends on the picture's number, its kind and the seed alone, so a limit takes cases away and changes none. Pictures
    are read as they are needed: memory does not grow with the set.
    """

    sources: list[str]
    kinds: tuple[Kind, ...]
    size: int = 256
    limit: int | None = None
    seed: int = 1
    masks: MaskFiles | None = None

    def __post_init__(self) -> None:
        """Refuse what makes no case."""
        if self.size < SMALLEST or (self.limit is not None and self.limit < 1):
            raise UserError(f"--size must be {SMALLEST} or more and --limit 1 or more.")
        check_seed(self.seed)

    @cached_property
    def _entries(self) -> list[Entry]:
        return find_pictures(self.sources)

    @property
    def numbers(self) -> list[int]:
        """Of the pictures used, in the order of the list."""
        return spread(len(self._entries), self.limit)

    @property
    def _made(self) -> list[int]:
        """Indices of the holes that are made for each picture."""
        return [index for index, (kind, _) in enumerate(_MADE) if kind in self.kinds]

    @property
    def names(self) -> list[str]:
        """Of the cases, in their order; nothing is decoded."""
        indices = [*self._made, *([len(_MADE)] if self.masks else [])]
        return [f"{self._photograph(number)}-{index}" for number in self.numbers for index in indices]

    def __len__(self) -> int:
        """How many cases."""
        return len(self.names)

    def _photograph(self, number: int) -> str:
        return f"{number:04}-{pathlib.PurePath(self._entries[number].name).stem}"

    def check(self) -> None:
        """Read every picture once that is used, and its mask: little work, done before much.

        Raises:
            UserError: some cannot be read, or are masks with nothing to fill or to go by; all of them are named.
        """
        faults: list[UserError] = []
        for number in self.numbers:
            with noted(faults):
                self._entries[number].picture()
            if self.masks:
                with noted(faults):
                    self.masks.hole(number, self.size, self.seed)
        refuse(faults)

    def __iter__(self) -> Iterator[Case]:
        """The cases, picture by picture."""
        for number in self.numbers:
            truth = _centre(self._entries[number].picture(), self.size)
            photograph = self._photograph(number)
            for index, kind, cell, hole in self._holes(number):
                yield Case(f"{photograph}-{index}", photograph, kind, cell, truth, hole)

    def _holes(self, number: int) -> Iterator[tuple[int, str, str, np.ndarray]]:
        """Index, kind, cell and hole of a picture's cases; the index is the same whatever other kinds are asked for."""
        for index in self._made:
            kind, share = _MADE[index]
            generator = torch.Generator().manual_seed(self.seed * 1_000_003 + number * 101 + index)
            drawn = random_masks((kind,), share, 1, _STROKES if kind == "irregular" else self.size, generator)
            hole = F.interpolate(drawn, (self.size, self.size), mode="nearest-exact")[0, 0].numpy() == 0
            yield index, kind, f"{kind} {share[0]:.0%} to {share[1]:.0%}", hole
        if self.masks:
            hole = self.masks.hole(number, self.size, self.seed)
            tenth = min(int(hole.mean() * 10), 9)
            name = self.masks.name
            yield len(_MADE), name, f"{name} {tenth * 10}% to {tenth * 10 + 10}%", hole


def spread(count: int, limit: int | None) -> list[int]:
    """Indices of `count` things, or of at most `limit` of them, spread evenly."""
    used = min(limit or count, count)
    return [i * count // used for i in range(used)]


def export(cases: CaseSet, out: pathlib.Path) -> None:
    """Write `pictures/NAME.png` (hole black) and `masks/NAME.png` (hole white), for other programs to fill."""
    for name in ("pictures", "masks"):
        (out / name).mkdir(parents=True, exist_ok=True)
    for case in cases:
        Image.fromarray(case.given).save(out / "pictures" / f"{case.name}.png")
        Image.fromarray(case.hole.astype(np.uint8) * 255).save(out / "masks" / f"{case.name}.png")


def _centre(picture: Image.Image, size: int) -> np.ndarray:
    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    square = picture.crop((left, top, left + side, top + side))
    return np.array(square.resize((size, size), Image.Resampling.LANCZOS))
