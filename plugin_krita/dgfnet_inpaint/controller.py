"""What the windows' dockers share: the jobs under way, the settings, the server's status, the messages."""

from __future__ import annotations

from typing import Any, Callable

from . import document
from .client.errors import Cancelled, InpaintError
from .jobs import HELD, READING, WAITING, Job
from .qt import QDesktopServices, QObject, QTimer, QUrl, pyqtSignal
from .settings import Settings
from .tasks import Steps, Task
from .transport import Line
from .worker import OFF, STARTING, ServerStatus

SAID_ONCE = ("The picture is ", "The source “", "The fill “")  # beginnings of sentences
LOOK_MS = 5000  # between looks at the server while a docker is shown


class Controller(QObject):
    """Starts jobs and says what becomes of them. Lives as long as Krita, in the window's thread."""

    jobs_changed = pyqtSignal()
    message = pyqtSignal(str, bool)  # text, whether something failed
    status_changed = pyqtSignal()
    settings_changed = pyqtSignal()
    unseen = pyqtSignal(str)  # a stage that is worth telling, while no docker is shown

    def __init__(self, line: Line, settings: Settings, keep: Callable[[Settings], None]) -> None:
        super().__init__()
        self.settings = settings
        self.status: ServerStatus = OFF
        self.jobs: list[Job] = []
        self.last: Job | None = None  # the job that ended last, with its seconds
        self._line, self._keep = line, keep
        self._tasks: dict[Job, Task] = {}
        self._told: set[str] = set()  # sentences that are said once
        self._watchers = 0
        self._watch = QTimer(self)
        self._watch.setInterval(LOOK_MS)
        self._watch.timeout.connect(line.look)
        line.status.connect(self._on_status)

    # What the artist asks for

    def inpaint(self) -> None:
        """Fill the selection of the document in front."""
        self._begin(lambda job: job.inpaint(self.settings))

    def texture(self) -> None:
        """Make the texture map of the document in front."""
        self._begin(lambda job: job.texture(self.settings))

    def again(self) -> None:
        """Run the active result layer's job again."""
        self._begin(lambda job: job.again())

    def another(self) -> None:
        """Fill the selection, or what was filled last, another way."""
        self._begin(lambda job: job.another(self.settings))

    def leave_out(self) -> None:
        """Mark the selection of the document in front as something that must not be looked at."""
        self._begin(lambda job: job.leave_out())

    def cancel(self) -> None:
        """End the job that has waited longest."""
        if self.jobs:
            self._cancel(self.jobs[0])

    def cancel_all(self) -> None:
        """End every job."""
        for job in reversed(self.jobs):
            self._cancel(job)

    def choose(self, settings: Settings) -> None:
        """Take and keep other settings."""
        if settings != self.settings:
            self.settings = settings
            self._keep(settings)
            self.settings_changed.emit()

    def stop_server(self) -> None:
        """End the server."""
        self._line.stop_server()

    def open_log(self) -> None:
        """Show the server's log."""
        if self.status.log:
            QDesktopServices.openUrl(QUrl.fromLocalFile(self.status.log))

    def watch_server(self, is_shown: bool) -> None:
        """A docker was shown or hidden: the server is looked at while one is shown."""
        self._watchers += 1 if is_shown else -1
        if self._watchers > 0:
            self._line.look()
            self._watch.start()
        else:
            self._watch.stop()

    def drop_closed(self) -> None:
        """A document was closed: the server need not go on with its jobs."""
        for job in self.jobs:
            if job.ticket is not None and not document.is_open(job.document):
                self._line.cancel(job.ticket)

    def close(self) -> None:
        """Krita ends; it crashes where a hidden document is still open then."""
        self._watch.stop()
        for job in self.jobs:
            self._tasks.pop(job).abandon()
            job.close()
        self.jobs.clear()
        self._line.close()

    # What becomes of it

    def _begin(self, story: Callable[[Job], Steps]) -> None:
        doc = document.active_document()
        if doc is None:
            self._say(InpaintError("no_document", "No picture is open.", "Open one and select the region to fill."))
            return
        earlier = [job.over for job in self.jobs if job.document == doc]
        job = Job(self._line, doc, earlier, self._on_progress)
        if not self.jobs:  # what another's may have left is still to be read
            self.message.emit("", False)
        self.jobs.append(job)
        self._tasks[job] = Task(story(job), lambda notes, error: self._end(job, notes, error))
        self._on_progress(job)

    def _on_progress(self, job: Job) -> None:
        self.jobs_changed.emit()
        if self._watchers <= 0 and job.stage in (READING, WAITING, STARTING, HELD):
            self.unseen.emit(f"{job.stage}…")

    def _cancel(self, job: Job) -> None:
        if job.ticket is not None:
            job.tell("Cancelling", job.fraction)
            self._line.cancel(job.ticket)
        else:
            self._tasks[job].stop(Cancelled())

    def _end(self, job: Job, notes: list[str] | None, error: BaseException | None) -> None:
        self.jobs.remove(job)
        self._tasks.pop(job).deleteLater()
        job.over.keep()
        QTimer.singleShot(0, job.close)  # in a turn of its own: closing a document takes Krita a while
        self.last = job
        self.jobs_changed.emit()
        if isinstance(error, Cancelled):
            self.message.emit("Cancelled.", False)
        elif error is not None:
            self._say(error)
        elif fresh := self._fresh(notes or []):
            self.message.emit(" ".join(fresh), False)

    def _fresh(self, notes: list[str]) -> list[str]:
        """The notes without what has been said about a colour model or a layer's mode before."""
        fresh = [note for note in notes if note not in self._told]
        self._told.update(note for note in fresh if note.startswith(SAID_ONCE))
        return fresh

    def _say(self, error: BaseException) -> None:
        if not isinstance(error, InpaintError):
            error = InpaintError("internal", f"The plug-in failed: {error!r}.", "Please report this.")
        self.message.emit(str(error), True)

    def _on_status(self, status: Any) -> None:
        self.status = status
        self.status_changed.emit()
