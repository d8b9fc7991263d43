"""Everything that touches a Krita document: what is read, what is written, what is remembered.

The user's layers and selection are only read. Results are made as layers that belong to nobody and attached once they
are complete, which makes one undo step. Long reads and writes go stripe by stripe (`tasks.Steps`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Callable, NamedTuple, Sequence

from krita import Krita

from . import colour
from .client.errors import InpaintError
from .client.geometry import Bounds
from .colour import SRGB, Space
from .qt import QByteArray
from .tasks import Steps

ANNOTATION = "dgfnet-inpaint/"  # and the id of the layer that it is about
BUSY_SECONDS = 10.0
LOOK_SECONDS = 0.02
ACTIVE_LOOKS = 25  # times that we look whether Krita has made our layer the active one

Grab = Callable[[int, int, int, int], Any]


@dataclass
class Scene:
    """A document at the moment of the click, and which of its pixels are read."""

    document: Any
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


class MadeLayer(NamedTuple):
    """One layer to attach: pixels in Krita's order for `space`, at `bounds` of the canvas."""

    name: str
    bounds: Bounds
    blend: str
    opacity: float
    space: Space
    pixels: Any


def active_document() -> Any:
    """The document in front, or None."""
    return Krita.instance().activeDocument()


def krita_version() -> str:
    """Such as 5.2.9."""
    return str(Krita.instance().version())


def is_open(document: Any) -> bool:
    """Whether Krita still has it; everything else may be asked of an open document only."""
    return any(document == other for other in Krita.instance().documents())


def require_open(document: Any) -> None:
    """Raise the sentence for a document that was closed."""
    if not is_open(document):
        raise InpaintError(
            "document_closed", "The document was closed before its fill was there; the fill was dropped.", ""
        )


def title(document: Any) -> str:
    """What the document is called."""
    return str(document.name() or "").strip() or "untitled"


def settle(document: Any) -> Steps:
    """Wait until Krita has finished what it is doing to the document."""
    for _ in range(round(BUSY_SECONDS / LOOK_SECONDS)):
        require_open(document)
        if document.tryBarrierLock():
            document.unlock()
            return
        yield LOOK_SECONDS
    raise InpaintError("busy", "Krita is still working on this picture.", "Try again when it has finished.")


def space_of(thing: Any) -> Space:
    """The colour space of a document or a node."""
    return Space(thing.colorModel(), thing.colorDepth(), thing.colorProfile())


# What is read


def look_at(document: Any, source: str, target_id: str = "") -> Scene:
    """The document as it is now; `source` is ``layer`` (the active one, or the one of that id) or ``visible``."""
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
    return Scene(
        document=document,
        canvas=Bounds(0, 0, document.width(), document.height()),
        space=space,
        working=working,
        linear=_is_linear(document, working),
        target=target if source == "layer" else None,
        target_name=target.name() if target else "",
        grab=grab,
        grab_space=grab_space,
        frame=document.currentTime(),
        animated=bool(target is not None and target.animated()),
    )


def layer_of(node: Any) -> Any:
    """The layer that a node is or, for a mask, belongs to; None for the root and for nothing."""
    while node is not None and node.type().endswith("mask"):
        node = node.parentNode()
    return node if node is not None and node.parentNode() is not None else None


def find_node(document: Any, identity: str) -> Any:
    """The node of that id in the layer tree, or None."""
    waiting = [document.rootNode()]
    while waiting:
        node = waiting.pop()
        if node_id(node) == identity:
            return node
        waiting += node.childNodes()
    return None


def node_id(node: Any) -> str:
    """A node's id, the same after saving and loading."""
    return str(node.uniqueId().toString())


def selected_bounds(document: Any) -> Bounds | None:
    """The selection's own bounds, which may reach outside of the canvas; None where nothing is selected."""
    selection = document.selection()
    if selection is None or selection.width() <= 0 or selection.height() <= 0:
        return None
    return Bounds(selection.x(), selection.y(), selection.width(), selection.height())


