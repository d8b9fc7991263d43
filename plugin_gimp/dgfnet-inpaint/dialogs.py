"""The windows. Imported only where a person looks on: GTK ends a process without a display."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gi
import service
from client.errors import InpaintError

gi.require_version("Gimp", "3.0")
gi.require_version("GimpUi", "3.0")
gi.require_version("Gtk", "3.0")
from gi.repository import Gimp, GimpUi, GLib, Gtk  # noqa: E402

BINARY = "dgfnet-inpaint"
REFRESH_MS = 1000
REFRESH, START, STOP = 1, 2, 3
SLIDERS = {"context": 1.0, "grow": 1.0, "feather": 1.0, "texture-strength": 1.0, "lambda": 1.0, "sigma": 1.0}


def ask(procedure: Gimp.Procedure, config: Any) -> bool:
    """Show the arguments with their last values; whether the artist wants to go on."""
    GimpUi.init(BINARY)
    dialog = GimpUi.ProcedureDialog.new(procedure, config, procedure.get_menu_label().replace("_", "").rstrip("."))
    for name, factor in SLIDERS.items():
        if config.find_property(name):
            dialog.get_scale_entry(name, factor)
    dialog.fill(None)
    try:
        return dialog.run()
    finally:
        dialog.destroy()


def show_server(who: str) -> None:
    """How the server is, renewed every second, with buttons to start and to stop it."""
    GimpUi.init(BINARY)
    dialog = GimpUi.Dialog(title="DGFNet server", role=BINARY)
    start, stop = dialog.add_button("_Start", START), dialog.add_button("S_top", STOP)
    dialog.add_button("_Close", Gtk.ResponseType.CLOSE)
    label = Gtk.Label(selectable=True, xalign=0, margin=12, width_chars=60, wrap=True)
    dialog.get_content_area().add(label)
    label.show()

    def refresh() -> bool:
        text, running = _state_text(who)
        label.set_text(text)
        start.set_sensitive(not running)
        stop.set_sensitive(running)
        return True

    refresh()
    timer = GLib.timeout_add(REFRESH_MS, refresh)
    try:
        while True:
            answer = dialog.run()
            if answer not in (START, STOP):
                return
            label.set_text("Starting the server ..." if answer == START else "Stopping the server ...")
            _settle()
            act: Callable[[], object] = (
                (lambda: service.connect(who, _keep_alive).close()) if answer == START else (lambda: service.stop(who))
            )
            try:
                act()
                refresh()
            except InpaintError as error:
                label.set_text(str(error))
    finally:
        GLib.source_remove(timer)
        dialog.destroy()


def _state_text(who: str) -> tuple[str, bool]:
    try:
        state = service.status(who)
    except InpaintError as error:
        return str(error), False
    return "\n".join(service.describe(state)), state is not None


def _keep_alive(stage: str, fraction: float | None) -> None:
    _settle()


def _settle() -> None:
    """Let the window draw itself."""
    while Gtk.events_pending():
        Gtk.main_iteration()
