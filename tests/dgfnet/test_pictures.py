"""Pictures come back from disk as they went: depth, channels, profile, resolution; upright; and bad files say why."""

import struct
import tracemalloc
import zlib
from io import BytesIO

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms, ImageOps, PngImagePlugin

from dgfnet import pictures
from dgfnet import pixels as pixels_module
from dgfnet.errors import PictureError
from dgfnet.pixels import Picture, check_pixels, from_float, full_scale, to_float, upright

RNG = np.random.default_rng(0)
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def sample(dtype, channels, shape=(19, 23)):
    shape = shape if channels == 1 else (*shape, channels)
    if np.dtype(dtype).kind == "u":
        return RNG.integers(0, np.iinfo(dtype).max + 1, shape, dtype=dtype)
    return RNG.normal(0.5, 1.0, shape).astype(dtype)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize(
    ("suffix", "dtype"),
    [
        (".png", np.uint8),
        (".png", np.uint16),
        (".tiff", np.uint8),
        (".tiff", np.uint16),
        (".tif", np.float16),
        (".tif", np.float32),
    ],
)
def test_round_trip_keeps_every_pixel_and_the_metadata(tmp_path, suffix, dtype, channels):
    pixels = sample(dtype, channels)
    pictures.write(tmp_path / f"a{suffix}", Picture(pixels, PROFILE, (300.0, 300.0)))
    back = pictures.read(tmp_path / f"a{suffix}")
    assert back.pixels.dtype == dtype
    np.testing.assert_array_equal(back.pixels, pixels)
    assert back.icc == PROFILE
    assert back.dpi == pytest.approx((300.0, 300.0), rel=1e-3)
    assert [p.name for p in tmp_path.iterdir()] == [f"a{suffix}"]


