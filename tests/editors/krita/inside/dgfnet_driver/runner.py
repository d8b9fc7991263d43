"""Cases are generators: they yield seconds to wait. One JSON line per case says how it went."""

import importlib
import json
import os
import sys
import time
import traceback
from pathlib import Path

from dgfnet_inpaint import tasks
from dgfnet_inpaint.qt import QTimer
from krita import Krita

from .stage import CASES, Stage

CASE_SECONDS = 120
CALM_MS = 600  # Krita may crash where a document is closed a moment after it was opened


class Heartbeat:
    """How long the window's thread was away, and how long it was in the plug-in's own steps."""

    def __init__(self):
        self.gap = self.own = 0.0
        self._last = time.perf_counter()
        self._timer = QTimer()
        self._timer.timeout.connect(self._beat)
        self._timer.start(4)
        turn = tasks.Task._turn

        def timed(task):
            began = time.thread_time()  # of this thread alone: other programs and Krita's own do not count
            turn(task)
            self.own = max(self.own, time.thread_time() - began)

        tasks.Task._turn = timed

    def reset(self):
        self.gap = self.own = 0.0
        self._last = time.perf_counter()

    def _beat(self):
        now = time.perf_counter()
        self.gap = max(self.gap, now - self._last)
        self._last = now


class Runner:
    def __init__(self):
        self.out = Path(os.environ["DGFNET_KRITA_OUT"])
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
        QTimer.singleShot(CALM_MS, self.clean_up)

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
        QTimer.singleShot(100, self.next_case)

    def finish(self):
        (self.out / "done").write_text("done", encoding="utf-8")
        Krita.instance().activeWindow().qwindow().close()
