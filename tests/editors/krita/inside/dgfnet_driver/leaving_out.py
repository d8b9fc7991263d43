"""What is left out: neither looked at nor copied."""

import re
import threading

from dgfnet_inpaint import document, payloads, reading
from dgfnet_inpaint.document import LEAVE_OUT
from dgfnet_inpaint.qt import QByteArray
from krita import Selection

from .stage import HEIGHT, WIDTH, at_once, case
from .trees import HOLE, RESULT, attach, merge, no_failure

OBJECT = (190, 60, 60, 80)  # beside the hole
GREEN = bytes([0, 255, 0, 255])
STYLE = """<asl><node type="Descriptor" name="" classId="null">
<node type="UnitFloat" unit="#Prc" value="100" key="Scl "/><node type="Boolean" value="{style}" key="masterFXSwitch"/>
<node type="Descriptor" name="" classId="SoFi" key="SoFi"><node key="enab" type="Boolean" value="{effect}"/>
<node type="Enum" value="Nrml" key="Md  " typeId="BlnM"/><node type="UnitFloat" unit="#Prc" value="100" key="Opct"/>
<node type="Descriptor" name="" classId="RGBC" key="Clr "><node type="Double" value="255" key="Rd  "/>
<node type="Double" value="0" key="Grn "/><node type="Double" value="0" key="Bl  "/></node></node></node>
<node type="Descriptor" name="" classId="Styl">
<node type="Descriptor" name="" classId="documentMode" key="documentMode"/></node></asl>"""  # a colour overlay


def beside_an_object(stage):
    """A document with a green object beside the hole: (document, layer)."""
    doc, node = yield from stage.new_document()
    node.setPixelData(QByteArray(GREEN * (OBJECT[2] * OBJECT[3])), *OBJECT)
    doc.refreshProjection()
    doc.waitForDone()
    return doc, node


def leave_out(stage, doc, *rectangles, feather=0):
    """Leave out rectangles with the action."""
    yield from stage.select(doc, *rectangles, feather=feather)
    yield from stage.run("dgfnet_leave_out")
    no_failure(stage)
    stage.said("Left out", LEAVE_OUT)


def painted(stage, doc, layer):
    return stage.alpha(bytes(layer.pixelData(*stage.canvas(doc))), document.space_of(layer))


def fill_and_keep(stage, doc, source):
    """Fill the hole; what the test needs to fill it once more."""
    yield from stage.select(doc, HOLE)
    yield from stage.run()
    no_failure(stage)
    mask = stage.selection(doc)
    (result,) = [node for node in doc.rootNode().childNodes() if node.name() == RESULT[0] and node.visible()]
    (layer,) = [node for node in doc.rootNode().childNodes() if node.name() == LEAVE_OUT]
    stage.keep(
        doc,
        document.space_of(doc),
        source=source,
        mask=mask,
        left_out=painted(stage, doc, layer),
        result=bytes(result.pixelData(*stage.canvas(doc))),
    )
    return result, layer


@case
def selection_is_left_out(stage):
    doc, node = yield from stage.new_document()
    before = bytes(node.pixelData(*stage.canvas(doc)))
    view = stage.krita.activeWindow().activeView()
    colour = view.foregroundColor().components()
    yield from leave_out(stage, doc, OBJECT, feather=3)
    first = stage.selection(doc)
    layer = stage.top(doc)
    assert (layer.name(), layer.opacity()) == (LEAVE_OUT, 128)
    assert painted(stage, doc, layer) == first
    assert bytes(layer.pixelData(220, 100, 1, 1)) == bytes([0, 0, 255, 255])
    yield from leave_out(stage, doc, (20, 20, 30, 30))
    second = stage.selection(doc)
    assert stage.layers(doc.rootNode()) == [[node.name()], [LEAVE_OUT]]
    both = painted(stage, doc, layer)
    assert both == bytes(map(max, first, second))
    assert document.node_id(doc.activeNode()) == document.node_id(node)
    assert view.foregroundColor().components() == colour
    assert bytes(node.pixelData(*stage.canvas(doc))) == before
    yield from stage.step("edit_undo")
    assert painted(stage, doc, layer) == first
    yield from stage.step("edit_redo")
    assert painted(stage, doc, layer) == both
    assert stage.selection(doc) == second
    yield from stage.step("edit_undo")
    if stage.krita.version() >= "5.3":  # there, setting the selection is an undo step
        yield from stage.step("edit_undo")
    yield from stage.step("edit_undo")
    assert stage.layers(doc.rootNode()) == [[node.name()]]


