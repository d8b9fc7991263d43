"""A layer as it was read: artists go on working while the server does."""

from __future__ import annotations

import blend
import document
import gi
from client.errors import InpaintError
from client.geometry import Bounds

gi.require_version("Gimp", "3.0")
from gi.repository import Gimp  # noqa: E402

ROWS = 128  # of a layer, or up to twice as many, tell whether it is another picture


def still_there(image: Gimp.Image, layer: Gimp.Layer) -> None:
    """Raise `InpaintError` where an image was closed, or a layer removed from it."""
    if not image.is_valid():
        raise InpaintError("gone", "The image was closed before its fill was ready.", "Open it and fill it again.")
    if not (layer.is_valid() and image.get_layer_by_tattoo(layer.get_tattoo())):
        raise InpaintError(
            "gone", "The layer was removed before its fill was ready.", "Undo that, or select another layer to fill."
        )


class Before:
    """What the answer for a `part` of a layer depends on, as it is now."""

    def __init__(self, image: Gimp.Image, layer: Gimp.Layer, part: Bounds) -> None:
        self.encoding = document.encoding_of(layer)
        self._image, self._layer, self._mode = image, layer, _mode(image)
        self._lay, self._profile = document.bounds_of(layer), image.get_effective_color_profile()
        self._part = part.intersection(self._lay)
        self._rows = self._read_rows()

    def look_again(self) -> None:
        """Raise `InpaintError` where the answer is of no use any more."""
        image, layer = self._image, self._layer
        still_there(image, layer)
        if not (_mode(image) == self._mode and self._profile.is_equal(image.get_effective_color_profile())):
            raise InpaintError(
                "gone",
                "The image's mode, precision or colour profile was changed before its fill was ready.",
                "Fill again.",
            )

    def differences(self) -> list[str]:
        """Sentences about what differs now. Raises as `look_again`."""
        self.look_again()
        lies = document.bounds_of(self._layer)
        if lies != self._lay:
            did = "moved" if lies[2:] == self._lay[2:] else "changed its size"
            return [
                f"The layer {did} while the server worked. The result lies where the layer was: undo, then do it again."
            ]
        if self._is_another_picture():  # flipped, say
            return [
                "The picture changed while the server worked. If the result does not match: undo, then do it again."
            ]
        return []

    def _is_another_picture(self) -> bool:
        """Whether more than half of the pixels differ: a few strokes are the artist's, and welcome."""
        changed = blend.changed(self._rows, self._read_rows(), self.encoding.pixel_bytes)
        return 2 * changed.count(255) > len(changed)

    def _read_rows(self) -> bytes:
        """Evenly spaced rows of the part: all of a texture map's pixels would be as much again as the server gets."""
        part = self._part
        if part.is_empty:
            return b""
        data, row = document.read(self._layer, part, self.encoding), part.width * self.encoding.pixel_bytes
        step = max(part.height // ROWS, 1) * row
        return b"".join(data[at : at + row] for at in range(0, len(data), step))


def _mode(image: Gimp.Image) -> tuple[Gimp.ImageBaseType, Gimp.Precision]:
    return image.get_base_type(), image.get_precision()
