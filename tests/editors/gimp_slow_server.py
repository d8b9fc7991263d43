"""A server whose jobs take a minute: to be cancelled, and to be killed. Writes its number of jobs to a file."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from dgfnet.errors import Progress
from server.jobs import Outcome, Split
from server.lifecycle import serve


class SlowEngine:
    """Pretends to work until it is stopped."""

    device, weights, weights_sha256 = "cpu", "slow", "0" * 64

    def __init__(self, told: Path) -> None:
        self._told = told
        told.write_text("0")

    def inpaint(
        self, image: np.ndarray, mask: np.ndarray, options: Mapping[str, float], full_texture: bool, progress: Progress
    ) -> Outcome:
        self._told.write_text("1")
        try:
            for step in range(600):
                progress("Pretending", step / 600)
                time.sleep(0.1)
        finally:
            self._told.write_text("0")
        raise RuntimeError("nobody stopped the slow job")

    def structure(self, image: np.ndarray, options: Mapping[str, float], progress: Progress) -> Split:
        raise NotImplementedError

    def memory(self) -> dict[str, int]:
        return {}


if __name__ == "__main__":
    home = Path(sys.argv[1])
    serve(lambda: SlowEngine(home / "jobs"), home)
