"""Cases are generators: they yield seconds to wait. One JSON line per case says how it went."""

import faulthandler
import importlib
import json
import os
import sys
import time
import traceback
from pathlib import Path

from dgfnet_inpaint import jobs, tasks
from dgfnet_inpaint.qt import QTimer
from krita import Document, Krita, Node

from .stage import CASES, Stage

CASE_SECONDS = 120
CALM_MS = 600
"""Between the last change of a document and its closing, and between two closings: Krita 5.1.5 crashes where a document
is closed while its layer list has something to show anew (krita_crash.py)."""
KRITAS_OWN = ((Node, "addChildNode"), (Document, "refreshProjection"))
"""Single calls in which Krita draws the canvas anew and waits for it: timed apart from the plug-in's other work."""


class Heartbeat:
    """How long the window's thread was away, and what of it was the plug-in's own steps. Seconds.

    `turn`: the longest of the plug-in's turns on that thread (pieces of its jobs, and the end of each), `own`
    the same in CPU time, both without the calls of KRITAS_OWN; `calls`: the longest of each of those.
    """

    def __init__(self):
        self._last = time.perf_counter()
        self._apart = None  # (wall, CPU) spent in KRITAS_OWN in this turn; None between turns
        self.reset()
        for owner, name in KRITAS_OWN:
            setattr(owner, name, self._clocked(name, getattr(owner, name)))
        self._timer = QTimer()
        self._timer.timeout.connect(self._beat)
        self._timer.start(4)
        tasks.Task._turn = self._timed(tasks.Task._turn)
        jobs.Job.close = self._timed(jobs.Job.close)

    def _timed(self, turn):
        def timed(owner):
            outer, self._apart = self._apart, (0.0, 0.0)  # Krita may run the event loop inside a call
            wall, own = time.perf_counter(), time.thread_time()  # CPU time: other programs do not count
            turn(owner)
            self.turn = max(self.turn, time.perf_counter() - wall - self._apart[0])
            self.own = max(self.own, time.thread_time() - own - self._apart[1])
            self._apart = outer

        return timed

    def _clocked(self, name, call):
        def clocked(*arguments):
            wall, own = time.perf_counter(), time.thread_time()
            try:
                return call(*arguments)
            finally:
                if self._apart is not None:
                    wall, own = time.perf_counter() - wall, time.thread_time() - own
                    self._apart = (self._apart[0] + wall, self._apart[1] + own)
                    self.calls[name] = max(self.calls.get(name, 0.0), wall)

        return clocked

    def reset(self):
        self.gap = self.turn = self.own = 0.0
        self.calls = {}
        self._last = time.perf_counter()

    def facts(self):
        """In ms, for the report."""
        calls = {f"{name}_ms": round(seconds * 1000) for name, seconds in self.calls.items()}
        times = {"largest_gap_ms": self.gap, "turn_ms": self.turn, "own_turn_ms": self.own}
        return {**{name: round(seconds * 1000) for name, seconds in times.items()}, **calls}

    def _beat(self):
        now = time.perf_counter()
        self.gap = max(self.gap, now - self._last)
        self._last = now


class Runner:
    def __init__(self):
        self.out = Path(os.environ["DGFNET_KRITA_OUT"])
        faulthandler.enable()  # where Krita crashes: into krita.log
        for module in os.environ["DGFNET_KRITA_MODULES"].split(","):
            importlib.import_module(f".{module}", __package__)
        only = os.environ.get("DGFNET_KRITA_ONLY")
        self.names = [name for name in CASES if not only or any(part in name for part in only.split(","))]
        self.names *= int(os.environ.get("DGFNET_KRITA_REPEAT", "1"))
        self.runs = {}
        self.heartbeat = Heartbeat()
        self.faults = []
        sys.excepthook = lambda *what: self.faults.append("".join(traceback.format_exception(*what)))
        self.steps = None
        QTimer.singleShot(1500, self.next_case)

    def next_case(self):
        if not self.names:
            self.finish()
            return
        self.name = self.names.pop(0)
        self.stage = Stage(self.out, self.name, self.heartbeat)
        self.began = time.monotonic()
        self.steps = CASES[self.name](self.stage)
        self.step()

    def step(self):
        error = ""
        try:
            wait = next(self.steps)
            if time.monotonic() - self.began < CASE_SECONDS:
                QTimer.singleShot(round(1000 * (wait or 0)), self.step)
                return
            error = f"took more than {CASE_SECONDS} s"
            self.steps.close()
        except StopIteration:
            pass
        except BaseException:
            error = traceback.format_exc()
        if self.faults:
            error += "uncaught: " + "".join(self.faults)
            self.faults.clear()
        self.report(error)
        QTimer.singleShot(CALM_MS, self.finish if self.stage.is_leaving else self.clean_up)

    def report(self, error):
        run = self.runs[self.name] = self.runs.get(self.name, 0) + 1
        line = {
            "case": self.name if run == 1 else f"{self.name} {run}",
            "error": error,
            "seconds": round(time.monotonic() - self.began, 2),
            "facts": self.stage.facts,
        }
        with open(self.out / "results.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def clean_up(self):
        try:
            self.stage.clean_up()
        except BaseException:
            self.faults.append(traceback.format_exc())
        self.close_documents()

    def close_documents(self):
        """One after the other, then the next case."""
        documents = Krita.instance().documents()
        for doc in documents[:1]:
            doc.setBatchmode(True)
            doc.setModified(False)
            doc.close()
        following = self.close_documents if documents[1:] else self.next_case
        QTimer.singleShot(CALM_MS if documents[1:] else 100, following)

    def finish(self):
        (self.out / "done").write_text("done", encoding="utf-8")
        Krita.instance().activeWindow().qwindow().close()
        if self.stage.is_leaving:
            self.stage.go_on()  # the server; the window goes when this returns
