"""What an editor asks for, as plain data; None leaves a choice to the server (docs/protocol.md, SUBMIT)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Mapping

from .wire import Array


@dataclass(frozen=True)
class InpaintRequest:
    """Fill `mask` (0 keep, full fill, between: soft edge) in `image`; both have the same rows and columns.

    `space` is the image's encoding: ``srgb`` (display-referred) or ``linear``. `output` is ``layer`` or ``group``
    (coarse and texture layers, see `pixels.DEPTHS`). `context` is the margin as a multiple of the hole's size, `grow`
    and `feather` are pixels, `texture_strength` and `patches` are 0 to 1, `variation` is the number of another fill of
    the same hole; 0 is not sent, since older servers do not know it.
    """

    image: Array
    mask: Array
    space: str = "srgb"
    output: str | None = None
    context: float | None = None
    grow: int | None = None
    feather: float | None = None
    texture_strength: float | None = None
    patches: float | None = None
    variation: int | None = None

    @property
    def arrays(self) -> list[Array]:
        """The payloads, named as on the wire."""
        return [self.image._replace(name="image"), self.mask._replace(name="mask")]

    def fields(self) -> dict[str, Any]:
        """The header's fields but the job."""
        names = ("output", "context", "grow", "feather", "texture_strength", "patches", "variation")
        asked = replace(self, variation=self.variation or None)
        return {"task": "inpaint", "space": self.space, "options": _given(asked, {name: name for name in names})}


@dataclass(frozen=True)
class TextureRequest:
    """Split `image` into structure and texture (relative total variation with `lambda_` and `sigma`)."""

    image: Array
    space: str = "srgb"
    lambda_: float | None = None
    sigma: float | None = None

    @property
    def arrays(self) -> list[Array]:
        """The payload, named as on the wire."""
        return [self.image._replace(name="image")]

    def fields(self) -> dict[str, Any]:
        """The header's fields but the job."""
        names = {"lambda_": "lambda", "sigma": "sigma"}
        return {"task": "texture", "space": self.space, "options": _given(self, names)}


def _given(request: object, names: Mapping[str, str]) -> dict[str, Any]:
    values = ((wire, getattr(request, name)) for name, wire in names.items())
    return {wire: value for wire, value in values if value is not None}
