"""What is read of a document: which layer, which region, which pixels. Nothing here writes to it.

Long reads go stripe by stripe and stay stripes: putting them together is work for the line's thread (`payloads`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, Callable, NamedTuple

from . import colour
from .client.errors import InpaintError
from .client.geometry import Bounds
from .colour import Space
from .conversion import Bench
from .document import canvas_of, is_leave_out, is_shown, layer_of, nodes, require_open, space_of, tree
from .records import fills_on
from .tasks import Steps


class Readable(NamedTuple):
    """What pixels are read of: a layer with its masks but without its opacity and manner, or all that is shown."""

    name: str
    grab: Callable[[int, int, int, int], Any]
    space: Space
    bounds: Bounds
    opacity: float = 1.0
    manner: str = ""  # how it is shown, opacity aside, where that is not normal


class Sheet(NamedTuple):
    """What was read of it: stripes that cover `bounds`."""

    bounds: Bounds
    opacity: float
    stripes: list[bytes]


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
    source: Readable
    fills: list[Readable]  # that lie on it, from the bottom: it is filled from them too
    left_out: list[Readable]  # what is painted there is not looked at
    frame: int
    animated: bool
    has_onion_skins: bool  # where they are switched on: Krita does not tell a script


def look_at(document: Any, bench: Bench, source: str, node: Any) -> Steps:
    """The document as it is now, a `Scene`.

    `source` is ``layer`` (the one that `node` is or belongs to) or ``visible``.
    """
    space = space_of(document)
    if not space.is_known:
        raise InpaintError(
            "bad_space",
            f"Pictures in {space.model} at depth {space.depth} cannot be filled.",
            "Convert the picture with Image > Convert Image Color Space.",
        )
    canvas = canvas_of(document)
    target = layer_of(node)
    if source == "visible":
        everything = document.rootNode().projectionPixelData  # `pixelData` is one layer while that is isolated
        target, read, fills = None, Readable("", everything, space, canvas), []
        sources = nodes(document)
    else:
        read, sources = _source(target, canvas)._replace(bounds=canvas), tree(target)
        fills = [_layer(node, canvas) for node in fills_on(document, target) if node.visible()]
    working = colour.working_space(space)
    animated = any(node.animated() for node in sources)
    scene = Scene(
        document=document,
        bench=bench,
        canvas=canvas,
        space=space,
        working=working,
        linear=False,
        target=target,
        target_name=read.name,
        source=read,
        fills=[fill for fill in fills if fill.space.is_known],
        left_out=[_layer(node, canvas) for node in nodes(document) if is_leave_out(node) and is_shown(node)],
        frame=document.currentTime(),
        animated=animated,
        has_onion_skins=animated and (target is None or not _is_cel(target)),
    )
    scene.linear = yield from bench.is_linear(working)  # last: it may take a few turns
    require_open(document)
    return scene


def _source(node: Any, canvas: Bounds) -> Readable:
    """The layer to fill, or the sentence that says why there is none."""
    if node is None:
        raise InpaintError(
            "no_layer",
            "No layer was active at the click, or it is gone.",
            "Click the layer to fill, or choose the visible picture.",
        )
    if is_leave_out(node):
        raise InpaintError("leave_out", "The leave-out layer is active.", "Click the layer to fill.")
    if not space_of(node).is_known:
        raise InpaintError(
            "no_pixels",
            f"The layer “{node.name()}” has no pixels of its own.",
            "Choose the visible picture as the source.",
        )
    return _layer(node, canvas)


def _layer(node: Any, canvas: Bounds) -> Readable:
    if node.type() == "grouplayer" and node.passThroughMode():
        raise InpaintError(
            "no_pixels",
            f"The group “{node.name()}” passes through and has no pixels of its own.",
            "Switch its Pass Through off, or choose the visible picture as the source.",
        )
    bounds = node.bounds()
    where = Bounds(bounds.x(), bounds.y(), bounds.width(), bounds.height())
    if any(each.type().endswith("mask") for each in tree(node)):
        where = canvas  # masks may move and spread pixels, which Krita's bounds leave out of account
    grab = node.pixelData if _is_cel(node) else node.projectionPixelData
    return Readable(node.name(), grab, space_of(node), where, node.opacity() / 255, _manner(node))


def _is_cel(node: Any) -> bool:
    """Whether a node is an animated layer whose own pixels are all of it: its projection has onion skins besides."""
    masks = (child.type() for child in node.childNodes())
    return node.type() == "paintlayer" and node.animated() and set(masks) <= {"selectionmask"}


def _manner(node: Any) -> str:
    """How a layer is shown, opacity aside: nothing where that is normal, or a filter's way (Krita: copy)."""
    mode = node.blendingMode()
    words = [f"in {mode.replace('_', ' ')}"] if mode != "normal" and node.type() != "filterlayer" else []
    words += ["with inherited alpha"] if node.inheritAlpha() else []
    words += ["with a layer style"] if _has_style(node) else []
    return ", ".join(words)


