"""Photographs in folders and tar files: what is trained and judged on."""

from __future__ import annotations

import pathlib
import tarfile
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

from PIL import Image

from dgfnet import pictures
from dgfnet.errors import PictureError, UserError


class Entry(NamedTuple):
    """A picture file in a folder or a tar file; `data` reads its bytes."""

    name: str
    data: Callable[[], bytes]


def find_pictures(sources: list[str]) -> list[Entry]:
    """Every picture file in folders (searched deeply) and tar files, sorted by name within each; nothing is decoded.

    Raises:
        UserError: a source is neither, or holds no picture.
    """
    found: list[Entry] = []
    for source in sources:
        path, before = pathlib.Path(source), len(found)
        if path.is_dir():
            found += [Entry(str(file.relative_to(path)), file.read_bytes) for file in files_in(path)]
        elif path.is_file() and tarfile.is_tarfile(path):
            found += _members_of(tarfile.TarFile.open(path))
        else:
            raise UserError(f"'{source}' is neither a folder nor a tar file of pictures.")
        if len(found) == before:
            raise UserError(f"'{source}' holds no pictures.")
    return found


def files_in(folder: pathlib.Path) -> list[pathlib.Path]:
    """Every picture file of a folder and its sub-folders, sorted."""
    return sorted(p for p in folder.rglob("*") if p.suffix.lower() in pictures.READABLE and p.is_file())


def _members_of(archive: tarfile.TarFile) -> Iterator[Entry]:
    def data(member: tarfile.TarInfo) -> bytes:
        file = archive.extractfile(member)
        assert file is not None  # it is a file's entry
        return file.read()

    for member in sorted(archive.getmembers(), key=lambda m: m.name):
        if member.isfile() and pathlib.Path(member.name).suffix.lower() in pictures.READABLE:
            yield Entry(member.name, partial(data, member))


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
        UserError: also where a picture cannot be read.
    """
    for name, data in find_pictures(sources):
        yield name, decode(name, data())
