"""The `options` of a SUBMIT, checked: names, types, ranges. Defaults of the method itself stay with `dgfnet`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from server.messages import is_map, is_number
from server.protocol import DTYPES, ErrorCode, Refusal

OUTPUTS = ("layer", "group")
FILL_RANGES: dict[str, tuple[float, float]] = {
    "context": (0, 16),
    "grow": (0, 1000),
    "feather": (0, 1000),
    "texture_strength": (0, 1),
}
"""Allowed values of the options that go to `dgfnet.inpainting.FillOptions`."""
TEXTURE_RANGES: dict[str, tuple[float, float]] = {"lambda": (1e-4, 1), "sigma": (0.5, 32)}
GRAIN_MERGE_OFFSETS = {"u1": 127.0, "u2": 32767.0, "f2": 0.5, "f4": 0.5}
"""The texture layer's value for "no texture" where both GIMP and Krita sum exactly."""


@dataclass(frozen=True)
class InpaintOptions:
    """`offset` is in the picture's own units; `fill` holds the arguments given for `dgfnet.inpainting.FillOptions`."""

    output: str
    offset: float
    fill: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class TextureOptions:
    """`rtv` holds the arguments given for `dgfnet.inpainting.texture_maps`."""

    offset: float
    rtv: dict[str, float] = field(default_factory=dict)


def bad_option(message: str, action: str) -> Refusal:
    """A `Refusal` for an option."""
    return Refusal(ErrorCode.BAD_OPTION, message, action)


def read_inpaint_options(options: Mapping[str, Any], dtype: np.dtype) -> InpaintOptions:
    """Check the options of task `inpaint` for a picture of `dtype`. Raises `Refusal` (bad_option)."""
    _check_names(options, (*FILL_RANGES, "output", "encoding"))
    output = options.get("output", "layer")
    if output not in OUTPUTS:
        raise bad_option("`output` is neither `layer` nor `group`.", "Choose one of the two.")
    fill = _numbers(options, FILL_RANGES)
    if "grow" in fill:
        if fill["grow"] != int(fill["grow"]):
            raise bad_option("`grow` is not a whole number of pixels.", "Round it.")
        fill["grow"] = int(fill["grow"])
    return InpaintOptions(output, _offset(options, dtype), fill)


def read_texture_options(options: Mapping[str, Any], dtype: np.dtype) -> TextureOptions:
    """Check the options of task `texture` for a picture of `dtype`. Raises `Refusal` (bad_option)."""
    _check_names(options, (*TEXTURE_RANGES, "encoding"))
    numbers = _numbers(options, TEXTURE_RANGES)
    names = {"lambda": "lam", "sigma": "sigma"}
    return TextureOptions(_offset(options, dtype), {names[name]: value for name, value in numbers.items()})


def _check_names(options: Mapping[str, Any], known: tuple[str, ...]) -> None:
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise bad_option(f"There is no option `{unknown[0][:40]}`.", f"The options are {', '.join(known)}.")


def _numbers(options: Mapping[str, Any], ranges: Mapping[str, tuple[float, float]]) -> dict[str, float]:
    values = {name: options[name] for name in ranges if name in options}
    for name, value in values.items():
        low, high = ranges[name]
        if not is_number(value) or not low <= value <= high:
            raise bad_option(f"`{name}` is not a number from {low:g} to {high:g}.", "Change it to one.")
    return values


def _offset(options: Mapping[str, Any], dtype: np.dtype) -> float:
    depth = next(code for code, known in DTYPES.items() if known == dtype)
    encoding = options.get("encoding", {})
    if not is_map(encoding) or set(encoding) - {"offset", "depth"}:
        raise bad_option("`encoding` is not a map of `offset` and `depth`.", "Leave it out for the usual encoding.")
    if encoding.get("depth", depth) != depth:
        raise bad_option(f"The encoding's `depth` is not the picture's dtype `{depth}`.", f"Send `{depth}`.")
    offset = encoding.get("offset", GRAIN_MERGE_OFFSETS[depth])
    full = np.iinfo(dtype).max if dtype.kind == "u" else 1
    if not is_number(offset) or not 0 <= offset <= full or (dtype.kind == "u" and offset != int(offset)):
        raise bad_option(
            f"The encoding's `offset` is not a value that `{depth}` can hold, 0 to {full}.",
            f"Send {GRAIN_MERGE_OFFSETS[depth]:g}.",
        )
    return float(offset)
