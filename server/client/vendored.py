"""Copying this package beside a plug-in, with msgpack's pure-Python files (used by the installer, not by editors)."""

from __future__ import annotations

import shutil
from importlib import util
from pathlib import Path
from typing import Mapping

from .errors import INSTALL

MSGPACK_FILES = ("__init__.py", "exceptions.py", "ext.py", "fallback.py")
PACKAGE = Path(__file__).resolve().parent


class VendorError(RuntimeError):
    """The copy cannot be made; one sentence and what to do."""


def copy_client(destination: Path) -> None:
    """Make `destination` a self-contained copy of this package, replacing what is there.

    msgpack's compiled part is left out: it fits one Python only, and an editor may refuse it. Its own Python files
    take over by themselves. Raises `VendorError` with nothing changed.
    """
    spec = util.find_spec("msgpack")
    folder = Path(spec.origin).parent if spec and spec.origin else None
    missing = [name for name in MSGPACK_FILES if folder is None or not (folder / name).is_file()]
    if folder is None or missing:
        raise VendorError(
            f"msgpack is not installed or incomplete (missing: {', '.join(missing)}); run `{INSTALL}` again."
        )
    if destination.exists() and not (destination / "zmtp.py").is_file() and any(destination.iterdir()):
        raise VendorError(f"{destination} holds other files; choose an empty folder.")
    fresh = destination.with_name(destination.name + ".new")
    try:
        shutil.rmtree(fresh, ignore_errors=True)
        (fresh / "_msgpack").mkdir(parents=True)
        for source in _modules():
            shutil.copyfile(source, fresh / source.name)
        for name in MSGPACK_FILES:
            shutil.copyfile(folder / name, fresh / "_msgpack" / name)
        shutil.rmtree(destination, ignore_errors=True)
        fresh.replace(destination)
    except OSError as error:
        shutil.rmtree(fresh, ignore_errors=True)
        raise VendorError(
            f"{destination} cannot be written ({error.strerror or error}); check its rights and space."
        ) from None


def wrong_copies(copies: Mapping[Path, Path], client: Path) -> list[str]:
    """What is wrong with a plug-in's files, one sentence each: `copies` by their sources, and what `copy_client` made.

    msgpack's files only have to be there: no msgpack is needed here.
    """
    expected = {**copies, **{client / source.name: source for source in _modules()}}
    problems = [
        f"{copy} {'is from another version' if copy.is_file() else 'is missing'}."
        for copy, source in expected.items()
        if not copy.is_file() or copy.read_bytes() != source.read_bytes()
    ]
    msgpack = [client / "_msgpack" / name for name in MSGPACK_FILES]
    return problems + [f"{path} is missing." for path in msgpack if not path.is_file()]


def _modules() -> list[Path]:
    """The modules of this package that are copied: all but this one."""
    return [path for path in sorted(PACKAGE.glob("*.py")) if path.name != Path(__file__).name]
