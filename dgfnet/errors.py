"""What can go wrong with a picture, and the end of a cancelled run. Imports nothing."""

from __future__ import annotations


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
