"""What must have come of a case: the fill is the engine's own, nothing else has changed.

The expected fill is computed here, from the pixels and the selection that GIMP itself gave for the whole layer, by
`dgfnet.inpainting` with the weights that the server has.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gimp_cases import ELLIPSE, LEFT_OUT, Case
from gimp_session import Session

from dgfnet import model
from dgfnet.grain_merge import lattice, offset_of
from dgfnet.inpainting import Fill, FillOptions, Inpainter
from dgfnet.pixels import from_float, full_scale, split_alpha, to_float
from server.colour import linear_to_srgb, srgb_to_linear
from server.layers import match_channels

SEEN = (
    *("photo", "large", "grey", "covered", "mapped"),
    *("filled", "filled_source", "filled_twice_source", "filled_faded_source", "filled_mapped_source"),
    "filled_enlarged_source",
)
GRAIN_MERGE = 47  # Gimp.LayerMode
SUM_OF_SINGLES = 1.2e-7  # any picture and texture near 0.5, added in single floats: one step of those below 1
_NAMES = ("context", "grow", "feather", "texture-strength", "patches", "variation")
OPTIONS = {name: name.replace("-", "_") for name in _NAMES}


def inpainter(weights: Path) -> Inpainter:
    """The engine that the server runs."""
    torch.set_num_threads(1)
    return Inpainter(model.load(weights))


def check(case: Case, session: Session, result: dict[str, Any], engine: Inpainter) -> None:
    """Raise AssertionError, with a sentence, unless all is as it must be."""
    assert "fault" not in result, result.get("fault")
    before, after = result["before"], result["after"]
    assert after["digest"] == before["digest"], "the source's pixels have changed"
    if case.says or not after["succeeded"]:
        assert not after["succeeded"], "it should have failed"
        assert case.says, f"it failed: {after['message']}"
        assert case.says in after["message"], f"it says: {after['message']}"
        assert after["tree"] == before["tree"], "a failed call left layers"
        if case.scene != "floating":  # what is seen of a floating selection changes once a window shows the image
            assert _bytes(session, after["canvas"]) == _bytes(session, before["canvas"]), "a failed call changed pixels"
        assert after["untouched"], "a failed call changed the image, or left a step to undo"
        return
    fills = 1 + case.scene.startswith("filled") + case.scene.startswith("filled_twice") + ("mapped" in case.scene)
    if _samples_visible(case):
        assert [after["parent"], after["position"]] == ["", 0], "the result is not above all that is seen"
    elif case.scene == "locked_group":
        assert [after["parent"], after["position"]] == ["group", 0], "the result is not above the locked group"
    else:
        assert after["above"] == fills, "the result is not right above the source, its fills and maps"
    is_copy = _makes_copy(case)
    expected = [after["made"]["name"]] if is_copy else before["selected"]
    assert after["selected"] == expected, f"selected: {after['selected']}"
    assert after["eyes"] == [True, before["eye"] and not is_copy], f"eyes of result and source: {after['eyes']}"
    if case.scene.startswith("filled"):
        replaced = is_copy or (_is_same_hole(case) and case.procedure != "texture-map")
        earlier = [False] * (fills - 1) if replaced else before["shown"][:-1]
        expected = [True, *earlier, not is_copy]
        assert after["shown"][-len(expected) :] == expected, f"shown: {after['shown']}"
    assert after["undo"] == {"undone": True, "one step": True, "redone": True}, f"undo and redo: {after['undo']}"
    if case.procedure == "texture-map":
        _check_texture(case, session, before, after)
    else:
        _check_fill(case, session, before, after, engine)


def _check_fill(case: Case, session: Session, before: dict[str, Any], after: dict[str, Any], engine: Inpainter) -> None:
    area, picture, mask = _asked(case, session, before)
    record = json.loads(after["made"]["record"])
    variation = record["settings"]["variation"]
    assert (case.procedure == "another") == (variation > 0) or "variation" in case.arguments, f"variation {variation}"
    numbers = {**_numbers(case), "variation": variation}
    options = FillOptions(**{OPTIONS[name]: value for name, value in numbers.items()})
    as_group = case.arguments.get("output") == "group" or (_is_repeated(case) and not _makes_copy(case))
    as_group = as_group and not _falls_back(case)
    full = FillOptions(**{**vars(options), "texture_strength": 1.0}) if as_group else options
    fill = engine.fill(picture, mask, full)
    assert record["report"]["weights"]["sha256"], "the parasite does not name the weights"
    is_other_hole = "by_copy" in case.scene and case.select and not _is_same_hole(case)
    source = after["selected identity" if is_other_hole else "identity"]  # a copy is a picture of its own
    assert record["source"] == source != "", "the parasite names another source"
    assert bool(record["exclude"]) == bool(_left_out(case)), "the parasite is wrong about what was left out"
    kept = [record["settings"][name] for name in ("grow", "feather")]
    if case.scene == "filled_deselected_grown":
        assert kept == [5, 4.0], f"grow and feather were {kept}"
    if _makes_copy(case):
        _check_copy(case, session, before, after, fill, picture, area)
    elif as_group:
        _check_group(case, session, after, fill, picture, area, options)
    else:
        _check_layer(case, session, after["made"], fill, picture, area)
    _check_outside(case, session, before, after, fill, area)
    if not case.select and not _is_repeated(case):
        seen = session.array(after["canvas"]["values"])
        assert seen.shape[2] == 3 or (seen[..., -1] == full_scale(seen.dtype)).all(), "it is seen through"
    mixed_in_linear_light = case.precision.endswith("_LINEAR") and "NON" not in case.precision
    if case.scene in SEEN and options.texture_strength == 1 and not mixed_in_linear_light:
        _check_seen(case, session, before, after, fill)


def _asked(case: Case, session: Session, before: dict[str, Any]) -> tuple[tuple[int, int], np.ndarray, np.ndarray]:
    """Where the looked-at pixels begin, the pixels, and the mask over them."""
    canvas = session.array(before["mask"])
    if _samples_visible(case):
        x, y, picture = 0, 0, session.array(before["canvas"]["values"])
    else:
        (x, y), picture = before["offset"], _with_fills(case, session, before)
    picture = picture.copy()
    height, width = picture.shape[:2]
    if not case.select and case.scene in ("masked", "masked_softly", "mask_edited", "filled_masked_by_copy"):
        mask = _missing(session.array(before["layer_mask"]))[..., 0]
    elif not case.select and case.scene in ("holed", "holed_softly", "masked_unapplied"):
        mask = _missing(picture)[..., -1]
    else:
        mask = np.zeros((height, width), np.uint16)
        top, left = max(y, 0), max(x, 0)
        part = canvas[top : max(y + height, 0), left : max(x + width, 0)]
        mask[top - y : top - y + part.shape[0], left - x : left - x + part.shape[1]] = part
    if picture.dtype == np.uint8:
        mask = (mask // 257).astype(np.uint8)
    if case.select and "layer_mask" in before:
        if picture.shape[2] in (1, 3):
            picture = np.concatenate([picture, np.full((height, width, 1), full_scale(picture.dtype))], axis=2)
        picture[..., -1][session.array(before["layer_mask"])[..., 0] < 128 * 257] = 0
    if left_out := _left_out(case):
        _, left, top, wide, high = left_out
        opacity = np.full((height, width, 1), full_scale(picture.dtype), picture.dtype)
        opacity[top : top + high, left : left + wide] = 0
        picture = np.concatenate([picture, opacity], axis=2)
    return (x, y), _to_srgb(picture) if in_linear_light(case) else picture, mask


def _with_fills(case: Case, session: Session, before: dict[str, Any]) -> np.ndarray:
    """The source under its earlier fills; in scenes with such it is the lowest layer, as large as the image."""
    source = _source(case, session, before)
    if not case.scene.startswith("filled"):
        return source
    return session.array(before["canvas"]["values"])[..., : source.shape[2]]


def _source(case: Case, session: Session, before: dict[str, Any]) -> np.ndarray:
    """The source as its filter shows it, which is inverted; a copy of a plain layer is made of what is below that."""
    source = session.array(before["source"])
    if case.scene.startswith("filtered") and not (case.scene == "filtered" and _makes_copy(case)):
        source[..., :3] = full_scale(source.dtype) - source[..., :3]
    return source


def _left_out(case: Case) -> tuple[Any, ...]:
    """The rectangle that is left out; empty where none is."""
    return case.arguments.get("exclude", LEFT_OUT if case.scene == "filled_leaving_out_source" else ())


def _has_fills(case: Case) -> bool:
    """Whether earlier fills are part of the picture that is filled, and of a copy of it."""
    return case.scene.startswith("filled") and not _is_same_hole(case)


def _is_same_hole(case: Case) -> bool:
    return case.select == (ELLIPSE,)


def _to_srgb(pixels: np.ndarray) -> np.ndarray:
    """What the server makes of linear light."""
    colour, alpha = split_alpha(pixels)
    curved = linear_to_srgb(to_float(colour))
    return curved if alpha is None else np.concatenate([curved, to_float(alpha)[..., None]], axis=2)


def in_linear_light(case: Case) -> bool:
    """Whether the pixels of the case travel in linear light; those of copies never do."""
    linear = case.precision.endswith("_LINEAR") and "NON" not in case.precision
    return linear and case.arguments.get("output") != "copy"


def _missing(shown: np.ndarray) -> np.ndarray:
    """All of what is not shown in full."""
    return np.where(shown < full_scale(shown.dtype), 65535, 0).astype(np.uint16)


def _samples_visible(case: Case) -> bool:
    return case.arguments.get("sample") == "visible"


def _numbers(case: Case) -> dict[str, float]:
    if _is_repeated(case):
        return {"context": 1.5}
    return {name: value for name, value in case.arguments.items() if name in OPTIONS}


def _is_repeated(case: Case) -> bool:
    """Whether the settings are those of the scene's own fill: a group (or a copy), context 1.5."""
    return case.procedure in ("rerun", "another") and case.scene.startswith("filled")