def test_deep_png_is_read_by_another_decoder(tmp_path):
    pixels = sample(np.uint16, 3)
    pictures.write(tmp_path / "a.png", Picture(pixels))
    other = cv2.imread(str(tmp_path / "a.png"), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(other[..., ::-1], pixels)


def test_deep_tiff_of_another_writer(tmp_path):
    pixels = sample(np.uint16, 3)
    cv2.imwrite(str(tmp_path / "a.tiff"), pixels[..., ::-1])  # LZW
    np.testing.assert_array_equal(pictures.read(tmp_path / "a.tiff").pixels, pixels)


@pytest.mark.parametrize("colours", [1, 3])
@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_what_a_deep_tiff_holds_beyond_colour(tmp_path, dtype, colours):
    straight = sample(dtype, colours + 1)
    straight[..., -1] = from_float(RNG.uniform(0.2, 1, straight.shape[:2]), dtype)
    straight[:3, :, -1] = 0
    alpha = to_float(straight[..., -1:])
    times_alpha = np.concatenate([straight[..., :-1] * alpha, straight[..., -1:]], axis=2).astype(dtype)
    kind = {"photometric": "rgb" if colours == 3 else "minisblack", "planarconfig": "contig"}

    def read(pixels, extra):
        tifffile.imwrite(tmp_path / "a.tiff", pixels, extrasamples=[extra], **kind)
        return pictures.read(tmp_path / "a.tiff").pixels

    np.testing.assert_array_equal(read(straight, "unassalpha"), straight)
    seen = alpha[..., 0] > 0
    apart = read(times_alpha, "assocalpha").astype(float) - straight
    assert np.abs(apart[seen]).max() <= 6e-5 * full_scale(dtype) * max(np.abs(straight).max(), 1)
    without = straight[..., 0] if colours == 1 else straight[..., :3]
    np.testing.assert_array_equal(read(straight, "unspecified"), without)


def test_webp_is_lossless_and_jpeg_close(tmp_path):
    pixels = cv2.GaussianBlur(sample(np.uint8, 4, (40, 40)), (0, 0), 3)
    pictures.write(tmp_path / "a.webp", Picture(pixels, PROFILE))
    np.testing.assert_array_equal(pictures.read(tmp_path / "a.webp").pixels, pixels)
    pictures.write(tmp_path / "a.jpg", Picture(pixels[..., :3], PROFILE, (240.0, 240.0)))
    back = pictures.read(tmp_path / "a.jpg")
    assert np.abs(back.pixels.astype(int) - pixels[..., :3]).max() < 12
    assert back.icc == PROFILE
    assert back.dpi == (240.0, 240.0)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(("suffix", "kind"), [("tiff", "L"), ("tiff", "RGB"), ("webp", "RGB"), ("jpg", "RGB")])
def test_every_format_is_read_upright(tmp_path, orientation, suffix, kind):
    path = tmp_path / f"a.{suffix}"
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(sample(np.uint8, 3, (6, 9))).convert(kind).save(path, exif=exif)
    with Image.open(BytesIO(path.read_bytes())) as image:  # Pillow turns a TIFF that it maps into memory wrongly
        image.load()
        np.testing.assert_array_equal(pictures.read(path).pixels, np.asarray(ImageOps.exif_transpose(image)))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_deep_tiffs_are_read_upright(tmp_path, orientation):
    pixels = sample(np.uint16, 3, (6, 9))
    tifffile.imwrite(tmp_path / "a.tiff", pixels, photometric="rgb", extratags=[(274, "H", 1, orientation, True)])
    expected = upright(pixels, orientation)
    np.testing.assert_array_equal(pictures.read(tmp_path / "a.tiff").pixels, expected)


def tiff(pixels, orientation=1, planar=False):
    """A TIFF of pixels [H, W, C] in LZW, floats with their predictor: tifffile needs its optional codecs for both."""
    planes = np.moveaxis(pixels, -1, 0)[..., None] if planar else [pixels]
    strips = [_lzw(_float_predictor(p) if pixels.dtype == np.float32 else p.tobytes()) for p in planes]
    height, width, channels = pixels.shape
    offsets = np.cumsum([8, *map(len, strips)])
    tags = [
        (256, width),
        (257, height),
        (258, *[pixels.itemsize * 8] * channels),
        (259, 5),
        (262, 2 if channels > 2 else 1),
        (273, *offsets[:-1]),
        (274, orientation),
        (277, channels),
        (278, height),
        (279, *map(len, strips)),
        (284, 2 if planar else 1),
        (317, 3 if pixels.dtype == np.float32 else 1),
        *([(338, 2)] if channels in (2, 4) else []),
        (339, *[1 if pixels.dtype.kind == "u" else 3] * channels),
    ]
    directory, far = struct.pack("<H", len(tags)), b""
    for tag, *values in tags:
        body = struct.pack(f"<{len(values)}I", *values)
        if len(values) > 1:
            body, far = struct.pack("<I", offsets[-1] + 6 + 12 * len(tags) + len(far)), far + body
        directory += struct.pack("<HHI", tag, 4, len(values)) + body
    return b"II*\0" + struct.pack("<I", offsets[-1]) + b"".join(strips) + directory + bytes(4) + far


def _lzw(data):
    """Every byte a code of nine bits; the table is cleared before it is so full that codes grow."""
    codes = []
    for start in range(0, len(data), 250):
        codes += [256, *data[start : start + 250]]
    bits = "".join(f"{code:09b}" for code in [*codes, 257])
    bits += "0" * (-len(bits) % 16)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def _float_predictor(plane):
    rows = np.ascontiguousarray(plane, ">f4").reshape(len(plane), -1, 1).view(np.uint8)
    rows = rows.swapaxes(1, 2).reshape(len(plane), -1)
    channels = plane.shape[2]
    rows[:, channels:] -= rows[:, :-channels].copy()
    return rows.tobytes()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_deep_tiffs_that_another_decoder_reads_are_upright_too(tmp_path, orientation, dtype, channels):
    pixels = sample(dtype, 4, (6, 9))[..., :channels]
    (tmp_path / "a.tiff").write_bytes(tiff(pixels, orientation))
    expected = upright(pixels if channels > 1 else pixels[..., 0], orientation)
    np.testing.assert_array_equal(pictures.read(tmp_path / "a.tiff").pixels, expected)


@pytest.mark.parametrize(
    ("dtype", "channels", "planar"),
    [(np.uint16, 3, True), (np.uint16, 4, True), (np.uint16, 2, False), (np.uint16, 5, False), (np.float16, 3, False)],
)
def test_a_layout_that_no_decoder_reads_right_is_refused(dtype, channels, planar):
    pixels = np.ones((6, 9, channels), dtype)
    with pytest.raises(PictureError, match=r"^a: Its compression \(LZW\) is not supported for this layout\. Save it"):
        pictures.decode(tiff(pixels, planar=planar), "a")


def test_decoders_say_nothing_between_the_sentences(capfd):
    profile = struct.pack(">I", 9) + b"iCCP" + b"x\0\0" + b"no zip"
    profile += struct.pack(">I", zlib.crc32(profile[4:]))
    png = cv2.imencode(".png", sample(np.uint16, 3))[1].tobytes()
    pictures.decode(png[:33] + profile + png[33:], "a")
    whole = tiff(sample(np.uint16, 3, (60, 90)))
    for damaged in (whole[:200] + bytes(300) + whole[500:], whole[: len(whole) - 60]):
        with pytest.raises(PictureError):
            pictures.decode(damaged, "a")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_once_and_then_forgotten(tmp_path, orientation):
    stored = Image.fromarray(sample(np.uint8, 3, (6, 9)))
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010E] = "a description"
    stored.save(tmp_path / "a.png", exif=exif)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(tmp_path / "a.png")))
    picture = pictures.read(tmp_path / "a.png")
    np.testing.assert_array_equal(picture.pixels, expected)
    np.testing.assert_array_equal(upright(np.asarray(stored), orientation), expected)
    pictures.write(tmp_path / "b.png", picture)
    again = pictures.read(tmp_path / "b.png")
    np.testing.assert_array_equal(again.pixels, expected)
    assert Image.open(tmp_path / "b.png").getexif()[0x010E] == "a description"


