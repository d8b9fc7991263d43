"""Ways to fill a hole, all with one face, so that a table can compare them."""

from __future__ import annotations

import hashlib
import itertools
import pathlib
from collections.abc import Callable, Iterable
from typing import Literal

import cv2
import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from dgfnet.errors import UserError
from dgfnet.files import write_whole
from dgfnet.filling.patchmatch import patchmatch
from dgfnet.inpainting import FillOptions, Inpainter
from dgfnet.model import DGFNet
from dgfnet.photographs import noted, refuse

Filler = Callable[[str, np.ndarray, np.ndarray], np.ndarray]
"""(name of the case, RGB uint8 [H, W, 3] with a black hole, hole bool [H, W]) -> RGB uint8; the hole only is used."""

Stage = Literal["final", "network", "enlarged", "coarse"]
_CASE = "dgfnet case"  # key of a text in a PNG
_BORDER = 16  # OpenCV's fillers read beyond a hole that touches the picture's border


def mean_colour(name: str, picture: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """The mean of the known pixels."""
    filled = picture.copy()
    filled[hole] = picture[~hole].mean(axis=0).round()
    return filled


def telea(name: str, picture: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """OpenCV, fast marching (Telea 2004), radius 3."""
    return _opencv(picture, hole, cv2.INPAINT_TELEA)


def navier_stokes(name: str, picture: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """OpenCV, Navier-Stokes (Bertalmio 2001), radius 3."""
    return _opencv(picture, hole, cv2.INPAINT_NS)


def biharmonic(name: str, picture: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """scikit-image's biharmonic filler.

    Raises:
        UserError: scikit-image is not installed.
    """
    try:
        from skimage.restoration import inpaint_biharmonic
    except ImportError as error:
        raise UserError("The biharmonic filler is scikit-image's; `.venv/bin/pip install scikit-image`.") from error
    filled = inpaint_biharmonic(picture, hole, channel_axis=2)
    return (np.clip(filled, 0, 1) * 255).round().astype(np.uint8)


def patches(name: str, picture: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """Copies patches of the known part: PatchMatch, our own."""
    return patchmatch(picture, hole)


CLASSICAL: dict[str, Filler] = {
    "mean": mean_colour,
    "telea": telea,
    "ns": navier_stokes,
    "biharmonic": biharmonic,
    "patchmatch": patches,
}


def network(net: DGFNet, stage: Stage = "final") -> Filler:
    """DGFNet through the fill pipeline, or a part of it.

    `final` is what an artist gets; `network` is without patches that are copied, `enlarged` without refinement too;
    `coarse` is the coarse branch alone.
    """
    inpainter = Inpainter(net, next(net.parameters()).device)
    inpainter.finer = net.finer and stage != "enlarged"
    options = FillOptions(patches=float(stage == "final"), texture_strength=float(stage != "coarse"))

    def fill(name: str, picture: np.ndarray, hole: np.ndarray) -> np.ndarray:
        return inpainter.fill(picture, hole, options).compose(picture)

    return fill


def results(folder: pathlib.Path) -> Filler:
    """Pictures that another program made: `NAME.png` per case.

    Raises:
        UserError: a case is missing, unreadable, or of another size.
    """

    def fill(name: str, picture: np.ndarray, hole: np.ndarray) -> np.ndarray:
        return _result(folder, name, len(picture))

    return fill


def check_results(folders: Iterable[pathlib.Path], names: Iterable[str], size: int) -> None:
    """Read all that `results` of these folders will be asked for: squares of `size` px, a case each.

    Raises:
        UserError: some are missing, unreadable, or of another size; all of them are named.
    """
    faults: list[UserError] = []
    for folder, name in itertools.product(folders, names):
        with noted(faults):
            _result(folder, name, size)
    refuse(faults)


def _result(folder: pathlib.Path, name: str, size: int) -> np.ndarray:
    file = folder / f"{name}.png"
    if not file.is_file():
        raise UserError(f"'{folder}' holds no result for '{name}'; `dgfnet evaluate --export` writes the cases.")
    result, _ = _read(file)
    if result.shape != (size, size, 3):
        raise UserError(f"'{file}' is {result.shape[1]} x {result.shape[0]} px, the case {size} px.")
    return result


def kept(fill: Filler, folder: pathlib.Path) -> Filler:
    """As `fill`, but every result is kept as `folder/NAME.png`, and taken from there the next time.

    A file says which picture and hole it is of: a result of another case by the same name is made anew.

    Raises:
        UserError: a kept file is unreadable.
        FileError: a result cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)

    def fill_once(name: str, picture: np.ndarray, hole: np.ndarray) -> np.ndarray:
        file, case = folder / f"{name}.png", hashlib.sha256(picture.tobytes() + hole.tobytes()).hexdigest()
        if file.is_file():
            result, made_of = _read(file)
            if made_of == case:
                return result
        result = np.where(hole[..., None], fill(name, picture, hole), picture)
        label = PngInfo()
        label.add_text(_CASE, case)
        write_whole(file, lambda partial: Image.fromarray(result).save(partial, "PNG", pnginfo=label))
        return result

    return fill_once


def _read(file: pathlib.Path) -> tuple[np.ndarray, str | None]:
    """A picture as RGB, and the case that it says it is of."""
    try:
        with Image.open(file) as picture:
            return np.array(picture.convert("RGB")), picture.info.get(_CASE)
    except OSError as error:
        raise UserError(f"'{file}' cannot be read as a picture.") from error


def _opencv(picture: np.ndarray, hole: np.ndarray, method: int) -> np.ndarray:
    width = _BORDER
    padded = np.pad(picture, ((width, width), (width, width), (0, 0)), mode="edge")
    mask = np.pad(hole.astype(np.uint8), width, mode="edge")
    return np.asarray(cv2.inpaint(padded, mask, 3, method)[width:-width, width:-width])
