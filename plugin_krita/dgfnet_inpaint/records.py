"""What the document remembers about our layers: one annotation for each, under the layer's id."""

from __future__ import annotations

import itertools
import json
from typing import Any

from .client.geometry import Bounds
from .document import find_node, node_id, nodes, place_beside
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


def fills_above(document: Any, source: Any) -> list[Any]:
    """The fills that are stacked right above a layer, from the bottom.

    Those of a layer in a locked group lie above the group, among those of the other layers in it.
    """
    place = place_beside(source)
    siblings = place.parentNode().childNodes()  # from the bottom
    above = siblings[[node_id(node) for node in siblings].index(node_id(place)) + 1 :]

    def belongs(node: Any) -> bool:
        filled = find_node(document, _filled_id(document, node))
        return filled is not None and node_id(place_beside(filled)) == node_id(place)

    return list(itertools.takewhile(belongs, above))


def fills_on(document: Any, source: Any) -> list[Any]:
    """Those of `fills_above` that are a layer's own."""
    return [node for node in fills_above(document, source) if _filled_id(document, node) == node_id(source)]


def _filled_id(document: Any, node: Any) -> str:
    """The id of the layer that a node is itself a fill of; empty where it is none."""
    kind = ANNOTATION + node_id(node)
    record = _if_fill(_read(document, kind)) if kind in document.annotationTypes() else None
    return str(record.get("source_id", "")) if record else ""


def _if_fill(record: dict[str, Any] | None) -> dict[str, Any] | None:
    return record if record and record.get("task") == "inpaint" else None


def _read(document: Any, kind: str) -> dict[str, Any] | None:
    try:
        record = json.loads(bytes(document.annotation(kind)).decode())
    except ValueError:
        return None
    return {**record, "layer_id": kind[len(ANNOTATION) :]} if isinstance(record, dict) else None
