"""For the scripts that run in a process of their own: one PyQt, the installed plug-in and the stand-in for Krita."""

import sys
from importlib import import_module
from pathlib import Path

binding, folder = sys.argv[1:]
sys.modules[{"PyQt5": "PyQt6", "PyQt6": "PyQt5"}[binding]] = None  # as each Krita refuses the other's binding
sys.path[:0] = [folder, str(Path(__file__).with_name("standin"))]


def module(name):
    """A module of the binding."""
    return import_module(f"{binding}.{name}")
