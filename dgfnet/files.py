"""Folders that can be written to, and files that are whole or not there at all."""

from __future__ import annotations

import contextlib
import os
import pathlib
from collections.abc import Callable, Sequence

from dgfnet.errors import FileError, PictureError, is_out_of_memory


def make_folder(folder: pathlib.Path) -> None:
    """Make a folder to write to, before the work whose results it is for. Raises PictureError where that fails."""
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
    if not (folder.is_dir() and os.access(folder, os.W_OK)):
        raise PictureError("bad_option", f"Nothing can be written to {folder}.", "Choose another place.")


Write = Callable[[pathlib.Path], object]
"""Writes a file to the path that it is given."""


def write_whole(file: pathlib.Path, write: Write) -> None:
    """Have `write` write to a path beside `file`, which becomes `file` when all of it is written; makes its folder.

    Raises:
        FileError: it cannot be written; what was there before is left as it was, and nothing beside it.
    """
    write_together([(file, write)])


def write_together(files: Sequence[tuple[pathlib.Path, Write]]) -> None:
    """As `write_whole` for files that belong together: none takes its place before all are written."""
    partials = [(file, file.with_suffix(".partial")) for file, _ in files]
    try:
        for (file, partial), (_, write) in zip(partials, files, strict=True):
            file.parent.mkdir(parents=True, exist_ok=True)
            write(partial)
        for file, partial in partials:
            partial.replace(file)
    except (OSError, RuntimeError) as error:  # torch.save raises the latter where the disk is full
        if is_out_of_memory(error):
            raise
        reason = getattr(error, "strerror", None) or type(error).__name__
        remedy = "make room on its disk, or its folder writable"
        raise FileError(f"'{file}' cannot be written ({reason}); {remedy}.") from error
    finally:
        for _, partial in partials:
            partial.unlink(missing_ok=True)