@case
def what_is_selected_at_the_click_is_left_out(stage):
    """Not what is selected once the line has done another job's work."""
    doc, _node = yield from stage.new_document()
    yield from leave_out(stage, doc, OBJECT)
    layer = stage.top(doc)
    first = painted(stage, doc, layer)
    yield from stage.select(doc, (20, 20, 30, 30))
    second, is_free = stage.selection(doc), threading.Event()
    stage.controller._line.call(lambda: is_free.wait(10))
    stage.krita.action("dgfnet_leave_out").trigger()
    yield 0.2
    yield from stage.select(doc, HOLE)
    is_free.set()
    yield from stage.finish()
    assert painted(stage, doc, layer) == bytes(map(max, first, second))


@case
def locked_or_hidden_leave_out_layer_gets_a_second(stage):
    doc, node = yield from stage.new_document()
    yield from leave_out(stage, doc, OBJECT)
    first = stage.top(doc)
    first.setLocked(True)
    yield from leave_out(stage, doc, (20, 20, 30, 30))
    assert stage.layers(doc.rootNode()) == [[node.name()], [LEAVE_OUT], [LEAVE_OUT]]
    assert painted(stage, doc, stage.top(doc)) == stage.selection(doc)
    assert document.node_id(doc.activeNode()) == document.node_id(node)


@case
def merged_or_duplicated_marks_are_left_out(stage):
    """Krita keeps the name in that of the new layer."""
    doc, node = yield from stage.new_document()
    yield from leave_out(stage, doc, OBJECT)
    stage.krita.action("deselect").trigger()
    doc.setActiveNode(stage.top(doc))
    yield 0.3
    stage.krita.action("duplicatelayer").trigger()
    doc.waitForDone()
    yield 0.6
    node.setVisible(False)
    stage.krita.action("select_visible_layers").trigger()
    yield 0.3
    yield from merge(stage, doc)
    node.setVisible(True)
    doc.refreshProjection()
    doc.waitForDone()
    marks = stage.top(doc)
    assert len(doc.rootNode().childNodes()) == 2
    assert marks.name() != LEAVE_OUT
    stage.choose(source="visible")
    yield from stage.select(doc, HOLE)
    yield from stage.run()
    stage.said("was not looked at")
    assert stage.layers(doc.rootNode()) == [[node.name()], RESULT, [marks.name()]]
    yield from leave_out(stage, doc, (20, 20, 30, 30))
    assert len(stage.layers(doc.rootNode())) == 3, "what was merged is not painted on"


@case
def marks_are_left_out_where_a_mask_moves_them(stage):
    """What Krita says of a layer's bounds knows nothing of its transform mask."""
    doc, node = yield from stage.new_document()
    yield from leave_out(stage, doc, HOLE)
    layer = stage.top(doc)
    layer.addChildNode(doc.createTransformMask("moved"), None)
    doc.waitForDone()
    yield 0.5
    moved = re.compile(rb'(m31=|transformedCenter [^>]*x=)"0"')  # in Krita 5.1, in 5.3; scripts cannot do that
    doc = yield from stage.reopen(doc, lambda data: moved.sub(rb'\1"50"', data))
    doc.refreshProjection()
    doc.waitForDone()
    yield 0.5
    layer, canvas = stage.top(doc), stage.canvas(doc)
    shown = stage.alpha(bytes(layer.projectionPixelData(*canvas)), document.space_of(layer))
    assert shown[100 * WIDTH + HOLE[0] + HOLE[2] + 40], "it was not moved"
    scene = at_once(reading.look_at(doc, stage.bench, "layer", doc.nodeByName(node.name())))
    marks = payloads.mask_of(at_once(reading.read_left_out(scene, canvas)), canvas)
    assert list(map(bool, marks)) == list(map(bool, shown))


