"""What Krita sees of the plug-in: actions, a docker for each window, and the end of the program."""

from __future__ import annotations

from typing import Any

from krita import DockWidget, DockWidgetFactory, DockWidgetFactoryBase, Extension, Krita

from . import settings
from .controller import Controller
from .docker import Panel
from .qt import QIcon, QTimer
from .transport import Line

DOCKER = "dgfnet_inpaint_docker"
TITLE = "Inpaint (DGFNet)"
MESSAGE_MS = 6000
_controller: Controller | None = None


def controller() -> Controller:
    """The one controller of this Krita, made at the first use."""
    global _controller
    if _controller is None:
        krita = Krita.instance()
        chosen = settings.load(krita.readSetting)
        _controller = Controller(
            Line(f"krita {krita.version()}"), chosen, lambda changed: settings.save(changed, krita.writeSetting)
        )
        _controller.message.connect(_float)
        _controller.unseen.connect(lambda stage: _float(stage, False))
    return _controller


def _float(text: str, is_failure: bool) -> None:
    """Show a sentence over the canvas too: the docker may be hidden."""
    window = Krita.instance().activeWindow()
    view = window.activeView() if window else None
    if text and view:
        view.showFloatingMessage(text, QIcon(), MESSAGE_MS, 0 if is_failure else 1)


class InpaintExtension(Extension):
    """The actions of Tools > Scripts."""

    def setup(self) -> None:
        """Krita asks for nothing here."""

    def createActions(self, window: Any) -> None:
        """Called for every window."""
        actions = (
            ("dgfnet_inpaint", TITLE, lambda *_: controller().inpaint()),
            ("dgfnet_inpaint_another", "Try another fill (DGFNet)", lambda *_: controller().another()),
            ("dgfnet_inpaint_again", "Re-run Inpaint (DGFNet)", lambda *_: controller().again()),
            ("dgfnet_leave_out", "Leave out the selection (DGFNet)", lambda *_: controller().leave_out()),
            ("dgfnet_texture_map", "Texture map (DGFNet)", lambda *_: controller().texture()),
            ("dgfnet_cancel", "Cancel Inpaint (DGFNet)", lambda *_: controller().cancel_all()),
        )
        for name, text, run in actions:
            window.createAction(name, text, "tools/scripts").triggered.connect(run)


class InpaintDocker(DockWidget):
    """One window's docker: a panel, tied to the shared controller."""

    def __init__(self) -> None:
        super().__init__()
        self.setWindowTitle(TITLE)
        shared = self._shared = controller()
        panel = self.panel = Panel(shared.settings)
        self.setWidget(panel)
        panel.inpaint.connect(shared.inpaint)
        panel.texture.connect(shared.texture)
        panel.again.connect(shared.again)
        panel.another.connect(shared.another)
        panel.leave_out.connect(shared.leave_out)
        panel.cancel.connect(shared.cancel)
        panel.cancel_all.connect(shared.cancel_all)
        panel.chosen.connect(shared.choose)
        panel.log.connect(shared.open_log)
        panel.stop.connect(shared.stop_server)
        panel.shown.connect(shared.watch_server)
        shared.message.connect(panel.show_message)
        shared.jobs_changed.connect(self._show_jobs)
        shared.status_changed.connect(self._show_status)
        shared.settings_changed.connect(self._show_settings)
        self._show_status()
        self._show_jobs()

    def canvasChanged(self, canvas: Any) -> None:
        """Krita demands it; jobs take the document in front when they begin."""

    def _show_jobs(self) -> None:
        jobs = self._shared.jobs
        first = jobs[0] if jobs else None
        self.panel.show_progress(first.stage if first else "", first.fraction if first else 0.0, len(jobs))

    def _show_status(self) -> None:
        self.panel.show_status(self._shared.status)

    def _show_settings(self) -> None:
        self.panel.show_settings(self._shared.settings)


def register() -> None:
    """Add the plug-in to the running Krita."""
    krita = Krita.instance()
    krita.addExtension(InpaintExtension(krita))
    right = DockWidgetFactoryBase.DockPosition.DockRight  # in full: Krita 6 knows no shorter name
    krita.addDockWidgetFactory(DockWidgetFactory(DOCKER, right, InpaintDocker))
    notifier = krita.notifier()
    notifier.setActive(True)
    notifier.applicationClosing.connect(_close)
    notifier.imageClosed.connect(lambda *_: QTimer.singleShot(0, _drop_closed))  # when Krita is through with it


def _drop_closed() -> None:
    if _controller is not None:
        _controller.drop_closed()


def _close() -> None:
    if _controller is not None:
        _controller.close()
