from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dgfnet.errors import UserError
from dgfnet.evaluation.cases import SHARES, CaseSet, MaskFiles, spread
from dgfnet.masks import MaskFolder, random_masks


@pytest.fixture
def pictures(tmp_path, photograph):
    """A folder with three photographs."""
    (tmp_path / "pictures").mkdir()
    for name, part in (("a", photograph), ("b", photograph[::-1]), ("c", photograph[:, ::-1])):
        Image.fromarray(part).save(tmp_path / "pictures" / f"{name}.png")
    return str(tmp_path / "pictures")


@pytest.fixture
def masks(tmp_path):
    """A folder with one mask: white on the left quarter."""
    (tmp_path / "objects").mkdir()
    white = np.zeros((80, 120), np.uint8)
    white[:, :30] = 255
    Image.fromarray(white).save(tmp_path / "objects" / "one.png")
    return tmp_path / "objects"


def test_cases_have_the_share_of_their_cell_and_do_not_depend_on_the_limit(pictures):
    every = CaseSet([pictures], ("square",), 64)
    assert [c.name for c in every] == [f"000{k}-{n}-{i}" for k, n in enumerate("abc") for i in (3, 4, 5)]
    assert len(every) == 9
    for c in every:
        low, high = (float(part.strip("%")) for part in c.cell.removeprefix("square ").split(" to "))
        assert low - 2 < 100 * c.share < high + 2
        assert not c.given[c.hole].any()
        assert np.array_equal(c.given[~c.hole], c.truth[~c.hole])
    few = CaseSet([pictures], ("square",), 64, limit=1)
    assert len(few) == len(list(few)) == 3
    assert few.names == [c.name for c in few]
    assert all(np.array_equal(f.hole, e.hole) and f.name == e.name for f, e in zip(few, every, strict=False))


def test_a_hole_does_not_depend_on_what_else_is_asked_for(pictures):
    everything = {c.name: c for c in CaseSet([pictures], ("irregular", "square", "object"), 64)}
    for kind in ("irregular", "square", "object"):
        cases = list(CaseSet([pictures], (kind,), 64))
        assert len(cases) == 9
        assert all(np.array_equal(c.hole, everything[c.name].hole) and c.kind == kind for c in cases)


@pytest.mark.parametrize("size", [64, 256, 512])
def test_irregular_holes_have_the_share_of_their_cell_at_every_size(pictures, size):
    for case in CaseSet([pictures], ("irregular",), size):
        low, high = (float(part.strip("%")) for part in case.cell.removeprefix("irregular ").split(" to "))
        assert low - 2 < 100 * case.share < high + 2


def test_irregular_holes_of_256_px_are_those_drawn(pictures):
    cases = iter(CaseSet([pictures], ("irregular",), 256))
    for index, share in enumerate(SHARES):
        generator = torch.Generator().manual_seed(1_000_003 + index)
        drawn = random_masks(("irregular",), share, 1, 256, generator)[0, 0].numpy() == 0
        assert np.array_equal(next(cases).hole, drawn)


@pytest.mark.parametrize("count", [1, 2, 3, 7, 284])
def test_a_limit_takes_pictures_from_all_of_the_list(count):
    assert spread(count, None) == list(range(count))
    for limit in range(1, count + 3):
        some = spread(count, limit)
        assert len(some) == min(limit, count)
        gaps = np.diff([*some, count])
        assert some[0] == 0
        assert gaps.max() - gaps.min() <= 1


@pytest.mark.parametrize(("colour", "cell"), [("white", "objects 20% to 30%"), ("black", "objects 70% to 80%")])
def test_masks_from_a_folder_mean_what_the_user_says(pictures, masks, colour, cell):
    cases = CaseSet([pictures], (), 64, masks=MaskFiles(masks, colour))
    assert len(cases) == 3
    for case in cases:
        assert (case.kind, case.cell) == ("objects", cell)
        assert case.hole[:, :16].all() == (colour == "white")
        assert case.hole[:, 16:].any() == (colour == "black")


def test_made_holes_and_masks_side_by_side(pictures, masks):
    cells = [c.cell for c in CaseSet([pictures], ("object",), 64, limit=1, masks=MaskFiles(masks, "white"))]
    assert cells == ["object 20% to 30%", "object 30% to 40%", "object 40% to 50%", "objects 20% to 30%"]
    both = CaseSet([pictures], ("object",), 64, masks=MaskFiles(masks, "white"))
    assert both.names == [c.name for c in both]


def test_masks_that_cannot_be_used_get_a_sentence(pictures, tmp_path):
    folder = tmp_path / "odd"
    folder.mkdir()
    with pytest.raises(UserError, match="odd' holds no pictures"):
        list(CaseSet([pictures], (), 64, masks=MaskFiles(folder, "white")))
    Image.new("L", (8, 8), 255).save(folder / "white.png")
    with pytest.raises(UserError, match="no hole when holes are black"):
        list(CaseSet([pictures], (), 64, masks=MaskFiles(folder, "black")))
    (folder / "white.png").write_bytes(b"no picture")
    with pytest.raises(UserError, match=r"white\.png is not a picture"):
        list(CaseSet([pictures], (), 64, masks=MaskFiles(folder, "white")))


def test_a_deep_mask_is_the_same_hole_in_training_and_evaluation(tmp_path):
    """8 % grey is black, whatever the depth."""
    deep = np.zeros((40, 40), np.uint16)
    deep[:, :20] = 20 * 257
    deep[:10] = 65535
    Image.fromarray(deep).save(tmp_path / "deep.png")
    judged = MaskFiles(tmp_path, "white").hole(0, 40, 1)
    assert np.array_equal(judged, deep == 65535)
    assert np.array_equal(judged, ~MaskFolder(tmp_path, "white").masks[0].numpy())


def test_all_that_cannot_be_used_is_named_before_the_first_case(pictures, masks):
    CaseSet([pictures], (), 64, masks=MaskFiles(masks, "white")).check()
    (masks / "one.png").write_bytes(b"damaged")
    for name in "ab":
        Path(pictures, f"{name}.png").write_bytes(b"damaged")
    with pytest.raises(UserError) as caught:
        CaseSet([pictures], (), 64, masks=MaskFiles(masks, "white")).check()
    told = [line.split(" is not a picture")[0] for line in str(caught.value).splitlines()]
    assert told == [str(path) for path in (Path(pictures, "a.png"), masks / "one.png", Path(pictures, "b.png"))]
    Image.new("RGB", (64, 64)).save(Path(pictures, "a.png"))
    CaseSet([pictures], ("square",), 64, limit=1).check()  # b is not used


@pytest.mark.parametrize("seed", [-1, 2**32, 99999999999999999999])
def test_seeds_that_no_generator_takes_get_a_sentence(pictures, seed):
    with pytest.raises(UserError, match="--seed must be a number from 0 to 4294967295"):
        CaseSet([pictures], ("square",), seed=seed)


@pytest.mark.parametrize("wrong", [{"size": 16}, {"limit": 0}])
def test_sizes_and_limits_that_make_no_case_get_a_sentence(pictures, wrong):
    with pytest.raises(UserError, match="--size must be 32"):
        CaseSet([pictures], ("square",), **wrong)