def _has_style(node: Any) -> bool:
    """Whether an effect of a layer's style is on."""
    tags = node.layerStyleToAsl().split("<")  # XML; the order of a tag's attributes varies

    def is_set(key: str, value: int) -> bool:
        return any(f'key="{key}"' in tag and f'value="{value}"' in tag for tag in tags)

    return is_set("enab", 1) and not is_set("masterFXSwitch", 0)


def selection_of(document: Any, node: Any) -> Any:
    """What is selected now, a copy: of the document's selection or of the own one of a node's layer; or None.

    Krita does not tell a script which of the two is in force. Raises where both are there and differ.
    """
    layer, whole = layer_of(node), document.selection()
    masks = layer.childNodes() if layer is not None else []
    shown = (mask.selection() for mask in masks if mask.type() == "selectionmask" and mask.visible())
    local: Any = next(shown, None)
    common, own = selected_bounds(whole), selected_bounds(local)
    if common is not None and own is not None and (common != own or whole.pixelData(*own) != local.pixelData(*own)):
        raise InpaintError(
            "two_selections",
            f"The picture has a selection, and the layer “{layer.name()}” has another one.",
            "Hide the layer's selection mask, or select nothing in the picture.",
        )
    selection = whole if own is None else local
    return None if selection is None else selection.duplicate()


def selected_bounds(selection: Any) -> Bounds | None:
    """A selection's own bounds, which may reach outside of the canvas; None where nothing is selected."""
    if selection is None or selection.width() <= 0 or selection.height() <= 0:
        return None
    return Bounds(selection.x(), selection.y(), selection.width(), selection.height())


def read_selection(document: Any, selection: Any, bounds: Bounds) -> Steps:
    """A selection over `bounds` as stripes, 0 to 255, one byte per pixel."""
    stripes = []
    for band in colour.bands(bounds):
        stripes.append(bytes(selection.pixelData(*band)))
        yield None
        require_open(document)
    return stripes


def read_pixels(scene: Scene, bounds: Bounds) -> Steps:
    """The source's pixels over `bounds` and those of its fills, `Sheet`s in Krita's order for the working space."""
    sheets = []
    for layer in (scene.source, *scene.fills):
        part = layer.bounds.intersection(bounds)
        if not part.is_empty:
            stripes = yield from _read(scene, layer, part, scene.working, bytes)
            sheets.append(Sheet(part, layer.opacity, stripes))
    return sheets


def read_left_out(scene: Scene, bounds: Bounds) -> Steps:
    """Where a leave-out layer is painted over `bounds`: `Sheet`s of one byte per pixel, 0 where it is not."""
    sheets = []
    for layer in scene.left_out:
        part = layer.bounds.intersection(bounds)
        if not part.is_empty and layer.space.is_known:
            shown = partial(colour.shown, space=layer.space)
            sheets.append(Sheet(part, 1.0, (yield from _read(scene, layer, part, layer.space, shown))))
    return sheets


def read_opacity(scene: Scene) -> Steps:
    """The source's alpha over the canvas as stripes, 0 to 255, one byte per pixel."""
    plain = Space("GRAYA" if scene.working.model == "GRAYA" else "RGBA", "U8", scene.working.profile)
    return (yield from _read(scene, scene.source, scene.canvas, plain, lambda data: colour.alpha_of(data, plain)))


def _read(scene: Scene, layer: Readable, bounds: Bounds, space: Space, part: Callable[[bytes], bytes]) -> Steps:
    """A part of a layer's pixels over `bounds` in a colour space, as stripes."""
    stripes = []
    for band in colour.bands(bounds):
        require_open(scene.document)  # the line has worked before the first, the window had its turn before the others
        data = bytes(layer.grab(*band))
        if len(data) != band.area * layer.space.pixel_bytes:
            raise InpaintError(
                "no_pixels",
                f"The pixels of “{layer.name or 'the picture'}” cannot be read.",
                "Choose the visible picture as the source.",
            )
        stripes.append(part((yield from scene.bench.convert(data, band, layer.space, space))))
        yield None
    return stripes