@case
def left_out_whatever_the_brush_does(stage):
    """Krita's fill uses the brush's blending mode and keeps to its lock of alpha: an eraser would erase marks."""
    doc, node = yield from stage.new_document()
    view = stage.krita.activeWindow().activeView()
    yield from leave_out(stage, doc, OBJECT)
    layer = stage.top(doc)
    presets, brush = stage.krita.resources("preset"), view.currentBrushPreset()
    eraser = next(preset for name, preset in presets.items() if "Eraser" in name and "Circle" in name)
    switches = [stage.krita.action(name) for name in ("erase_action", "preserve_alpha")]

    def brush_state():
        return view.currentBlendingMode(), [switch.isChecked() for switch in switches]

    begin = [lambda: view.setCurrentBrushPreset(eraser), *(switch.trigger for switch in switches)]
    end = [lambda: view.setCurrentBrushPreset(brush), *(switch.trigger for switch in switches)]
    plain = brush_state()
    assert plain == ("normal", [False, False])
    for number, (take, put_back) in enumerate(zip(begin, end, strict=True)):
        before = painted(stage, doc, layer)
        doc.setActiveNode(node)
        take()
        yield 0.3
        state = brush_state()
        assert state != plain, number
        try:
            yield from leave_out(stage, doc, (OBJECT[0] + 20, OBJECT[1] + 20, 60, 80 + 20 * number))
            assert painted(stage, doc, layer) == bytes(map(max, before, stage.selection(doc))), number
            assert brush_state() == state, number
        finally:
            put_back()
            yield 0.3
    assert stage.layers(doc.rootNode()) == [[node.name()], [LEAVE_OUT]]


@case
def left_out_in_cmyk(stage):
    doc, node = yield from stage.new_document("CMYKA", "U8", "")
    yield from leave_out(stage, doc, OBJECT)
    yield from leave_out(stage, doc, (20, 20, 30, 30))
    assert stage.layers(doc.rootNode()) == [[node.name()], [LEAVE_OUT]]
    assert sum(1 for value in painted(stage, doc, stage.top(doc)) if value) == OBJECT[2] * OBJECT[3] + 900
    doc.setActiveNode(node)
    yield 0.2
    yield from stage.select(doc, HOLE)
    yield from stage.run()
    no_failure(stage)
    assert any("was not looked at" in text for text, _ in stage.messages), stage.messages


@case
def left_out_object_is_not_looked_at(stage):
    doc, node = yield from beside_an_object(stage)
    yield from leave_out(stage, doc, OBJECT, feather=2)
    source = bytes(node.pixelData(*stage.canvas(doc)))
    yield from fill_and_keep(stage, doc, source)
    stage.said("What is painted on", "was not looked at")
    assert stage.layers(doc.rootNode()) == [[node.name()], RESULT, [LEAVE_OUT]]


@case
def hidden_leave_out_layer_counts_for_nothing(stage):
    doc, node = yield from beside_an_object(stage)
    yield from leave_out(stage, doc, OBJECT)
    stage.top(doc).setVisible(False)
    stage.messages.clear()
    yield from fill_and_keep(stage, doc, bytes(node.pixelData(*stage.canvas(doc))))
    assert not stage.messages, stage.messages


@case
def left_out_of_the_visible_picture(stage):
    doc, node = yield from beside_an_object(stage)
    shown = stage.picture(doc)
    yield from leave_out(stage, doc, OBJECT, feather=2)
    stage.choose(source="visible")
    yield from fill_and_keep(stage, doc, shown)
    stage.said("was not looked at")
    assert stage.layers(doc.rootNode()) == [[node.name()], RESULT, [LEAVE_OUT]]


