"""Any picture and any mask to a filled picture: crops through the network, seam corrected, at the picture's own depth.

What the network is shown of a crop: its known pixels. Unknown are the pixels of every hole in it (not only of the one
being filled: no fill depends on another, so the order of the holes does not matter), transparent pixels, and padding
beyond the picture. Nothing under a hole reaches the result. Memory grows with the crops, not with the picture.

A hole too deep for the network is filled at a lower scale first; networks that were trained for it then refine the fill
scale by scale, up to the picture's own, in windows. There its detail is copied from the picture in patches.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import cv2
import numpy as np
import torch
from torch import Tensor

from dgfnet.composition import enlarged, reduced, seam_offset, selection
from dgfnet.crops import REACH_MARGIN, Crop, network_length, plan, windows
from dgfnet.errors import Cancelled, PictureError, Progress, check_number
from dgfnet.fills import Fill, Patch
from dgfnet.holes import Box, HoleMap, find_holes
from dgfnet.maps import texture_maps
from dgfnet.memo import Memo
from dgfnet.pictures import check_pixels, split_alpha, to_float
from dgfnet.rebuilding import rebuilt

__all__ = ["Cancelled", "Fill", "FillOptions", "Inpainter", "Patch", "PictureError", "Progress", "texture_maps"]

MAX_SIDE = 512
"""Longest side of a crop in network pixels; attention grows with its fourth power."""
MAX_REFINED = 8_000_000
"""Most pixels of a crop at its finest scale; what is larger is enlarged from there."""
REFINE_MARGIN = 64
"""Pixels that refinement looks beyond its part of a hole."""
MAX_PIXELS = 178_000_000
MAX_VARIATION = 9999


@dataclass(frozen=True)
class FillOptions:
    """How a hole is filled.

    Attributes:
        context: margin around a hole as a multiple of its thickness.
        grow: pixels by which the mask grows first.
        feather: pixels over which the fill's edge fades, inward from the grown mask's edge.
        texture_strength: 0 the smooth fill alone, 1 the whole texture.
        patches: share of detail copied from the picture, 0 the network's own fill.
        variation: which of many fills, where detail is copied; 0 the likeliest.
    """

    context: float = 1.0
    grow: int = 0
    feather: float = 0.0
    texture_strength: float = 1.0
    patches: float = 1.0
    variation: int = 0

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        check_number("context", self.context, 0, 16)
        check_number("grow", self.grow, 0, 1000)
        check_number("feather", self.feather, 0, 1000)
        check_number("texture_strength", self.texture_strength, 0, 1)
        check_number("patches", self.patches, 0, 1)
        check_number("variation", self.variation, 0, MAX_VARIATION)
        for name in ("grow", "variation"):
            if getattr(self, name) != int(getattr(self, name)):
                raise PictureError("bad_option", f"{name} is {getattr(self, name)}.", "Give a whole number.")


class Prediction(Protocol):
    """What a network returns: raw predictions [1, 3, H, W] for every pixel."""

    @property
    def coarse(self) -> Tensor: ...

    @property
    def fused(self) -> Tensor: ...


class Network(Protocol):
    """What is asked of a network; dgfnet.model.DGFNet is one."""

    def __call__(self, image: Tensor, known: Tensor, recurrences: int | None = None) -> Prediction: ...

    def reach(self, recurrences: int | None = None) -> int: ...

    def recurrences_for(self, depth: float) -> int: ...

    @property
    def finer(self) -> bool: ...

    def refine(self, image: Tensor, known: Tensor, structure: Tensor) -> Prediction: ...


class Level(NamedTuple):
    """A crop at one scale: picture [h, w, 3], zero in the hole, and where it is known (bool [h, w])."""

    picture: np.ndarray
    known: np.ndarray
    scale: float


class Inpainter:
    """Fills holes with a network that stays in memory. Deterministic: the same input gives the same bytes.

    Attributes:
        finer: refine deep holes up to the picture's own scale; to begin with, if the network was trained for it.
        bfloat16: convolutions in bfloat16; to begin with, if the device is good at it.
    """

    def __init__(
        self,
        network: Network,
        device: str | torch.device = "cpu",
        max_side: int = MAX_SIDE,
        memo: Memo | None = None,
    ) -> None:
        """With a `memo`, which is for one network, predictions of what was seen before are not made anew."""
        self._memo = memo or Memo(0)
        self.device = torch.device(device)
        self.bfloat16 = has_bfloat16(self.device)
        self.finer = network.finer
        if isinstance(network, torch.nn.Module):
            network = network.to(self.device)
            if self.bfloat16:
                network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.network = network
        self.max_side = max_side

    def fill(
        self,
        image: np.ndarray,
        mask: np.ndarray,
        options: FillOptions | None = None,
        progress: Progress | None = None,
    ) -> Fill:
        """Fill the holes of a picture; the picture itself is not changed.

        Args:
            image: [H, W] or [H, W, 1 to 4] (grey, grey + alpha, RGB, RGBA; straight alpha), uint8, uint16, float16 or
                float32, display-referred sRGB. The network sees floats cut to 0 to 1.
            mask: [H, W], bool, uint8, uint16 or float; 0 = keep, above = fill, the value being the blend share.
            options: see FillOptions.
            progress: see Progress.

        Raises:
            PictureError: the picture or the mask cannot be used.
            Cancelled: raised by `progress`.
        """
        options = options or FillOptions()
        report = progress or (lambda stage, fraction: None)
        watch = _Stopwatch()
        _check(image, mask)
        report("Finding the holes", 0.0)
        with watch("plan"):
            hole_map, holes = find_holes(mask, options.grow)
            picture = Box(0, 0, image.shape[1], image.shape[0])
            crops = plan(hole_map, holes, picture, options.context, self.network.reach(), self.max_side)
        patches, scales = [], []
        for index, crop in enumerate(crops):
            job = _CropJob(self, image, mask, options, hole_map, crop, watch)
            done = job.run(_part_of(report, index, len(crops)))
            if done is not None:
                patches.append(done[0])
                scales.append(done[1])
        if not patches:
            raise PictureError("empty_mask", "Nothing is selected.", "Select the region to fill (white in a mask).")
        report("Filled", 1.0)
        return Fill(tuple(patches), scales, watch.seconds)

    def predict(self, picture: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The whole network's coarse and fused prediction [h, w, 3] of a picture [h, w, 3], known bool [h, w]."""
        recurrences = self.network.recurrences_for(_depth(known))

        def run() -> tuple[np.ndarray, np.ndarray]:
            output = self._run(self.network, picture, known, None, recurrences)
            return self._array(output.coarse, known), self._array(output.fused, known)

        coarse, fused = self._memo(run, *self._precision, picture, known, recurrences)
        return coarse, fused

    def refine(self, picture: np.ndarray, known: np.ndarray, structure: np.ndarray) -> np.ndarray:
        """The network's second role: its fused prediction [h, w, 3] on a structure from the scale below."""

        def run() -> tuple[np.ndarray]:
            return (self._array(self._run(self.network.refine, picture, known, structure).fused, known),)

        (fused,) = self._memo(run, *self._precision, picture, known, structure)
        return fused

    @property
    def _precision(self) -> tuple[str, bool]:
        """What predictions of equal inputs depend on."""
        return str(self.device), self.bfloat16

    def _run(
        self,
        role: Callable[..., Prediction],
        picture: np.ndarray,
        known: np.ndarray,
        structure: np.ndarray | None,
        *more: int,
    ) -> Prediction:
        arrays = [picture, known[..., None].astype(np.float32), *([] if structure is None else [structure])]
        with torch.inference_mode(), torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16):
            return role(*(_padded(array).to(self.device) for array in arrays), *more)

    @staticmethod
    def _array(prediction: Tensor, known: np.ndarray) -> np.ndarray:
        height, width = known.shape
        values = prediction[0, :, :height, :width].float().cpu().numpy().transpose(1, 2, 0)
        if not np.isfinite(values).all():
            raise PictureError(
                "internal", "The network answered with NaN.", "Run `dgfnet doctor`; other weights may help."
            )
        return np.ascontiguousarray(values)


