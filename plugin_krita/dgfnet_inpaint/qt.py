"""The one place that knows which Qt binding Krita runs on: PyQt5 in Krita 5, PyQt6 in Krita 6."""

from __future__ import annotations

from functools import wraps
from typing import Any, Callable

try:  # each Krita refuses the other's binding with an ImportError
    from PyQt5.QtCore import (
        QByteArray,
        QCoreApplication,
        QEvent,
        QObject,
        QSize,
        Qt,
        QThread,
        QTimer,
        QUrl,
        pyqtSignal,
    )
    from PyQt5.QtGui import QColor, QDesktopServices, QIcon, QPainter, QPixmap
    from PyQt5.QtNetwork import QAbstractSocket, QNetworkProxy, QTcpSocket
    from PyQt5.QtWidgets import (
        QComboBox,
        QDoubleSpinBox,
        QFormLayout,
        QFrame,
        QGridLayout,
        QHBoxLayout,
        QLabel,
        QProgressBar,
        QPushButton,
        QScrollArea,
        QSizePolicy,
        QSpinBox,
        QToolButton,
        QVBoxLayout,
        QWidget,
    )
except ImportError:
    from PyQt6.QtCore import (
        QByteArray,
        QCoreApplication,
        QEvent,
        QObject,
        QSize,
        Qt,
        QThread,
        QTimer,
        QUrl,
        pyqtSignal,
    )
    from PyQt6.QtGui import QColor, QDesktopServices, QIcon, QPainter, QPixmap
    from PyQt6.QtNetwork import QAbstractSocket, QNetworkProxy, QTcpSocket
    from PyQt6.QtWidgets import (
        QComboBox,
        QDoubleSpinBox,
        QFormLayout,
        QFrame,
        QGridLayout,
        QHBoxLayout,
        QLabel,
        QProgressBar,
        QPushButton,
        QScrollArea,
        QSizePolicy,
        QSpinBox,
        QToolButton,
        QVBoxLayout,
        QWidget,
    )

__all__ = [
    "QAbstractSocket",
    "QByteArray",
    "QColor",
    "QComboBox",
    "QCoreApplication",
    "QDesktopServices",
    "QDoubleSpinBox",
    "QEvent",
    "QFormLayout",
    "QFrame",
    "QGridLayout",
    "QHBoxLayout",
    "QIcon",
    "QLabel",
    "QNetworkProxy",
    "QObject",
    "QPainter",
    "QPixmap",
    "QProgressBar",
    "QPushButton",
    "QScrollArea",
    "QSize",
    "QSizePolicy",
    "QSpinBox",
    "QTcpSocket",
    "QThread",
    "QTimer",
    "QToolButton",
    "QUrl",
    "QVBoxLayout",
    "QWidget",
    "Qt",
    "guarded",
    "pyqtSignal",
]


def guarded(slot: Callable[..., Any]) -> Callable[..., Any]:
    """A method that Qt may call: what it raises goes to its object's `on_fault` instead of into Krita's error box.

    In another thread than the window's, PyQt would even end the whole program.
    """

    @wraps(slot)
    def call(self: Any, *arguments: Any) -> Any:
        try:
            return slot(self, *arguments)
        except Exception as error:
            self.on_fault(error)
            return None

    return call
