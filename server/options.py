"""The `options` of a SUBMIT: names and types. `dgfnet` knows the ranges and defaults of its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from server.messages import is_map, is_number
from server.protocol import DTYPES, ErrorCode, Refusal

OUTPUTS = ("layer", "group")
FILL_OPTIONS = ("context", "grow", "feather", "texture_strength", "patches", "variation")
"""The options that go to `dgfnet.inpainting.FillOptions`."""
RTV_OPTIONS = {"lambda": "lam", "sigma": "sigma"}
"""The options that go to `dgfnet.inpainting.texture_maps`, and what they are called there."""
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
    _check_names(options, (*FILL_OPTIONS, "output", "encoding"))
    output = options.get("output", "layer")
    if output not in OUTPUTS:
        raise bad_option("`output` is neither `layer` nor `group`.", "Choose one of the two.")
    return InpaintOptions(output, _offset(options, dtype), _numbers(options, FILL_OPTIONS))


def read_texture_options(options: Mapping[str, Any], dtype: np.dtype) -> TextureOptions:
    """Check the options of task `texture` for a picture of `dtype`. Raises `Refusal` (bad_option)."""
    _check_names(options, (*RTV_OPTIONS, "encoding"))
    numbers = _numbers(options, RTV_OPTIONS)
    return TextureOptions(_offset(options, dtype), {RTV_OPTIONS[name]: value for name, value in numbers.items()})


def _check_names(options: Mapping[str, Any], known: tuple[str, ...]) -> None:
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise bad_option(f"There is no option `{unknown[0][:40]}`.", f"The options are {', '.join(known)}.")


def _numbers(options: Mapping[str, Any], names: Iterable[str]) -> dict[str, float]:
    values = {name: options[name] for name in names if name in options}
    for name, value in values.items():
        if not is_number(value):
            raise bad_option(f"`{name}` is not a number.", "Send a number.")
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
