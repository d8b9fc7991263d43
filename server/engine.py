"""The real engine: DGFNet on a device, with the steps that are taken when memory runs out. Imports torch."""

from __future__ import annotations

import dataclasses
import gc
import logging
import sys
from collections.abc import Iterator, Mapping

import numpy as np
import torch

from dgfnet import model
from dgfnet.devices import default_device, fault_of, reason_of
from dgfnet.errors import Progress, is_out_of_memory
from dgfnet.filling.memo import Memo
from dgfnet.filling.predictor import MAX_SIDE
from dgfnet.inpainting import FillOptions, Inpainter, texture_maps
from dgfnet.network.rtv import LAMBDA, SIGMA
from server.jobs import DeviceLost, Outcome, Split
from server.worker import NoEngine

log = logging.getLogger("server")

SMALLER_SIDES = (384, 256)
"""Longest sides of a crop in network pixels that are tried when the usual one takes too much memory."""
REMEMBERED = 128 * 2**20
"""Bytes of the network's latest predictions: another fill of a hole, or one with other options, needs no network."""


def choose_device(name: str = "auto") -> torch.device:
    """The device called `name`; `auto` is `default_device()`. Raises `NoEngine` where it does not work.

    A device whose memory is full just now is one that works.
    """
    name = default_device() if name == "auto" else name
    fault = fault_of(name)
    if fault and not is_out_of_memory(fault):
        raise NoEngine(f"The device {name} cannot be used ({reason_of(fault)}).")
    return torch.device(name)


def load_engine(device: str = "auto", weights: str | None = None) -> NetworkEngine:
    """Load weights (a path or a shipped name; None: the shipped ones). Raises `NoEngine`."""
    try:
        info = model.load_info(weights)
        network = model.load(weights, "cpu")
    except model.WeightsError as error:
        raise NoEngine(str(error)) from None
    return NetworkEngine(network, choose_device(device), model.label(info.path), str(info.path.resolve()), info.sha256)


class NetworkEngine:
    """A `server.jobs.Engine` around a network that stays in memory: on its device, as far as that has room."""

    def __init__(
        self, network: model.DGFNet, device: torch.device, weights: str, weights_path: str, weights_sha256: str
    ) -> None:
        self.weights = weights
        self.weights_path = weights_path
        self.weights_sha256 = weights_sha256
        self.device = str(device)
        if device.type == "cuda":
            self.device += f" ({torch.cuda.get_device_name(device)})"
        self._device = device
        self._network = network
        self._memo = Memo(REMEMBERED)
        try:
            network.to(device)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            log.warning("%s has no room for the network now; each job tries again, then takes the CPU", self.device)
            network.to("cpu")

    def inpaint(
        self,
        image: np.ndarray,
        mask: np.ndarray,
        options: Mapping[str, float],
        full_texture: bool,
        progress: Progress,
    ) -> Outcome:
        """See `server.jobs.Engine`. Out of memory, it frees caches, then takes smaller crops, then the CPU."""
        asked = FillOptions(**options)  # type: ignore[arg-type]
        used = dataclasses.replace(asked, texture_strength=1.0) if full_texture else asked
        notes: list[str] = []
        for device, side, remedy in self._ladder():
            if remedy:
                self._free_caches()
                notes.append(remedy)
                log.warning("out of memory: %s", remedy)
            try:  # the inpainter brings the network to the device, from wherever the job before left it
                fill = Inpainter(self._network, device, side, self._memo).fill_apart(image, mask, used, progress)
            except Exception as fault:
                if not self._lacks_memory(fault):
                    raise
            else:
                return Outcome(fill, dataclasses.asdict(asked), notes)
        raise MemoryError

    def structure(self, image: np.ndarray, options: Mapping[str, float], progress: Progress) -> Split:
        """See `server.jobs.Engine`. Out of memory, it goes to the CPU."""
        used = {"lam": LAMBDA, "sigma": SIGMA, **options}
        notes: list[str] = []
        for device in dict.fromkeys((str(self._device), "cpu")):
            if device != str(self._device):
                self._free_caches()
                notes.append("Split on the CPU.")
                log.warning("out of memory: %s", notes[-1])
            try:
                return Split(texture_maps(image, progress=progress, device=device, **used)[0], used, notes)
            except Exception as fault:
                if not self._lacks_memory(fault):
                    raise
        raise MemoryError

    def memory(self) -> dict[str, int]:
        """Bytes: `process_peak` (not on Windows) and, on CUDA, `device_used` by this process and `device_total`."""
        used: dict[str, int] = {}
        if sys.platform != "win32":
            import resource

            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            used["process_peak"] = peak if sys.platform == "darwin" else peak * 1024
        if self._device.type == "cuda":
            used["device_used"] = torch.cuda.memory_reserved(self._device)
            used["device_total"] = torch.cuda.mem_get_info(self._device)[1]
        return used

    def _ladder(self) -> Iterator[tuple[torch.device, int, str]]:
        """What to try, one after the other: device, longest side of a crop, and what that means for the report."""
        yield self._device, MAX_SIDE, ""
        yield self._device, MAX_SIDE, "Freed the cached memory and tried again."
        for side in SMALLER_SIDES:
            yield self._device, side, f"Filled at a lower scale, at most {side} network pixels wide."
        if self._device.type != "cpu":
            yield torch.device("cpu"), MAX_SIDE, "Filled on the CPU."

    def _lacks_memory(self, fault: Exception) -> bool:
        """Whether smaller steps may help a failed job. Raises `DeviceLost` where its fault took the device along."""
        if is_out_of_memory(fault):
            return True
        if isinstance(fault, RuntimeError) and not _answers(self._device):
            raise DeviceLost(f"{self.device} does not answer any more ({reason_of(fault)}).") from fault
        return False

    def _free_caches(self) -> None:
        self._memo.clear()
        gc.collect()
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        elif self._device.type == "mps":
            torch.mps.empty_cache()


def _answers(device: torch.device) -> bool:
    """Whether anything can still be computed on a device. After some faults of CUDA no call succeeds in the process."""
    fault = fault_of(device)
    return fault is None or is_out_of_memory(fault)
