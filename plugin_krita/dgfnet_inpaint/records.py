"""What the document remembers about our layers: one annotation for each, under the layer's id."""

from __future__ import annotations

import itertools
import json
from typing import Any

from .document import node_id, nodes, place_beside
from .qt import QByteArray

ANNOTATION = "dgfnet-inpaint/"  # and the id of the layer that it is about


def remember(document: Any, node: Any, record: dict[str, Any], describe: str) -> None:
    """Keep a record about a layer; what is kept about layers that are gone goes."""
    alive = {ANNOTATION + node_id(each) for each in (node, *nodes(document))}
    for kind in document.annotationTypes():
        if kind.startswith(ANNOTATION) and kind not in alive:
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


def fills_on(document: Any, source: Any) -> list[Any]:
    """The fills of a layer that are stacked right above it, from the bottom."""
    place, identity = place_beside(source), node_id(source)
    siblings = place.parentNode().childNodes()  # from the bottom
    above = siblings[[node_id(node) for node in siblings].index(node_id(place)) + 1 :]
    return list(itertools.takewhile(lambda node: _is_fill_of(document, node, identity), above))


def _is_fill_of(document: Any, node: Any, source: str) -> bool:
    """Whether a node is itself a fill of the layer with the id `source`."""
    kind = ANNOTATION + node_id(node)
    record = _if_fill(_read(document, kind)) if kind in document.annotationTypes() else None
    return record is not None and record.get("source_id") == source


def _if_fill(record: dict[str, Any] | None) -> dict[str, Any] | None:
    return record if record and record.get("task") == "inpaint" else None


def _read(document: Any, kind: str) -> dict[str, Any] | None:
    try:
        record = json.loads(bytes(document.annotation(kind)).decode())
    except ValueError:
        return None
    return record if isinstance(record, dict) else None
