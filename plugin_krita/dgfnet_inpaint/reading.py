"""What is read of a document: which layer, which region, which pixels. Nothing here writes to it.

Long reads go stripe by stripe and stay stripes: putting them together is work for the line's thread (`payloads`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable

from . import colour
from .client.errors import InpaintError
from .client.geometry import Bounds
from .colour import Space
from .conversion import Bench
from .document import find_node, layer_of, require_open, space_of
from .tasks import Steps

Grab = Callable[[int, int, int, int], Any]


@dataclass
class Scene:
    """A document at the moment of the click, and which of its pixels are read."""

    document: Any
    bench: Bench  # for conversions
    canvas: Bounds
    space: Space
    working: Space
    linear: bool  # the working space's values are linear light
    target: Any  # the layer to put the result above; None: on top of everything
    target_name: str
    grab: Grab
    grab_space: Space
    frame: int
    animated: bool


def look_at(document: Any, bench: Bench, source: str, target_id: str = "") -> Steps:
    """The document as it is now, a `Scene`.

    `source` is ``layer`` (the active one, or the one of that id) or ``visible``.
    """
    space = space_of(document)
    if not space.is_known:
        raise InpaintError(
            "bad_space",
            f"Pictures in {space.model} at depth {space.depth} cannot be filled.",
            "Convert the picture with Image > Convert Image Color Space.",
        )
    target = layer_of(find_node(document, target_id) if target_id else document.activeNode())
    grab, grab_space = document.pixelData, space
    if source == "layer":
        if target is None:
            raise InpaintError(
                "no_layer", "No layer is active.", "Click the layer to fill, or choose the visible picture."
            )
        grab, grab_space = target.projectionPixelData, space_of(target)
        if not grab_space.is_known:
            raise InpaintError(
                "no_pixels",
                f"The layer “{target.name()}” has no pixels of its own.",
                "Choose the visible picture as the source.",
            )
    working = colour.working_space(space)
    scene = Scene(
        document=document,
        bench=bench,
        canvas=Bounds(0, 0, document.width(), document.height()),
        space=space,
        working=working,
        linear=False,
        target=target if source == "layer" else None,
        target_name=target.name() if target else "",
        grab=grab,
        grab_space=grab_space,
        frame=document.currentTime(),
        animated=bool(target is not None and target.animated()),
    )
    scene.linear = yield from bench.is_linear(working)  # last: it may take a few turns
    require_open(document)
    return scene


def selected_bounds(document: Any) -> Bounds | None:
    """The selection's own bounds, which may reach outside of the canvas; None where nothing is selected."""
    selection = document.selection()
    if selection is None or selection.width() <= 0 or selection.height() <= 0:
        return None
    return Bounds(selection.x(), selection.y(), selection.width(), selection.height())


def read_selection(document: Any, bounds: Bounds) -> Steps:
    """The selection over `bounds` as stripes, 0 to 255, one byte per pixel."""
    selection = document.selection()
    stripes = []
    for band in colour.bands(bounds):
        stripes.append(bytes(selection.pixelData(*band)))
        yield None
        require_open(document)
    return stripes


def read_pixels(scene: Scene, bounds: Bounds) -> Steps:
    """The source's pixels over `bounds` as stripes, in Krita's order for the working space."""
    return (yield from _read(scene, bounds, scene.working, bytes))


def read_opacity(scene: Scene) -> Steps:
    """The source's alpha over the canvas as stripes, 0 to 255, one byte per pixel."""
    plain = Space("GRAYA" if scene.working.model == "GRAYA" else "RGBA", "U8", scene.working.profile)
    return (yield from _read(scene, scene.canvas, plain, lambda data: colour.alpha_of(data, plain)))


def _read(scene: Scene, bounds: Bounds, space: Space, part: Callable[[bytes], bytes]) -> Steps:
    """A part of the source's pixels over `bounds` in a colour space, as stripes."""
    stripes = []
    for band in colour.bands(bounds):
        data = bytes(scene.grab(*band))
        if len(data) != band.area * scene.grab_space.pixel_bytes:
            raise InpaintError(
                "no_pixels",
                f"The pixels of “{scene.target_name or 'the picture'}” cannot be read.",
                "Choose the visible picture as the source.",
            )
        stripes.append(part((yield from scene.bench.convert(data, band, scene.grab_space, space))))
        yield None
        require_open(scene.document)
    return stripes
