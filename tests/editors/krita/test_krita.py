"""The installed plug-in in the real Krita with the real server; what is compared here was read inside Krita."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))  # the folder is no package
import krita_harness as harness

DTYPES = {"U8": np.uint8, "U16": np.uint16, "F16": np.float16, "F32": np.float32}
CODES = {"U8": "u1", "U16": "u2", "F16": "f2", "F32": "f4"}
OFFSETS = {"U8": 127, "U16": 32767, "F16": 0.5, "F32": 0.5}
CHANNELS = {"RGBA": 4, "GRAYA": 2, "CMYKA": 5, "LABA": 4, "XYZA": 4, "YCbCrA": 4}
SPACES = harness.load_spaces()
OWN_VALUES = [space for space in SPACES.SPACES if space[0] in ("RGBA", "GRAYA")]
CONVERTED = [space for space in SPACES.SPACES if space not in OWN_VALUES]
MEAN_LOSS = {"CMYKA": 12, "YCbCrA": 8}
"""8-bit steps on average. Krita 5.1.5 converts YCbCr in one of two ways, chosen anew at each start: 0.6 or 5.5 here."""
SUM_ERROR = {"U8": 0, "U16": 0, "F16": 2e-3, "F32": 1e-6}
BLEND_ERROR = {"U8": 1, "U16": 2, "F16": 2e-3, "F32": 1e-5}


@pytest.mark.parametrize("name", [*harness.case_names(), "krita_ends_well"])
def test_case(krita, name, record_property):
    facts = krita.report(name).get("facts", {})
    for fact in ("krita", "largest_gap_ms", "own_turn_ms"):
        if fact in facts:
            record_property(fact, facts[fact])


@pytest.fixture(scope="session")
def engine(tiny_weights):
    import torch

    from server.engine import load_engine

    torch.set_num_threads(1)
    return load_engine("cpu", str(tiny_weights))


def read(krita, name, array, space=None):
    """Pixels [rows, columns, channels] with red first, or the mask [rows, columns]."""
    facts = krita.report(name)["facts"]
    width, height = facts["size"]
    if array == "mask":
        return np.frombuffer(krita.kept(name, array), np.uint8).reshape(height, width)
    model, depth, _profile = space or facts["space"]
    pixels = np.frombuffer(krita.kept(name, array), DTYPES[depth]).reshape(height, width, CHANNELS[model])
    return pixels[..., [2, 1, 0, 3]] if model == "RGBA" and depth.startswith("U") else pixels


def answer(engine, image, mask, depth, linear=False, output="layer"):
    """What the server's own code makes of the same pixels: layers as arrays of the picture's size."""
    from server import jobs
    from server.messages import Submit

    submit = Submit("0" * 32, "inpaint", "linear" if linear else "srgb", {"output": output})
    job = jobs.read_job("test", submit, {"image": image, "mask": mask})
    layers, _report = jobs.run(job, engine, lambda _stage, _fraction: None)
    placed = []
    for layer in layers:
        whole = np.zeros(image.shape, image.dtype)
        height, width = layer.pixels.shape[:2]
        whole[layer.y : layer.y + height, layer.x : layer.x + width] = layer.pixels
        placed.append(whole)
    return placed


FILLED_LAYERS = (
    "action_fills_the_selection",
    "selection_feathered",
    "selection_of_many_parts",
    "selection_inverted",
    "selection_partly_outside",
    "selection_of_one_pixel",
    "visible_picture",
    "locked_layer",
    "layer_with_an_offset_partly_outside",
)
LEFT_OUT = (
    "left_out_object_is_not_looked_at",
    "left_out_of_the_visible_picture",
    "hidden_leave_out_layer_counts_for_nothing",
)
BESIDE_A_FILL = (
    "second_hole_beside_the_first",
    "second_hole_beside_a_group",
    "second_hole_beside_a_fill_at_half_opacity",
)


@pytest.mark.parametrize("name", FILLED_LAYERS)
def test_layer_is_what_the_engine_gives(krita, engine, name):
    source, mask = read(krita, name, "source"), read(krita, name, "mask")
    (expected,) = answer(engine, source, mask, "U8")
    result = read(krita, name, "result")
    assert (result[..., 3] == mask).all()
    shown = result[..., 3] > 0
    np.testing.assert_array_equal(result[shown], expected[shown])


@pytest.mark.parametrize("name", BESIDE_A_FILL)
def test_second_hole_is_filled_from_the_first_fill(krita, engine, name):
    source, fill, shown, mask = (read(krita, name, array) for array in ("source", "fill", "shown", "mask"))
    share = fill[..., 3:].astype(np.float64) / 255 * (krita.report(name)["facts"]["opacity"] / 255)
    below = np.rint(source * (1 - share) + fill * share).astype(np.uint8)
    below[..., 3] = 255
    assert np.abs(below.astype(int) - shown).max() <= 1  # as Krita shows it
    hole = mask > 0
    result = read(krita, name, "result")[hole]
    np.testing.assert_array_equal(result, answer(engine, below, mask, "U8")[0][hole])
    alone = answer(engine, source, mask, "U8")[0][hole]
    assert (result != alone).any(), "the fill made no difference"
    if name == "second_hole_beside_the_first":
        np.testing.assert_array_equal(read(krita, name, "without")[hole], alone)


@pytest.mark.parametrize("name", LEFT_OUT)
def test_what_is_left_out_is_unknown(krita, engine, name):
    facts = krita.report(name)["facts"]
    source, mask, result = (read(krita, name, array) for array in ("source", "mask", "result"))
    height, width = mask.shape
    left_out = np.frombuffer(krita.kept(name, "left_out"), np.uint8).reshape(height, width) > 0
    known, garbled = source.copy(), source.copy()
    known[left_out, 3] = garbled[left_out, 3] = 0
    garbled[left_out, :3] = [255, 0, 255]
    hole = mask > 0
    wanted = answer(engine, known, mask, "U8")[0][hole]
    np.testing.assert_array_equal(wanted, answer(engine, garbled, mask, "U8")[0][hole])
    plain = answer(engine, source, mask, "U8")[0][hole]
    assert (wanted != plain).any()
    is_off = name == "hidden_leave_out_layer_counts_for_nothing"
    np.testing.assert_array_equal(result[hole], plain if is_off else wanted, err_msg=str(facts))


def test_picture_is_what_the_command_line_gives(krita, tiny_weights):
    from dgfnet import model
    from dgfnet.inpainting import Inpainter

    name = "action_fills_the_selection"
    source, mask, result = (read(krita, name, array) for array in ("source", "mask", "result"))
    filled = Inpainter(model.load(tiny_weights)).fill(source[..., :3], mask).compose(source[..., :3])
    hole = mask > 0
    np.testing.assert_array_equal(result[hole][:, :3], filled[hole])
    np.testing.assert_array_equal(source[~hole][:, :3], filled[~hole])


@pytest.mark.parametrize("space", OWN_VALUES, ids=lambda space: SPACES.case_name(space, "layer"))
def test_layer_in_the_documents_own_values(krita, engine, space):
    name, depth = SPACES.case_name(space, "layer"), space[1]
    facts = krita.report(name)["facts"]
    assert facts["linear"] == (space[2] == SPACES.LINEAR)
    source, mask, result = (read(krita, name, array) for array in ("source", "mask", "result"))
    (expected,) = answer(engine, source, mask, depth, facts["linear"])
    shown = result[..., -1] > 0
    np.testing.assert_array_equal(shown, mask > 0)
    np.testing.assert_array_equal(result[shown], expected[shown])
    check_blend(read(krita, name, "before"), expected, mask, read(krita, name, "filled"), depth)


@pytest.mark.parametrize("space", OWN_VALUES, ids=lambda space: SPACES.case_name(space, "group"))
def test_group_adds_up_to_the_layer(krita, engine, space):
    name, depth = SPACES.case_name(space, "group"), space[1]
    facts = krita.report(name)["facts"]
    source, mask, filled = (read(krita, name, array) for array in ("source", "mask", "filled"))
    coarse, texture = answer(engine, source, mask, depth, facts["linear"], "group")
    hole = mask > 0
    np.testing.assert_array_equal(read(krita, name, "coarse")[hole], coarse[hole])
    np.testing.assert_array_equal(read(krita, name, "texture")[hole], texture[hole])
    (fill,) = answer(engine, source, mask, depth, facts["linear"])
    whole = mask == 255
    error = np.abs(filled[whole][:, :-1].astype(np.float64) - fill[whole][:, :-1].astype(np.float64))
    assert error.max() <= SUM_ERROR[depth]
    check_blend(source, fill, mask, filled, depth)


@pytest.mark.parametrize("space", CONVERTED, ids=lambda space: SPACES.case_name(space, "group"))
def test_other_models_are_close_and_add_up(krita, engine, space):
    layer, group, depth = SPACES.case_name(space, "layer"), SPACES.case_name(space, "group"), space[1]
    facts = krita.report(layer)["facts"]
    working = facts["working"]
    source, mask = read(krita, layer, "source", working), read(krita, layer, "mask")
    (expected,) = answer(engine, source, mask, working[1])
    scale = np.iinfo(expected.dtype).max if expected.dtype.kind == "u" else 1
    whole = mask == 255
    wanted = expected[whole][:, :3].astype(np.float64) / scale * 255
    for name in (layer, group):
        shown = read(krita, name, "srgb", SPACES_U8).astype(np.float64)[whole][:, :3]
        assert np.abs(shown - wanted).mean() < MEAN_LOSS.get(space[0], 3)
    if "coarse" not in krita.report(group)["facts"]["kept"]:
        return  # floating point: one layer, and a sentence
    coarse, texture, filled = (read(krita, group, array).astype(np.int64) for array in ("coarse", "texture", "filled"))
    newer = krita.report(group)["facts"]["krita"] >= "5.2"
    offset = OFFSETS[depth] + (1 if space[0] == "CMYKA" and newer else 0)  # Krita 5.2 blends inks as light
    total = coarse + texture - offset
    np.testing.assert_array_equal(filled[whole][:, :-1], total[whole][:, :-1])


SPACES_U8 = ("RGBA", "U8", SPACES.SRGB)


def check_blend(before, fill, mask, filled, depth):
    """Known pixels are the same bytes; at a soft edge the fill is blended by the selection's share."""
    np.testing.assert_array_equal(filled[mask == 0], before[mask == 0])
    share = mask[..., None].astype(np.float64) / 255
    blended = before.astype(np.float64) * (1 - share) + fill.astype(np.float64) * share
    error = np.abs(filled.astype(np.float64) - blended)[..., :-1]
    assert error.max() <= BLEND_ERROR[depth]
