"""Runs inside a GIMP on a virtual screen: undo and redo by the keyboard, as there is no other way to them."""

import subprocess
import time

from gi.repository import Gimp
from gimp_looks import state

WINDOW = "GIMP$"  # not "GIMP Message"
SECONDS = 20


def xdo(*words):
    """What xdotool answers."""
    return subprocess.run(["xdotool", *words], capture_output=True, text=True).stdout.strip()


def window(title, seconds=60):
    """The last window with this in its title, as soon as it is seen."""
    deadline = time.time() + seconds
    while time.time() < deadline:
        found = xdo("search", "--onlyvisible", "--name", title).split()
        if found:
            return found[-1]
        time.sleep(0.3)
    raise RuntimeError(f"no window is called {title!r}")


class Screen:
    """An image in GIMP's main window."""

    def __init__(self, image):
        self._image, self._display = image, Gimp.Display.new(image)
        Gimp.displays_flush()
        window(WINDOW)

    def close(self):
        self._display.delete()

    def undo_and_redo(self, there):
        """What one Ctrl+Z and then one Ctrl+Y bring back; `there` is the state before the call.

        An image counts its steps since it was clean: it is clean again only if the call was exactly one.
        """
        made = state(self._image)
        del made["selected"]  # a redone layer is the selected one; GIMP keeps no steps of selecting layers
        told = {"undone": self.undo(there), "one step": not self._image.is_dirty()}
        return {**told, "redone": self._press("ctrl+y", made)}

    def undo(self, there):
        """Whether one Ctrl+Z brings a state back."""
        Gimp.displays_flush()
        return self._press("ctrl+z", there)

    def _press(self, keys, expected):
        """Send keys; whether the image becomes as expected within the time."""
        xdo("windowfocus", "--sync", window(WINDOW))
        xdo("key", keys)
        deadline = time.time() + SECONDS
        while not is_as(self._image, expected):
            if time.time() > deadline:
                return False
            time.sleep(0.05)
        return True


def is_as(image, expected):
    """Whether the image is in a state; GIMP may be at work on it."""
    try:
        found = state(image)
    except AttributeError:  # a layer has just gone
        return False
    return all(found[name] == value for name, value in expected.items())
