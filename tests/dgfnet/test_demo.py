"""The proof of installation: its picture, what it does with a layer, and that it refuses a wrong answer."""

from __future__ import annotations

import numpy as np
import pytest

from dgfnet import demo
from server.arrays import lay_over
from server.client.errors import INSTALL, InpaintError
from server.client.events import Layer, Result
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
    after = lay_over(picture, layer_of(pixels, x=3, y=1))
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
    with pytest.raises(demo.UserError, match="1 pixels outside the mask were changed"):
        demo.check(before, mask, after)


def test_an_unfilled_hole_is_refused() -> None:
    before = np.zeros((3, 3, 3), np.uint8)
    with pytest.raises(demo.UserError, match="No pixel of the hole was filled"):
        demo.check(before, np.full((3, 3), 255, np.uint8), before)


def test_without_an_installation_one_sentence_says_what_to_do(tmp_path, monkeypatch, capsys) -> None:
    pytest.importorskip("skimage", reason="scikit-image holds the photograph")
    monkeypatch.setenv("DGFNET_HOME", str(tmp_path))
    assert demo.main(["-o", str(tmp_path / "out")]) == 1
    told = capsys.readouterr().err
    assert "is not installed for this user" in told
    assert INSTALL in told
    assert not (tmp_path / "out").exists()


class Servers:
    """What the proof finds: one server after the other, each of which fills or fails with a code."""

    def __init__(self, *codes: str) -> None:
        self._codes, self.ended = list(codes), 0

    def open_client(self) -> tuple[Servers, bool]:
        return self, False

    def close(self) -> None:
        self.ended += 1

    def fill(self, client: object, picture: np.ndarray, mask: np.ndarray, on_progress: object) -> Result:
        code = self._codes.pop(0)
        if code:
            raise InpaintError(code, "It failed.", "Do something.")
        pixels = np.dstack([255 - picture, mask])
        return Result("job", (layer_of(pixels, 0, 0),), {"device": "cpu"})

    def stand_in(self, monkeypatch: pytest.MonkeyPatch) -> Servers:
        monkeypatch.setattr(demo, "open_client", self.open_client)
        monkeypatch.setattr(demo, "fill", self.fill)
        return self


def test_a_server_that_is_just_ending_is_not_the_end_of_the_proof(tmp_path, monkeypatch, capsys) -> None:
    pytest.importorskip("skimage", reason="scikit-image holds the photograph")
    servers = Servers("shutting_down", "").stand_in(monkeypatch)
    assert demo.main(["-o", str(tmp_path)]) == 0
    assert "once more" in capsys.readouterr().out
    assert servers.ended == 2
    assert (tmp_path / "result.png").exists()


@pytest.mark.parametrize("codes", [("shutting_down", "shutting_down"), ("bad_space",)])
def test_it_asks_again_only_once_and_only_then(codes, tmp_path, monkeypatch, capsys) -> None:
    pytest.importorskip("skimage", reason="scikit-image holds the photograph")
    servers = Servers(*codes).stand_in(monkeypatch)
    assert demo.main(["-o", str(tmp_path)]) == 1
    assert servers.ended == len(codes)
    assert "It failed. Do something." in capsys.readouterr().err
