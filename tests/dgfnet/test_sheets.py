"""Contact sheets: where the pictures land, in every depth."""

import numpy as np
import pytest

from dgfnet.sheets import contact_sheet


def test_rows_columns_and_depths():
    red = np.zeros((400, 400, 3), np.uint8)
    red[..., 0] = 255
    sheet = np.asarray(
        contact_sheet([[red, np.ones((50, 50), bool), np.full((64, 32, 1), 65535, np.uint16)]], cell=100)
    )
    assert sheet.shape == (16 + 16 + 100 + 8, 3 * 108 + 8, 3)
    assert (sheet[82, 58] == (255, 0, 0)).all()
    assert (sheet[40, 166] == 255).all()  # 50 x 50, not enlarged, centred
    assert (sheet[40, 120] == 24).all()
    assert (sheet[40, 274] == 255).all()


def test_transparency_is_grey_and_labels_take_room():
    clear = np.zeros((20, 20, 4), np.float32)
    plain = contact_sheet([[clear]], columns=["a"], cell=50)
    labelled = contact_sheet([[clear], [clear]], columns=["a"], labels=["one", "two"], cell=50)
    assert abs(int(np.asarray(plain)[40, 33, 0]) - 128) <= 1
    assert labelled.height == 32 + 2 * (20 + 24 + 8)


def test_ragged_rows_are_refused():
    with pytest.raises(ValueError, match="one picture per column"):
        contact_sheet([[np.zeros((4, 4), np.uint8)]])
