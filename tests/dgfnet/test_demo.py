"""The proof of installation: its picture, what it does with a layer, and that it refuses a wrong answer."""

from __future__ import annotations

import numpy as np
import pytest

from dgfnet import demo
from server.client.events import Layer
from server.client.geometry import Bounds


def layer_of(pixels: np.ndarray, x: int, y: int) -> Layer:
    height, width, channels = pixels.shape
    return Layer("fill", "fill", Bounds(x, y, width, height), "normal", 1.0, "u1", channels, pixels.tobytes())


def test_the_mask_lies_in_the_bundled_photograph() -> None:
    pytest.importorskip("skimage", reason="scikit-image holds the photograph")
    picture = demo.photograph()
    mask = demo.tower_mask(*picture.shape[:2])
    assert picture.dtype == np.uint8
    assert picture.shape == (427, 640, 3)
    assert mask.shape == (427, 640)
    assert set(np.unique(mask)) == {0, 255}
    assert 0.02 < (mask > 0).mean() < 0.1


def test_a_layer_is_placed_at_its_offset_by_its_alpha() -> None:
    picture = np.full((4, 5, 3), 100, np.uint8)
    pixels = np.zeros((2, 2, 4), np.uint8)
    pixels[..., :3] = 200
    pixels[0, 0, 3] = 255
    after = demo.place(picture, layer_of(pixels, x=3, y=1))
    assert after[1, 3].tolist() == [200, 200, 200]
    after[1, 3] = 100
    assert (after == picture).all()


def test_a_change_outside_the_mask_is_refused() -> None:
    before = np.zeros((3, 3, 3), np.uint8)
    mask = np.zeros((3, 3), np.uint8)
    mask[1, 1] = 255
    after = before.copy()
    after[1, 1] = 9
    demo.check(before, mask, after)
    after[0, 2, 1] = 1
    with pytest.raises(demo.ProofError, match="1 pixels outside the mask were changed"):
        demo.check(before, mask, after)


def test_an_unfilled_hole_is_refused() -> None:
    before = np.zeros((3, 3, 3), np.uint8)
    with pytest.raises(demo.ProofError, match="No pixel of the hole was filled"):
        demo.check(before, np.full((3, 3), 255, np.uint8), before)


def test_without_an_installation_one_sentence_says_what_to_do(tmp_path, monkeypatch, capsys) -> None:
    pytest.importorskip("skimage", reason="scikit-image holds the photograph")
    monkeypatch.setenv("DGFNET_HOME", str(tmp_path))
    assert demo.main(["-o", str(tmp_path / "out")]) == 1
    told = capsys.readouterr().err
    assert "is not installed for this user" in told
    assert "python3 install.py" in told
    assert not (tmp_path / "out").exists()
