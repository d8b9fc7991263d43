"""Documents and their nodes: which are open, which layer a click means, when Krita is done with them."""

from __future__ import annotations

import itertools
from typing import Any, Callable, Iterator

from krita import Krita

from .client.errors import InpaintError
from .client.geometry import Bounds
from .colour import Space
from .tasks import Steps

HOLD_SECONDS = 0.5  # of work; what takes longer is told: it may be a tool that waits for its artist
LOOK_SECONDS = 0.02
FILL = "Inpaint (DGFNet)"  # the name of a fill; Krita keeps it in that of a merged or duplicated one
LEAVE_OUT = "Leave out (DGFNet)"  # the same for a layer: what is painted there is not looked at


def active_document() -> Any:
    """The document in front, or None."""
    return Krita.instance().activeDocument()


def krita_version() -> str:
    """Such as 5.2.9."""
    return str(Krita.instance().version())


def switched_on(*names: str) -> list[Any]:
    """Those of Krita's own actions that are switches and on, such as preserve_alpha."""
    actions = map(Krita.instance().action, names)
    return [action for action in actions if action is not None and action.isChecked()]


def is_open(document: Any) -> bool:
    """Whether Krita still has it; everything else may be asked of an open document only."""
    return any(document == other for other in Krita.instance().documents())


def require_open(document: Any) -> None:
    """Raise the sentence for a document that was closed."""
    if not is_open(document):
        raise InpaintError(
            "document_closed", "The document was closed before its fill was there; the fill was dropped.", ""
        )


def is_idle(document: Any) -> bool:
    """Whether neither Krita nor a tool is at work on the document. Raises where it was closed."""
    require_open(document)
    if not document.tryBarrierLock():
        return False
    document.unlock()
    return True


def until_idle(document: Any, held: Callable[[], None]) -> Steps:
    """Before reading and writing: wait as long as it takes, so that artists finish what they do; `held` is called once.

    Not with Krita's `waitForDone`: it holds up the window, and for ever where a brush stroke is under way, whose end
    comes through the window.
    """
    for look in itertools.count():
        if is_idle(document):
            return
        if look == round(HOLD_SECONDS / LOOK_SECONDS):
            held()
        yield LOOK_SECONDS


def view_of(document: Any) -> Any:
    """The view in front if it shows the document, else None."""
    window = Krita.instance().activeWindow()
    view = window.activeView() if window else None
    return view if view is not None and view.document() == document else None


def active_node(document: Any) -> Any:
    """The node that is active in the view in front: Krita's `activeNode` is that of the document's first view."""
    active, view = document.activeNode(), view_of(document)
    chosen = view.selectedNodes() if view is not None else []
    if active is None or not chosen or node_id(active) in map(node_id, chosen):
        return active
    return chosen[0]


def canvas_of(document: Any) -> Bounds:
    """All of a picture."""
    return Bounds(0, 0, document.width(), document.height())


def space_of(thing: Any) -> Space:
    """The colour space of a document or a node."""
    return Space(thing.colorModel(), thing.colorDepth(), thing.colorProfile())


def layer_of(node: Any) -> Any:
    """The layer that a node is or, for a mask, belongs to; None for the root and for nothing."""
    while node is not None and node.type().endswith("mask"):
        node = node.parentNode()
    return node if node is not None and node.parentNode() is not None else None


def is_leave_out(node: Any) -> bool:
    """Whether a node says what must not be looked at."""
    return LEAVE_OUT in node.name() and not node.type().endswith("mask")


def is_shown(node: Any) -> bool:
    """Whether neither a node nor a group around it is hidden."""
    while node is not None and node.visible():
        node = node.parentNode()
    return node is None


def place_beside(node: Any) -> Any:
    """What a new layer goes above: a layer, or the outermost locked group around it, which is left alone."""
    place, group = node, node.parentNode()
    while group.parentNode() is not None:
        if group.locked():
            place = group
        group = group.parentNode()
    return place


def top_layers(document: Any) -> list[Any]:
    """The layers that are in no group, from the bottom, without the two nodes that Krita hides above them.

    These are the picture's selection and its reference images, which merging a layer above them would destroy.
    """
    return [
        node
        for node in document.rootNode().childNodes()
        if not (node.type().endswith("mask") or _holds_references(node))
    ]


def nodes(document: Any) -> Iterator[Any]:
    """All of the layer tree, the root first."""
    return tree(document.rootNode())


def tree(top: Any) -> Iterator[Any]:
    """A node and all that is in it."""
    waiting = [top]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += node.childNodes()


def _holds_references(node: Any) -> bool:
    """Whether a node is Krita's layer of reference images: its name is translated, its shapes have no type."""
    kinds = [shape.type() for shape in node.shapes()] if node.type() == "vectorlayer" else []
    return bool(kinds) and not any(kinds)


def find_node(document: Any, identity: str) -> Any:
    """The node of that id in the layer tree, or None."""
    return next((node for node in nodes(document) if node_id(node) == identity), None)


def is_there(document: Any, node: Any) -> bool:
    """Whether a node is in the layer tree. One that was flattened away keeps its parent, and Krita dies of its use."""
    return find_node(document, node_id(node)) is not None


def node_id(node: Any) -> str:
    """A node's id, the same after saving and loading."""
    return str(node.uniqueId().toString())
