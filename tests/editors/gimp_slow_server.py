"""A server whose jobs take a minute: to be cancelled, and to be killed. Writes its number of jobs to a file.

Where a file "finish" is beside that, the job ends with a black fill of what is marked.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from dgfnet.errors import Progress
from dgfnet.filling.fills import Fill, FillPart
from dgfnet.filling.holes import Box
from server.jobs import Outcome, Split
from server.lifecycle import serve


def black(mask: np.ndarray) -> Fill:
    """A fill of the mask's rectangle."""
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    height, width = int(np.ptp(rows)) + 1, int(np.ptp(columns)) + 1
    colours = np.zeros((height, width, 3), np.float32)
    box = Box(int(columns[0]), int(rows[0]), width, height)
    return Fill((FillPart(box, colours, colours, np.ones((height, width), np.float32)),), [1.0], {})


class SlowEngine:
    """Pretends to work until it is stopped."""

    device, weights, weights_path, weights_sha256 = "cpu", "slow", "/slow.safetensors", "0" * 64

    def __init__(self, told: Path) -> None:
        self._told = told
        told.write_text("0")

    def inpaint(
        self, image: np.ndarray, mask: np.ndarray, options: Mapping[str, float], full_texture: bool, progress: Progress
    ) -> Outcome:
        self._told.write_text("1")
        finish = self._told.with_name("finish")
        try:
            for step in range(600):
                if finish.exists():
                    finish.unlink()
                    return Outcome(black(mask), {"texture_strength": 1.0})
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
