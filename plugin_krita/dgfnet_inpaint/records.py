"""What the document remembers about our layers: one annotation for each, under the layer's id."""

from __future__ import annotations

import json
from typing import Any

from .client.geometry import Bounds
from .document import FILL, find_node, layer_of, node_id, nodes, place_beside
from .qt import QByteArray

ANNOTATION = "dgfnet-inpaint/"  # and the id of the layer that it is about
KEPT_GONE = 100  # records of layers that are gone: undo may bring them back


def remember(document: Any, node: Any, record: dict[str, Any], describe: str) -> None:
    """Keep a record about a layer; of layers that are gone, the newest KEPT_GONE are kept too."""
    alive = {ANNOTATION + node_id(each) for each in (node, *nodes(document))}
    gone = [kind for kind in document.annotationTypes() if kind.startswith(ANNOTATION) and kind not in alive]
    if len(gone) > KEPT_GONE:
        for kind in sorted(gone, key=lambda kind: made_at(_read(document, kind)))[:-KEPT_GONE]:
            document.removeAnnotation(kind)
    text = json.dumps(record, separators=(",", ":")).encode()
    document.setAnnotation(ANNOTATION + node_id(node), describe, QByteArray(text))


def recall(document: Any, node: Any) -> dict[str, Any] | None:
    """What is remembered about a layer or the group it is in; None where it is not one of ours."""
    kinds = document.annotationTypes()
    while node is not None:
        kind = ANNOTATION + node_id(node)
        if kind in kinds:
            return _read(document, kind)
        node = node.parentNode()
    return None


def recall_fill(document: Any, node: Any) -> dict[str, Any] | None:
    """As `recall`, but None for what is no fill."""
    return _if_fill(recall(document, node))


def source_of(document: Any, node: Any) -> Any:
    """As `made_from` of the fill that a node is, or is in; the node's layer where there is none."""
    layer = fill = layer_of(node)
    while fill is not None and not _is_fill(document, fill):
        fill = fill.parentNode()
    original = None if fill is None else made_from(document, fill)
    if original is not None:
        return original
    return node if layer is None else layer


def made_from(document: Any, fill: Any) -> Any:
    """The layer that a fill was made from, for a loose one what it lies on; None where there is none."""
    original = find_node(document, _own(document, fill).get("source_id", ""))
    if original is not None:
        return original
    below, _ = _neighbours(fill)
    return source_of(document, below[-1]) if below and _is_loose(document, fill) else None


def fills(document: Any) -> list[dict[str, Any]]:
    """What is remembered about each fill that is in the document."""
    kinds = set(document.annotationTypes())
    found = (_read(document, kind) for node in nodes(document) if (kind := ANNOTATION + node_id(node)) in kinds)
    return [record for record in map(_if_fill, found) if record]


def made_at(record: dict[str, Any] | None) -> float:
    """When a record's layer was made, seconds since 1970; 0 where it does not say."""
    made = record.get("made") if record else None
    return float(made) if isinstance(made, (int, float)) else 0.0


def place_of(document: Any, node: Any) -> dict[str, list[int]]:
    """Where a result lies, for its record: the canvas's size and the layer's bounds."""
    parts = [child for child in node.childNodes() if not child.type().endswith("mask")]
    bounds = (parts or [node])[0].bounds()  # the parts of a group cover the same pixels
    return {
        "canvas": [document.width(), document.height()],
        "layer": [bounds.x(), bounds.y(), bounds.width(), bounds.height()],
    }


def way_since(document: Any, record: dict[str, Any]) -> tuple[int, int] | None:
    """How far a result has moved since it was made, in pixels; None where its region cannot be told any more.

    Only its rectangle is looked at: that the picture was mirrored or turned by 180 degrees is not noticed.
    """
    node, then = find_node(document, record["layer_id"]), record.get("place")
    if node is None or not then:  # a record of an earlier version
        return 0, 0
    now = place_of(document, node)
    was, lies = Bounds(*then["layer"]), Bounds(*now["layer"])
    if (was.width, was.height) == (lies.width, lies.height):
        return lies.x - was.x, lies.y - was.y
    is_retouched = then["canvas"] == now["canvas"] and (was.contains(lies) or lies.contains(was))
    return (0, 0) if is_retouched else None


def results_above(document: Any, source: Any) -> list[Any]:
    """The fills and texture maps that are stacked right above a layer or above one another, from the bottom.

    Those of a layer in a locked group lie above the group, among those of the other layers in it.
    """
    place = place_beside(source)
    _, above = _neighbours(place)
    stack = {node_id(place), _stands_on(document, source)} - {""}
    results = []
    for node in above:
        if _stands_on(document, node) not in stack and not _is_loose(document, node):
            break
        stack.add(node_id(node))  # a map is filled like any group
        results.append(node)
    return results


def fills_on(document: Any, source: Any) -> list[Any]:
    """Those of `results_above` that are a layer's own fills, with the loose ones."""

    def is_own(node: Any) -> bool:
        return _own(document, node).get("source_id") == node_id(source) or _is_loose(document, node)

    return [node for node in results_above(document, source) if _is_fill(document, node) and is_own(node)]


def _neighbours(node: Any) -> tuple[list[Any], list[Any]]:
    """What is below a node in its group and what is above it, both from the bottom."""
    siblings = node.parentNode().childNodes()
    place = [node_id(each) for each in siblings].index(node_id(node))
    return siblings[:place], siblings[place + 1 :]


def _is_fill(document: Any, node: Any) -> bool:
    """Whether a node is a fill: by its record or, as one that was merged or duplicated has none, by its name."""
    record = _own(document, node)
    return record.get("task") == "inpaint" if record else FILL in node.name() and not node.type().endswith("mask")


def _is_loose(document: Any, node: Any) -> bool:
    """Whether a node is a result of what it lies on, as what it was made from is gone or not known.

    A layer that was merged or duplicated has a new id: what is remembered under the old one, and names it, is lost.
    """
    source_id = _own(document, node).get("source_id")
    if source_id is None:
        return _is_fill(document, node)
    return bool(source_id) and find_node(document, source_id) is None


def _stands_on(document: Any, node: Any) -> str:
    """The id of what a result was put above; empty where a node is none, or of the visible picture."""
    made_from = find_node(document, str(_own(document, node).get("source_id", "")))
    return "" if made_from is None else node_id(place_beside(made_from))


def _own(document: Any, node: Any) -> dict[str, Any]:
    """What is remembered about a node itself; empty where it is not one of ours."""
    kind = ANNOTATION + node_id(node)
    record = _read(document, kind) if kind in document.annotationTypes() else None
    return record or {}


def _if_fill(record: dict[str, Any] | None) -> dict[str, Any] | None:
    return record if record and record.get("task") == "inpaint" else None


def _read(document: Any, kind: str) -> dict[str, Any] | None:
    try:
        record = json.loads(bytes(document.annotation(kind)).decode())
    except ValueError:
        return None
    return {**record, "layer_id": kind[len(ANNOTATION) :]} if isinstance(record, dict) else None