def test_palette_with_transparency_becomes_rgba_and_one_bit_becomes_grey(tmp_path):
    image = Image.fromarray(sample(np.uint8, 3)).quantize(8)
    image.save(tmp_path / "p.png", transparency=0)
    assert pictures.read(tmp_path / "p.png").pixels.shape == (19, 23, 4)
    Image.fromarray(sample(np.uint8, 1)).convert("1").save(tmp_path / "1.png")
    bits = pictures.read(tmp_path / "1.png").pixels
    assert bits.dtype == np.uint8
    assert set(np.unique(bits)) <= {0, 255}


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_the_transparent_value_of_a_grey_png_becomes_alpha(bits):
    values = [0, 1, 0, 1, 1, 0, 0, 1]
    row = int("".join(f"{value:0{bits}b}" for value in values), 2).to_bytes(bits, "big")
    png = b"\x89PNG\r\n\x1a\n"
    for kind, body in (
        (b"IHDR", struct.pack(">IIBBBBB", 8, 1, bits, 0, 0, 0, 0)),
        (b"tRNS", b"\0\1"),
        (b"IDAT", zlib.compress(b"\0" + row)),
        (b"IEND", b""),
    ):
        png += struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    pixels = pictures.decode(png, "a").pixels
    full = 65535 if bits == 16 else 255
    assert pixels.dtype == (np.uint16 if bits == 16 else np.uint8)
    one = 1 if bits == 16 else 255 // (2**bits - 1)
    np.testing.assert_array_equal(pixels[0], [(one * value, full * (1 - value)) for value in values])


@pytest.mark.parametrize("channels", [1, 2])
def test_a_profile_of_grey_is_not_written_into_a_file_of_colours(tmp_path, channels):
    grey = PROFILE[:16] + b"GRAY" + PROFILE[20:]
    for profile, kept in ((grey, None), (PROFILE, PROFILE)):
        pictures.write(tmp_path / "a.webp", Picture(sample(np.uint8, channels), profile))
        assert pictures.read(tmp_path / "a.webp").icc == kept
    pictures.write(tmp_path / "a.png", Picture(sample(np.uint8, channels), grey))
    assert pictures.read(tmp_path / "a.png").icc == grey


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_large_profiles_and_texts_are_read(tmp_path, dtype):
    large = PROFILE + bytes(3 << 20)
    pictures.write(tmp_path / "a.png", Picture(sample(dtype, 3), large))
    assert pictures.read(tmp_path / "a.png").icc == large
    text = PngImagePlugin.PngInfo()
    text.add_text("notes", "x" * (3 << 20), zip=True)
    Image.fromarray(sample(np.uint8, 3)).save(tmp_path / "b.png", pnginfo=text)
    assert pictures.read(tmp_path / "b.png").pixels.shape == (19, 23, 3)