def _makes_copy(case: Case) -> bool:
    return case.arguments.get("output") == "copy" or "by_copy" in case.scene


def _falls_back(case: Case) -> bool:
    return case.scene == "indexed" or case.precision == "U8_LINEAR"


def tolerance(case: Case) -> float:
    """How far a stored value may be from the engine's, full scale 1.

    New layers and groups are exact. Copies are mixed in values with a curve, which linear and half-float images round.
    """
    if case.scene == "indexed":
        return 1.0  # reduced to a palette
    if case.arguments.get("output") != "copy":
        return 0.0
    kind, _, curve = case.precision.partition("_")
    if kind == "U8" and curve == "LINEAR":
        return 0.0265  # half of the darkest step of 8 linear bits
    if kind == "U16" and curve == "LINEAR":
        return 2e-4
    if kind == "HALF":
        return 1e-3
    return 1e-5 if kind in ("U32", "FLOAT", "DOUBLE") else 0.0


def _stored(case: Case, values: np.ndarray, channels: int, dtype: np.dtype) -> np.ndarray:
    """Colours of a fill as the image keeps them."""
    matched = match_channels(values, channels)
    return lattice(from_float(srgb_to_linear(matched) if in_linear_light(case) else matched, dtype))


def _check_layer(
    case: Case, session: Session, made: dict[str, Any], fill: Fill, picture: np.ndarray, area: tuple[int, int]
) -> None:
    pixels = session.array(made["pixels"])
    box = fill.bounds
    assert made["offset"] == [box.x + area[0], box.y + area[1]], f"the layer is at {made['offset']}, not at {box}"
    assert pixels.shape[:2] == (box.height, box.width), f"the layer has the shape {pixels.shape}"
    colour, alpha = split_alpha(pixels)
    assert alpha is not None
    shown = fill.alpha > 0
    expected = _stored(case, fill.fill, colour.shape[2], pixels.dtype)
    limit = tolerance(case)
    _close("colour", colour[shown], expected[shown], limit)
    if case.scene != "indexed":
        _close("alpha", alpha, from_float(fill.alpha, pixels.dtype), limit)


