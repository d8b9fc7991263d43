"""The windows. Imported only where a person looks on: GTK ends a process without a display."""

from __future__ import annotations

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
START, STOP = 2, 3
CHOICES = ("output", "sample")
SLIDERS = dict.fromkeys(("context", "grow", "feather", "texture-strength", "patches", "lambda", "sigma"), 1.0)
ADVANCED = ("variation", "exclude", "weights", "device")
LOG_BYTES, LOG_LINES = 16384, 100


def ask(procedure: Gimp.Procedure, config: Any) -> bool:
    """Show the arguments with their last values; whether the artist wants to go on."""
    GimpUi.init(BINARY)
    dialog = GimpUi.ProcedureDialog.new(procedure, config, procedure.get_menu_label().replace("_", "").rstrip("."))
    for name, factor in SLIDERS.items():
        if config.find_property(name):
            dialog.get_scale_entry(name, factor)
    if config.find_property(ADVANCED[0]):
        dialog.fill([name for name in (*CHOICES, *SLIDERS) if config.find_property(name)])
        dialog.fill_box("advanced-box", list(ADVANCED))
        dialog.get_label("advanced-title", "Advanced", False, False)
        dialog.fill_expander("advanced", "advanced-title", False, "advanced-box")
        dialog.fill(["advanced"])
    else:
        dialog.fill(None)
    try:
        return dialog.run()
    finally:
        dialog.destroy()


class ServerWindow:
    """How the server is and the end of its log, renewed every second, with buttons to start and to stop it."""

    def __init__(self, who: str) -> None:
        GimpUi.init(BINARY)
        self._who, self._watcher = who, service.Watcher(who)
        self._dialog = GimpUi.Dialog(title="DGFNet server", role=BINARY)
        self._start, self._stop = (
            self._dialog.add_button(text, answer) for text, answer in (("_Start", START), ("S_top", STOP))
        )
        self._dialog.add_button("_Close", Gtk.ResponseType.CLOSE)
        self._state = Gtk.Label(selectable=True, xalign=0, margin=12, width_chars=60, wrap=True)
        self._log = Gtk.TextView(editable=False, cursor_visible=False, monospace=True)
        text = self._log.get_buffer()
        self._end = text.create_mark(None, text.get_end_iter(), False)
        scrolled = Gtk.ScrolledWindow(min_content_height=180, min_content_width=640, margin=12, shadow_type=1)
        scrolled.add(self._log)
        for part in (self._state, scrolled):
            self._dialog.get_content_area().add(part)
            part.show_all()

    def run(self) -> None:
        """Until it is closed."""
        self._refresh()
        timer = GLib.timeout_add(REFRESH_MS, self._refresh)
        try:
            while (answer := self._dialog.run()) in (START, STOP):
                self._act(answer)
        finally:
            GLib.source_remove(timer)
            self._watcher.close()
            self._dialog.destroy()

    def _act(self, answer: int) -> None:
        self._state.set_text("Starting the server ..." if answer == START else "Stopping the server ...")
        _settle()
        self._watcher.close()
        try:
            if answer == START:
                service.connect(self._who, _keep_alive).close()
            else:
                service.stop(self._who)
            self._refresh()
        except InpaintError as error:
            self._state.set_text(str(error))

    def _refresh(self) -> bool:
        state, running, log = None, False, ""
        try:
            state = self._watcher.state()
            text, running = "\n".join(service.describe(state)), state is not None
            log = service.end_of_log((state or {}).get("log"), LOG_BYTES, LOG_LINES)
        except InpaintError as error:
            text = str(error)
        if text != self._state.get_text():  # what is marked to be copied stays marked
            self._state.set_text(text)
        buffer = self._log.get_buffer()
        if log != buffer.get_text(buffer.get_start_iter(), buffer.get_end_iter(), False):
            buffer.set_text(log)
            self._log.scroll_to_mark(self._end, 0, False, 0, 0)  # an iterator's line may have no height yet
        self._start.set_sensitive(not running)
        self._stop.set_sensitive(running)
        return True


def _keep_alive(stage: str, fraction: float | None) -> None:
    _settle()


def _settle() -> None:
    """Let the window draw itself."""
    while Gtk.events_pending():
        Gtk.main_iteration()
