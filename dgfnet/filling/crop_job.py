"""One crop's way to its fill: the network at a scale at which it reaches, refinement, patches, and the seam."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from dgfnet.errors import PictureError
from dgfnet.filling.composition import enlarged, reduced, seam_offset, selection
from dgfnet.filling.crops import REACH_MARGIN, Crop, windows
from dgfnet.filling.fills import FillPart
from dgfnet.filling.holes import HoleMap
from dgfnet.filling.options import FillOptions
from dgfnet.filling.predictor import Predictor
from dgfnet.filling.synthesis import synthesise
from dgfnet.pixels import split_alpha, to_float

MAX_REFINED = 8_000_000
"""Most pixels of a crop at its finest scale; what is larger is enlarged from there."""
REFINE_MARGIN = 64
"""Pixels that refinement looks beyond its part of a hole."""


class Stopwatch:
    """Adds up seconds per stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - start


@dataclass(frozen=True)
class ScaledCrop:
    """A crop at one scale. A pixel is known, or of the hole, or blank: transparent, and to stay so."""

    picture: np.ndarray  # [h, w, 3], read where it is known
    known: np.ndarray  # bool [h, w]
    hole: np.ndarray  # bool [h, w]
    scale: float

    @cached_property
    def depth(self) -> float:
        """Greatest distance of a pixel of the hole from a known one, in pixels."""
        unknown = (~self.known).astype(np.uint8)
        return float(cv2.distanceTransform(unknown, cv2.DIST_L2, cv2.DIST_MASK_5)[self.hole].max(initial=0))