def test_masks_from_grey_colour_and_transparent_drawings(tmp_path):
    grey = sample(np.uint8, 1)
    rgba = np.zeros((19, 23, 4), np.uint8)
    rgba[4:8, 5:9] = (255, 255, 255, 255)
    rgba[10, 10] = (255, 255, 255, 0)
    pictures.write(tmp_path / "grey.png", Picture(grey))
    pictures.write(tmp_path / "rgba.png", Picture(rgba))
    np.testing.assert_array_equal(pictures.read_mask(tmp_path / "grey.png"), grey)
    mask = pictures.read_mask(tmp_path / "rgba.png")
    assert mask.sum() == 16
    assert (mask[4:8, 5:9] == 1).all()


@pytest.mark.parametrize(
    ("suffix", "extra"),
    [("jpg", {"quality": 75}), ("webp", {"quality": 75}), ("webp", {"quality": 75, "icc_profile": PROFILE})],
)
def test_the_ringing_of_a_lossy_mask_is_neither_hole_nor_kept(tmp_path, suffix, extra):
    y, x = np.mgrid[:80, :80]
    disc = ((x - 40) ** 2 + (y - 40) ** 2 < 24**2).astype(np.uint8) * 255
    path = tmp_path / f"m.{suffix}"
    Image.fromarray(disc).convert("RGB").save(path, **extra)
    mask = pictures.read_mask(path)
    drawn = pictures.to_rgb(pictures.read(path)).max(axis=-1)
    assert (drawn > 0).sum() > 1.05 * (disc > 0).sum()
    assert (mask > 0).sum() < 1.04 * (disc > 0).sum()
    assert mask[disc > 0].mean() > 0.98
    object_to_go = (x - 40) ** 2 + (y - 40) ** 2 < 22**2  # the mask is drawn a little larger
    assert (mask[object_to_go] < 1).sum() < 0.2 * (drawn[object_to_go] < 255).sum()


def test_a_picture_is_written_where_a_link_leads(tmp_path):
    (tmp_path / "store").mkdir()
    target, link = tmp_path / "store" / "target.png", tmp_path / "link.png"
    try:
        link.symlink_to(target)
    except OSError:
        pytest.skip("this system has no links for its users")
    for seed in (0, 1):  # it leads to nothing yet, then to a file
        pixels = sample(np.uint8, 3) ^ np.uint8(seed)
        pictures.write(link, Picture(pixels))
        assert link.is_symlink()
        np.testing.assert_array_equal(pictures.read(target).pixels, pixels)
    assert [path.name for path in target.parent.iterdir()] == ["target.png"]


@pytest.mark.parametrize("profile", [None, PROFILE])
def test_a_lossless_webp_mask_keeps_its_softest_greys(tmp_path, profile):
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    pictures.write(tmp_path / "m.webp", Picture(grey, profile))
    np.testing.assert_allclose(pictures.read_mask(tmp_path / "m.webp"), to_float(grey), atol=1e-6)


def test_depth_conversion_is_exact_both_ways():
    for dtype in (np.uint8, np.uint16):
        every = np.arange(np.iinfo(dtype).max + 1, dtype=dtype)
        np.testing.assert_array_equal(from_float(to_float(every), dtype), every)
    np.testing.assert_array_equal(from_float(np.float32([-0.5, 2.0, 0.5]), np.uint8), [0, 255, 128])
    np.testing.assert_array_equal(from_float(np.float32([-0.5, 2.0]), np.float16), [-0.5, 2.0])


def test_a_large_picture_is_converted_in_parts(monkeypatch):
    """They are the whole; doubles of all of it at once would take eight times its room."""
    values = RNG.normal(0.5, 0.5, (90, 200, 3)).astype(np.float32)
    whole = from_float(values, np.uint8)
    monkeypatch.setattr(pixels_module, "_VALUES_AT_ONCE", 5000)
    tracemalloc.start()
    try:
        np.testing.assert_array_equal(from_float(values, np.uint8), whole)
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        from_float(values, np.uint8)
        assert tracemalloc.get_traced_memory()[1] - before < 4 * values.size
    finally:
        tracemalloc.stop()
    assert from_float(np.zeros((0, 3), np.float32), np.uint8).shape == (0, 3)


