"""The case matrix of the GIMP plug-in: what each case sets up and what must come of it. Read by both sides."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

ELLIPSE = ("ellipse", 90, 60, 44, 34)
BESIDE = ("ellipse", 120, 50, 40, 44)
"""Another hole; it touches the first."""
SPECKS = tuple(("rectangle", x, y, 6, 6) for x, y in ((0, 50), (186, 70), (90, 0), (100, 154)))
OTHER_SPECKS = tuple(("rectangle", x, y, 6, 6) for x, y in ((0, 90), (186, 20), (30, 0), (60, 154)))
"""Two sets of spots with the same bounds."""
LEFT_OUT = ("rectangle", 40, 30, 45, 90)
PRECISIONS = {
    f"{kind} {curve}": f"{kind}_{curve}".upper().replace("-", "_")
    for kind in ("u8", "u16", "u32", "half", "float", "double")
    for curve in ("non-linear", "linear", "perceptual")
}


@dataclass(frozen=True)
class Case:
    """One call in GIMP.

    Attributes:
        name: for people; unique.
        procedure: without the prefix "dgfnet-".
        scene: a function of gimp_driver.py that makes the document.
        precision: a name of `Gimp.Precision`; empty for 8 bit as loaded.
        select: (kind, x, y, width, height) of each selected piece.
        soften: pixels by which GIMP feathers the selection.
        arguments: of the procedure, as a script gives them.
        last_values: called as Ctrl+F calls it.
        says: part of the error that must come; empty where the call must succeed.
    """

    name: str
    procedure: str = "inpaint"
    scene: str = "photo"
    precision: str = ""
    select: tuple[tuple[Any, ...], ...] = (ELLIPSE,)
    soften: float = 0.0
    arguments: dict[str, Any] = field(default_factory=dict)
    last_values: bool = False
    says: str = ""


GROUP, COPY = {"output": "group"}, {"output": "copy"}

CASES = (
    Case("photograph, ellipse"),
    Case("feathered selection", soften=12.0),
    Case("selection of three parts", select=(ELLIPSE, ("rectangle", 10, 10, 20, 16), ("ellipse", 150, 120, 18, 24))),
    Case("large picture, small selection", scene="large", select=(("ellipse", 620, 450, 60, 40),)),
    Case("selection at the corner", select=(("rectangle", 0, 0, 30, 24),)),
    Case("grow, feather, context", arguments={"grow": 5, "feather": 4.0, "context": 2.0}),
    Case("texture strength 0.5", arguments={"texture-strength": 0.5}),
    Case("no copied detail", arguments={"patches": 0.0}),
    Case("editable group", arguments=GROUP),
    Case("editable group, feathered", soften=12.0, arguments=GROUP),
    Case("editable group, strength 0.5", arguments={**GROUP, "texture-strength": 0.5}),
    Case("copy", arguments=COPY),
    Case("copy, feathered", soften=12.0, arguments=COPY),
    Case("copy of a group layer", scene="group", arguments=COPY),
    Case("copy of a text layer", scene="text", arguments=COPY),
    Case("copy, transparency", scene="translucent", soften=8.0, arguments=COPY),
    *(Case(f"layer, {name}", precision=value) for name, value in PRECISIONS.items()),
    *(Case(f"group, {name}", precision=value, soften=6.0, arguments=GROUP) for name, value in PRECISIONS.items()),
    *(
        Case(f"copy, {name}", precision=PRECISIONS[name], soften=6.0, arguments=COPY)
        for name in ("u8 linear", "u16 non-linear", "u16 linear", "u32 non-linear", "half non-linear", "float linear")
    ),
    Case("layer, Adobe RGB", scene="adobe"),
    Case("group, Adobe RGB", scene="adobe", arguments=GROUP),
    Case("group, Adobe RGB, 16 bit", scene="adobe", precision="U16_NON_LINEAR", arguments=GROUP),
    Case("group, Adobe RGB, 16 bit linear", scene="adobe", precision="U16_LINEAR", arguments=GROUP),
    Case("group, Adobe RGB, float", scene="adobe", precision="FLOAT_NON_LINEAR", arguments=GROUP),
    Case("copy, Adobe RGB, 16 bit", scene="adobe", precision="U16_NON_LINEAR", arguments=COPY),
    Case("grey", scene="grey"),
    Case("grey, group, 16 bit", scene="grey", precision="U16_NON_LINEAR", arguments=GROUP),
    Case("grey, group, half linear", scene="grey", precision="HALF_LINEAR", arguments=GROUP),
    Case("grey, copy", scene="grey", soften=8.0, arguments=COPY),
    Case("indexed", scene="indexed"),
    Case("indexed, group asked", scene="indexed", arguments=GROUP),
    Case("indexed, copy", scene="indexed", arguments=COPY),
    Case("layer with an offset", scene="offset"),
    Case("layer partly outside the canvas", scene="outside", select=(("rectangle", 0, 40, 40, 34),)),
    Case("selection partly outside the layer", scene="offset", select=(("ellipse", 20, 15, 50, 60),)),
    Case("layer in a group", scene="grouped"),
    Case("group layer as source", scene="group"),
    Case("text layer", scene="text"),
    Case("content-locked layer", scene="locked"),
    Case("content-locked layer, copy", scene="locked", arguments=COPY),
    Case("layer in a content-locked group", scene="locked_group"),
    Case("layer in a content-locked group, group", scene="locked_group", arguments=GROUP),
    Case("layer in a content-locked group, copy", scene="locked_group", arguments=COPY),
    Case("translucent layer", scene="translucent"),
    Case("no selection: layer mask", scene="masked", select=()),
    Case("no selection: layer mask, copy", scene="masked", select=(), arguments=COPY),
    Case("no selection: transparent pixels", scene="holed", select=()),
    Case("no selection: transparent pixels, 16 bit", scene="holed", precision="U16_NON_LINEAR", select=()),
    Case("no selection: soft layer mask", scene="masked_softly", select=()),
    Case("no selection: soft layer mask, copy", scene="masked_softly", select=(), arguments=COPY),
    Case("no selection: soft layer mask, 16 bit", scene="masked_softly", precision="U16_NON_LINEAR", select=()),
    Case("no selection: layer mask switched off", scene="masked_unapplied", select=()),
    Case("no selection: softly transparent pixels", scene="holed_softly", select=()),
    Case("no selection: softly transparent pixels, copy", scene="holed_softly", select=(), arguments=COPY),
    Case("layer mask is being edited", scene="mask_edited", select=()),
    Case("visible picture", scene="covered", arguments={"sample": "visible"}),
    Case("visible picture, group", scene="covered", soften=8.0, arguments={"sample": "visible", **GROUP}),
    Case("visible picture, copy", scene="covered", arguments={"sample": "visible", **COPY}, says="cannot hold"),
    Case("area left out", scene="photo", arguments={"exclude": LEFT_OUT}),
    Case("repeated with an area left out", scene="filled_leaving_out_source", last_values=True),
    Case("layer with a filter", scene="filtered"),
    Case("layer with a filter, group", scene="filtered", arguments=GROUP),
    Case("hidden layer with a filter, 16 bit", scene="filtered_hidden", precision="U16_NON_LINEAR"),
    Case("layer with a filter, copy", scene="filtered", arguments=COPY),
    Case("group layer with a filter, copy", scene="filtered_group", arguments=COPY),
    Case("text layer with a filter, copy", scene="filtered_text", arguments=COPY),
    Case("texture map of a group with a filter, selection", procedure="texture-map", scene="filtered_group"),
    Case("beside what was filled, filter", scene="filled_filtered_source", select=(BESIDE,)),
    Case("beside what was filled, filter, copy", scene="filled_filtered_source", select=(BESIDE,), arguments=COPY),
    Case("above a texture map", scene="mapped"),
    Case("beside what was filled above a texture map", scene="filled_mapped_source", select=(BESIDE,)),
    Case("texture map", procedure="texture-map", select=()),
    Case("texture map, 16 bit, selection", procedure="texture-map", precision="U16_NON_LINEAR"),
    Case("texture map, 16 bit linear", procedure="texture-map", precision="U16_LINEAR"),
    Case("texture map, half", procedure="texture-map", precision="HALF_NON_LINEAR"),
    Case("texture map, float linear", procedure="texture-map", precision="FLOAT_LINEAR"),
    Case("re-run", procedure="rerun", scene="filled"),
    Case("re-run without a selection", procedure="rerun", scene="filled_deselected_enlarged"),
    Case("re-run in a duplicated image", procedure="rerun", scene="filled_duplicated"),
    Case("re-run in another image", procedure="rerun", scene="filled_elsewhere", says="is not in this image"),
    Case("re-run, the channel is gone", procedure="rerun", scene="filled_leaving_out_gone", says="is no longer in"),
    Case("re-run of a copy, no selection", procedure="rerun", scene="filled_holed_by_copy", select=(), says="shape"),
    Case("variation", arguments={"variation": 3}),
    Case("another fill of a result", procedure="another", scene="filled"),
    Case("another fill of a source", procedure="another", scene="filled_source"),
    Case("another fill after two", procedure="another", scene="filled_twice_source"),
    Case("another fill without a selection", procedure="another", scene="filled_deselected"),
    Case("another fill without a selection, grown and feathered", procedure="another", scene="filled_deselected_grown"),
    Case("another fill of a duplicated source", procedure="another", scene="filled_twins_source"),
    Case("another fill of a source without a selection", procedure="another", scene="filled_deselected_source"),
    Case("another fill where there is none yet", procedure="another"),
    Case("inpaint on what was filled", scene="filled_source", arguments={**GROUP, "context": 1.5}),
    Case("inpaint on a result", scene="filled"),
    Case("inpaint on a layer of a result", scene="filled_inside", arguments=GROUP),
    Case("beside what was filled", scene="filled_source", soften=6.0, select=(BESIDE,)),
    Case("beside what was filled, group", scene="filled_source", select=(BESIDE,), arguments=GROUP),
    Case("beside what was filled, copy", scene="filled_source", soften=6.0, select=(BESIDE,), arguments=COPY),
    *(
        Case(f"beside what was filled, {name}", scene="filled_source", precision=PRECISIONS[name], select=(BESIDE,))
        for name in ("u16 non-linear", "half linear", "float linear")
    ),
    Case(
        "beside what was filled, copy, u16 linear",
        scene="filled_locked_source",
        precision="U16_LINEAR",
        soften=6.0,
        select=(BESIDE,),
        arguments=COPY,
    ),
    Case("beside a fill that is seen in part", scene="filled_faded_source", select=(BESIDE,)),
    Case("beside a fill that is not seen", scene="filled_hidden_source", select=(BESIDE,)),
    Case("copy of what was filled", scene="filled_enlarged_source", soften=12.0, arguments=COPY),
    Case("other specks with the same bounds", scene="filled_specks_source", select=OTHER_SPECKS),
    Case("other specks with the same bounds, copy", scene="filled_specks_source", select=OTHER_SPECKS, arguments=COPY),
    Case("inpaint on what was filled, soft edges", scene="filled_enlarged_source", soften=12.0),
    Case("another fill, soft edges", procedure="another", scene="filled_source", soften=12.0),
    Case("another fill of a copy, soft edges", procedure="another", scene="filled_by_copy", soften=12.0),
    Case("another fill of a copy, another hole", "another", scene="filled_by_copy", soften=6.0, select=(BESIDE,)),
    Case("another fill of a retouched copy, soft edges", "another", scene="filled_by_copy_retouched", soften=12.0),
    Case("another fill of a copy of what was filled", "another", scene="filled_twice_by_copy", select=(BESIDE,)),
    Case("re-run of a copy of what was filled", "rerun", scene="filled_twice_by_copy", soften=6.0, select=(BESIDE,)),
    Case("another fill of a copy without a selection", "another", scene="filled_masked_by_copy", select=()),
    Case(
        "texture map above a fill",
        procedure="texture-map",
        scene="filled_source",
        select=(("rectangle", 20, 20, 120, 90),),
    ),
    Case("beside what a layer mask hides", scene="masked_softly", select=(BESIDE,)),
    Case("beside what a layer mask hides, copy", scene="masked_softly", select=(BESIDE,), arguments=COPY),
    Case("group layer, multiplied", scene="group_blended"),
    Case("group layer, multiplied, copy", scene="group_blended", soften=8.0, arguments=COPY),
    Case("no selection", select=(), says="Nothing is selected"),
    Case("no selection: all is transparent to a filter", scene="emptied_by_a_filter", select=(), says="Everything is"),
    Case("everything is selected", select=(("rectangle", 0, 0, 192, 160),), says="Everything is selected"),
    Case("selection beside the layer", scene="offset", select=(("rectangle", 0, 0, 10, 10),), says="lies in the layer"),
    Case(
        "visible picture, selection beside the layer",
        scene="beside",
        arguments={"sample": "visible"},
        select=(),
        says="lies in the picture",
    ),
    Case("quick mask", scene="quick_mask", select=(), says="The quick mask is on"),
    Case("channel", scene="channel", says="A channel is selected"),
    Case("floating selection", scene="floating", says="floating selection"),
    Case(
        "area left out of another image", scene="elsewhere", arguments={"exclude": LEFT_OUT}, says="not in this image"
    ),
    Case("two layers", scene="two_layers", says="2 layers are selected"),
    Case("value out of its range", arguments={"output": "bogus"}),
    Case("re-run of another layer", procedure="rerun", says="was not made by"),
    Case("another fill of nothing", procedure="another", select=(), says="Nothing is selected"),
    Case("texture map, 8 bit linear", procedure="texture-map", precision="U8_LINEAR", says="do not add up"),
)
