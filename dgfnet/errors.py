"""What can go wrong with a picture, and the end of a cancelled run. No heavy imports."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Real

Progress = Callable[[str, float], None]
"""Called with a stage for a progress bar and the fraction done, 0 to 1; it may raise Cancelled to stop the work."""


class PictureError(ValueError):
    """A picture, a mask or an option that cannot be worked with.

    Attributes:
        code: one of the error codes of docs/protocol.md.
        message: one sentence, what is wrong.
        action: one sentence, what to do.
    """

    def __init__(self, code: str, message: str, action: str) -> None:
        super().__init__(f"{message} {action}")
        self.code, self.message, self.action = code, message, action


class Cancelled(Exception):
    """Raised by a progress callback to stop the work; nothing has been changed."""


class UsageError(Exception):
    """One sentence about the command line itself."""


class TrainingError(RuntimeError):
    """Training cannot start or go on; the text says why and what to do."""


def check_number(name: str, value: float, lowest: float, highest: float) -> None:
    """Raise PictureError `bad_option` unless an option is a number within its range."""
    if isinstance(value, bool) or not isinstance(value, Real) or not lowest <= value <= highest:
        raise PictureError("bad_option", f"{name} is {value}.", f"Give a number from {lowest} to {highest}.")


def speaks_to_the_user(fault: Exception) -> bool:
    """Whether a fault's text is meant for the user: the package's own, and the system's about files and memory."""
    return isinstance(fault, OSError | MemoryError) or type(fault).__module__.partition(".")[0] in ("dgfnet", "server")
