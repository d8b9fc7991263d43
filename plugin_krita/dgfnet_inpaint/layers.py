"""What is written: new layers, made while they belong to nobody and attached once they are complete.

So one undo step takes a result away, and the artist's own layers and selection are never written.
"""

from __future__ import annotations

import contextlib
from typing import Any, Callable, NamedTuple, Sequence

from . import colour
from .client.errors import Cancelled, InpaintError
from .client.geometry import Bounds
from .colour import Space
from .conversion import Bench
from .document import (
    LOOK_SECONDS,
    active_node,
    is_leave_out,
    is_open,
    is_there,
    node_id,
    place_beside,
    require_open,
    space_of,
    until_idle,
)
from .qt import QByteArray
from .reading import Scene
from .records import fills_above, place_of, remember
from .tasks import Steps

ACTIVE_LOOKS = 25  # times that we look whether Krita has made our layer the active one


class MadeLayer(NamedTuple):
    """One layer to attach: pixels in Krita's order for `space`, at `bounds` of the canvas."""

    name: str
    bounds: Bounds
    blend: str
    opacity: float  # 0 to 1
    space: Space
    pixels: Any


def attach(
    scene: Scene, name: str, layers: Sequence[MadeLayer], record: dict[str, Any], held: Callable[[], None]
) -> Steps:
    """Add one layer, or a group of several, in one undo step; returns what the artist should know.

    `record` is kept in the document under the new layer's id. The active node stays what it was. `held` is called
    where a tool holds the document: the layer comes when its artist is done with it.
    """
    document = scene.document
    yield from until_idle(document, held)
    nodes = []
    for made in layers:
        nodes.append((yield from make_layer(document, scene.bench, made)))
    yield None  # attaching takes Krita a while: in a turn of its own
    yield from until_idle(document, held)
    top = nodes[0] if len(nodes) == 1 else _group(document, name, nodes)
    notes: list[str] = []
    active = enter(document, top, *_place(scene, notes))
    if len(nodes) > 1:
        # Krita puts a new group's layers together only when it is told to, and whatever makes a single layer be looked
        # at again (blending mode, opacity) is an undo step of its own. In the same turn as the group's arrival, so that
        # the canvas is painted once.
        document.refreshProjection()
    with contextlib.suppress(Cancelled):  # too late: the layer is there
        yield None
    require_open(document)
    remember(document, top, {**record, "place": place_of(document, top)}, name)
    with contextlib.suppress(Cancelled):
        yield from put_back(document, active, top)
    return notes + _changes(scene)


def make_layer(document: Any, bench: Bench, made: MadeLayer) -> Steps:
    """A complete layer in the document's colour space that is not attached to anything."""
    if len(made.pixels) != made.bounds.area * made.space.pixel_bytes:
        raise InpaintError("bad_array", "The server's layer has the wrong size.", "Please report this.")
    space = space_of(document)
    if made.blend == "normal":
        node = document.createNode(made.name, "paintlayer")
    else:  # setting these would be an undo step of the document's own layers
        node = yield from bench.new_layer(made.name)
        require_open(document)
        node.setColorSpace(*space)
        node.setBlendingMode(made.blend)
    for band, stripe in colour.stripes(made.pixels, made.bounds, made.space):
        # Krita does not check the length before 5.3: `stripes` and the check above make it right.
        converted = yield from bench.convert(stripe, band, made.space, space)
        require_open(document)
        node.setPixelData(QByteArray(converted), *band)
        yield None
        require_open(document)
    node.setOpacity(round(made.opacity * 255))
    node.setInheritAlpha(made.blend == "grain_merge")  # clipped to the layer below: docs/protocol.md
    return node


def _group(document: Any, name: str, nodes: Sequence[Any]) -> Any:
    """A group of layers, from the bottom, that is not attached to anything."""
    group = document.createGroupLayer(name)
    for node in nodes:  # the layer list is narrow: "Coarse" in the group, not the group's name once more
        if node.name().startswith(f"{name} "):
            node.setName(node.name()[len(name) + 1 :].capitalize())
    group.setChildNodes(list(nodes))  # addChildNode would make an undo step of each, though nothing is attached yet
    return group


def enter(document: Any, node: Any, parent: Any, above: Any) -> Any:
    """Attach a node, one undo step; returns the node that was active, for `put_back`."""
    active = active_node(document)
    parent.addChildNode(node, above)
    if node.parentNode() is None:  # addChildNode says True in any case
        raise InpaintError("not_added", "Krita did not take the new layer.", "Click another layer, then try again.")
    return active


def _place(scene: Scene, notes: list[str]) -> tuple[Any, Any]:
    """The parent and the layer below the new one: the source or its last fill. Locked groups are left alone."""
    node = scene.target
    if node is None or not is_there(scene.document, node):
        if node is not None:
            what = f"The layer “{scene.target_name}” was deleted meanwhile"
            notes.append(f"{what}; the fill is on top of the other layers.")
        root = scene.document.rootNode()
        below = [child for child in root.childNodes() if not (child.type().endswith("mask") or is_leave_out(child))]
        return root, below[-1] if below else None
    place = place_beside(node)
    if node_id(place) != node_id(node):
        notes.append(f"The group “{place.name()}” is locked; the fill is above it.")
    above = [place, *fills_above(scene.document, node)][-1]  # a new fill must not be hidden by an older one
    return above.parentNode(), above


def put_back(document: Any, active: Any, new: Any) -> Steps:
    """Krita makes a new layer the active one a moment later; the artist's own comes back."""
    if active is None:
        return
    wanted, own = node_id(active), node_id(new)
    was_moved = False
    for _ in range(ACTIVE_LOOKS):
        yield LOOK_SECONDS
        if not is_open(document):
            return
        now = active_node(document)
        if now is not None and node_id(now) == own and is_there(document, active):
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