def _check_group(
    case: Case,
    session: Session,
    after: dict[str, Any],
    fill: Fill,
    picture: np.ndarray,
    area: tuple[int, int],
    options: FillOptions,
) -> None:
    texture, coarse = after["made"]["inside"]
    assert texture["mode"] == GRAIN_MERGE, f"the texture layer's mode is {texture['mode']}"
    assert abs(texture["opacity"] - 100 * options.texture_strength) < 0.5, f"opacity {texture['opacity']}"
    box = fill.bounds
    for layer in (texture, coarse):
        assert layer["offset"] == [box.x + area[0], box.y + area[1]], f"{layer['name']} is at {layer['offset']}"
    seen = session.array(after["made"]["pixels"])[..., :-1]
    shown = fill.alpha > 0
    expected = _stored(case, fill.fill, seen.shape[2], seen.dtype)
    if options.texture_strength < 1:
        full, base = full_scale(seen.dtype), session.array(coarse["pixels"])[..., :-1].astype(float)
        added = session.array(texture["pixels"])[..., :-1].astype(float) - offset_of(seen.dtype)
        weaker = (base + options.texture_strength * added) / full
        _close("weaker sum", seen[shown], from_float(weaker, seen.dtype)[shown], _step(seen.dtype))
    else:
        _close("sum of coarse and texture", seen[shown], expected[shown], tolerance(case))


