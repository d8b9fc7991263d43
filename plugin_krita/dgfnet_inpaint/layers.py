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
    canvas_of,
    is_leave_out,
    is_open,
    is_shown,
    is_there,
    node_id,
    place_beside,
    require_open,
    space_of,
    top_layers,
    until_idle,
)
from .qt import QByteArray, QCoreApplication, QEvent, QObject
from .reading import Scene
from .records import place_of, remember, results_above
from .tasks import Steps

ACTIVE_LOOKS = 25  # times that we look whether Krita has made our layer the active one
ISOLATED = "Only a part of the layers is shown (Isolate Active Layer). Switch that off to see the result."
BEGINNINGS = (  # of what an artist does to the active layer
    QEvent.Type.MouseButtonPress,
    QEvent.Type.MouseButtonDblClick,
    QEvent.Type.TabletPress,
    QEvent.Type.TouchBegin,
    QEvent.Type.KeyPress,
    QEvent.Type.ShortcutOverride,
)


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
    with Arrival(document, top) as arrival:
        row = _middle_row(layers[0].bounds)
        before = document.pixelData(*row)
        arrival.begin(*_place(scene, notes))
        if len(nodes) > 1:
            # Krita puts a new group's layers together only when it is told to, and whatever makes a single layer be
            # looked at again (blending mode, opacity) is an undo step of its own. In the same turn as the group's
            # arrival, so that the canvas is painted once.
            document.refreshProjection()
        whole = document.rootNode().projectionPixelData(*row)  # before `pixelData`: it may be drawn right now
        if document.pixelData(*row) == before != whole:
            notes.append(ISOLATED)
        with contextlib.suppress(Cancelled):  # too late: the layer is there
            yield None
        require_open(document)
        remember(document, top, {**record, "place": place_of(document, top)}, name)
        with contextlib.suppress(Cancelled):
            yield from arrival.put_back()
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


class Arrival(QObject):
    """Attaching a node to a document: a context in which the artist's own node stays the active one.

    Krita makes a new layer the active one a moment later. What was clicked and typed while it drew the canvas comes
    right then, before we can look again: it is seen here on its way, else a stroke would be painted on our layer.
    """

    def __init__(self, document: Any, new: Any) -> None:
        super().__init__()
        self._document, self._new, self._active = document, new, active_node(document)
        self._was_moved = False

    def __enter__(self) -> Arrival:
        QCoreApplication.instance().installEventFilter(self)
        return self

    def __exit__(self, *_: object) -> None:
        QCoreApplication.instance().removeEventFilter(self)

    def begin(self, parent: Any, above: Any) -> None:
        """Attach the node, one undo step."""
        parent.addChildNode(self._new, above)
        if self._new.parentNode() is None:  # addChildNode says True in any case
            raise InpaintError("not_added", "Krita did not take the new layer.", "Click another layer, then try again.")

    def put_back(self) -> Steps:
        """Wait until the artist's own node is the active one again, or the artist has gone elsewhere."""
        for _ in range(ACTIVE_LOOKS):
            yield LOOK_SECONDS
            if self._put_back():
                continue
            now = active_node(self._document) if is_open(self._document) else None
            if self._was_moved or now is None or self._active is None or node_id(now) != node_id(self._active):
                return

    def eventFilter(self, _receiver: QObject, event: QEvent) -> bool:
        """Qt asks before it hands out an event; False: hand it out."""
        if event.type() in BEGINNINGS:
            with contextlib.suppress(Exception):  # which would end Krita here; `put_back` meets the same and tells it
                self._put_back()
        return False

    def _put_back(self) -> bool:
        """Make the artist's own node the active one if ours is; whether it was."""
        document, active = self._document, self._active
        now = active_node(document) if active is not None and is_open(document) else None
        if now is None or node_id(now) != node_id(self._new) or not is_there(document, active):
            return False
        document.setActiveNode(active)
        self._was_moved = True
        return True


def _middle_row(bounds: Bounds) -> Bounds:
    """One row of pixels, in which any fill that hangs together has some."""
    return Bounds(bounds.x, bounds.y + bounds.height // 2, bounds.width, 1)


def _place(scene: Scene, notes: list[str]) -> tuple[Any, Any]:
    """The parent and the layer below the new one: the source or its last result. Locked groups are left alone."""
    node = scene.target
    if node is None or not is_there(scene.document, node):
        if node is not None:
            what = f"The layer “{scene.target_name}” was deleted meanwhile"
            notes.append(f"{what}; the result is on top of the other layers.")
        below = [layer for layer in top_layers(scene.document) if not is_leave_out(layer)]
        return scene.document.rootNode(), below[-1] if below else None
    place = place_beside(node)
    if not is_shown(place.parentNode()):
        notes.append(f"“{scene.target_name}” is in a hidden group, and so is the result; show the group to see it.")
    elif not is_shown(node):
        notes.append(f"“{scene.target_name}” is hidden, and was read all the same.")
    if node_id(place) != node_id(node):
        notes.append(f"The group “{place.name()}” is locked; the result is above it.")
    above = [place, *results_above(scene.document, node)][-1]  # a new fill must not be hidden by an older one
    return above.parentNode(), above


def _changes(scene: Scene) -> list[str]:
    """What happened to the document while the fill was made."""
    document, notes = scene.document, []
    if not is_open(document):
        return []
    canvas = canvas_of(document)
    if canvas != scene.canvas:
        was, now = (f"{each.width} x {each.height}" for each in (scene.canvas, canvas))
        notes.append(f"The canvas went from {was} to {now} meanwhile; check where the result lies.")
    if space_of(document) != scene.space:
        notes.append("The picture's colour space was changed meanwhile; the result was converted.")
    if scene.animated and document.currentTime() != scene.frame:
        notes.append(f"The result was made for frame {scene.frame}, and another one is shown now.")
    elif scene.animated:
        notes.append(f"The result was made for frame {scene.frame}; its layer shows on all frames.")
    if scene.has_onion_skins:
        notes.append("Onion skins that are shown are read as part of the picture; hide them for a fill without them.")
    return notes
