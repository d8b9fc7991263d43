"""The `options` of a SUBMIT: names and types. `dgfnet` knows the ranges and defaults of its own."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from server.messages import is_number
from server.protocol import ErrorCode, Refusal

OUTPUTS = ("layer", "group")
FILL_OPTIONS = ("context", "grow", "feather", "texture_strength", "patches", "variation")
"""The options that go to `dgfnet.inpainting.FillOptions`."""
RTV_OPTIONS = {"lambda": "lam", "sigma": "sigma"}
"""The options that go to `dgfnet.inpainting.texture_maps`, and what they are called there."""


@dataclass(frozen=True)
class InpaintOptions:
    """`fill` holds the arguments given for `dgfnet.inpainting.FillOptions`."""

    output: str
    fill: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class TextureOptions:
    """`rtv` holds the arguments given for `dgfnet.inpainting.texture_maps`."""

    rtv: dict[str, float] = field(default_factory=dict)


def bad_option(message: str, action: str) -> Refusal:
    """A `Refusal` for an option."""
    return Refusal(ErrorCode.BAD_OPTION, message, action)


def read_inpaint_options(options: Mapping[str, Any]) -> InpaintOptions:
    """Check the options of task `inpaint`. Raises `Refusal` (bad_option)."""
    _check_names(options, (*FILL_OPTIONS, "output"))
    output = options.get("output", "layer")
    if output not in OUTPUTS:
        raise bad_option("`output` is neither `layer` nor `group`.", "Choose one of the two.")
    return InpaintOptions(output, _numbers(options, FILL_OPTIONS))


def read_texture_options(options: Mapping[str, Any]) -> TextureOptions:
    """Check the options of task `texture`. Raises `Refusal` (bad_option)."""
    _check_names(options, RTV_OPTIONS)
    numbers = _numbers(options, RTV_OPTIONS)
    return TextureOptions({RTV_OPTIONS[name]: value for name, value in numbers.items()})


def _check_names(options: Mapping[str, Any], known: Collection[str]) -> None:
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise bad_option(f"There is no option `{unknown[0][:40]}`.", f"The options are {', '.join(known)}.")


def _numbers(options: Mapping[str, Any], names: Iterable[str]) -> dict[str, float]:
    values = {name: options[name] for name in names if name in options}
    for name, value in values.items():
        if not is_number(value):
            raise bad_option(f"`{name}` is not a number.", "Send a number.")
    return values
