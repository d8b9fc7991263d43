"""A network on its device, asked about pictures as NumPy arrays."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from dgfnet.errors import PictureError
from dgfnet.filling.crops import network_length
from dgfnet.filling.memo import Memo
from dgfnet.model import DGFNet, Output

MAX_SIDE = 512
"""Longest side of a crop in network pixels; attention grows with its fourth power."""


class Predictor:
    """A network that stays in memory, asked about pictures as arrays. Deterministic: equal inputs give equal bytes.

    Attributes:
        finer: refine deep holes up to the picture's own scale; to begin with, if the network was trained for it.
        bfloat16: convolutions in bfloat16; to begin with, if the device is good at it.
    """

    def __init__(
        self,
        network: DGFNet,
        device: str | torch.device = "cpu",
        max_side: int = MAX_SIDE,
        memo: Memo | None = None,
    ) -> None:
        """With a `memo`, which is for one network, predictions of what was seen before are not made anew."""
        self._memo = memo or Memo(0)
        self.device = torch.device(device)
        self.bfloat16 = has_bfloat16(self.device)
        self.finer = network.finer
        self.network = network.to(self.device)
        if self.bfloat16:
            self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.max_side = max_side

    def predict(self, picture: np.ndarray, known: np.ndarray, depth: float) -> tuple[np.ndarray, np.ndarray]:
        """The whole network's coarse and fused prediction [h, w, 3] of a picture [h, w, 3], known bool [h, w].

        It fills what is not known up to a `depth` in pixels; of what lies deeper the prediction says nothing.
        """
        recurrences = self.network.recurrences_for(depth)

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
        role: Callable[..., Output],
        picture: np.ndarray,
        known: np.ndarray,
        structure: np.ndarray | None,
        *more: int,
    ) -> Output:
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
