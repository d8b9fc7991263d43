"""A network's fill made anew of patches that are copied from what is known around the hole.

Far from its border a hole leaves the network guessing, and what it guesses is the mean of what could be there: the
right colours in the right places, but soft. Patches of the picture itself are sharp, but know nothing of what belongs
where. So the fill leads a greedy copying at a coarse scale, where it is neither flatter nor livelier than what lies
around the hole; scale by scale, patches then find their finer likes, which must also go on what is known at the
hole's border: lines and windows do so better than in the network's fill. At last the copies are joined by their
gradients, and only the outermost pixels are of both.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from dgfnet.filling.exemplar import copy_greedily
from dgfnet.filling.holes import depth_in
from dgfnet.filling.melding import meld
from dgfnet.filling.patches import (
    FEWEST_SOURCES,
    PATCH,
    RADIUS,
    SMALLEST,
    PyramidLevel,
    descriptors,
    level,
    local_mean,
    nearest,
    optimised,
    pca_filters,
    upsampled,
    vote,
)
from dgfnet.network.diffusion import harmonic_fill
from dgfnet.network.rtv import gaussian_blur

RIM = 5
"""Pixels from a hole's border over which the network's fill passes into the patches; shallower holes are its own."""
_START_DEPTH = 14  # px that the hole is deep at most at the scale of the greedy copying
_START_PIXELS = 16_384  # of that scale at most
_START_SOURCES = 1000  # of that scale at least: comes before the other two
_MOST_COPIED = 65_536  # pixels that it fills at most, some seconds on a CPU: comes before all three
_ROUNDS = (16, 2)  # rounds of search and vote at the coarsest and at the finest level that is searched
_SEARCHED = 400_000  # pixels; levels above take over the answers of the level below
_BLUR = 2.0  # px, standard deviation: how soft the fill is taken to be at the scale where it leads
_AROUND = 4.0  # px, standard deviation: over how much texture is averaged
_FLAT = 0.1  # of 255 per px: less contrast is none
_MEAN = 0.5  # weight of a patch's mean colour against its pattern: copies are moved in colour
_SHIFT = 16.0  # of 255, by so much: copies follow a sky's gradient; more would let dull patches pass
_MELDED = 10.0  # px at the coarsest scale: colours of places as far apart stay as they were copied
_SPOT = 6.0  # px at the coarsest scale: the size of what a variation likes or dislikes
_BIAS = 0.3  # and how much, as a share of distances
_EVERY = 3  # of a patch's pixels that vote where nothing is searched


def synthesise(
    picture: np.ndarray,
    hole: np.ndarray,
    report: Callable[[float], None] = lambda fraction: None,
    variation: int = 0,
    device: torch.device | str = "cpu",
    blank: np.ndarray | None = None,
) -> np.ndarray:
    """Copy detail into a filled hole.

    Args:
        picture: float32 [H, W, 3], 0 to 1, the network's fill in its hole.
        hole: bool [H, W].
        report: is told what part of the work is done, 0 to 1; may raise to stop it.
        variation: 0, or the number of another fill: some parts of the picture are then copied from more gladly than
            others, which is random but for the number.
        device: that searches.
        blank: bool [H, W], pixels beside the hole that are neither filled nor copied from; none unless given.

    Returns:
        float32 [H, W, 3], equal to the picture outside the hole. Where all of the hole is shallower than `RIM`, or
        there is too little to copy from, the picture itself.
    """
    if blank is None:
        blank = np.zeros_like(hole)
    share = (hole * np.clip(depth_in(hole | blank) / RIM, 0, 1))[..., None]
    if (share < 1).all():
        return picture
    image = torch.from_numpy(picture.astype(np.float32).transpose(2, 0, 1) * 255).to(device)
    levels = _levels(image, *(torch.from_numpy(pixels).to(device) for pixels in (hole, blank)))
    if not levels:
        return picture
    generator = torch.Generator().manual_seed(variation)
    searched = max(sum(at.region.numel() <= _SEARCHED for at in levels), 1)
    rounds = np.linspace(*_ROUNDS, searched).round().astype(int)
    levels[:searched] = _with_texture(levels[:searched])

    def told(part: int, fraction: float) -> None:
        report((part + fraction) / (2 + len(levels)))

    nnf = _first_nnf(levels[0], generator, bool(variation), partial(told, 0))
    for number, at in enumerate(levels):
        told(1 + number, 0)
        is_searched = number < searched
        if number:
            nnf = upsampled(levels[number - 1], nnf, at, generator)
        every = 1 if is_searched else _EVERY
        pieces = number > 0  # at the coarsest, what greedy copying has put where it does not belong is to dissolve
        vote(at, nnf, shift=_SHIFT, every=every, pieces=pieces)
        if is_searched:
            nnf = optimised(at, nnf, rounds[number], generator, _MEAN, _SHIFT, pieces, partial(told, 1 + number))
    meld(at, nnf, _MELDED * 2 ** (len(levels) - 1), partial(told, 1 + len(levels)))
    finished = levels[-1].image[:3].permute(1, 2, 0).cpu().numpy() / 255
    return picture + share * (finished - picture)


def _levels(image: Tensor, hole: Tensor, blank: Tensor) -> list[PyramidLevel]:
    """From coarse to fine, each half the size of the next; the coarsest is where greedy copying starts.

    None where that would take too long: a narrow frame around a large hole has no patches at coarser scales.
    """
    levels: list[PyramidLevel] = []
    region, unknown = hole, hole | blank  # at coarser levels less than what is not to be copied
    while region.any() and min(region.shape) >= (SMALLEST if levels else PATCH):
        this = level(image, region, unknown, blank)
        if len(this.sources) < (_START_SOURCES if levels and not _is_large(levels[0]) else FEWEST_SOURCES):
            break
        levels.insert(0, this)
        depth = depth_in(unknown.cpu().numpy())[region.cpu().numpy()].max()
        if region.numel() <= _START_PIXELS and depth <= _START_DEPTH:
            break
        image, unknown = _halved(image), _halved(unknown.float()) > 0
        region, blank = (_halved(pixels.float()) > 0.5 for pixels in (region, blank))
    return [] if levels and _is_large(levels[0]) else levels


def _is_large(at: PyramidLevel) -> bool:
    """Is there too much to fill for a greedy copying?"""
    return int(at.region.sum()) > _MOST_COPIED


def _halved(image: Tensor) -> Tensor:
    """Means of 2 x 2 pixels of a [C, H, W] or [H, W]; an odd last row or column is left out."""
    return F.avg_pool2d(image[None], 2)[0]


def _with_texture(levels: list[PyramidLevel]) -> list[PyramidLevel]:
    """The levels with two channels more: how lively the picture is around a pixel, across and down.

    Measured at the finest of them, so that dull patches are not like lively surroundings. Copies bring theirs along.
    """
    finest = levels[-1]
    texture, _ = local_mean(_gradient(finest.image[:3]), _inner(~finest.unknown, 1), _AROUND)
    richer: list[PyramidLevel] = []
    for at in reversed(levels):
        richer.insert(0, at._replace(image=torch.cat([at.image, texture])))
        texture = _halved(texture)
    return richer


def _first_nnf(
    at: PyramidLevel, generator: torch.Generator, is_varied: bool, report: Callable[[float], None]
) -> Tensor:
    """The sources [N] of a greedy copying at the coarsest level, led by the fill; the copy is left in its image."""
    lead, trust = _lead(at)
    width = at.size[1]
    corners = torch.stack([at.sources // width, at.sources % width], dim=1).cpu().numpy()
    bias = _source_bias(at, generator)[corners[:, 0], corners[:, 1]] if is_varied else None
    arrays = _array(at.image), at.region.cpu().numpy(), corners, _array(lead), _array(trust)[..., 0]
    image, origin = copy_greedily(*arrays, _SHIFT, bias, report, at.blank.cpu().numpy())
    at.image.copy_(torch.from_numpy(image).permute(2, 0, 1))
    alike = pca_filters(at, generator, _MEAN)
    nnf = nearest(descriptors(alike, at.image, at.sources), descriptors(alike, at.image, at.targets))
    middle = RADIUS * (width + 1)
    came_from = torch.from_numpy(origin).to(nnf).flatten()[at.targets + middle] - middle
    copy = at.row[came_from.clamp_min(0)]  # no source where the middle is known: it came from the target itself
    return copy.where(copy >= 0, nnf)


def _source_bias(at: PyramidLevel, generator: torch.Generator) -> np.ndarray:
    """float32 [H, W], factors around 1 on the distances of the patches there: every part of the picture its own."""
    noise = gaussian_blur(torch.randn(1, 1, *at.size, generator=generator), _SPOT)[0, 0]
    return torch.exp(_BIAS * noise / noise.std()).numpy()


def _lead(at: PyramidLevel) -> tuple[Tensor, Tensor]:
    """The fill, softened, [3, H, W], and how far it is to be trusted [1, H, W]: as far as it has contrast enough.

    Where pebbles are, a flat grey is not what is there but their mean.
    """
    everywhere = torch.ones_like(at.unknown)
    lead, _ = local_mean(at.image[:3], everywhere, _BLUR)
    contrast = _gradient(lead).mean(0, keepdim=True)
    expected = _expected(contrast, _inner(~at.unknown, round(2 * _BLUR)))
    present, _ = local_mean(contrast, everywhere, _AROUND)
    return lead, (present / expected.clamp_min(_FLAT)).clamp_max(1).square()


def _expected(values: Tensor, known: Tensor) -> Tensor:
    """Local means of what is known (bool [H, W]) of values [C, H, W], and a membrane where hardly anything is."""
    mean, share = local_mean(values, known, _AROUND)
    return harmonic_fill(mean[None], (known & (share > 0.25))[None, None])[0]


def _gradient(image: Tensor) -> Tensor:
    """[C, H, W] -> [2, H, W], absolute differences to the right and down, mean over the channels."""
    across, down = image.diff(dim=2, append=image[:, :, -1:]), image.diff(dim=1, append=image[:, -1:])
    return torch.stack([across.abs().mean(0), down.abs().mean(0)])


def _inner(pixels: Tensor, margin: int) -> Tensor:
    """bool [H, W] without what is nearer than `margin` px to its border (the picture's is none)."""
    outside = F.max_pool2d((~pixels)[None, None].float(), 2 * margin + 1, 1, margin)
    return outside[0, 0] == 0


def _array(image: Tensor) -> np.ndarray:
    """[C, H, W] -> [H, W, C] for what runs on the CPU."""
    return np.ascontiguousarray(image.permute(1, 2, 0).cpu().numpy())
