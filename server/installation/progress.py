"""What is shown while packages are downloaded and unpacked."""

from __future__ import annotations

import re
import shutil
import sys
import threading
import time
import urllib.parse


class Progress:
    """One line per piece of work, with the seconds it took: rewritten in place on a terminal, plain lines elsewhere."""

    def __init__(self) -> None:
        self.live = sys.stdout.isatty()
        self._text, self._began, self._told = "", 0.0, 0.0
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._ticker = threading.Thread(target=self._tick, daemon=True)

    def __enter__(self) -> Progress:
        self._ticker.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.finish()
        self._ended.set()
        self._ticker.join()

    def start(self, text: str) -> None:
        """End the current line and begin another."""
        self.finish()
        with self._lock:
            self._text, self._began = text, time.monotonic()
            self._told = self._began
            if not self.live:
                print(f"  {text}", flush=True)
        self._draw()

    def finish(self) -> None:
        """End the current line with the seconds it took."""
        self._draw()
        with self._lock:
            if self._text and self.live:
                print(flush=True)
            self._text = ""

    def _draw(self) -> None:
        with self._lock:
            if self._text and self.live:
                width = shutil.get_terminal_size().columns - 1
                line = f"  {self._text[: width - 12]}  {time.monotonic() - self._began:.0f} s"
                # Blanks, not escapes: old Windows consoles show those.
                print("\r" + line.ljust(width), end="", flush=True)

    def _tick(self) -> None:
        while not self._ended.wait(1):
            self._draw()
            with self._lock:
                now = time.monotonic()
                if self._text and not self.live and now - self._told >= 30:
                    self._told = now
                    print(f"  {self._text}: {now - self._began:.0f} s so far", flush=True)


def pip_event(line: str) -> str | None:
    """The text to show for one line of pip's output, None for a line that says nothing to a user."""
    line = urllib.parse.unquote(line.strip())
    found = re.match(
        r"(Downloading|Using cached|Processing) (?:\S*[/\\])?([^/\\ ]+)-(\d[^-]*)-\S+\.whl( \(.*\))?$", line
    )
    if found:
        verb, name, version, size = found.groups()
        source = {"Downloading": "", "Using cached": ", cached", "Processing": ", from disk"}[verb]
        return f"{name.replace('_', '-')} {version}{size or ''}{source}"
    if line.startswith("Installing collected packages:"):
        count = line.count(",") + 1
        return f"unpacking {count} package{'s' if count > 1 else ''}"
    return None
