"""What the document remembers about our layers: one annotation for each, under the layer's id."""

from __future__ import annotations

import json
from typing import Any

from .document import node_id
from .qt import QByteArray

ANNOTATION = "dgfnet-inpaint/"  # and the id of the layer that it is about


def remember(document: Any, node: Any, record: dict[str, Any], describe: str) -> None:
    """Keep a record about a layer; what is kept about layers that are gone goes."""
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


def recall(document: Any, node: Any) -> dict[str, Any] | None:
    """What is remembered about a layer or the group it is in; None where it is not one of ours."""
    kinds = document.annotationTypes()
    while node is not None:
        kind = ANNOTATION + node_id(node)
        if kind in kinds:
            try:
                record = json.loads(bytes(document.annotation(kind)).decode())
            except ValueError:
                return None
            return record if isinstance(record, dict) else None
        node = node.parentNode()
    return None
