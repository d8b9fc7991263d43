"""One session with the server on Qt's socket: the client's state machine, driven by Qt's signals."""

from __future__ import annotations

import time
from collections import deque
from socket import create_connection

from .client import events as ev
from .client.discovery import ServerAddress
from .client.session import ClientSession
from .qt import QAbstractSocket, QNetworkProxy, QObject, QTcpSocket, QTimer, guarded, pyqtSignal

IO_BYTES = 1 << 20
BUFFERED_BYTES = 4 << 20  # handed to the socket and not yet on their way
GOODBYE_MS = 200
ANSWER_SECONDS = 0.5


def answers(address: ServerAddress) -> bool:
    """Whether a server's process runs, without a session: it greets whoever connects.

    It does so in a thread of its own, so a server whose loop hangs greets too: only a stopped process is told.
    Waits for at most ANSWER_SECONDS for the connection, and once more for the greeting.
    """
    try:
        with create_connection((address.host, address.port), ANSWER_SECONDS) as connection:
            return bool(connection.recv(1))
    except OSError:
        return False


class Channel(QObject):
    """Call `flush` after every call to `session`; `tick` a few times a second."""

    happened = pyqtSignal(object)  # a list of the session's events
    failed = pyqtSignal(object)  # a fault of this file: an exception

    def __init__(self, address: ServerAddress, client: str, parent: QObject) -> None:
        super().__init__(parent)
        self.address = address
        self.session = ClientSession(address.key, client, time.monotonic())
        self._unsent: deque[memoryview] = deque()
        socket = self._socket = QTcpSocket(self)
        socket.setProxy(QNetworkProxy(QNetworkProxy.ProxyType.NoProxy))  # never through a proxy set for the web
        socket.connected.connect(self._on_connected)
        socket.readyRead.connect(self._on_readable)
        socket.bytesWritten.connect(self._on_written)
        socket.disconnected.connect(self._on_lost)
        # Before Qt 5.15, `error` was the name of both a signal and a getter.
        (socket.errorOccurred if hasattr(socket, "errorOccurred") else socket.error).connect(self._on_lost)
        # Not at once: where the system refuses on the spot, nobody has heard of this channel yet.
        QTimer.singleShot(0, self._open)

    @property
    def is_welcome(self) -> bool:
        """Whether jobs may be submitted."""
        return self.session.welcome is not None and self.session.failure is None

    def tick(self) -> None:
        """Keep the session alive."""
        self._tell(self.session.tick(time.monotonic()))
        self.flush()

    def flush(self) -> None:
        """Give the socket as much as it takes without hoarding it."""
        self._unsent.extend(memoryview(chunk).cast("B") for chunk in self.session.data_to_send())
        if self._socket.state() != QAbstractSocket.SocketState.ConnectedState:
            return
        while self._unsent and self._socket.bytesToWrite() < BUFFERED_BYTES:
            chunk = self._unsent.popleft()
            self._socket.write(bytes(chunk[:IO_BYTES]))
            if len(chunk) > IO_BYTES:
                self._unsent.appendleft(chunk[IO_BYTES:])

    def close(self, wait: bool = False) -> None:
        """Say goodbye and end; nothing happens here afterwards. `wait`: at most GOODBYE_MS, for the end of Krita."""
        self.blockSignals(True)
        self.session.say_goodbye(time.monotonic())
        self.flush()
        if wait and self._socket.bytesToWrite():
            self._socket.waitForBytesWritten(GOODBYE_MS)
        self._socket.flush()  # deleted soon, it takes with it what it still holds
        self._socket.disconnectFromHost()
        self.deleteLater()

    @guarded
    def _open(self) -> None:
        if not self.signalsBlocked():  # closed meanwhile
            self._socket.connectToHost(self.address.host, self.address.port)

    @guarded
    def _on_connected(self) -> None:
        self._socket.setSocketOption(QAbstractSocket.SocketOption.LowDelayOption, 1)
        self.flush()

    @guarded
    def _on_readable(self) -> None:
        while self._socket.bytesAvailable() and not self.session.failure:
            data = bytes(self._socket.read(IO_BYTES))
            self._tell(self.session.receive_data(data, time.monotonic()))
        self.flush()

    @guarded
    def _on_written(self, _count: int) -> None:
        if self._unsent:  # of a long message; a PING proves nothing, the kernel takes it for a hung server too
            self.session.data_moved(time.monotonic())
        self.flush()

    @guarded
    def _on_lost(self, error: object = None) -> None:
        reason = "it ended or was ended" if error is None else self._socket.errorString()
        self._tell(self.session.connection_lost(reason))

    def _tell(self, events: list[ev.Event]) -> None:
        if events:
            self.happened.emit(events)

    def on_fault(self, error: Exception) -> None:
        """Pass a fault on."""
        self.failed.emit(error)
