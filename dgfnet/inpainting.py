"""Any picture and any mask to a filled picture: crops through the network, seam corrected, at the picture's own depth.

What the network is shown of a crop: its known pixels. Unknown are the pixels of every hole in it (not only of the one
being filled: no fill depends on another, so the order of the holes does not matter), transparent pixels, and padding
beyond the picture. Nothing under a hole reaches the result. Memory grows with the crops, not with the picture.

A hole too deep for the network is filled at a lower scale first; networks that were trained for it then refine the fill
scale by scale, up to the picture's own, in windows. There its detail is copied from the picture in patches.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from dgfnet.errors import Cancelled, PictureError, Progress
from dgfnet.filling.crop_job import CropJob, Stopwatch
from dgfnet.filling.crops import plan
from dgfnet.filling.fills import Fill, FillPart
from dgfnet.filling.holes import Box, find_holes
from dgfnet.filling.options import FillOptions
from dgfnet.filling.predictor import Predictor
from dgfnet.maps import texture_maps
from dgfnet.pixels import check_pixels
from dgfnet.threads import in_own_thread

__all__ = ["Cancelled", "Fill", "FillOptions", "FillPart", "Inpainter", "PictureError", "Progress", "texture_maps"]

MAX_PIXELS = 178_000_000


class Inpainter(Predictor):
    """Fills the holes of pictures. Deterministic: the same input gives the same bytes."""

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
        watch = Stopwatch()
        _check(image, mask)
        finding = partial(report, "Finding the holes", 0.0)
        finding()
        with watch("plan"):
            hole_map, holes = find_holes(mask, options.grow)
            picture = Box(0, 0, image.shape[1], image.shape[0])
            crops = plan(hole_map, holes, picture, options.context, self.network.reach(), self.max_side, finding)
        parts, scales = [], []
        for index, crop in enumerate(crops):
            job = CropJob(self, image, mask, options, hole_map, crop, watch)
            done = job.run(_part_of(report, index, len(crops)))
            if done is not None:
                parts.append(done[0])
                scales.append(done[1])
        if not parts:
            raise PictureError("empty_mask", "Nothing is selected.", "Select the region to fill (white in a mask).")
        report("Filled", 1.0)
        return Fill(tuple(parts), scales, watch.seconds)

    def fill_apart(self, image: np.ndarray, mask: np.ndarray, options: FillOptions, progress: Progress) -> Fill:
        """`fill` for who goes on after memory ran out: on a CPU in a thread of its own, which calls `progress`.

        Where oneDNN had no memory for the code that it makes, no more of it can be made in that thread, ever after.
        A GPU keeps the caller's thread: cuDNN remembers its plans for as long as that lives.
        """
        work = partial(self.fill, image, mask, options)
        return in_own_thread(work, progress) if self.device.type == "cpu" else work(progress)


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
