"""Colour conversion by Krita itself, and the document of our own that it happens in."""

from __future__ import annotations

from typing import Any

from krita import Krita

from . import colour
from .client.errors import InpaintError
from .client.geometry import Bounds
from .colour import SRGB, Space
from .document import is_open
from .qt import QByteArray
from .tasks import Steps

NAME = "Inpaint (DGFNet)"
_linear: dict[Space, bool] = {}  # what has been found out


class Bench:
    """A document of our own, one pixel large and never shown; it is made when something needs it.

    Where a layer's colour space or blending mode is set, Krita makes an undo step and waits until the document is
    idle, even for a layer that is attached to nothing. Done here, none of it reaches the artist's document; a layer
    that was made here can be attached there. Making it and closing it take Krita a while each: in turns of their own.
    """

    def __init__(self) -> None:
        self._document: Any = None

    def new_layer(self, name: str) -> Steps:
        """A paint layer that is attached to nothing."""
        if self._document is None or not is_open(self._document):
            yield 0.0
            self._document = Krita.instance().createDocument(1, 1, NAME, "RGBA", "U8", SRGB, 72.0)
            self._document.setBatchmode(True)
            yield 0.0
        return self._document.createNode(name, "paintlayer")

    def keep_quiet(self) -> None:
        """There is nothing to save: Krita would do so after some minutes if the server works for that long."""
        if self._document is not None and is_open(self._document):
            self._document.setModified(False)

    def close(self) -> None:
        """Throw it away; layers that were made here stay."""
        if self._document is not None and is_open(self._document):
            self._document.setModified(False)
            self._document.close()
        self._document = None

    def convert(self, data: Any, bounds: Bounds, old: Space, new: Space) -> Steps:
        """Pixels over `bounds` in another colour space."""
        if old == new:
            return bytes(data)
        scratch = yield from self.new_layer("conversion")
        scratch.setColorSpace(*old)
        scratch.setPixelData(QByteArray(bytes(data)), *bounds)
        yield None  # the first conversion between two spaces takes Krita longer than the others
        scratch.setColorSpace(*new)
        converted = bytes(scratch.pixelData(*bounds))
        if len(converted) != bounds.area * new.pixel_bytes:
            raise InpaintError(
                "bad_space",
                f"Krita cannot convert from {old.profile or old.model} to {new.profile or new.model}.",
                "Convert the picture with Image > Convert Image Color Space.",
            )
        return converted

    def is_linear(self, working: Space) -> Steps:
        """Whether a working space's values are linear light: Krita is asked what middle grey looks like."""
        if working not in _linear:
            grey, pixel = colour.middle_grey(working), Bounds(0, 0, 1, 1)
            shown = yield from self.convert(grey, pixel, working, Space("RGBA", "U8", SRGB))
            _linear[working] = colour.is_linear(shown[1])
        return _linear[working]
