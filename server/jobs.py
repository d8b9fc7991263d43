"""One job: from a checked SUBMIT to layers and a report. Knows the engine's interface, not the network."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

import dgfnet
from dgfnet.errors import Progress
from dgfnet.pixels import split_alpha, to_float
from server import layers
from server.client.wire import PAYLOAD_BYTES
from server.colour import linear_to_srgb, srgb_to_linear
from server.messages import Layer, Submit
from server.options import (
    RTV_OPTIONS,
    InpaintOptions,
    TextureOptions,
    bad_option,
    read_inpaint_options,
    read_texture_options,
)
from server.protocol import ErrorCode, Refusal, bad_array

if TYPE_CHECKING:
    from dgfnet.filling.fills import Fill  # it imports torch

SPACES = ("srgb", "linear")
MOST_SCALES = 1000
"""A report lists the scales of at most so many holes: a header has an end."""


@dataclass(frozen=True)
class Outcome:
    """What an engine hands back for a fill: the fill, the options in force, and what had to be done for memory."""

    fill: Fill
    options: dict[str, Any]
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Split:
    """What an engine hands back for a texture map: float32 [H, W, C] as the picture without alpha, and as `Outcome`."""

    structure: np.ndarray
    options: dict[str, Any]
    notes: list[str] = field(default_factory=list)


class DeviceLost(Exception):
    """The engine's device fails at everything from now on, in this process; the text is one sentence."""


class Engine(Protocol):
    """The network and what can be asked of it; used by one thread. `device` and `weights` are for people to read."""

    device: str
    weights: str
    weights_path: str
    weights_sha256: str

    def inpaint(
        self,
        image: np.ndarray,
        mask: np.ndarray,
        options: Mapping[str, float],
        full_texture: bool,
        progress: Progress,
    ) -> Outcome:
        """Fill the hole of an sRGB picture, with `full_texture` at strength 1 whatever the options say.

        Raises PictureError, Cancelled, MemoryError, DeviceLost.
        """

    def structure(self, image: np.ndarray, options: Mapping[str, float], progress: Progress) -> Split:
        """RTV structure of an sRGB picture. Raises as `inpaint`."""

    def memory(self) -> dict[str, int]:
        """Bytes in use, by name."""


@dataclass(eq=False)
class Job:
    """A checked request; `image` and `mask` are read-only views of the received message."""

    owner: str
    id: str
    space: str
    options: InpaintOptions | TextureOptions
    image: np.ndarray
    mask: np.ndarray | None
    cancelled: threading.Event = field(default_factory=threading.Event)

    @property
    def nbytes(self) -> int:
        """Bytes of pixels that this job keeps in memory while it waits."""
        return self.image.nbytes + (0 if self.mask is None else self.mask.nbytes)


def read_job(owner: str, submit: Submit, arrays: Mapping[str, np.ndarray]) -> Job:
    """Check what a SUBMIT says about itself, without looking at a pixel. Raises `Refusal`."""
    wanted = {"inpaint": {"image", "mask"}, "texture": {"image"}}.get(submit.task)
    if wanted is None:
        raise bad_option(f"There is no task `{submit.task[:40]}`.", "The tasks are inpaint and texture.")
    if submit.space not in SPACES:
        raise bad_option(f"There is no colour space `{submit.space[:40]}`.", "The spaces are srgb and linear.")
    if set(arrays) != wanted:
        raise bad_array(f"Task {submit.task} needs the arrays {' and '.join(sorted(wanted))} and no other.")
    image, mask = arrays["image"], arrays.get("mask")
    if image.ndim == 3 and image.shape[2] > 4:
        raise bad_array(f"The picture has {image.shape[2]} channels; the most is 4.")
    if mask is None:
        _check_size(layers.texture_bytes(image), "Select a smaller rectangle, or use a lower precision.")
        return Job(owner, submit.job, submit.space, read_texture_options(submit.options), image, None)
    if mask.ndim != 2 or mask.shape != image.shape[:2]:
        raise Refusal(
            ErrorCode.BAD_MASK,
            f"The mask has the shape {list(mask.shape)} but the picture has {list(image.shape[:2])} rows and columns.",
            "Send a mask of the picture's rows and columns.",
        )
    return Job(owner, submit.job, submit.space, read_inpaint_options(submit.options), image, mask)


def run(job: Job, engine: Engine, progress: Progress) -> tuple[list[Layer], dict[str, Any]]:
    """Do the job: the layers, bottom first, and the report. Raises what the engine raises, and `Refusal`."""
    report: dict[str, Any] = {
        "version": dgfnet.__version__,
        "weights": {"name": engine.weights, "sha256": engine.weights_sha256},
        "device": engine.device,
        "space": job.space,
    }
    if isinstance(job.options, TextureOptions):
        made, split = _texture(job, job.options, engine, progress)
        rtv = {name: split.options[argument] for name, argument in RTV_OPTIONS.items()}
        return made, report | {"options": rtv, "notes": split.notes}
    made, outcome = _inpaint(job, job.options, engine, progress)
    size = sum(layer.pixels.nbytes for layer in made)
    _check_size(size, "Do it in parts: select fewer or nearer regions at a time.")
    return made, report | {
        "options": {**outcome.options, "output": job.options.output},
        "scales": [float(scale) for scale in outcome.fill.scales[:MOST_SCALES]],
        "seconds": {stage: round(float(seconds), 3) for stage, seconds in outcome.fill.seconds.items()},
        "notes": outcome.notes,
    }


def _check_size(size: int, action: str) -> None:
    """Raise `Refusal` where a result of `size` bytes cannot be sent."""
    if size > PAYLOAD_BYTES:
        raise Refusal(
            ErrorCode.TOO_LARGE,
            f"The result has {size / 2**20:.0f} MiB; the most is {PAYLOAD_BYTES / 2**20:.0f}.",
            action,
        )


def _inpaint(job: Job, options: InpaintOptions, engine: Engine, progress: Progress) -> tuple[list[Layer], Outcome]:
    assert job.mask is not None
    as_group = options.output == "group"
    outcome = engine.inpaint(_to_srgb(job), job.mask, options.fill, as_group, progress)
    x, y = (int(start) for start in outcome.fill.bounds[:2])
    channels = split_alpha(job.image)[0].shape[2]
    fill, coarse = (
        _from_srgb(layers.match_channels(values, channels), job) for values in (outcome.fill.fill, outcome.fill.coarse)
    )
    dtype = job.image.dtype
    if as_group:
        strength = float(outcome.options["texture_strength"])  # in a group the layer's opacity does it
        return layers.fill_group(fill, coarse, outcome.fill.alpha, x, y, dtype, strength), outcome
    return layers.fill_layer(fill, outcome.fill.alpha, x, y, dtype), outcome


def _texture(job: Job, options: TextureOptions, engine: Engine, progress: Progress) -> tuple[list[Layer], Split]:
    split = engine.structure(_to_srgb(job), options.rtv, progress)
    colour, alpha = split_alpha(job.image)
    return layers.texture_pair(colour, _from_srgb(split.structure, job), alpha), split


def _to_srgb(job: Job) -> np.ndarray:
    """The picture in sRGB: the array itself, or a float32 copy where it came in linear light."""
    if job.space == "srgb":
        return job.image
    colour, alpha = split_alpha(job.image)
    curved = linear_to_srgb(to_float(colour))
    return curved if alpha is None else np.concatenate([curved, to_float(alpha)[..., None]], axis=2)


def _from_srgb(values: np.ndarray, job: Job) -> np.ndarray:
    return values if job.space == "srgb" else srgb_to_linear(values)
