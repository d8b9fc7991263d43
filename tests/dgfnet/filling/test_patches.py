import numpy as np
import pytest
import torch

from dgfnet.filling.patches import (
    PATCH,
    as_field,
    descriptors,
    distances,
    level,
    nearest,
    pca_filters,
    search,
    upsampled,
    vote,
)


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(1)


@pytest.fixture
def region():
    region = torch.zeros(64, 32, dtype=torch.bool)
    region[20:23, 14:18] = True
    return region


@pytest.fixture
def at(region):
    """A level whose pattern repeats every 8 px, grey in its region."""
    tile = 255 * torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(3))
    image = tile.repeat(1, 8, 4)
    image[:, region] = 128
    return level(image, region, region)


def patch(image, place):
    row, column = divmod(int(place), image.shape[2])
    return image[:, row : row + PATCH, column : column + PATCH]


def test_targets_touch_the_region_and_sources_do_not(at):
    both = torch.cat([at.sources, at.targets])
    assert len(both) == len(both.unique()) == (64 - 6) * (32 - 6)
    assert at.targets.min() == 14 * 32 + 8
    assert at.targets.max() == 22 * 32 + 17
    assert torch.equal(at.row[at.sources], torch.arange(len(at.sources)))
    assert (at.row[at.targets] == -1).all()
    assert (at.row >= 0).sum() == len(at.sources)


def test_what_may_not_be_copied_can_be_more_than_the_region(at, region):
    unknown = region.clone()
    unknown[:, 20:] = True
    narrower = level(at.image, region, unknown)
    assert torch.equal(narrower.targets, at.targets)
    assert (narrower.sources % 32).max() == 13


def test_patches_that_look_alike_are_near(at, generator):
    alike = pca_filters(at, generator, mean=0.5)
    seen = descriptors(alike, at.image, at.sources)
    assert torch.equal(seen, descriptors(alike, at.image.clone(), at.sources))
    brighter = descriptors(alike, at.image + 10, at.sources)
    np.testing.assert_allclose(distances(brighter, seen), (0.5 * 10) ** 2, rtol=1e-3)
    repeats = at.sources % 32 % 8 + at.sources // 32 % 8 == 0
    near = distances(seen, seen[:1])
    assert near[repeats].max() < 1e-3 < near[~repeats].min()


def test_further_channels_count_by_their_mean(at, generator):
    more = at._replace(image=torch.cat([at.image, torch.zeros(2, 64, 32)]))
    alike = pca_filters(more, generator)
    other = more.image.clone()
    other[4] = 3
    nnf = distances(descriptors(alike, other, at.sources), descriptors(alike, more.image, at.sources))
    np.testing.assert_allclose(nnf, (2 * 3) ** 2 / 2, rtol=1e-3)  # with twice the weight of the pattern


def test_nearest_is_the_nearest_of_all(generator):
    sources, wanted = torch.randn(500, 7, generator=generator), torch.randn(60, 7, generator=generator)
    assert torch.equal(nearest(sources, wanted), torch.cdist(wanted, sources).argmin(1))


def test_a_search_finds_the_repeats_and_never_gets_worse(at, generator):
    tile = at.image[:, :8, :8]
    at.image.copy_(tile.repeat(1, 8, 4))
    alike = pca_filters(at, generator)
    sources, wanted = (descriptors(alike, at.image, places) for places in (at.sources, at.targets))
    nnf = torch.zeros(len(at.targets), dtype=torch.long)
    last = distances(sources[nnf], wanted)
    for _ in range(4):
        nnf, distance = search(at, sources, wanted, nnf, generator)
        assert torch.equal(distance, distances(sources[nnf], wanted))
        assert (distance <= last).all()
        last = distance
    assert (last < 1e-3).float().mean() > 0.95
    field = as_field(at, nnf)
    assert torch.equal(field[at.targets], at.sources[nnf])
    assert (field >= 0).sum() == len(at.targets)