@dataclass(frozen=True)
class CropJob:
    """One crop on its way through the network."""

    predictor: Predictor
    image: np.ndarray
    mask: np.ndarray
    options: FillOptions
    hole_map: HoleMap
    crop: Crop
    watch: Stopwatch

    def run(self, report: Callable[[float], None]) -> tuple[FillPart, float] | None:
        """Its part of the fill, and scale; None where a part of a cut hole holds no pixel to fill."""
        crop, target = self.crop, self.crop.target
        report(0.0)
        with self.watch("prepare"):
            alpha = selection(self.mask, target, self.options.grow, self.options.feather)
            alpha *= self.hole_map.own(crop.hole, target)
            if not alpha.any():
                return None
            pixels = self._pixels()
            level = self._coarsest(pixels)
            finer = self._finer_scales(level.scale)
        report(0.1)
        with self.watch("network"):
            coarse, fused = self.predictor.predict(level.picture, level.known, level.depth)
        scale = level.scale
        for done, step in enumerate(finer):
            coarse, texture = self._corrected(level, coarse, fused, 1.0)
            level = self._level(pixels, step)
            is_copied = self.options.patches == 1 and 1 < len(finer) == done + 1  # only its colours are needed
            if self.predictor.finer and not is_copied:
                told = _between(report, *(0.3 + 0.3 * (done + ends) / len(finer) for ends in (0, 1)))
                coarse, fused = self._refined(level, coarse, texture, told)
            else:
                coarse, fused = self._enlarged(level, coarse, texture)
        if self._has_detail and self.options.patches:
            coarse, texture = self._corrected(level, coarse, fused, 1.0)
            fused = self._synthesised(level, coarse + texture, report)
        report(0.9)
        coarse, texture = self._corrected(level, coarse, fused, self.options.texture_strength)
        with self.watch("seam"):
            inner = target.relative_to(crop.box).slices
            coarse, texture = (enlarged(part, crop.box.width, crop.box.height)[inner] for part in (coarse, texture))
            fill = np.clip(coarse + texture, 0, 1)
            coarse = np.clip(coarse, 0, 1)
            if split_alpha(self.image)[0].shape[2] == 1:
                fill, coarse = (np.repeat(part.mean(axis=2, keepdims=True), 3, axis=2) for part in (fill, coarse))
            share = np.where(alpha > 0, crop.share(), np.float32(0))[..., None]
        return FillPart(target, fill * share, coarse * share, alpha).trimmed(), scale

    def _pixels(self) -> ScaledCrop:
        """The crop at the picture's own scale."""
        box = self.crop.box
        colour, opacity = split_alpha(self.image[box.slices])
        hole = selection(self.mask, box, self.options.grow, 0) > 0
        known = ~hole
        if opacity is not None:
            known &= opacity > 0
        if not known.any():
            raise PictureError(
                "full_mask",
                "Nothing is known around the hole.",
                "Give a larger context, or select less or grow it less.",
            )
        values = to_float(colour)
        if self.image.dtype.kind == "f":
            if not np.isfinite(values[known]).all():
                raise PictureError(
                    "not_finite", "The picture holds NaN or infinity around the hole.", "Replace those pixels first."
                )
            values = np.clip(values, 0, 1)
        if values.shape[2] == 1:
            values = np.repeat(values, 3, axis=2)
        return ScaledCrop(values, known, hole, 1.0)

    def _level(self, pixels: ScaledCrop, scale: float) -> ScaledCrop:
        width, height = (max(round(side * scale), 1) for side in (self.crop.box.width, self.crop.box.height))
        picture, known = reduced(pixels.picture, pixels.known, width, height)
        hole = cv2.resize(pixels.hole.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA) > 0
        return ScaledCrop(picture, known, hole & ~known, scale)

    def _coarsest(self, pixels: ScaledCrop) -> ScaledCrop:
        """The crop at its scale, which is lowered while the hole is out of the network's reach."""
        reach = max(self.predictor.network.reach() - REACH_MARGIN, 1)
        scale = self.crop.scale
        while True:
            level = self._level(pixels, scale)
            if level.depth <= reach or min(level.known.shape) == 1:
                return level
            scale *= 0.95 * reach / level.depth

    def _finer_scales(self, scale: float) -> list[float]:
        """Scales at which detail is put in, the finest last: refinement takes equal steps of up to 2, as trained."""
        finest = min(1.0, math.sqrt(MAX_REFINED / (self.crop.box.width * self.crop.box.height)))
        if finest <= scale or not self._has_detail or not (self.predictor.finer or self.options.patches):
            return []
        steps = math.ceil(math.log2(finest / scale) - 1e-6) if self.predictor.finer else 1
        return [scale * (finest / scale) ** (step / steps) for step in range(1, steps + 1)]

    @property
    def _has_detail(self) -> bool:
        return self.options.texture_strength > 0

    def _corrected(
        self, level: ScaledCrop, coarse: np.ndarray, fused: np.ndarray, strength: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Coarse picture and texture, whose sum meets the picture at the hole's border and equals it outside."""
        with self.watch("seam"):
            texture = strength * (fused - coarse)
            coarse = coarse + seam_offset(level.picture, coarse + texture, level.known, level.hole)
            # What enlarging mixes in at the border must be true.
            return np.where(level.known[..., None], level.picture - texture, coarse), texture

    def _enlarged(self, level: ScaledCrop, coarse: np.ndarray, texture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Coarse and fused prediction of the level below at the size of this one."""
        with self.watch("refine"):
            height, width = level.known.shape
            return enlarged(coarse, width, height), enlarged(coarse + texture, width, height)

    def _refined(
        self, level: ScaledCrop, coarse: np.ndarray, texture: np.ndarray, report: Callable[[float], None]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Coarse and fused prediction at a level, from coarse picture and texture of the level below."""
        height, width = level.known.shape
        with self.watch("refine"):
            structure = enlarged(coarse + texture, width, height, smooth=False)
            coarse = enlarged(coarse, width, height)
            fused = np.where(level.hole[..., None], np.float32(0), structure)
            side = self.predictor.max_side
            parts = windows(level.hole, side, min(REFINE_MARGIN, side // 4))
            for done, part in enumerate(parts):
                report(done / len(parts))
                seen = (array[part.box.slices] for array in (level.picture, level.known, structure))
                inner = part.target.relative_to(part.box).slices
                share = part.share() * level.hole[part.target.slices]
                fused[part.target.slices] += share[..., None] * self.predictor.refine(*seen)[inner]
        return coarse, np.where(level.known[..., None], level.picture, fused)

    def _synthesised(self, level: ScaledCrop, filled: np.ndarray, report: Callable[[float], None]) -> np.ndarray:
        """A level's fill made of patches of the picture, as far as the options ask."""
        with self.watch("patches"):
            variation, device = self.options.variation, self.predictor.device
            blank = ~(level.known | level.hole)
            detailed = synthesise(filled, level.hole, _between(report, 0.6, 0.9), variation, device, blank)
            return filled + np.float32(self.options.patches) * (detailed - filled)


def _between(report: Callable[[float], None], start: float, end: float) -> Callable[[float], None]:
    """Tells a part's progress, 0 to 1, as the crop's, `start` to `end`."""
    return lambda fraction: report(start + (end - start) * fraction)
