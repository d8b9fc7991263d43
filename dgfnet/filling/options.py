"""How a hole is to be filled."""

from __future__ import annotations

from dataclasses import dataclass

from dgfnet.errors import PictureError, check_number

MAX_VARIATION = 9999


@dataclass(frozen=True)
class FillOptions:
    """How a hole is filled.

    Attributes:
        context: margin around a hole as a multiple of its thickness, as far as one run of the network holds it.
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
            value = getattr(self, name)
            if value != int(value):
                raise PictureError("bad_option", f"{name} is {value}.", "Give a whole number.")
            object.__setattr__(self, name, int(value))
