"""What must not be looked at or copied: a layer that artists see, paint, erase and hide like any other."""

from __future__ import annotations

import contextlib
from typing import Any, Callable, Iterator

from krita import Krita, ManagedColor

from .client.errors import Cancelled
from .client.geometry import Bounds
from .colour import SRGB, Space
from .conversion import Bench
from .document import (
    LEAVE_OUT,
    active_node,
    is_leave_out,
    is_shown,
    node_id,
    nodes,
    place_beside,
    require_open,
    switched_on,
    top_layers,
    until_idle,
    view_of,
)
from .layers import Arrival, MadeLayer, make_layer
from .tasks import Steps

OPACITY = 0.5
PAINT = "fill_selection_foreground_color"  # Krita's own action: the one way to paint that can be undone
RED = Space("RGBA", "U8", SRGB)
BRUSH_SWITCHES = ("erase_action", "preserve_alpha")


def paint_selection(document: Any) -> bool:
    """Add the selection of this moment to the leave-out layer, one undo step; False where none can be painted on."""
    view = view_of(document)
    layer = next(filter(_can_be_painted, nodes(document)), None)
    if layer is None or view is None:
        return False
    _paint(document, view, layer)
    return True


def add_layer(document: Any, bench: Bench, bounds: Bounds, red: Any, held: Callable[[], None]) -> Steps:
    """Make a leave-out layer of `red` pixels at `bounds`, on top of the others: one undo step.

    `held` is called where a tool holds the document, as in `until_idle`.
    """
    require_open(document)
    made = MadeLayer(LEAVE_OUT, bounds, "normal", OPACITY, RED, red)
    layer = yield from make_layer(document, bench, made)
    yield None
    yield from until_idle(document, held)
    with Arrival(document, layer) as arrival:
        arrival.begin(document.rootNode(), next(reversed(top_layers(document)), None))
        with contextlib.suppress(Cancelled):  # too late: the layer is there
            yield from arrival.put_back()


def _can_be_painted(node: Any) -> bool:
    """Whether a node is a leave-out layer that Krita lets its artist paint on."""
    if not is_leave_out(node) or node.type() != "paintlayer" or not is_shown(node):
        return False
    return not (node.locked() or node.alphaLocked()) and node_id(place_beside(node)) == node_id(node)


def _paint(document: Any, view: Any, layer: Any) -> None:
    """Fill the selection on a layer as its artist would, with the active node and the colour as they were."""
    active, colour = active_node(document), view.foregroundColor()
    red = ManagedColor(*RED)
    red.setComponents([0.0, 0.0, 1.0, 1.0])  # blue first
    document.setActiveNode(layer)
    with _plain_brush(view):
        view.setForeGroundColor(red)
        try:
            Krita.instance().action(PAINT).trigger()
        finally:
            view.setForeGroundColor(colour)
            if active is not None:
                document.setActiveNode(active)


@contextlib.contextmanager
def _plain_brush(view: Any) -> Iterator[None]:
    """A context in which the brush paints in Normal: Krita fills as its artist's brush would, an eraser with nothing.

    Setting a colour ends the eraser mode too, which is the artist's.
    """
    mode, switches = view.currentBlendingMode(), switched_on(*BRUSH_SWITCHES)
    for switch in switches:
        switch.trigger()
    view.setCurrentBlendingMode("normal")
    try:
        yield
    finally:
        view.setCurrentBlendingMode(mode)
        for switch in switches:
            switch.trigger()
