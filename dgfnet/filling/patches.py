"""Patches that are copied: search (PatchMatch, Barnes et al. 2009) and vote (Wexler et al. 2007) at one scale.

A patch that touches the region to fill, a target, looks for the wholly known patch most like it, a source; those found
vote for the pixels of the region. `patchmatch` fills a hole that way alone, `synthesis` on top of a network's fill.

A patch is named by the place of its top left pixel in the flat picture, `row * W + column`. So a step within a patch is
an addition, and a step beyond the picture's side ends at a place that names no patch. The nearest-neighbour field of a
level, `nnf` [N], gives for each of its targets the number of its source in the level's list.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from dgfnet.filling.holes import depth_in
from dgfnet.network.rtv import gaussian_blur

RADIUS = 3  # patches of 7 x 7 px
PATCH = 2 * RADIUS + 1
SMALLEST = 24
"""Shortest side, in px, of the coarsest level."""
FEWEST_SOURCES = 32
"""Of a level, but for the finest of a filler that has nothing else."""
_JUMPS = (4, 1)
_FALLOFF = 3.0  # a vote shrinks by this factor per px that its patch's centre lies deeper than the pixel (paper: 1.3)
_AXES = 24  # principal components that patches are compared by
_SAMPLED = 4000  # patches that show which these are
_FURTHER = 2.0  # weight of the image's further channels against the pattern
_PAIRS = 2**25  # of patches that are compared in one go


class PyramidLevel(NamedTuple):
    """One scale of a picture with a region to fill."""

    image: Tensor  # [C, H, W], colours 0 to 255, then what else votes are cast on; changes in the region
    region: Tensor  # bool [H, W], to be filled
    unknown: Tensor  # bool [H, W], not to be copied: the region and maybe more
    blank: Tensor  # bool [H, W], of that what is neither filled nor to be gone on
    sources: Tensor  # [S], patches that may be copied
    row: Tensor  # [H * W], where in `sources` the patch at a place is; -1: it is none
    targets: Tensor  # [N], patches that touch the region
    depth: Tensor  # [H, W], px that a pixel lies inside what is to be filled or blank

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.region.shape[0], self.region.shape[1]


def level(image: Tensor, region: Tensor, unknown: Tensor, blank: Tensor | None = None) -> PyramidLevel:
    """A level of an image [C, H, W]: fill `region`, from patches without an `unknown` pixel (bool [H, W])."""
    blank = torch.zeros_like(region) if blank is None else blank
    is_source, is_target = ~_touched(unknown), _touched(region)
    sources, targets = _places(is_source), _places(is_target)
    row = torch.full((unknown.numel(),), -1, device=image.device)
    row[sources] = torch.arange(len(sources), device=image.device)
    depth = torch.from_numpy(depth_in((region | blank).cpu().numpy())).to(image.device)
    return PyramidLevel(image.contiguous(), region, unknown, blank, sources, row, targets, depth)


def _touched(pixels: Tensor) -> Tensor:
    """bool [H - 6, W - 6]: the patches that hold one of the pixels."""
    return _sums(pixels[None].float())[0] > 0


def _sums(image: Tensor) -> Tensor:
    """[C, H, W] -> [C, H - 6, W - 6], over the pixels of each patch; several times as fast as a pooling on a CPU."""
    for axis in (1, 2):
        places = image.shape[axis] - PATCH + 1
        total = image.narrow(axis, 0, places).clone()
        for step in range(1, PATCH):
            total += image.narrow(axis, step, places)
        image = total
    return image


def _places(patches: Tensor) -> Tensor:
    """The names of patches that are marked in a [H - 6, W - 6]."""
    rows, columns = patches.nonzero(as_tuple=True)
    return rows * (patches.shape[1] + PATCH - 1) + columns


def pca_filters(at: PyramidLevel, generator: torch.Generator, mean: float = 1.0) -> Tensor:
    """Filters [F, C, 7, 7] whose answers, the features of patches, are as far apart as the patches look.

    They answer with the pattern's principal components, but for the lesser ones, with its mean colour, and with the
    means of the image's further channels.

    Args:
        mean: weight of the mean colour against the pattern.
    """
    chosen = torch.randint(len(at.sources), (min(_SAMPLED, len(at.sources)),), generator=generator)
    steps = torch.arange(PATCH)[:, None] * at.size[1] + torch.arange(PATCH)
    places = at.sources[chosen.to(at.sources.device), None] + steps.flatten().to(at.sources.device)
    pixels = at.image[:3].flatten(1)[:, places]  # [3, n, 49]
    pattern = (pixels - pixels.mean(2, keepdim=True)).transpose(0, 1).flatten(1)
    axes = torch.linalg.eigh(pattern.T @ pattern).eigenvectors[:, -_AXES:].T.reshape(-1, 3, PATCH, PATCH)
    channels = len(at.image)
    filters = torch.zeros(len(axes) + channels, channels, PATCH, PATCH, device=at.image.device)
    filters[: len(axes), :3] = axes / (3 * PATCH**2) ** 0.5
    for channel in range(channels):
        weight = mean / 3**0.5 if channel < 3 else _FURTHER / (channels - 3) ** 0.5
        filters[len(axes) + channel, channel] = weight / PATCH**2
    return filters


def descriptors(filters: Tensor, image: Tensor, places: Tensor) -> Tensor:
    """[n, F] of the patches at `places` [n] of an image [C, H, W]; squared distances are those per value of a patch."""
    width = image.shape[2]
    rows, columns = places // width, places % width
    top, left = int(rows.min()), int(columns.min())
    part = image[None, :, top : int(rows.max()) + PATCH, left : int(columns.max()) + PATCH]
    answers = F.conv2d(part.contiguous(memory_format=torch.channels_last), filters)[0].permute(1, 2, 0)
    return answers[rows - top, columns - left]


def distances(a: Tensor, b: Tensor) -> Tensor:
    """Squared distances [n] between features [n, F]."""
    return (a - b).square().sum(1)


def nearest(sources: Tensor, wanted: Tensor) -> Tensor:
    """For each of the features [N, F] the index of the nearest of `sources` [S, F], among all."""
    lengths = sources.square().sum(1)
    step = max(_PAIRS // len(sources), 1)
    return torch.cat([(lengths - 2 * part @ sources.T).argmin(1) for part in wanted.split(step)])


def search(
    at: PyramidLevel, sources: Tensor, wanted: Tensor, nnf: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """One PatchMatch round for all targets at once: the neighbours' answers, shifted, then ever nearer random guesses.

    Args:
        sources: features [S, F] of the level's sources.
        wanted: features [N, F] of its targets.
        nnf: [N], each target's source so far, as an index.

    Returns:
        The best source [N] of each target, and its squared distance [N].
    """
    width, last, none = at.size[1], len(at.row) - 1, torch.full_like(nnf, -1)
    nnf, best = nnf.clone(), distances(sources[nnf], wanted)

    def offer(places: Tensor) -> None:
        candidate = at.row[places.clamp(0, last)].where((places >= 0) & (places <= last), none)
        which = ((candidate >= 0) & (candidate != nnf)).nonzero()[:, 0]  # neighbours mostly agree
        candidate = candidate[which]
        distance = distances(sources[candidate], wanted[which])
        better = distance < best[which]
        nnf[which[better]], best[which[better]] = candidate[better], distance[better]

    for jump in _JUMPS:
        for step in (-jump * width, jump * width, -jump, jump):
            answer = as_field(at, nnf)[(at.targets + step).clamp(0, last)]
            offer((answer - step).where(answer >= 0, none))
    radius = max(at.size)
    while radius >= 1:
        down, across = torch.randint(-radius, radius + 1, (2, len(nnf)), generator=generator).to(nnf.device)
        offer(at.sources[nnf] + down * width + across)
        radius //= 2
    return nnf, best


def optimised(
    at: PyramidLevel,
    nnf: Tensor,
    rounds: int,
    generator: torch.Generator,
    mean: float = 1.0,
    shift: float = 0.0,
    pieces: bool = False,
    report: Callable[[float], None] = lambda fraction: None,
) -> Tensor:
    """The source [N] of each target after so many rounds of search and vote; the last vote is left in the image.

    Args:
        mean: see `pca_filters`.
        shift, pieces: see `vote`.
        report: is told what part of the rounds is done; may raise to stop them.
    """
    alike = pca_filters(at, generator, mean)
    sources = descriptors(alike, at.image, at.sources)
    for step in range(rounds):
        report(step / rounds)
        nnf, distance = search(at, sources, descriptors(alike, at.image, at.targets), nnf, generator)
        vote(at, nnf, distance, shift, pieces=pieces)
    return nnf


def as_field(at: PyramidLevel, nnf: Tensor) -> Tensor:
    """[H * W], the place of the source of the target at each place; -1 where no target is."""
    field = torch.full_like(at.row, -1)
    field[at.targets] = at.sources[nnf]
    return field


def vote(
    at: PyramidLevel,
    nnf: Tensor,
    distance: Tensor | None = None,
    shift: float = 0.0,
    every: int = 1,
    pieces: bool = False,
) -> None:
    """Each pixel of the region becomes the weighted mean of what the patches over it propose.

    Args:
        nnf: [N], the source of each target.
        distance: [N], of the two; the farther, the less it counts.
        shift: how far a copy's colour may be moved to meet what it replaces, of 255.
        every: a patch speaks for each so-manieth of its pixels, both ways; 3 still has nine voices per pixel.
        pieces: patches speak louder the more of those around them were copied with them in one piece. So pieces end
            sharply where the mean of all would be dull.
    """
    loud = torch.ones(len(nnf), device=at.image.device)
    if distance is not None:
        loud *= _trust(distance)
    if pieces:
        loud *= _togetherness(at, nnf)
    weight = torch.zeros(len(at.row), device=at.image.device)
    weight[at.targets] = loud.clamp_min(1e-12)
    depth, inside = at.depth.flatten(), torch.full_like(weight, torch.inf)  # px that the targets' centres lie inside
    inside[at.targets] = depth[at.targets + RADIUS * (at.size[1] + 1)]
    field, pixels = as_field(at, nnf), at.region.flatten().nonzero()[:, 0]
    image = at.image.view(len(at.image), -1)
    moved = _moved(at, nnf, shift) if shift else None
    total, share = torch.zeros_like(image[:, : len(pixels)]), torch.zeros_like(image[0, : len(pixels)])
    for down, across in itertools.product(range(0, PATCH, every), repeat=2):
        step = down * at.size[1] + across
        patch = (pixels - step).clamp_min(-1)  # the last place, which names no patch
        voice = weight[patch] * _FALLOFF ** (depth[pixels] - inside[patch])
        copy = image[:, (field[patch] + step).clamp_min(0)]
        if moved is not None:
            copy[:3] += moved[:, patch]
        total += voice * copy
        share += voice
    image[:, pixels] = total / share


def local_mean(values: Tensor, known: Tensor, sigma: float) -> tuple[Tensor, Tensor]:
    """Gaussian mean of the known ones (bool [H, W]) of values [C, H, W], and what share [H, W] of all they are."""
    weight = known[None, None].float()
    share = gaussian_blur(weight, sigma)
    return (gaussian_blur(values[None] * weight, sigma) / share.clamp_min(1e-3))[0], share[0, 0]


def _trust(distance: Tensor) -> Tensor:
    """Weights [N] of votes, from 1 for an equal patch."""
    spread = max(float(torch.quantile(distance, 0.75)), 1e-3)
    return torch.exp(-distance / (2 * spread))


def _togetherness(at: PyramidLevel, nnf: Tensor) -> Tensor:
    """[N], above 0 to 1: how many of the patches over a target were copied in one piece with its own, from as far."""
    moves = torch.full_like(at.row, len(at.row))  # no patch moves so far
    moves[at.targets] = at.sources[nnf] - at.targets
    alike = torch.zeros(len(nnf), device=at.image.device)
    for down, across in itertools.product(range(-RADIUS, RADIUS + 1), repeat=2):
        beside = (at.targets + down * at.size[1] + across).clamp(0, len(at.row) - 1)
        alike += moves[beside] == moves[at.targets]
    return alike / PATCH**2


def _moved(at: PyramidLevel, nnf: Tensor, shift: float) -> Tensor:
    """[3, H * W], what is added to the copies over a target's place so that their mean is that of what they replace."""
    means = F.pad(_sums(at.image[:3]) / PATCH**2, (0, PATCH - 1, 0, PATCH - 1)).flatten(1)
    moved = torch.zeros(3, len(at.row), device=at.image.device)
    moved[:, at.targets] = (means[:, at.targets] - means[:, at.sources[nnf]]).clamp(-shift, shift)
    return moved


def upsampled(below: PyramidLevel, nnf: Tensor, at: PyramidLevel, generator: torch.Generator) -> Tensor:
    """The coarser level's answers, as sources [N] of this level's targets; random ones where they are none here."""
    (small_height, small_width), width = below.size, at.size[1]
    row, column = at.targets // width, at.targets % width
    parent = (row // 2).clamp_max(small_height - PATCH) * small_width + (column // 2).clamp_max(small_width - PATCH)
    answer = as_field(below, nnf)[parent]
    place = (answer // small_width * 2 + row % 2) * width + answer % small_width * 2 + column % 2
    index = at.row[place.clamp(0, len(at.row) - 1)]
    return torch.where((answer >= 0) & (index >= 0), index, random_sources(at, generator))


def random_sources(at: PyramidLevel, generator: torch.Generator) -> Tensor:
    """[N], any source for each target."""
    return torch.randint(len(at.sources), (len(at.targets),), generator=generator).to(at.targets.device)
