"""Photographs for training: decoded once, split once into structure and texture, cropped at random on the device."""

from __future__ import annotations

import collections
import hashlib
import os
import pathlib
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from dgfnet.errors import FileError, UserError
from dgfnet.files import write_whole
from dgfnet.network.rtv import rtv
from dgfnet.photographs import Entry, decode, files_in, find_pictures, noted, refuse

_SHORT_SIDES = 8
"""Sizes that pictures are brought to, evenly spaced: so few that many are equal, and are split by RTV together."""
_TOGETHER = 16 * 3 * 256 * 384
"""Values of pictures that are split together."""


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
        scales: int = 1,
    ) -> None:
        """`images` uint8 and `textures` int8 (127 = 0.5), [3, H, W] each, every photograph at so many `scales`.

        `weights` multiply each picture's chance.
        """
        self.images = [x.to(device) for x in images]
        self.textures = [x.to(device) for x in textures]
        self.photographs = len(images) // scales
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
            cache: folder for the result, so that the next run with the same sources and settings starts at once; where
                it has no room, a line on stderr says so.

        Raises:
            UserError: a source is neither folder nor tar file, holds no picture or some that cannot be read, or has no
                positive weight.
        """
        weighed = [split_weight(source) for source in sources]
        paths, shares = [path for path, _ in weighed], [share for _, share in weighed]
        settings = (
            "of few sizes",
            _stamps(paths),
            short_sides,
            scales,
            seed,
            *([shares] if set(shares) != {1.0} else []),
        )
        key = hashlib.sha256(repr(settings).encode()).hexdigest()[:16]
        file = cache / f"pictures-{key}.pt" if cache else None
        if file and file.is_file():
            data = torch.load(file, weights_only=True, mmap=True)
            return cls(data["images"], data["textures"], device, data.get("weights"), scales)

        entries = [(entry, share) for path, share in weighed for entry in find_pictures([path])]
        rng = np.random.default_rng(seed)
        sides = rng.choice(np.linspace(*short_sides, _SHORT_SIDES), (len(entries), scales))
        images = _decoded([entry for entry, _ in entries], sides)
        weights = torch.tensor([share for _, share in entries for _ in range(scales)])
        textures = _textures(images, device)
        if file:
            kept = {"images": images, "textures": textures, "weights": weights}
            try:
                write_whole(file, lambda partial: torch.save(kept, partial))
            except FileError as error:
                print(f"{error} This run goes on without; the next one decodes the pictures anew.", file=sys.stderr)
        return cls(images, textures, device, weights, scales)

    def sample(self, batch: int, size: int, generator: torch.Generator, variation: Variation = NONE) -> Crops:
        """Random crops, mirrored at random.

        Args:
            generator: on the CPU; two equal generators give equal batches.
            variation: changes of scale, aspect and colour.
        """
        picked = torch.multinomial(self._weight, batch, replacement=True, generator=generator).tolist()
        corners = torch.rand(batch, 2, generator=generator).tolist()
        flips = (torch.rand(batch, generator=generator) < 0.5).tolist()
        colours = variation.colours(batch, generator).to(self.device, non_blocking=True)
        crops: list[Tensor] = []
        for index, (u, v), flip in zip(picked, corners, flips, strict=True):
            height, width = self.images[index].shape[-2:]
            h, w = variation.sides(size, (height, width), generator)
            y, x = int(u * (height - h + 1)), int(v * (width - w + 1))
            image, texture = (t[index][:, y : y + h, x : x + w].float() for t in (self.images, self.textures))
            crop = torch.cat([image, texture])
            if (h, w) != (size, size):
                crop = F.interpolate(crop[None], (size, size), mode="bilinear", antialias=True)[0]
            crops.append(crop.flip(-1) if flip else crop)
        both = torch.stack(crops).unflatten(1, (2, 3))
        image, texture = torch.einsum("bij,bnjhw->nbihw", colours, both)
        return Crops((image / 255).clamp(0, 1), texture / 254)


def split_weight(source: str) -> tuple[str, float]:
    """PATH=WEIGHT or PATH -> path and weight.

    Raises:
        UserError: the weight is not positive.
    """
    path, equals, number = source.rpartition("=")
    if not equals or pathlib.Path(source).exists():
        return source, 1.0
    try:
        weight = float(number)
    except ValueError:
        return source, 1.0
    if not 0 < weight < float("inf"):
        raise UserError(f"The weight of '{path}' must be a positive number, not {number}.")
    return path, weight


def _stamps(paths: list[str]) -> list[tuple[str, int, int]]:
    """What tells a changed source from the same one: every file's size and time of change.

    Raises:
        UserError: there is no such source.
    """
    stamps = []
    for path in map(pathlib.Path, paths):
        if not path.exists():
            raise UserError(f"There is no '{path}'; give folders or tar files of pictures.")
        for file in files_in(path) if path.is_dir() else [path]:
            facts = file.stat()
            stamps.append((str(file), facts.st_size, facts.st_mtime_ns))
    return stamps


def _decoded(entries: list[Entry], sides: np.ndarray) -> list[Tensor]:
    """Every picture at each of its short sides [entries, scales], on all of the machine's cores."""

    def decoded(entry: Entry, data: bytes, sides: np.ndarray) -> list[Tensor]:
        picture = decode(entry.place, data)
        return [_resize(picture, float(side)) for side in sides]

    images: list[Tensor] = []
    faults: list[UserError] = []
    workers = os.cpu_count() or 1
    waiting: collections.deque[Future[list[Tensor]]] = collections.deque()
    with ThreadPoolExecutor(workers) as pool, _bar("decode", len(entries)) as bar:

        def take() -> None:
            with noted(faults):
                images.extend(waiting.popleft().result())
            bar.update()

        for entry, its_sides in zip(entries, sides, strict=True):
            with noted(faults):  # files are read by this thread alone
                waiting.append(pool.submit(decoded, entry, entry.data(), its_sides))
            if len(waiting) > 2 * workers:
                take()
        while waiting:
            take()
    refuse(faults)
    return images


def _textures(images: list[Tensor], device: torch.device | str) -> list[Tensor]:
    """Textures of pictures, those of equal size together."""
    textures = [torch.empty(0, dtype=torch.int8)] * len(images)
    by_size: dict[torch.Size, list[int]] = collections.defaultdict(list)
    for index, image in enumerate(images):
        by_size[image.shape].append(index)
    with _bar("texture", len(images)) as bar:
        for size, indices in by_size.items():
            together = max(_TOGETHER // size.numel(), 1)
            for start in range(0, len(indices), together):
                batch = indices[start : start + together]
                found = _texture(torch.stack([images[i] for i in batch]).to(device)).cpu()
                for index, texture in zip(batch, found, strict=True):
                    textures[index] = texture.clone()  # of its own: a slice would be saved with the whole batch
                bar.update(len(batch))
    return textures


def _bar(what: str, total: int) -> tqdm:
    return tqdm(desc=what, total=total, unit="picture", disable=None)


def _resize(picture: Image.Image, short_side: float) -> Tensor:
    """[3, H, W] uint8 with about this short side; never enlarged."""
    scale = min(1.0, short_side / min(picture.size))
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    array = np.array(picture.resize(size, Image.Resampling.LANCZOS))
    return torch.from_numpy(array).permute(2, 0, 1).contiguous()


def _texture(images: Tensor) -> Tensor:
    """I - RTV(I) of uint8 pictures [B, 3, H, W] as int8, 254 steps for 1.0."""
    values = images.float() / 255
    return ((values - rtv(values)) * 254).round().clamp(-127, 127).to(torch.int8)