def _check_copy(
    case: Case,
    session: Session,
    before: dict[str, Any],
    after: dict[str, Any],
    fill: Fill,
    picture: np.ndarray,
    area: tuple[int, int],
) -> None:
    copy = session.array(after["made"]["pixels"])
    assert after["made"]["offset"] == before["offset"], "the copy is not where the source is"
    assert not case.scene.startswith("masked") or case.select or not after["made"]["masked"], (
        "the mask still hides the fill"
    )
    source = _source(case, session, before)
    if case.scene == "filled_filtered_source":  # new layers have alpha
        assert (copy[..., -1] == full_scale(copy.dtype)).all()
        copy = copy[..., :-1]
    built_on = _with_fills(case, session, before) if _has_fills(case) else source
    x, y, width, height = fill.bounds
    changed = np.zeros(copy.shape[:2], bool)
    changed[y : y + height, x : x + width] = fill.alpha > 0
    if case.scene == "filled_by_copy_retouched":
        built_on = np.where(changed[..., None], source, _with_fills(case, session, before))
    expected = fill.compose(built_on)
    if built_on is source:
        assert np.array_equal(copy[~changed], expected[~changed]), "the copy differs outside the selection"
    else:  # GIMP mixed the fills in twice, for canvas and copy, by conversions that it chooses by their speed
        _close("copy outside the selection", copy[~changed], expected[~changed], max(tolerance(case), 1e-6))
    soft = np.zeros(copy.shape[:2], bool)
    soft[y : y + height, x : x + width] = (fill.alpha > 0) & (fill.alpha < 1)
    _close("copy", copy[changed & ~soft], expected[changed & ~soft], max(tolerance(case), 1e-6))
    _close("copy at soft edges", copy[soft], expected[soft], max(tolerance(case), _step(copy.dtype)))


