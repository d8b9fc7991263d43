import tarfile

import numpy as np
import pytest
from PIL import Image

from dgfnet import pictures
from dgfnet.errors import UserError
from dgfnet.photographs import read_pictures


def test_folders_and_tars_give_the_same_pictures(tmp_path, photograph):
    folder = tmp_path / "pictures"
    (folder / "deep").mkdir(parents=True)
    Image.fromarray(photograph).save(folder / "b.png")
    Image.fromarray(photograph[:, ::-1][:200]).save(folder / "deep" / "a.png")
    with tarfile.open(tmp_path / "pictures.tar", "w") as tar:
        tar.add(folder, arcname=".")
    from_folder = [(name, np.asarray(p)) for name, p in read_pictures([str(folder)])]
    from_tar = [np.asarray(p) for _, p in read_pictures([str(tmp_path / "pictures.tar")])]
    assert [name for name, _ in from_folder] == ["b.png", "deep/a.png"]
    assert all(np.array_equal(a, b) for (_, a), b in zip(from_folder, from_tar, strict=True))


def test_bad_sources_get_a_sentence(tmp_path):
    with pytest.raises(UserError, match="neither a folder nor a tar"):
        list(read_pictures([str(tmp_path / "absent")]))
    with pytest.raises(UserError, match="holds no pictures"):
        list(read_pictures([str(tmp_path)]))


def test_pictures_are_read_as_they_are_filled(tmp_path, photograph):
    """Upright, deep ones at their own brightness, transparent ones without alpha."""
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(photograph[:100, :200]).save(tmp_path / "rotated.png", exif=exif)
    deep = photograph.astype(np.uint16) * 257
    pictures.write(tmp_path / "deep.png", pictures.Picture(deep))
    pictures.write(tmp_path / "deepgrey.png", pictures.Picture(deep[..., 0]))
    pictures.write(tmp_path / "through.png", pictures.Picture(np.dstack([photograph, photograph[..., 0]])))
    read = {name: np.asarray(picture) for name, picture in read_pictures([str(tmp_path)])}
    np.testing.assert_array_equal(read["rotated.png"], np.rot90(photograph[:100, :200], -1))
    np.testing.assert_array_equal(read["deep.png"], photograph)
    np.testing.assert_array_equal(read["deepgrey.png"], photograph[..., :1].repeat(3, axis=2))
    np.testing.assert_array_equal(read["through.png"], photograph)
    (tmp_path / "rotated.png").write_bytes(b"damaged")
    with pytest.raises(UserError, match=r"rotated\.png is not a picture.*Leave it out"):
        list(read_pictures([str(tmp_path)]))
