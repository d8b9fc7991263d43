import pytest
import torch
from PIL import Image

from dgfnet.errors import UserError
from dgfnet.network.rtv import rtv
from dgfnet.training.data import PictureBank, Variation, split_weight


@pytest.fixture
def folder(tmp_path, photograph):
    """Two pictures in a folder, one of them in a sub-folder."""
    (tmp_path / "pictures" / "deep").mkdir(parents=True)
    Image.fromarray(photograph).save(tmp_path / "pictures" / "b.png")
    Image.fromarray(photograph[:, ::-1][:200]).save(tmp_path / "pictures" / "deep" / "a.png")
    return tmp_path / "pictures"


def build(source, cache=None, **kwargs):
    return PictureBank.build([str(source)], (80, 96), 2, seed=1, cache=cache, **kwargs)


def test_crops_are_pictures_with_their_own_texture(folder):
    bank = build(folder)
    assert len(bank) == 4
    assert all(80 <= min(x.shape[1:]) <= 96 for x in bank.images)
    whole = bank.images[0][None].float() / 255
    assert ((whole - rtv(whole))[0] - bank.textures[0].float() / 254).abs().max() <= 0.51 / 254
    crops = bank.sample(5, 64, torch.Generator().manual_seed(0))
    assert crops.image.shape == crops.texture.shape == (5, 3, 64, 64)
    assert 0 <= crops.image.min() < crops.image.max() <= 1
    assert crops.texture.min() < 0 < crops.texture.max()


def test_equal_generators_give_equal_crops(folder):
    bank = build(folder)
    a, b, c = (bank.sample(3, 48, torch.Generator().manual_seed(s)) for s in (7, 7, 8))
    assert torch.equal(a.image, b.image)
    assert torch.equal(a.texture, b.texture)
    assert not torch.equal(a.image, c.image)


def test_varied_crops_stay_structure_plus_texture(folder):
    """Colours change by one matrix for picture and texture; sizes within the bounds; the same for equal generators."""
    bank = build(folder)
    varied = Variation(zoom=(0.5, 2.0), aspect=1.5, colour=0.3, darken=0.8)
    a, b = (bank.sample(16, 48, torch.Generator().manual_seed(3), varied) for _ in range(2))
    assert torch.equal(a.image, b.image)
    assert a.image.shape == a.texture.shape == (16, 3, 48, 48)
    assert 0 <= a.image.min() < a.image.max() <= 1
    matrix = varied.colours(64, torch.Generator().manual_seed(0))
    grey = matrix.sum(dim=2)  # what becomes of white
    assert grey.min() >= 0.8 * 0.85
    assert grey.max() <= 1.15
    sides = [varied.sides(48, (1000, 1000), torch.Generator().manual_seed(s)) for s in range(50)]
    assert all(48 / 2 / 1.25 <= side <= 48 * 2 * 1.25 for pair in sides for side in pair)
    assert all(1 / 1.52 <= height / width <= 1.52 for height, width in sides)


def test_a_crop_larger_than_its_picture_is_enlarged(folder):
    assert build(folder).sample(2, 160, torch.Generator().manual_seed(0)).image.shape == (2, 3, 160, 160)


def test_the_cache_is_used_while_the_pictures_are_the_same(folder, tmp_path, photograph, monkeypatch):
    first = build(folder, cache=tmp_path / "cache")
    with monkeypatch.context() as patched:
        patched.setattr("dgfnet.training.data.decode", lambda name, data: pytest.fail("decoded again"))
        second = build(folder, cache=tmp_path / "cache")
    assert all(torch.equal(a, b) for a, b in zip(first.textures, second.textures, strict=True))
    Image.fromarray(photograph[::-1]).save(folder / "deep" / "c.png")
    assert len(build(folder, cache=tmp_path / "cache")) == len(first) + 2


def test_a_cache_that_finds_no_room_costs_a_line(folder, tmp_path, room, capsys):
    with room(20_000):
        bank = build(folder, cache=tmp_path / "cache")
    assert len(bank) == 4
    assert "cannot be written" in capsys.readouterr().err
    assert not list((tmp_path / "cache").iterdir())


def test_damaged_pictures_are_named_together(folder):
    for name in ("damaged.png", "deep/too.png"):
        (folder / name).write_bytes(b"damaged")
    with pytest.raises(UserError) as caught:
        build(folder)
    first, second = str(caught.value).splitlines()
    assert first.startswith(f"{folder / 'damaged.png'} is not a picture")
    assert first.endswith("Leave it out, or save it anew.")
    assert second.startswith(f"{folder / 'deep' / 'too.png'} is not a picture")


def test_a_weight_multiplies_the_chance_of_a_sources_pictures(tmp_path):
    for name, level in (("dark", 0), ("light", 255)):
        (tmp_path / name).mkdir()
        Image.new("RGB", (32, 32), (level,) * 3).save(tmp_path / name / "a.png")
    for cache in (None, tmp_path / "cache", tmp_path / "cache"):  # decoded, decoded and kept, read back
        sources = [str(tmp_path / "dark"), f"{tmp_path / 'light'}=9"]
        bank = PictureBank.build(sources, (32, 32), 1, seed=1, cache=cache)
        crops = bank.sample(1000, 4, torch.Generator().manual_seed(0))
        assert 0.85 < (crops.image.mean(dim=(1, 2, 3)) > 0.5).float().mean() < 0.95


def test_weights_are_read_from_the_end(tmp_path):
    (tmp_path / "a=2").mkdir()
    assert split_weight(str(tmp_path / "a=2")) == (str(tmp_path / "a=2"), 1.0)
    assert split_weight("x=0.5") == ("x", 0.5)
    assert split_weight("x=y") == ("x=y", 1.0)
    for number in ("0", "-1", "inf", "nan"):
        with pytest.raises(UserError, match="positive"):
            split_weight(f"x={number}")
