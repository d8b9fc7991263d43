"""Photographs for training: decoded once, split once into structure and texture, cropped at random on the device."""

from __future__ import annotations

import hashlib
import io
import pathlib
import tarfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from dgfnet.network.rtv import rtv

_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp"}


class DataError(ValueError):
    """The pictures cannot be used; the text says why."""


class Crops(NamedTuple):
    """A batch of truths: pictures [B, 3, H, W], 0 to 1, and their signed textures of the same shape."""

    image: Tensor
    texture: Tensor


@dataclass(frozen=True)
class Variation:
    """How much a crop may differ from the photograph that it is cut from.

    Attributes:
        zoom: least and most enlargement.
        aspect: at most so many times wider or narrower than it was, 1 or more.
        colour: largest change of saturation; half of it that of each channel's gain.
        darken: the picture is multiplied by a number from this to 1.
    """

    zoom: tuple[float, float] = (1.0, 1.0)
    aspect: float = 1.0
    colour: float = 0.0
    darken: float = 1.0

    def sides(self, size: int, within: tuple[int, int], generator: torch.Generator) -> tuple[int, int]:
        """Height and width of what becomes a crop of `size` px, no larger than `within`."""
        u, v = torch.rand(2, generator=generator).tolist()
        zoom = self.zoom[0] * (self.zoom[1] / self.zoom[0]) ** u
        stretch = self.aspect ** (v - 0.5)
        height, width = round(size / zoom * stretch), round(size / zoom / stretch)
        return min(height, within[0]), min(width, within[1])

    def colours(self, batch: int, generator: torch.Generator) -> Tensor:
        """Matrices [batch, 3, 3] for RGB: being linear, one serves a picture, its structure and its texture."""

        def around_one(*shape: int, by: float) -> Tensor:
            return 1 + by * (2 * torch.rand(*shape, generator=generator) - 1)

        saturation = around_one(batch, 1, 1, by=self.colour)
        gains = around_one(batch, 3, 1, by=self.colour / 2)
        level = torch.empty(batch, 1, 1).uniform_(self.darken, 1, generator=generator)
        return level * gains * (saturation * torch.eye(3) + (1 - saturation) / 3)


NONE = Variation()


def read_pictures(sources: list[str]) -> Iterator[tuple[str, Image.Image]]:
    """Name and RGB picture of every file in folders (searched deeply) and tar files, sorted by name.

    Raises:
        DataError: a source is neither, or holds no picture.
    """
    for source in sources:
        path, count = pathlib.Path(source), 0
        if path.is_dir():
            for file in sorted(p for p in path.rglob("*") if p.suffix.lower() in _SUFFIXES):
                count += 1
                with Image.open(file) as picture:
                    yield str(file.relative_to(path)), picture.convert("RGB")
        elif path.is_file() and tarfile.is_tarfile(path):
            with tarfile.open(path) as archive:
                for member in sorted(archive.getmembers(), key=lambda m: m.name):
                    data = archive.extractfile(member) if member.isfile() else None
                    if data is not None and pathlib.Path(member.name).suffix.lower() in _SUFFIXES:
                        count += 1
                        yield member.name, Image.open(io.BytesIO(data.read())).convert("RGB")
        else:
            raise DataError(f"'{source}' is neither a folder nor a tar file of pictures.")
        if not count:
            raise DataError(f"'{source}' holds no pictures.")


