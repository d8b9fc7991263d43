"""What can go wrong, what the user is told of it, and the end of a cancelled run. No heavy imports."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Real

Progress = Callable[[str, float], None]
"""Called with a stage for a progress bar and the fraction done, 0 to 1; it may raise Cancelled to stop the work."""
OUT_OF_MEMORY = (
    "out of memory",  # CUDA and Apple's GPUs
    "insufficient memory",  # OpenCV
    "can't allocate memory",  # the CPU on Linux and macOS
    "not enough memory",  # the CPU on Windows
    "bad_alloc",
    "alloc_failed",  # cuBLAS, cuDNN
    "allocation_failed",  # cuDNN: ..._HOST_ALLOCATION_FAILED
    "could not create a primitive",  # oneDNN, on a CPU
    "can't start new thread",  # Python: no room for its stack
)
"""How a fault says that memory ran out, in lower case."""


class UserError(Exception):
    """What a command cannot do, in a sentence or two for the user: what is wrong, and what to do about it."""


class PictureError(UserError):
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


class UsageError(UserError):
    """The command line itself makes no sense: a command ends with 2."""


class FileError(UserError):
    """A file cannot be written."""


def check_number(name: str, value: float, lowest: float, highest: float) -> None:
    """Raise PictureError `bad_option` unless an option is a number within its range."""
    if isinstance(value, bool) or not isinstance(value, Real) or not lowest <= value <= highest:
        raise PictureError("bad_option", f"{name} is {value}.", f"Give a number from {lowest} to {highest}.")


def check_seed(seed: int) -> None:
    """Raise UserError unless every generator of random numbers takes it."""
    if not 0 <= seed < 2**32:
        raise UserError(f"--seed must be a number from 0 to {2**32 - 1}.")


def is_out_of_memory(fault: Exception) -> bool:
    """Whether memory ran out. Python has a class for it; PyTorch and OpenCV have several, and say it in words."""
    words = str(fault).lower()
    return isinstance(fault, MemoryError) or any(said in words for said in OUT_OF_MEMORY)


def said_to_the_user(fault: Exception) -> str | None:
    """What the user is told of a fault: what is meant for them, of files, of memory; None of others, which are bugs."""
    if isinstance(fault, (UserError, OSError)):  # first: their texts hold paths, which may hold any words
        return str(fault)
    if is_out_of_memory(fault):
        return "There is not enough memory. Close other programs, or ask for less: smaller pictures, smaller batches."
    return None