@pytest.mark.parametrize("every", [1, 3])
@pytest.mark.parametrize("pieces", [False, True])
def test_votes_of_one_mind_are_a_copy(at, every, pieces):
    before = at.image.clone()
    two_periods_below = at.row[at.targets + 16 * 32]  # which is known
    vote(at, two_periods_below, every=every, pieces=pieces)
    tile = before[:, :8, :8].repeat(1, 8, 4)
    np.testing.assert_allclose(at.image, tile, atol=1e-3)
    assert torch.equal(at.image[:, ~at.region], before[:, ~at.region])


def test_copies_meet_the_colour_that_they_replace_as_far_as_they_may(at):
    nnf = at.row[at.targets + 16 * 32]
    truth = at.image[:, :8, :8].repeat(1, 8, 4)
    for brighter, seen in ((5.0, 5.0), (50.0, 8.0)):
        here = level(truth.clone(), at.region, at.region)
        here.image[:, :30] += brighter
        vote(here, nnf, shift=8.0)
        np.testing.assert_allclose((here.image - truth)[:, at.region], seen, atol=1e-3)


def test_far_patches_hardly_count(at):
    nnf = at.row[at.targets + 16 * 32]
    wrong = at.targets == at.targets[20]
    nnf[wrong] = at.row[at.sources[0]]
    distance = torch.where(wrong, 1e6, 1.0)
    vote(at, nnf, distance)
    np.testing.assert_allclose(at.image, at.image[:, :8, :8].repeat(1, 8, 4), atol=1e-2)


@pytest.mark.parametrize("side", [20, 90])
def test_a_piece_is_copied_over_strangers_in_it(side):
    """Among patches that were copied with all around them, each twelfth one comes from anywhere else."""
    width = 2 * side + 56
    noise = 128 + 20 * torch.randn(3, width, width, generator=torch.Generator().manual_seed(3))
    region = torch.zeros(width, width, dtype=torch.bool)
    hole = slice(side + 20, 2 * side + 20)
    region[hole, hole] = True
    at = level(noise, region, region)
    move = side + 14
    piece = at.row[at.targets - move * width]  # a copy from above
    strange = torch.arange(len(piece)) % 12 == 0
    anywhere = torch.randint(len(at.sources), (len(piece),), generator=torch.Generator().manual_seed(4))
    nnf = torch.where(strange, anywhere, piece)
    off = {}
    for pieces in (False, True):
        vote(at, nnf, pieces=pieces)
        middle = slice(side + 28, 2 * side + 12)
        copied = noise[:, middle.start - move : middle.stop - move, middle]
        off[pieces] = (at.image[:, middle, middle] - copied).square().mean().sqrt()
    assert off[False] > 1
    assert off[True] < 0.3 * off[False]


@pytest.mark.parametrize("corner", [(0, 0), (0, 5), (5, 0), (5, 5)])
def test_votes_in_a_very_deep_hole_at_the_border_of_the_picture_are_means(corner, generator):
    """A side of the picture beside the hole's middle, and one beside its end."""
    for height, width in ((220, 210), (210, 220)):
        region = torch.zeros(height, width, dtype=torch.bool)
        region[corner[0] : corner[0] + height - 20, corner[1] : corner[1] + width - 20] = True
        at = level(torch.rand(3, height, width, generator=generator), region, region)
        vote(at, torch.randint(len(at.sources), (len(at.targets),), generator=generator))
        assert at.depth.max() > 81  # beyond which 3 to that power is no single float
        assert ((at.image >= 0) & (at.image <= 1)).all()


def test_answers_are_passed_on_to_the_next_scale(at, generator):
    small = level(at.image[:, ::2, ::2], at.region[::2, ::2], at.region[::2, ::2])
    nnf = small.row[small.targets + 8 * 16]
    passed = upsampled(small, nnf, at, generator)
    has_parent = as_field(small, nnf)[at.targets // 64 * 16 + at.targets % 32 // 2] >= 0
    assert has_parent.float().mean() > 0.6
    assert torch.equal(at.sources[passed][has_parent], at.targets[has_parent] + 16 * 32)
    assert (at.row[at.sources[passed]] >= 0).all()