def read_selection(document: Any, bounds: Bounds) -> Steps:
    """The selection over `bounds`, 0 to 255, one byte per pixel."""
    selection, parts = document.selection(), []
    for band in colour.bands(bounds):
        parts.append(bytes(selection.pixelData(*band)))
        yield None
        require_open(document)
    return b"".join(parts)


def read_pixels(scene: Scene, bounds: Bounds) -> Steps:
    """The source's pixels over `bounds`, in Krita's order for the working space."""
    parts = []
    for band in colour.bands(bounds):
        parts.append(_read_band(scene, band, scene.working))
        yield None
        require_open(scene.document)
    return b"".join(parts)


def read_opacity(scene: Scene) -> Steps:
    """The source's alpha over the canvas, 0 to 255, one byte per pixel."""
    plain = Space("GRAYA" if scene.working.model == "GRAYA" else "RGBA", "U8", scene.working.profile)
    parts = []
    for band in colour.bands(scene.canvas):
        parts.append(colour.alpha_of(_read_band(scene, band, plain), plain))
        yield None
        require_open(scene.document)
    return b"".join(parts)


def _read_band(scene: Scene, band: Bounds, wanted: Space) -> bytes:
    data = bytes(scene.grab(*band))
    if len(data) != band.area * scene.grab_space.pixel_bytes:
        raise InpaintError(
            "no_pixels",
            f"The pixels of “{scene.target_name or 'the picture'}” cannot be read.",
            "Choose the visible picture as the source.",
        )
    return convert(scene.document, data, band, scene.grab_space, wanted)


def convert(document: Any, data: Any, bounds: Bounds, old: Space, new: Space) -> bytes:
    """Pixels in another colour space, by way of a layer that is never attached."""
    if old == new:
        return bytes(data)
    scratch = document.createNode("conversion", "paintlayer")
    scratch.setColorSpace(*old)
    scratch.setPixelData(QByteArray(bytes(data)), *bounds)
    scratch.setColorSpace(*new)
    converted = bytes(scratch.pixelData(*bounds))
    if len(converted) != bounds.area * new.pixel_bytes:
        raise InpaintError(
            "bad_space",
            f"Krita cannot convert from {old.profile or old.model} to {new.profile or new.model}.",
            "Convert the picture with Image > Convert Image Color Space.",
        )
    return converted


def _is_linear(document: Any, working: Space) -> bool:
    pixel = convert(document, colour.middle_grey(working), Bounds(0, 0, 1, 1), working, Space("RGBA", "U8", SRGB))
    return colour.is_linear(pixel[1])


# What is written


def make_layer(document: Any, made: MadeLayer) -> Steps:
    """A complete layer in the document's colour space that is not attached to anything."""
    if len(made.pixels) != made.bounds.area * made.space.pixel_bytes:
        raise InpaintError("bad_array", "The server's layer has the wrong size.", "Please report this.")
    space = space_of(document)
    node = document.createNode(made.name, "paintlayer")
    if space_of(node) != space:
        node.setColorSpace(*space)
    view, start = memoryview(made.pixels).cast("B"), 0
    for band in colour.bands(made.bounds):
        end = start + band.area * made.space.pixel_bytes
        # Krita does not check the length before 5.3: `bands` and the check above make it right.
        data = convert(document, view[start:end], band, made.space, space)
        node.setPixelData(QByteArray(data), *band)
        start = end
        yield None
        require_open(document)
    node.setBlendingMode(made.blend)
    node.setOpacity(round(made.opacity * 255))
    node.setInheritAlpha(made.blend == "grain_merge")  # clipped to the layer below: docs/protocol.md
    return node