@case
def everything_is_left_out(stage):
    doc, _node = yield from stage.new_document()
    yield from leave_out(stage, doc, (0, 0, WIDTH, HEIGHT))
    yield from stage.select(doc, HOLE)
    names = stage.layers(doc.rootNode())
    yield from stage.run()
    stage.failed_with("Everything around the hole is left out", "Hide or erase part of the layer", LEAVE_OUT)
    assert stage.layers(doc.rootNode()) == names
    doc.setActiveNode(stage.top(doc))
    yield 0.2
    yield from stage.run()
    stage.failed_with("The leave-out layer is active", "Click the layer to fill")


@case
def nothing_selected_to_leave_out(stage):
    doc, node = yield from stage.new_document()
    yield from stage.run("dgfnet_leave_out")
    stage.failed_with("Nothing is selected", "must not be looked at")
    assert stage.layers(doc.rootNode()) == [[node.name()]]


@case
def texture_map_of_what_is_left_out(stage):
    """A map of the visible picture would have the red in it; beside the red, and once that is hidden, there is one."""
    doc, node = yield from stage.new_document()
    yield from leave_out(stage, doc, OBJECT)
    layer = stage.top(doc)
    stage.choose(source="visible")
    names = stage.layers(doc.rootNode())
    yield from stage.run("dgfnet_texture_map")
    stage.failed_with(f"“{LEAVE_OUT}” is part of what is shown", "Hide it")
    assert stage.layers(doc.rootNode()) == names
    stage.messages.clear()
    yield from stage.select(doc, HOLE)
    yield from stage.run("dgfnet_texture_map")
    layer.setVisible(False)
    yield from stage.select(doc, OBJECT)
    yield from stage.run("dgfnet_texture_map")
    no_failure(stage)
    parts = [["Structure (DGFNet)"], ["Texture (DGFNet)"]]
    map_of = ["Texture map (DGFNet)", *parts]
    assert stage.layers(doc.rootNode()) == [[node.name()], map_of, map_of, [LEAVE_OUT]]


@case
def fill_that_is_not_shown_normally(stage):
    """It is part of the source, at its opacity, which is no news."""
    doc, _node = yield from stage.new_document()
    yield from stage.select(doc, HOLE)
    yield from stage.run()
    stage.top(doc).setOpacity(128)
    yield from stage.run()
    assert not stage.messages, stage.messages
    stage.top(doc).setBlendingMode("darken")
    doc.waitForDone()
    yield from stage.run()
    stage.said("The fill “Inpaint (DGFNet)” is shown in darken, and was read without that", "Visible picture")


@case
def source_with_a_layer_style(stage):
    doc, node = yield from stage.new_document()
    yield from stage.select(doc, HOLE)
    for effect, style in ((1, 1), (0, 1), (1, 0)):
        node.setLayerStyleFromAsl(STYLE.format(effect=effect, style=style))
        doc.refreshProjection()
        doc.waitForDone()
        stage.messages.clear()
        yield from stage.run()
        if effect and style:
            stage.said(f"“{node.name()}” is shown with a layer style", "Source: Visible picture")
        else:
            assert not stage.messages, (effect, style, stage.messages)


@case
def source_that_is_not_shown_normally(stage):
    doc, _node = yield from stage.new_document()
    ink = doc.createNode("ink", "paintlayer")
    stage.paint(doc, ink)
    yield from attach(stage, doc, ink)
    ink.setBlendingMode("multiply")
    ink.setOpacity(128)
    yield from stage.select(doc, HOLE)
    yield from stage.run()
    stage.said("“ink” is shown in multiply, at 50 %", "Source: Visible picture")
    stage.messages.clear()
    yield from stage.run()
    assert not stage.messages, stage.messages
    inverted = doc.createFilterLayer("inverted", stage.krita.filter("invert"), Selection())
    yield from attach(stage, doc, inverted)
    doc.refreshProjection()
    doc.waitForDone()
    yield from stage.run()
    assert not stage.messages, stage.messages