class PictureBank:
    """Pictures at a few fixed scales, with their textures, resident on one device.

    Texture depends on the scale at which a picture is seen, so the scales are drawn when the bank is built, and the
    textures are those of whole pictures, not of crops.
    """

    def __init__(
        self,
        images: list[Tensor],
        textures: list[Tensor],
        device: torch.device | str = "cpu",
        weights: Tensor | None = None,
    ) -> None:
        """`images` uint8 and `textures` int8 (127 = 0.5), [3, H, W] each; `weights` multiply each picture's chance."""
        self.images = [x.to(device) for x in images]
        self.textures = [x.to(device) for x in textures]
        area = torch.tensor([float(x.shape[-1] * x.shape[-2]) for x in images])
        self._weight = area.sqrt() if weights is None else area.sqrt() * weights

    def __len__(self) -> int:
        """Pictures, each scale counted."""
        return len(self.images)

    @property
    def device(self) -> torch.device:
        """Where the pictures are."""
        return self.images[0].device

    @classmethod
    def build(
        cls,
        sources: list[str],
        short_sides: tuple[int, int],
        scales: int,
        seed: int,
        device: torch.device | str = "cpu",
        cache: pathlib.Path | None = None,
    ) -> PictureBank:
        """Decode every picture at `scales` random scales whose short side lies in `short_sides`, and split it by RTV.

        Args:
            sources: folders and tar files, each as PATH or PATH=WEIGHT; the weight (1 unless given) multiplies the
                chance of each of the source's pictures.
            cache: folder for the result, so that the next run with the same sources and settings starts at once.

        Raises:
            DataError: a source is neither folder nor tar file, holds no picture, or has no positive weight.
        """
        weighed = [split_weight(source) for source in sources]
        paths, shares = [path for path, _ in weighed], [share for _, share in weighed]
        settings = (_stamps(paths), short_sides, scales, seed, *([shares] if set(shares) != {1.0} else []))
        key = hashlib.sha256(repr(settings).encode()).hexdigest()[:16]
        file = cache / f"pictures-{key}.pt" if cache else None
        if file and file.is_file():
            data = torch.load(file, weights_only=True, mmap=True)
            return cls(data["images"], data["textures"], device, data.get("weights"))

        rng = np.random.default_rng(seed)
        images: list[Tensor] = []
        chances: list[float] = []
        pictures = ((picture, share) for path, share in weighed for _, picture in read_pictures([path]))
        for picture, share in tqdm(pictures, desc="decode", unit="picture", disable=None):
            images += [_resize(picture, float(rng.uniform(*short_sides))) for _ in range(scales)]
            chances += [share] * scales
        weights = torch.tensor(chances)
        with ThreadPoolExecutor(1) as pool:  # one ahead, so that the GPU does not wait for the copy back
            jobs = pool.map(lambda x: _texture(x.to(device)).cpu(), images)
            textures = list(tqdm(jobs, desc="texture", total=len(images), unit="picture", disable=None))
        if file:
            file.parent.mkdir(parents=True, exist_ok=True)
            torch.save({"images": images, "textures": textures, "weights": weights}, file.with_suffix(".partial"))
            file.with_suffix(".partial").replace(file)
        return cls(images, textures, device, weights)

    def sample(self, batch: int, size: int, generator: torch.Generator, variation: Variation = NONE) -> Crops:
        """Random crops, mirrored at random.

        Args:
            generator: on the CPU; two equal generators give equal batches.
            variation: changes of scale, aspect and colour.
        """
        picked = torch.multinomial(self._weight, batch, replacement=True, generator=generator).tolist()
        corners = torch.rand(batch, 2, generator=generator).tolist()
        flips = (torch.rand(batch, generator=generator) < 0.5).tolist()
        colours = variation.colours(batch, generator).to(self.device)
        crops: list[Tensor] = []
        for index, (u, v), flip in zip(picked, corners, flips, strict=True):
            height, width = self.images[index].shape[-2:]
            h, w = variation.sides(size, (height, width), generator)
            y, x = int(u * (height - h + 1)), int(v * (width - w + 1))
            image, texture = (t[index][:, y : y + h, x : x + w].float() for t in (self.images, self.textures))
            crop = torch.cat([image / 255, texture / 254])
            if (h, w) != (size, size):
                crop = F.interpolate(crop[None], (size, size), mode="bilinear", antialias=True)[0]
            crops.append(crop.flip(-1) if flip else crop)
        both = torch.stack(crops).unflatten(1, (2, 3))
        image, texture = torch.einsum("bij,bnjhw->nbihw", colours, both)
        return Crops(image.clamp(0, 1), texture)


def split_weight(source: str) -> tuple[str, float]:
    """PATH=WEIGHT or PATH -> path and weight.

    Raises:
        DataError: the weight is not positive.
    """
    path, equals, number = source.rpartition("=")
    if not equals or pathlib.Path(source).exists():
        return source, 1.0
    try:
        weight = float(number)
    except ValueError:
        return source, 1.0
    if not 0 < weight < float("inf"):
        raise DataError(f"The weight of '{path}' must be a positive number, not {number}.")
    return path, weight


def _stamps(paths: list[str]) -> list[tuple[str, int, int]]:
    """What tells a changed source from the same one.

    Raises:
        DataError: there is no such source.
    """
    for path in paths:
        if not pathlib.Path(path).exists():
            raise DataError(f"There is no '{path}'; give folders or tar files of pictures.")
    return [(p, pathlib.Path(p).stat().st_size, pathlib.Path(p).stat().st_mtime_ns) for p in paths]


def _resize(picture: Image.Image, short_side: float) -> Tensor:
    """[3, H, W] uint8 with about this short side; never enlarged."""
    scale = min(1.0, short_side / min(picture.size))
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    array = np.array(picture.resize(size, Image.Resampling.LANCZOS))
    return torch.from_numpy(array).permute(2, 0, 1).contiguous()


def _texture(image: Tensor) -> Tensor:
    """I - RTV(I) of a uint8 picture as int8, 254 steps for 1.0."""
    values = image[None].float() / 255
    return ((values - rtv(values))[0] * 254).round().clamp(-127, 127).to(torch.int8)
