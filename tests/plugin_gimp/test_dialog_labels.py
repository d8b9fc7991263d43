"""Every control of a dialog has a letter of its own, which Alt and that letter reach."""

from __future__ import annotations

import ast

import pytest

from plugin_gimp import installation

BUTTONS = "corsl"  # Cancel, OK, Reset, Save settings, Load saved settings: GIMP's own
LABEL = {"add_double_argument": 1, "add_int_argument": 1, "add_channel_argument": 1, "add_string_argument": 1}


def labels(function: str) -> list[str]:
    """The labels of the arguments that one of the entry file's functions adds."""
    tree = ast.parse((installation.SOURCE / installation.ENTRY).read_text(encoding="utf-8"))
    body = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == function)
    found = []
    for call in (node for node in ast.walk(body) if isinstance(node, ast.Call)):
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        place = 2 if name == "_add_choice" else LABEL.get(name)
        if place is not None:
            found.append(ast.literal_eval(call.args[place]))
    return found


@pytest.mark.parametrize(("function", "count"), [("_inpaint", 11), ("_texture", 2)])
def test_letters_are_given_once(function: str, count: int) -> None:
    letters = [label[label.index("_") + 1].lower() for label in labels(function)]
    assert len(letters) == count
    assert sorted({*letters, *BUTTONS}) == sorted([*letters, *BUTTONS])