def _padded(array: np.ndarray) -> Tensor:
    """[h, w, C] -> [1, C, H, W] with sides that the network takes; zero beyond the array."""
    height, width, channels = array.shape
    tensor = torch.zeros(1, channels, network_length(height), network_length(width))
    tensor[0, :, :height, :width] = torch.from_numpy(array.transpose(2, 0, 1))
    return tensor


def has_bfloat16(device: torch.device) -> bool:
    """Can the device multiply bfloat16 numbers at full speed? Networks are trained with such convolutions."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    tests = [getattr(torch.cpu, f"_is_{name}_supported", None) for name in ("avx512_bf16", "amx_tile")]
    return device.type == "cpu" and any(test() for test in tests if test)


@dataclass(frozen=True)
class _CropJob:
    """One crop on its way through the network."""

    inpainter: Inpainter
    image: np.ndarray
    mask: np.ndarray
    options: FillOptions
    hole_map: HoleMap
    crop: Crop
    watch: _Stopwatch

    def run(self, report: Callable[[float], None]) -> tuple[Patch, float] | None:
        """Patch and scale; None where a part of a cut hole holds no pixel to fill."""
        crop, target = self.crop, self.crop.target
        report(0.0)
        with self.watch("prepare"):
            alpha = selection(self.mask, target, self.options.grow, self.options.feather)
            alpha *= self.hole_map.own(crop.hole, target)
            if not alpha.any():
                return None
            values, known = self._pixels()
            level = self._coarsest(values, known)
            finer = self._finer_scales(level.scale)
        report(0.1)
        with self.watch("network"):
            coarse, fused = self.inpainter.predict(level.picture, level.known)
        scale = level.scale
        for done, step in enumerate(finer):
            coarse, texture = self._corrected(level, coarse, fused, 1.0)
            level = self._level(values, known, step)
            coarse, fused = self._refined(level, coarse, texture, _between(report, done, len(finer)))
        if self._has_detail and self.options.patches:
            coarse, texture = self._corrected(level, coarse, fused, 1.0)
            fused = self._rebuilt(level, coarse + texture, report)
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
        return Patch(target, fill * share, coarse * share, alpha).trimmed(), scale

    def _pixels(self) -> tuple[np.ndarray, np.ndarray]:
        """The crop's colours [H, W, 3], float32, 0 to 1, and where they are known (bool [H, W])."""
        box = self.crop.box
        colour, opacity = split_alpha(self.image[box.slices])
        known = selection(self.mask, box, self.options.grow, 0) == 0
        if opacity is not None:
            known &= opacity > 0
        if not known.any():
            raise PictureError(
                "full_mask", "Nothing is known around the hole.", "Give a larger context or select less of the picture."
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
        return values, known

    def _level(self, values: np.ndarray, known: np.ndarray, scale: float) -> Level:
        width, height = (max(round(side * scale), 1) for side in (self.crop.box.width, self.crop.box.height))
        return Level(*reduced(values, known, width, height), scale)

    def _coarsest(self, values: np.ndarray, known: np.ndarray) -> Level:
        """The crop at its scale, which is lowered while the hole is out of the network's reach."""
        reach = max(self.inpainter.network.reach() - REACH_MARGIN, 1)
        scale = self.crop.scale
        while True:
            level = self._level(values, known, scale)
            depth = _depth(level.known)
            if depth <= reach or min(level.known.shape) == 1:
                return level
            scale *= 0.95 * reach / depth

    def _finer_scales(self, scale: float) -> list[float]:
        """Scales at which detail is put in, the finest last: refinement takes equal steps of up to 2, as trained."""
        finest = min(1.0, math.sqrt(MAX_REFINED / (self.crop.box.width * self.crop.box.height)))
        if finest <= scale or not self._has_detail or not (self.inpainter.finer or self.options.patches):
            return []
        steps = math.ceil(math.log2(finest / scale) - 1e-6) if self.inpainter.finer else 1
        return [scale * (finest / scale) ** (step / steps) for step in range(1, steps + 1)]

    @property
    def _has_detail(self) -> bool:
        return self.options.texture_strength > 0

    def _corrected(
        self, level: Level, coarse: np.ndarray, fused: np.ndarray, strength: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Coarse picture and texture, whose sum meets the picture at the hole's border and equals it outside."""
        with self.watch("seam"):
            texture = strength * (fused - coarse)
            coarse = coarse + seam_offset(level.picture, coarse + texture, level.known)
            # What enlarging mixes in at the border must be true.
            return np.where(level.known[..., None], level.picture - texture, coarse), texture

    def _refined(
        self, level: Level, coarse: np.ndarray, texture: np.ndarray, report: Callable[[float], None]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Coarse and fused prediction at a level, from coarse picture and texture of the level below."""
        height, width = level.known.shape
        with self.watch("refine"):
            if not self.inpainter.finer:
                return enlarged(coarse, width, height), enlarged(coarse + texture, width, height)
            structure = enlarged(coarse + texture, width, height, smooth=False)
            coarse = enlarged(coarse, width, height)
            fused = np.zeros_like(structure)
            side = self.inpainter.max_side
            parts = windows(~level.known, side, min(REFINE_MARGIN, side // 4))
            for done, part in enumerate(parts):
                report(done / len(parts))
                seen = (array[part.box.slices] for array in (level.picture, level.known, structure))
                inner = part.target.relative_to(part.box).slices
                fused[part.target.slices] += part.share()[..., None] * self.inpainter.refine(*seen)[inner]
        return coarse, np.where(level.known[..., None], level.picture, fused)

    def _rebuilt(self, level: Level, filled: np.ndarray, report: Callable[[float], None]) -> np.ndarray:
        """A level's fill made of patches of the picture, as far as the options ask."""
        with self.watch("patches"):
            hole, variation, device = ~level.known, int(self.options.variation), self.inpainter.device
            found = rebuilt(filled, hole, lambda fraction: report(0.6 + 0.3 * fraction), variation, device)
            return filled + np.float32(self.options.patches) * (found - filled)


def _between(report: Callable[[float], None], step: int, steps: int) -> Callable[[float], None]:
    """The share of a crop's progress that refinement takes, 0.3 to 0.6."""
    return lambda fraction: report(0.3 + 0.3 * (step + fraction) / steps)


def _part_of(report: Progress, index: int, parts: int) -> Callable[[float], None]:
    return lambda fraction: report(f"Filling part {index + 1} of {parts}", (index + fraction) / parts)


def _check(image: np.ndarray, mask: np.ndarray) -> None:
    check_pixels(image)
    if image.shape[0] * image.shape[1] > MAX_PIXELS:
        raise PictureError("too_large", "The picture has more than 178 megapixels.", "Cut it into parts.")
    if mask.ndim != 2 or mask.dtype.kind not in "buf":
        raise PictureError(
            "bad_mask", f"A mask of shape {mask.shape} and type {mask.dtype} is none.", "Send rows x columns of grey."
        )
    if mask.shape != image.shape[:2]:
        sizes = [f"{shape[1]} x {shape[0]}" for shape in (image.shape, mask.shape)]
        raise PictureError(
            "bad_mask", f"The picture is {sizes[0]} pixels, the mask {sizes[1]}.", "Make them the same size."
        )


def _depth(known: np.ndarray) -> float:
    """Greatest distance of an unknown pixel from a known one, in pixels."""
    return float(cv2.distanceTransform((~known).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5).max())


class _Stopwatch:
    """Adds up seconds per stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - start
