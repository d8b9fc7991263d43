import numpy as np
import pytest
import torch

from dgfnet.filling.melding import meld, solve_screened_poisson
from dgfnet.filling.patches import level, vote


@pytest.fixture
def region():
    region = torch.zeros(96, 96, dtype=torch.bool)
    region[48:72, 36:60] = True
    return region


@pytest.fixture
def ramp():
    """A picture that is brighter by one for each column."""
    return torch.arange(80.0, 176.0).expand(3, 96, 96).clone()


def copied_from(at, rows, columns):
    """The field of a copy from so far below and to the right of each target; both may differ from target to target."""
    return at.row[at.targets + rows * at.size[1] + columns]


def test_copies_that_fit_stay_as_they_are(region):
    tile = 255 * torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(3))
    at = level(tile.repeat(1, 12, 12), region, region)
    truth, nnf = at.image.clone(), copied_from(at, -32, 0)
    at.image[:, region] = 128
    vote(at, nnf)
    meld(at, nnf, 20.0)
    np.testing.assert_allclose(at.image, truth, atol=0.01)


def test_steps_between_pieces_go(region, ramp):
    at = level(ramp.clone(), region, region)
    is_left = at.targets % 96 < 45
    nnf = torch.where(is_left, copied_from(at, 0, -30), copied_from(at, 0, 30))
    vote(at, nnf)
    assert (at.image - ramp).abs().max() > 25
    meld(at, nnf, 1000.0)
    np.testing.assert_allclose(at.image, ramp, atol=0.5)


@pytest.mark.parametrize(("reach", "off"), [(1000.0, 0.0), (2.0, 20.0)])
def test_far_from_what_is_known_the_votes_give_the_colours(region, ramp, reach, off):
    at = level(ramp.clone(), region, region)
    nnf = copied_from(at, -40, 0)
    at.image[:, :40] += 20
    vote(at, nnf)
    meld(at, nnf, reach)
    np.testing.assert_allclose((at.image - ramp)[:, 60, 48], off, atol=0.5)
    np.testing.assert_allclose((at.image - ramp)[:, 40:], 0, atol=20.01)


def test_what_is_blank_does_not_hold_its_neighbours(region, ramp):
    blank = torch.zeros_like(region)
    blank[30:90, 60:] = True
    at = level(ramp.clone(), region, region | blank, blank)
    at.image[:, blank] = 0
    nnf = copied_from(at, 0, -30)
    vote(at, nnf)
    meld(at, nnf, 1000.0)
    np.testing.assert_allclose((at.image - ramp)[:, region], 0, atol=0.2)
    assert (at.image[:, blank] == 0).all()


def test_unlike_copies_keep_their_contrast(region):
    noise = 128 + 20 * torch.randn(3, 96, 96, generator=torch.Generator().manual_seed(3))
    at = level(noise.clone(), region, region)
    nnf = torch.randint(len(at.sources), (len(at.targets),), generator=torch.Generator().manual_seed(4))
    vote(at, nnf)
    dull = at.image[:, 53:67, 42:54].clone()
    meld(at, nnf, 10.0)
    assert dull.std() < 0.5 * 20
    assert at.image[:, 53:67, 42:54].std() > 1.5 * dull.std()
    assert torch.equal(at.image[:, ~region], noise[:, ~region])


def exact(values, free, screening, walls):
    """The solution by elimination."""
    matrix = screening * torch.eye(free.numel(), dtype=torch.float64)
    names, closed = torch.arange(free.numel()).view(free.shape), walls.flatten()
    for axis in (0, 1):
        last = free.shape[axis] - 1
        for a, b in zip(names.narrow(axis, 0, last).flatten(), names.narrow(axis, 1, last).flatten(), strict=True):
            if not (closed[a] or closed[b]):
                matrix[[a, b], [a, b]] += 1
                matrix[[a, b], [b, a]] -= 1
    inner = free.flatten()
    return torch.linalg.solve(matrix[inner][:, inner], values.flatten(1)[:, inner].T).T


@pytest.mark.parametrize("screening", [0.2, 1e-3])
@pytest.mark.parametrize("rows", [slice(3, 17), slice(0, 17), slice(3, None), slice(None)])
@pytest.mark.parametrize("also", ["nothing", "an island", "scattered islands", "walls"])
def test_screened_poisson_is_solved(screening, rows, also):
    generator = torch.Generator().manual_seed(5)
    free, walls = torch.zeros(2, 21, 35, dtype=torch.bool)
    free[rows, 5:] = True
    if also == "an island":
        free[8:11, 12:20] = False
    if also == "scattered islands":
        free &= torch.rand(21, 35, generator=generator) > 0.05
    if also == "walls":
        walls[:, 23:] = True
        free &= ~walls
    values = torch.randn(2, 21, 35, generator=generator, dtype=torch.float64)
    truth = exact(values, free, screening, walls)
    found = solve_screened_poisson(values, free, screening, walls)
    assert found.dtype == values.dtype
    assert (found[:, free] - truth).abs().max() < 0.005 * truth.abs().max()
    assert (found[:, ~free] == 0).all()


def test_where_nothing_is_free_nothing_is_solved():
    values = torch.ones(3, 8, 8)
    assert not solve_screened_poisson(values, torch.zeros(8, 8, dtype=torch.bool), 0.1).any()
