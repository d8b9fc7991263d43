"""Files in, files out: one picture or two folders of equal names, with a progress bar, going on after a failed file."""

from __future__ import annotations

import errno
import sys
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from dgfnet import pictures
from dgfnet.errors import PictureError, Progress, said_to_the_user
from dgfnet.files import make_folder

Filler = Callable[[np.ndarray, np.ndarray, Progress], np.ndarray]
"""Picture, mask, progress -> filled picture of the same dtype and shape."""
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
"""What keeps every later file from being written, too."""
_MAKE_ROOM = "Make room on the disk, or make it writable, and run this again: finished ones are kept."


class Job(NamedTuple):
    """One picture to fill; `mask` is None where the folder of masks has none for it."""

    photo: Path
    mask: Path | None
    out: Path


def find_jobs(photo: Path, mask: Path, out: Path, overwrite: bool) -> list[Job]:
    """The work that a command line asks for.

    Two folders are matched by the names of their files without endings, in either form of Unicode. Their outputs carry
    the photos' names (.png for formats that cannot be written); those that exist are left out unless `overwrite`. A
    single one is always written.

    Raises:
        PictureError: a folder is mixed with a file, nothing is there, two pictures or two masks have the same name, the
            outputs of folders would lie among their inputs, or an output would overwrite an input.
    """
    for path in (photo, mask):
        if not path.exists():
            raise PictureError("bad_option", f"There is no file or folder {path}.", "Check the name.")
    if photo.is_dir() != mask.is_dir():
        raise PictureError("bad_option", "A picture and a folder do not go together.", "Give two files or two folders.")
    if not photo.is_dir():
        if out.is_dir():
            out = out / _output_name(photo)
        jobs = [Job(photo, mask, out)]
    else:
        photos = _pictures_in(photo)
        if not photos:
            raise PictureError("bad_option", f"There is no picture in {photo}.", "Choose another folder.")
        if out.exists() and not out.is_dir():
            raise PictureError("bad_option", f"{out} is not a folder.", "Name a folder to write to.")
        if out.exists() and any(out.samefile(folder) for folder in (photo, mask)):  # the next run would read them
            raise PictureError("bad_option", f"The fills would lie among the files in {out}.", "Name another folder.")
        masks = _named(_pictures_in(mask), lambda path: path.stem)
        jobs = [
            Job(path, masks.get(_composed(path.stem)), out / _output_name(path))
            for path in _named(photos, _output_name).values()
        ]
    inputs = {path.resolve() for job in jobs for path in (job.photo, job.mask) if path is not None}
    for job in jobs:
        if job.out.resolve() in inputs:
            raise PictureError("bad_option", f"{job.out} would be overwritten by a fill.", "Name another output.")
    return [job for job in jobs if overwrite or not photo.is_dir() or not job.out.exists()]


def _pictures_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if pictures.is_picture(path.relative_to(folder)) and path.is_file())


def _named(paths: list[Path], name: Callable[[Path], str]) -> dict[str, Path]:
    """Paths by their names, `_composed`, which must differ."""
    named: dict[str, Path] = {}
    for path in paths:
        other = named.setdefault(_composed(name(path)), path)
        if other != path:
            raise PictureError("bad_option", f"{other} and {path} would be taken for one.", "Rename one of them.")
    return named


def _composed(name: str) -> str:
    """A name in the form of Unicode that most systems write; macOS takes letters and their accents apart."""
    return unicodedata.normalize("NFC", name)


def _output_name(photo: Path) -> str:
    return photo.name if photo.suffix.lower() in pictures.WRITABLE else f"{photo.stem}.png"


def fill_files(jobs: list[Job], fill: Filler) -> int:
    """Fill and write each picture; a failed one costs one sentence on stderr. Returns the number of failures.

    Where the disk becomes full, or read-only, the pictures that are left count as failed.

    Raises:
        PictureError: nothing can be written to the folder of the outputs; it is made if it is not there.
    """
    for folder in {job.out.parent for job in jobs}:
        make_folder(folder)
    failures = 0
    with tqdm(total=len(jobs), disable=None, bar_format="{desc}: {percentage:3.0f}% |{bar}| {elapsed}") as bar:
        for index, job in enumerate(jobs):
            try:
                _fill_file(job, fill, _advance(bar, index, job.photo.name))
            except Exception as fault:
                sentence = said_to_the_user(fault)
                if sentence is None:
                    raise
                failures += 1
                named = any(str(path) in sentence for path in job if path)
                tqdm.write(f"dgfnet: {sentence}" if named else f"dgfnet: {job.photo}: {sentence}", file=sys.stderr)
                left = len(jobs) - index - 1
                if left and getattr(fault.__cause__, "errno", None) in _NO_ROOM:
                    failures += left
                    tqdm.write(f"dgfnet: Pictures left undone: {left}. {_MAKE_ROOM}", file=sys.stderr)
                    break
            else:
                tqdm.write(str(job.out))
            bar.update(index + 1 - bar.n)
    if len(jobs) > 1:
        print(f"{len(jobs) - failures} of {len(jobs)} pictures filled.")
    return failures


def _advance(bar: tqdm, done: int, name: str) -> Progress:
    shown = ""

    def report(stage: str, fraction: float) -> None:
        nonlocal shown
        before, shown = shown, stage  # a new stage is shown at once: tqdm leaves out what comes soon after another
        bar.set_description_str(f"{name}: {stage}", refresh=stage != before)
        bar.update(done + fraction - bar.n)

    return report


def _fill_file(job: Job, fill: Filler, report: Progress) -> None:
    if job.mask is None:
        raise PictureError("bad_mask", "It has no mask.", f"Add a mask named {job.photo.stem} to the folder of masks.")
    photo = pictures.read(job.photo)
    pictures.check_writable(job.out, photo.pixels)
    mask = pictures.read_mask(job.mask)
    filled = fill(photo.pixels, mask, report)
    pictures.write(job.out, replace(photo, pixels=filled))
    if job.out.suffix.lower() in (".jpg", ".jpeg"):
        tqdm.write(
            f"dgfnet: {job.out.name}: JPEG changes all pixels a little; .png or .tiff keeps them.", file=sys.stderr
        )
