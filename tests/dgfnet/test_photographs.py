import tarfile

import numpy as np
import pytest
from PIL import Image

from dgfnet import pictures
from dgfnet.errors import UserError
from dgfnet.photographs import find_pictures, read_pictures
from dgfnet.pixels import Picture


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


def test_hidden_files_are_no_pictures(tmp_path, photograph):
    """As macOS leaves them beside pictures on other disks and in archives."""
    Image.fromarray(photograph).save(tmp_path / "a.png")
    (tmp_path / "._a.png").write_bytes(b"\0\5\x16\7")
    with tarfile.open(tmp_path / "pictures.tar", "w") as tar:
        for name in ("._a.png", "a.png"):
            tar.add(tmp_path / name, arcname=f"./{name}")
    for source in (tmp_path, tmp_path / "pictures.tar"):
        assert len(list(read_pictures([str(source)]))) == 1


def test_pictures_in_hidden_folders_are_left_out(tmp_path, photograph):
    """Thumbnails and waste bins; a hidden folder that is itself the source is meant."""
    source = tmp_path / ".pictures"
    for name in ("a.png", "deep/b.png", ".thumbnails/a.png", ".Trash-1000/files/c.png"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(photograph).save(source / name)
    for start in (".", "..", "../pictures"):
        with tarfile.open(tmp_path / "pictures.tar", "w") as tar:
            tar.add(source, arcname=start)
        assert [entry.name for entry in find_pictures([str(tmp_path / "pictures.tar")])] == [
            f"{start}/a.png",
            f"{start}/deep/b.png",
        ]
    assert [entry.name for entry in find_pictures([str(source)])] == ["a.png", "deep/b.png"]


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
    pictures.write(tmp_path / "deep.png", Picture(deep))
    pictures.write(tmp_path / "deepgrey.png", Picture(deep[..., 0]))
    pictures.write(tmp_path / "through.png", Picture(np.dstack([photograph, photograph[..., 0]])))
    read = {name: np.asarray(picture) for name, picture in read_pictures([str(tmp_path)])}
    np.testing.assert_array_equal(read["rotated.png"], np.rot90(photograph[:100, :200], -1))
    np.testing.assert_array_equal(read["deep.png"], photograph)
    np.testing.assert_array_equal(read["deepgrey.png"], photograph[..., :1].repeat(3, axis=2))
    np.testing.assert_array_equal(read["through.png"], photograph)
    (tmp_path / "rotated.png").write_bytes(b"damaged")
    with pytest.raises(UserError, match=r"rotated\.png is not a picture.*Leave it out"):
        list(read_pictures([str(tmp_path)]))


@pytest.mark.parametrize("ending", ["tar", "tar.gz"])
def test_an_incomplete_archive_gets_a_sentence(tmp_path, ending):
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.png")
    archive = tmp_path / f"pictures.{ending}"
    with tarfile.open(archive, f"w:{ending.removeprefix('tar').lstrip('.')}") as tar:
        tar.add(tmp_path / "a.png", arcname="a.png")
    archive.write_bytes(archive.read_bytes()[:50_000])
    with pytest.raises(UserError, match=rf"pictures\.{ending}' is incomplete or damaged; copy it again\.$"):
        find_pictures([str(archive)])


def test_an_archive_that_is_damaged_later_gets_a_sentence(tmp_path, photograph):
    Image.fromarray(photograph).save(tmp_path / "a.png")
    with tarfile.open(tmp_path / "pictures.tar", "w") as tar:
        tar.add(tmp_path / "a.png", arcname="a.png")
    (entry,) = find_pictures([str(tmp_path / "pictures.tar")])
    (tmp_path / "pictures.tar").write_bytes(b"")
    with pytest.raises(UserError, match=r"pictures\.tar' is incomplete"):
        entry.data()


def test_all_that_cannot_be_read_is_named_at_once(tmp_path, photograph):
    (tmp_path / "other").mkdir()
    for name in [*(f"{number:02}.png" for number in range(11)), "other/00.png"]:
        (tmp_path / name).write_bytes(b"damaged")
    Image.fromarray(photograph).save(tmp_path / "z.png")
    read = []
    with pytest.raises(UserError) as caught:
        read.extend(name for name, _ in read_pictures([str(tmp_path)]))
    assert read == ["z.png"]
    lines = str(caught.value).splitlines()
    assert [line.split(" is not a picture")[0] for line in lines[:10]] == [
        str(tmp_path / f"{number:02}.png") for number in range(10)
    ]
    assert lines[10:] == ["There are 2 more such files."]


def test_a_picture_that_goes_meanwhile_gets_a_sentence(tmp_path):
    (tmp_path / "a.png").write_bytes(b"x")
    (entry,) = find_pictures([str(tmp_path)])
    (tmp_path / "a.png").unlink()
    with pytest.raises(UserError, match=r"a\.png cannot be read \(No such file.*Leave it out"):
        entry.picture()
