"""The windows. Imported only where a person looks on: GTK ends a process without a display."""

from __future__ import annotations

from typing import Any

import gi
from panel import Panel

gi.require_version("Gimp", "3.0")
gi.require_version("GimpUi", "3.0")
gi.require_version("Gtk", "3.0")
from gi.repository import Gimp, GimpUi, GLib, Gtk  # noqa: E402

BINARY = "dgfnet-inpaint"
REFRESH_MS = 1000
START, STOP = 2, 3
NOTHING = int(Gtk.ResponseType.NONE)
CHOICES = ("output", "sample")
SLIDERS = dict.fromkeys(("context", "grow", "feather", "texture-strength", "patches", "lambda", "sigma"), 1.0)
ADVANCED = ("variation", "exclude", "weights", "device")


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
    """A `Panel`, renewed every second, with buttons to start and to stop the server."""

    def __init__(self, who: str) -> None:
        GimpUi.init(BINARY)
        self._panel, self._answer = Panel(who, self._show), NOTHING
        self._dialog = GimpUi.Dialog(title="DGFNet server", role=BINARY)
        self._start, self._stop = (
            self._dialog.add_button(text, answer) for text, answer in (("_Start", START), ("S_top", STOP))
        )
        self._dialog.add_button("_Close", Gtk.ResponseType.CLOSE)
        self._dialog.connect("response", self._note)
        self._dialog.connect("delete-event", lambda *_: True)  # `run` ends it, also while the panel waits
        self._state = Gtk.Label(selectable=True, xalign=0, margin=12, width_chars=60, max_width_chars=80, wrap=True)
        self._log = Gtk.TextView(editable=False, cursor_visible=False, monospace=True)
        text = self._log.get_buffer()
        self._end = text.create_mark(None, text.get_end_iter(), False)
        scrolled = Gtk.ScrolledWindow(min_content_height=180, min_content_width=640, margin=12, shadow_type=1)
        scrolled.add(self._log)
        for part in (self._state, scrolled):
            self._dialog.get_content_area().add(part)
            part.show_all()

    def run(self) -> str:
        """Until it is closed; what it said last."""
        actions = {START: self._panel.start, STOP: self._panel.stop}
        self._dialog.show()
        self._panel.look()
        timer = GLib.timeout_add(REFRESH_MS, self._look)
        try:
            while action := actions.get(self._next()):
                action()
        finally:
            GLib.source_remove(timer)
            self._panel.close()
            self._dialog.destroy()
        return self._panel.text

    def _next(self) -> int:
        """The button that was pressed while the panel waited, else the next one."""
        if self._answer == NOTHING:
            self._dialog.run()
        answer, self._answer = self._answer, NOTHING
        return answer

    def _note(self, dialog: Gtk.Dialog, answer: int) -> None:
        self._answer = answer

    def _look(self) -> bool:
        self._panel.look()
        return True

    def _show(self) -> bool:
        """Show the panel and let the window draw itself; whether a button was pressed."""
        if self._panel.text != self._state.get_text():  # what is marked to be copied stays marked
            self._state.set_text(self._panel.text)
        buffer = self._log.get_buffer()
        if self._panel.log != buffer.get_text(buffer.get_start_iter(), buffer.get_end_iter(), False):
            buffer.set_text(self._panel.log)
            self._log.scroll_to_mark(self._end, 0, False, 0, 0)  # an iterator's line may have no height yet
        self._start.set_sensitive(self._panel.can_start)
        self._stop.set_sensitive(self._panel.can_stop)
        while Gtk.events_pending():
            Gtk.main_iteration()
        return self._answer != NOTHING