@pytest.mark.parametrize(
    ("name", "dtype", "channels", "says"),
    [
        ("a.jpg", np.uint16, 3, "16-bit"),
        ("a.jpg", np.uint8, 4, "transparency"),
        ("a.png", np.float32, 3, "float"),
        ("a.gif", np.uint8, 3, "ending"),
        ("a.webp", np.uint8, (1, 16_384), "16383"),
        ("a.jpg", np.uint8, (65_501, 1), "65500"),
        ("no-such-folder/a.png", np.uint8, 3, "cannot be written"),
    ],
)
def test_what_a_file_cannot_hold_is_refused(tmp_path, name, dtype, channels, says):
    pixels = sample(dtype, channels) if isinstance(channels, int) else np.zeros(channels, dtype)
    with pytest.raises(PictureError, match=says):
        pictures.write(tmp_path / name, Picture(pixels))
    assert list(tmp_path.iterdir()) == []


def test_bad_files_are_named(tmp_path):
    with pytest.raises(PictureError, match="no file"):
        pictures.read(tmp_path / "absent.png")
    (tmp_path / "text.png").write_text("hello")
    with pytest.raises(PictureError, match="not a picture"):
        pictures.read(tmp_path / "text.png")
    for dtype, suffix in ((np.uint8, "png"), (np.uint16, "png"), (np.uint16, "tiff")):
        pictures.write(tmp_path / f"whole.{suffix}", Picture(sample(dtype, 3)))
        data = (tmp_path / f"whole.{suffix}").read_bytes()
        (tmp_path / f"cut.{suffix}").write_bytes(data[: len(data) // 2])
        with pytest.raises(PictureError):
            pictures.read(tmp_path / f"cut.{suffix}")
    Image.fromarray(sample(np.uint8, 3)).save(tmp_path / "whole.tif", compression="tiff_lzw")
    data = (tmp_path / "whole.tif").read_bytes()
    for length in range(2, len(data), 37):
        (tmp_path / "cut.tif").write_bytes(data[:length])
        with pytest.raises(PictureError):
            pictures.read(tmp_path / "cut.tif")
    (tmp_path / "text.tiff").write_text("MM, a text")
    with pytest.raises(PictureError, match="cannot be read"):
        pictures.read(tmp_path / "text.tiff")
    Image.new("CMYK", (8, 8)).save(tmp_path / "cmyk.jpg")
    with pytest.raises(PictureError, match="CMYK"):
        pictures.read(tmp_path / "cmyk.jpg")


@pytest.mark.parametrize(("tag", "kind"), [(0x0128, 2), (0x0131, 11), (0x011A, 7)])
def test_an_exif_entry_that_cannot_be_written_back_is_left_out(tmp_path, tag, kind):
    odd = b"Exif\0\0II*\0" + struct.pack("<IHHHI4sI", 8, 1, tag, kind, 1, b"\7\0\0\0", 0)
    Image.fromarray(sample(np.uint8, 3)).save(tmp_path / "a.jpg", exif=odd)
    picture = pictures.read(tmp_path / "a.jpg")
    assert picture.exif is None
    pictures.write(tmp_path / "b.jpg", picture)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_tiff_that_names_no_resolution_has_none(tmp_path, dtype):
    Image.fromarray(sample(dtype, 1)).save(tmp_path / "a.tiff")
    assert pictures.read(tmp_path / "a.tiff").dpi is None


@pytest.mark.parametrize("ending", [".png", ".tiff", ".jpg"])
def test_a_resolution_beyond_reason_is_none(tmp_path, ending):
    Image.fromarray(sample(np.uint8, 3)).save(tmp_path / "a.tiff", dpi=(1e9, 1e9))
    picture = pictures.read(tmp_path / "a.tiff")
    assert picture.dpi is None
    pictures.write(tmp_path / f"b{ending}", picture)


def test_a_large_exif_block_does_not_stop_a_jpeg(tmp_path):
    picture = Picture(sample(np.uint8, 3), exif=b"Exif\0\0" + bytes(70_000))
    pictures.write(tmp_path / "a.jpg", picture)
    assert pictures.read(tmp_path / "a.jpg").exif is None


@pytest.mark.parametrize("bad", [np.zeros((4, 4, 5)), np.zeros(3), np.zeros((0, 4)), np.zeros((4, 4), np.int32)])
def test_arrays_that_are_no_pictures(bad):
    with pytest.raises(PictureError) as caught:
        check_pixels(bad)
    assert caught.value.code == "bad_array"