def _check_seen(case: Case, session: Session, before: dict[str, Any], after: dict[str, Any], fill: Fill) -> None:
    """Soft edges included, the picture that is seen is the engine's own composition of what was looked at."""
    old, new = (session.array(each["canvas"]["values"]) for each in (before, after))
    if case.scene.startswith("filled") and _is_same_hole(case):
        old[..., : session.array(before["source"]).shape[2]] = session.array(before["source"])
    expected = fill.compose(old)
    x, y, width, height = fill.bounds
    whole = np.zeros(new.shape[:2], bool)
    whole[y : y + height, x : x + width] = fill.alpha == 1
    _close("what is seen inside", new[whole], lattice(expected[whole]), tolerance(case))
    _close("what is seen", new, expected, max(tolerance(case), 1.01 * _step(new.dtype)))


def _step(dtype: np.dtype) -> float:
    """One step of an integer depth or a half float, full scale 1; for single floats, one of the 16-bit mask.

    Selections of double images are rounded to that mask by babl, which picks its way by a race in every process: a few
    of the shares that the plug-in and this test read are one step apart.
    """
    return 2**-11 if dtype == np.float16 else 1.001 / (full_scale(dtype) if dtype.kind == "u" else 65535)


def _check_outside(
    case: Case, session: Session, before: dict[str, Any], after: dict[str, Any], fill: Fill, area: tuple[int, int]
) -> None:
    """Not a byte of the visible picture has changed where nothing was filled.

    GIMP computes the same mixture by conversions that it chooses by their speed, anew where fills are part of a copy;
    in images of more than 16 bits it composes in single floats, whatever the layers show.
    """
    old, new = (_bytes(session, each["canvas"]) for each in (before, after))
    height, width = before["canvas"]["values"]["shape"][:2]
    changed = np.zeros((height, width), bool)
    box = fill.bounds
    rows, columns = np.nonzero(fill.alpha > 0)
    rows, columns = rows + box.y + area[1], columns + box.x + area[0]
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    changed[rows[inside], columns[inside]] = True
    old, new = (np.frombuffer(data, np.uint8).reshape(height * width, -1) for data in (old, new))
    different = (old != new).any(axis=1) & ~changed.ravel()
    is_mixed_anew = _makes_copy(case) and _has_fills(case)
    if is_mixed_anew or case.precision.startswith(("U32", "DOUBLE")):
        seen = np.stack(
            [session.array(each["canvas"]["values"]).reshape(height * width, -1) for each in (before, after)]
        )
        limit = max(tolerance(case) if is_mixed_anew else 0, 1e-6) * full_scale(seen.dtype)
        different &= np.ptp(seen, axis=0).max(axis=1) > limit
    assert not different.any(), f"{different.sum()} pixels outside the selection have changed"


def _check_texture(case: Case, session: Session, before: dict[str, Any], after: dict[str, Any]) -> None:
    """Structure and texture add up to the picture."""
    texture, structure = after["made"]["inside"]
    assert texture["mode"] == GRAIN_MERGE, f"the texture layer's mode is {texture['mode']}"
    source, seen = _with_fills(case, session, before), session.array(after["made"]["pixels"])
    x, y = (at - start for at, start in zip(after["made"]["offset"], before["offset"], strict=True))
    part = source[y : y + seen.shape[0], x : x + seen.shape[1]]
    limit = SUM_OF_SINGLES if seen.dtype == np.float32 else 0.0
    _close("sum of structure and texture", seen[..., :3], part[..., :3], limit)
    flat = session.array(structure["pixels"])[..., :3]
    assert to_float(flat).std() < to_float(part[..., :3]).std(), "the structure is not smoother than the picture"


def _close(what: str, found: np.ndarray, expected: np.ndarray, limit: float) -> None:
    scale = full_scale(found.dtype)
    worst = float(np.abs(found.astype(np.float64) - expected.astype(np.float64)).max(initial=0)) / scale
    assert worst <= limit, f"{what} differs by up to {worst:.6f} of full scale; {limit:g} is allowed"


def _bytes(session: Session, canvas: dict[str, Any]) -> bytes:
    return (session.work / "results" / canvas["file"]).read_bytes()
