"""The docker's widgets. No logic: signals out, values in."""

from __future__ import annotations

from typing import Any

from .qt import (
    QColor,
    QComboBox,
    QDoubleSpinBox,
    QEvent,
    QFormLayout,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QObject,
    QPainter,
    QPixmap,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QSize,
    QSizePolicy,
    QSpinBox,
    Qt,
    QToolButton,
    QVBoxLayout,
    QWidget,
    pyqtSignal,
)
from .settings import LIMITS, OUTPUTS, SOURCES, Settings
from .worker import OFF, ServerStatus

LIGHTS = {"off": "#808080", "busy": "#e0a020", "ready": "#40b040", "problem": "#d04040"}
LIGHT_PX = 12
COLUMN_PX = 120  # at least, below the buttons


class Panel(QWidget):
    """Everything in the docker; in a low one, all but the buttons scrolls."""

    inpaint = pyqtSignal()
    texture = pyqtSignal()
    again = pyqtSignal()
    another = pyqtSignal()
    leave_out = pyqtSignal()
    cancel = pyqtSignal()
    cancel_all = pyqtSignal()
    chosen = pyqtSignal(object)  # Settings
    log = pyqtSignal()
    stop = pyqtSignal()
    shown = pyqtSignal(bool)

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._was_shown = False
        self._wheels = _Wheels()
        self._column = _Column()
        outer, layout = QVBoxLayout(self), QVBoxLayout(self._column.widget())
        outer.addLayout(self._make_buttons())
        outer.addWidget(self._column)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(self._make_choices())
        layout.addWidget(self._make_progress())
        self.message = QLabel()
        self.message.setWordWrap(True)
        self.message.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.message.hide()
        layout.addWidget(self.message)
        layout.addStretch(1)
        layout.addLayout(self._make_server_row())
        self.show_settings(settings)
        self.show_status(OFF)
        self.show_progress("", 0.0, 0)
        self._column.verticalScrollBar().rangeChanged.connect(self._scroll_to_news)

    # Values in

    def show_settings(self, settings: Settings) -> None:
        """Show what is chosen; no signal is sent."""
        self._is_showing = True
        self.output.setCurrentIndex(OUTPUTS.index(settings.output))
        self.source.setCurrentIndex(SOURCES.index(settings.source))
        numbers = {name: getattr(settings, name) for name in ("context", "grow", "feather")}
        numbers.update((name, round(getattr(settings, name) * 100)) for name in ("texture_strength", "patches"))
        for name, value in numbers.items():
            box = getattr(self, name)
            if box.value() != value:  # else the text would be written anew while it is typed
                box.setValue(value)
        self._is_showing = False

    def show_progress(self, stage: str, fraction: float, jobs: int) -> None:
        """Show the first of so many jobs; none hides the row."""
        self.progress.setVisible(jobs > 0)
        waiting = f" ({jobs - 1} waiting)" if jobs > 1 else ""
        self.bar.setFormat(f"{stage}{waiting}")
        self.bar.setValue(round(fraction * 100))
        self.cancel_all_button.setVisible(jobs > 1)

    def show_message(self, text: str, is_failure: bool) -> None:
        """Show a sentence; an empty one hides the row."""
        self.message.setText(text)
        self.message.setToolTip(text)
        self.message.setStyleSheet(f"color: {LIGHTS['problem']}" if is_failure else "")
        self.message.setVisible(bool(text))

    def show_status(self, status: ServerStatus) -> None:
        """Show how the server is."""
        self.light.setPixmap(_disc(LIGHTS[status.light]))
        self.device.setText(status.text)
        self.device.setToolTip(status.text)
        self.log_button.setEnabled(bool(status.log))
        self.stop_button.setEnabled(status.light in ("busy", "ready", "problem") and bool(status.log))

    def _scroll_to_news(self, *_range: int) -> None:
        """What is shown now and then is below the choices."""
        for row in (self.progress, self.message):
            if not row.isHidden():
                self._column.ensureWidgetVisible(row, 0, 0)
                self._column.ensureVisible(0, row.y(), 0, 0)  # where not all of it fits: its beginning

    # Widgets

    def _make_buttons(self) -> QGridLayout:
        grid = QGridLayout()
        self.inpaint_button = QPushButton("Inpaint")
        self.inpaint_button.setToolTip("Fill the selection, or else the transparent pixels, as a new layer.")
        self.inpaint_button.clicked.connect(lambda *_: self.inpaint.emit())
        self.texture_button = QPushButton("Texture map")
        self.texture_button.setToolTip("Split the layer, or the selection's rectangle, into structure and texture.")
        self.texture_button.clicked.connect(lambda *_: self.texture.emit())
        self.again_button = QPushButton("Re-run")
        self.again_button.setToolTip("Fill the active result layer's region again with the settings it was made with.")
        self.again_button.clicked.connect(lambda *_: self.again.emit())
        self.another_button = QPushButton("Another")
        self.another_button.setToolTip("Fill the selection, or what was filled last, from other parts of the picture.")
        self.another_button.clicked.connect(lambda *_: self.another.emit())
        self.leave_out_button = QPushButton("Leave out")
        self.leave_out_button.setToolTip(
            "What is selected is neither looked at nor copied: it is painted red on a layer of its own. "
            "Erase there, or hide the layer, to have it looked at again."
        )
        self.leave_out_button.clicked.connect(lambda *_: self.leave_out.emit())
        grid.addWidget(self.inpaint_button, 0, 0)
        grid.addWidget(self.another_button, 0, 1)
        grid.addWidget(self.texture_button, 1, 0)
        grid.addWidget(self.again_button, 1, 1)
        grid.addWidget(self.leave_out_button, 2, 0, 1, 2)
        return grid

    def _make_choices(self) -> QFormLayout:
        form = QFormLayout()
        self.output, self.source = QComboBox(), QComboBox()
        self.output.addItems(["New layer", "Editable group"])
        self.output.setToolTip("One layer, or a group of a coarse and a texture layer that add up to the fill.")
        self.source.addItems(["Active layer", "Visible picture"])
        self.source.setToolTip("What is filled. The visible picture's fill goes on top of all layers.")
        self.context = QDoubleSpinBox()
        self.context.setSingleStep(0.25)
        self.context.setToolTip("How much is looked at around the hole, as a multiple of its size.")
        self.grow, self.feather = QSpinBox(), QDoubleSpinBox()
        self.grow.setSuffix(" px")
        self.grow.setToolTip("Widen the hole first.")
        self.feather.setSuffix(" px")
        self.feather.setDecimals(1)
        self.feather.setToolTip("Fade the fill's edge, inward from the edge of the hole.")
        self.texture_strength, self.patches = QSpinBox(), QSpinBox()
        self.texture_strength.setToolTip("0: the smooth fill alone. In a group it is the texture layer's opacity.")
        self.patches.setToolTip("How much of the detail is copied from the picture. 0: the network's own fill.")
        for box in (self.texture_strength, self.patches):
            box.setRange(0, 100)
            box.setSuffix(" %")
        for name in ("context", "grow", "feather"):
            low, high = LIMITS[name]
            box = getattr(self, name)
            box.setRange(low, high)
        rows: dict[str, Any] = {
            "Output": self.output,
            "Source": self.source,
            "Context": self.context,
            "Grow": self.grow,
            "Feather": self.feather,
            "Texture strength": self.texture_strength,
            "Copied detail": self.patches,
        }
        for label, widget in rows.items():
            form.addRow(label, widget)
            widget.setFocusPolicy(Qt.FocusPolicy.StrongFocus)  # a wheel does not give it the focus
            widget.installEventFilter(self._wheels)
            changed = widget.currentIndexChanged if isinstance(widget, QComboBox) else widget.valueChanged
            changed.connect(lambda *_: self._choose())
        return form

    def _make_progress(self) -> QWidget:
        self.progress = QWidget()
        column, row = QVBoxLayout(self.progress), QHBoxLayout()
        column.setContentsMargins(0, 0, 0, 0)
        self.bar = QProgressBar()  # in a row of its own: it says what is done
        self.bar.setRange(0, 100)
        self.cancel_button, self.cancel_all_button = QPushButton("Cancel"), QPushButton("Cancel all")
        self.cancel_all_button.setToolTip("Cancel this job and all that wait.")
        self.cancel_button.clicked.connect(lambda *_: self.cancel.emit())
        self.cancel_all_button.clicked.connect(lambda *_: self.cancel_all.emit())
        column.addWidget(self.bar)
        column.addLayout(row)
        row.addWidget(self.cancel_button)
        row.addWidget(self.cancel_all_button)
        return self.progress

    def _make_server_row(self) -> QHBoxLayout:
        row = QHBoxLayout()
        self.light, self.device = QLabel(), QLabel()
        self.device.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.device.setWordWrap(True)
        self.log_button, self.stop_button = QToolButton(), QToolButton()
        self.log_button.setText("Log")
        self.log_button.setToolTip("Open the server's log.")
        self.log_button.clicked.connect(lambda *_: self.log.emit())
        self.stop_button.setText("Stop")
        self.stop_button.setToolTip("End the server; it starts again at the next use.")
        self.stop_button.clicked.connect(lambda *_: self.stop.emit())
        row.addWidget(self.light)
        row.addWidget(self.device, 1)
        row.addWidget(self.log_button)
        row.addWidget(self.stop_button)
        return row

    def _choose(self) -> None:
        if not self._is_showing:
            self.chosen.emit(
                Settings(
                    output=OUTPUTS[self.output.currentIndex()],
                    source=SOURCES[self.source.currentIndex()],
                    context=self.context.value(),
                    grow=self.grow.value(),
                    feather=self.feather.value(),
                    texture_strength=self.texture_strength.value() / 100,
                    patches=self.patches.value() / 100,
                )
            )

    def showEvent(self, event: object) -> None:
        """Tell that the server is worth a look."""
        super().showEvent(event)
        self._tell_shown(True)

    def hideEvent(self, event: object) -> None:
        """Tell that nobody sees the server's light."""
        super().hideEvent(event)
        self._tell_shown(False)

    def _tell_shown(self, is_shown: bool) -> None:
        """Only changes: where its window is minimised and it is hidden then, Qt says twice that it is hidden."""
        if is_shown != self._was_shown:
            self._was_shown = is_shown
            self.shown.emit(is_shown)


class _Column(QScrollArea):
    """Scrolls up and down only: never narrower than what is in it."""

    def __init__(self) -> None:
        super().__init__()
        self.setWidget(QWidget())
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)

    def minimumSizeHint(self) -> QSize:
        """Room for the scroll bar, and for a sentence."""
        bar = self.verticalScrollBar().sizeHint().width()
        return QSize(self.widget().minimumSizeHint().width() + bar, COLUMN_PX)


class _Wheels(QObject):
    """Lets the wheel scroll the docker over a box, and change the value only of one that was clicked."""

    def eventFilter(self, box: Any, event: Any) -> bool:
        """Whether an event goes no further to the box; an ignored one goes to what is around it."""
        if event.type() != QEvent.Type.Wheel or box.hasFocus():
            return False
        event.ignore()
        return True


def _disc(colour: str) -> QPixmap:
    picture = QPixmap(LIGHT_PX, LIGHT_PX)
    picture.fill(QColor(0, 0, 0, 0))
    painter = QPainter(picture)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setBrush(QColor(colour))
    painter.setPen(Qt.PenStyle.NoPen)
    painter.drawEllipse(1, 1, LIGHT_PX - 2, LIGHT_PX - 2)
    painter.end()
    return picture