def attach(scene: Scene, name: str, layers: Sequence[MadeLayer], record: dict[str, Any], describe: str) -> Steps:
    """Add one layer, or a group of several, in one undo step; returns what the artist should know.

    `record` is kept in the document under the new layer's id. The active node stays what it was.
    """
    document = scene.document
    yield from settle(document)
    nodes = []
    for made in layers:
        nodes.append((yield from make_layer(document, made)))
    require_open(document)
    top = nodes[0]
    if len(nodes) > 1:
        top = document.createGroupLayer(name)
        for below, node in zip([None, *nodes], nodes):
            top.addChildNode(node, below)
    notes: list[str] = []
    yield None  # attaching takes Krita a while: in a turn of its own
    require_open(document)
    parent, above = _place(scene, notes)
    active = document.activeNode()
    parent.addChildNode(top, above)
    if top.parentNode() is None:  # addChildNode says True in any case
        raise InpaintError("not_added", "Krita did not take the new layer.", "Click another layer, then try again.")
    if len(nodes) > 1:
        # Krita may show a new group before it has put its layers together. Whatever makes a single layer be looked at
        # again (blending mode, opacity) is an undo step of its own.
        document.refreshProjection()
    yield None
    require_open(document)
    _remember(document, top, record, describe)
    yield from _put_back(document, active, top)
    return notes + _changes(scene)


def _place(scene: Scene, notes: list[str]) -> tuple[Any, Any]:
    """The parent and the layer below the new one. Locked groups are left alone."""
    root, node = scene.document.rootNode(), scene.target
    if node is None:
        return root, None
    if node.parentNode() is None:
        notes.append(f"The layer “{scene.target_name}” was deleted meanwhile; the fill is on top of the other layers.")
        return root, None
    above, group = node, node.parentNode()
    while group.parentNode() is not None:
        if group.locked():
            notes.append(f"The group “{group.name()}” is locked; the fill is above it.")
            above = group
        group = group.parentNode()
    return above.parentNode(), above


def _put_back(document: Any, active: Any, new: Any) -> Steps:
    """Krita makes a new layer the active one a moment later; the artist's own comes back."""
    if active is None:
        return
    wanted, own = node_id(active), node_id(new)
    was_moved = False
    for _ in range(ACTIVE_LOOKS):
        yield LOOK_SECONDS
        if not is_open(document):
            return
        now = document.activeNode()
        if now is not None and node_id(now) == own and active.parentNode() is not None:
            document.setActiveNode(active)
            was_moved = True
        elif was_moved or now is None or node_id(now) != wanted:
            return  # it is back, or the artist went elsewhere


def _changes(scene: Scene) -> list[str]:
    """What happened to the document while the fill was made."""
    document, notes = scene.document, []
    if not is_open(document):
        return []
    width, height = document.width(), document.height()
    if (width, height) != (scene.canvas.width, scene.canvas.height):
        was = f"{scene.canvas.width} x {scene.canvas.height}"
        notes.append(f"The canvas went from {was} to {width} x {height} meanwhile; check where the fill lies.")
    if space_of(document) != scene.space:
        notes.append("The picture's colour space was changed meanwhile; the fill was converted.")
    if scene.animated and document.currentTime() != scene.frame:
        notes.append(f"The fill was made for frame {scene.frame}, and another one is shown now.")
    elif scene.animated:
        notes.append(f"The fill was made for frame {scene.frame}; its layer shows on all frames.")
    return notes


# What is remembered


def _remember(document: Any, node: Any, record: dict[str, Any], describe: str) -> None:
    alive = {ANNOTATION + node_id(node)}
    waiting = [document.rootNode()]
    while waiting:
        children = waiting.pop().childNodes()
        alive.update(ANNOTATION + node_id(child) for child in children)
        waiting += children
    for kind in document.annotationTypes():
        if kind.startswith(ANNOTATION) and kind not in alive:
            document.removeAnnotation(kind)
    text = json.dumps(record, separators=(",", ":")).encode()
    document.setAnnotation(ANNOTATION + node_id(node), describe, QByteArray(text))


def recall(document: Any) -> dict[str, Any] | None:
    """What is remembered about the active layer or the group it is in; None where it is not one of ours."""
    return recall_of(document, document.activeNode())


def recall_of(document: Any, node: Any) -> dict[str, Any] | None:
    """What is remembered about a layer or the group it is in."""
    while node is not None:
        kind = ANNOTATION + node_id(node)
        if kind in document.annotationTypes():
            try:
                record = json.loads(bytes(document.annotation(kind)).decode())
            except ValueError:
                return None
            return record if isinstance(record, dict) else None
        node = node.parentNode()
    return None
