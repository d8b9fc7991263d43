"""Photographs in folders and tar files: what is trained and judged on."""

from __future__ import annotations

import pathlib
import tarfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

from PIL import Image

from dgfnet import pictures
from dgfnet.errors import PictureError, UserError

_NAMED = 10
"""So many unreadable pictures are named; of more, their number is told."""


class Entry(NamedTuple):
    """A picture file in a folder or a tar file."""

    source: str
    name: str  # within the source
    data: Callable[[], bytes]  # raises UserError: it cannot be read

    @property
    def place(self) -> str:
        """What users find it by."""
        return str(pathlib.Path(self.source, self.name))

    def picture(self) -> Image.Image:
        """As `decode`."""
        return decode(self.place, self.data())


def find_pictures(sources: list[str]) -> list[Entry]:
    """Every picture file in folders (searched deeply) and tar files, sorted by name within each; nothing is decoded.

    What is hidden, or lies in a hidden folder, is left out.

    Raises:
        UserError: a source is neither, is damaged, or holds no picture.
    """
    found: list[Entry] = []
    for source in sources:
        path, before = pathlib.Path(source), len(found)
        if path.is_dir():
            found += [Entry(source, file.relative_to(path).as_posix(), partial(_read, file)) for file in files_in(path)]
        elif path.is_file() and _is_tar(source):
            found += _members_of(source)
        else:
            raise UserError(f"'{source}' is neither a folder nor a tar file of pictures.")
        if len(found) == before:
            raise UserError(f"'{source}' holds no pictures.")
    return found


def files_in(folder: pathlib.Path) -> list[pathlib.Path]:
    """Every picture file of a folder and its sub-folders, in an order that is the same on every system."""
    found = (path for path in folder.rglob("*") if pictures.is_picture(path.relative_to(folder)) and path.is_file())
    return sorted(found, key=lambda path: path.parts)  # paths themselves compare without case on Windows


def _read(file: pathlib.Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as fault:
        raise UserError(f"{file} cannot be read ({fault.strerror}). Leave it out, or make it readable.") from fault


@contextmanager
def _damage_told(archive: str) -> Iterator[None]:
    try:
        yield
    except (tarfile.TarError, EOFError, zlib.error, OSError) as fault:
        if getattr(fault, "filename", None):  # it cannot even be opened, which says so itself
            raise
        raise UserError(f"'{archive}' is incomplete or damaged; copy it again.") from fault


def _is_tar(source: str) -> bool:
    with _damage_told(source):
        return tarfile.is_tarfile(source)


def _members_of(source: str) -> list[Entry]:
    with _damage_told(source):
        archive = tarfile.TarFile.open(source)
        members = sorted(archive.getmembers(), key=lambda m: m.name)

    def data(member: tarfile.TarInfo) -> bytes:
        with _damage_told(source):
            file = archive.extractfile(member)
            assert file is not None  # it is a file's entry
            return file.read()

    return [
        Entry(source, member.name, partial(data, member))
        for member in members
        if member.isfile() and pictures.is_picture(pathlib.PurePosixPath(member.name))
    ]


def decode(name: str, data: bytes) -> Image.Image:
    """A picture file's bytes as RGB, upright as when it is filled.

    Raises:
        UserError: it cannot be read.
    """
    try:
        return Image.fromarray(pictures.to_rgb(pictures.decode(data, name)))
    except PictureError as fault:
        raise UserError(f"{fault.message} Leave it out, or save it anew.") from fault


def read_pictures(sources: list[str]) -> Iterator[tuple[str, Image.Image]]:
    """Name and RGB picture of all that `find_pictures` finds.

    Raises:
        UserError: also where pictures cannot be read, after all others.
    """
    faults: list[UserError] = []
    for entry in find_pictures(sources):
        try:
            picture = entry.picture()
        except UserError as fault:
            faults.append(fault)
        else:
            yield entry.name, picture
    refuse(faults)


@contextmanager
def noted(faults: list[UserError]) -> Iterator[None]:
    """What keeps one picture from being read joins `faults`, so that the others are tried too before `refuse`."""
    try:
        yield
    except UserError as fault:
        faults.append(fault)


def refuse(faults: Sequence[UserError]) -> None:
    """Tell all faults at once, a line each.

    Raises:
        UserError: there is one.
    """
    lines = list(dict.fromkeys(map(str, faults)))
    if len(lines) > _NAMED:
        lines[_NAMED:] = [f"There are {len(lines) - _NAMED} more such files."]
    if lines:
        raise UserError("\n".join(lines))
