"""Layers of every kind and place: groups, masks, vectors, locks, offsets, other colour spaces."""

from dgfnet_inpaint import document, records
from dgfnet_inpaint.colour import SRGB
from dgfnet_inpaint.qt import QByteArray

from .stage import HEIGHT, WIDTH, case

HOLE = (120, 80, 60, 40)
RESULT = ["Inpaint (DGFNet)"]


def attach(stage, doc, node, parent=None, above=None):
    (parent or doc.rootNode()).addChildNode(node, above)
    doc.waitForDone()
    yield 0.1
    doc.setActiveNode(node)
    yield 0.2
    assert document.node_id(doc.activeNode()) == document.node_id(node)


def no_failure(stage):
    assert stage.controller.last is not None
    assert not any(is_failure for _, is_failure in stage.messages), stage.messages


@case
def layer_in_a_group(stage):
    doc, _node = yield from stage.new_document()
    group = doc.createGroupLayer("group")
    doc.rootNode().addChildNode(group, None)
    inner, above = doc.createNode("inner", "paintlayer"), doc.createNode("above", "paintlayer")
    stage.paint(doc, inner)
    group.addChildNode(above, None)
    yield from attach(stage, doc, inner, group, None)
    yield from stage.select(doc, HOLE)
    order = [child.name() for child in group.childNodes()]
    yield from stage.run()
    no_failure(stage)
    order.insert(order.index("inner") + 1, "Inpaint (DGFNet)")
    assert [child.name() for child in group.childNodes()] == order


@case
def whole_group_as_source(stage):
    doc, _node = yield from stage.new_document()
    group = doc.createGroupLayer("group")
    inner = doc.createNode("inner", "paintlayer")
    stage.paint(doc, inner)
    group.addChildNode(inner, None)
    yield from attach(stage, doc, group)
    doc.refreshProjection()
    doc.waitForDone()
    yield from stage.select(doc, HOLE)
    yield from stage.run()
    no_failure(stage)
    assert stage.layers(doc.rootNode())[-2:] == [["group", ["inner"]], RESULT]


@case
def locked_layer(stage):
    doc, node = yield from stage.new_document()
    node.setLocked(True)
    yield from stage.select(doc, HOLE)
    before = bytes(node.pixelData(*stage.canvas(doc)))
    yield from stage.run()
    no_failure(stage)
    stage.check_layer(doc, node, stage.top(doc), before)


@case
def locked_group(stage):
    doc, _node = yield from stage.new_document()
    group = doc.createGroupLayer("locked")
    doc.rootNode().addChildNode(group, None)
    inner = doc.createNode("inner", "paintlayer")
    stage.paint(doc, inner)
    yield from attach(stage, doc, inner, group, None)
    group.setLocked(True)
    yield from stage.select(doc, HOLE)
    yield from stage.run()
    no_failure(stage)
    assert stage.layers(doc.rootNode())[-2:] == [["locked", ["inner"]], RESULT]
    stage.said("is locked")
    first = document.node_id(stage.top(doc))
    doc.setActiveNode(inner)
    yield 0.2
    yield from stage.run()
    no_failure(stage)
    assert stage.layers(doc.rootNode())[-3:] == [["locked", ["inner"]], RESULT, RESULT]
    assert document.node_id(stage.top(doc)) != first, "the newer fill is below the older one"


@case
def mask_is_active(stage):
    doc, node = yield from stage.new_document()
    mask = doc.createFilterMask("filter", stage.krita.filter("invert"), node)  # without a filter Krita 5.3 crashes
    node.addChildNode(mask, None)
    doc.waitForDone()
    yield 0.1
    doc.setActiveNode(mask)
    yield 0.2
    yield from stage.select(doc, HOLE)
    yield from stage.run()
    no_failure(stage)
    assert stage.layers(doc.rootNode())[-1] == RESULT
    assert document.node_id(doc.activeNode()) == document.node_id(mask)


@case
def vector_layer(stage):
    doc, _node = yield from stage.new_document()
    vector = doc.createVectorLayer("vector")
    yield from attach(stage, doc, vector)
    shape = '<rect x="0" y="0" width="390" height="390" fill="#3060a0"/>'
    svg = f'<svg width="400" height="400" viewBox="0 0 400 400">{shape}</svg>'
    vector.addShapesFromSvg(svg)
    doc.refreshProjection()
    doc.waitForDone()
    yield 0.5
    yield from stage.select(doc, (20, 20, 20, 20))
    yield from stage.run()
    no_failure(stage)
    assert stage.layers(doc.rootNode())[-1] == RESULT
    pixel = bytes(stage.top(doc).pixelData(30, 30, 1, 1))
    assert pixel[3] == 255, pixel.hex()


@case
def empty_layer(stage):
    doc, _node = yield from stage.new_document()
    empty = doc.createNode("empty", "paintlayer")
    yield from attach(stage, doc, empty)
    yield from stage.select(doc, HOLE)
    names = stage.layers(doc.rootNode())
    yield from stage.run()
    stage.failed_with("“empty” is empty around", "visible picture")
    assert stage.layers(doc.rootNode()) == names


@case
def visible_picture(stage):
    doc, _node = yield from stage.new_document()
    empty = doc.createNode("empty", "paintlayer")
    yield from attach(stage, doc, empty)
    yield from stage.select(doc, HOLE)
    stage.choose(source="visible")
    shown = stage.picture(doc)
    yield from stage.run()
    no_failure(stage)
    assert stage.layers(doc.rootNode())[-1] == RESULT
    assert document.node_id(doc.activeNode()) == document.node_id(empty)
    mask, pixels = stage.selection(doc), bytes(stage.top(doc).pixelData(*stage.canvas(doc)))
    stage.keep(doc, document.space_of(doc), source=shown, mask=mask, result=pixels)


@case
def layer_with_an_offset_partly_outside(stage):
    doc, _node = yield from stage.new_document()
    shifted = doc.createNode("shifted", "paintlayer")
    stage.paint(doc, shifted, -100, 57)
    yield from attach(stage, doc, shifted)
    yield from stage.select(doc, HOLE)
    before = bytes(shifted.pixelData(*stage.canvas(doc)))
    yield from stage.run()
    no_failure(stage)
    stage.check_layer(doc, shifted, stage.top(doc), before)


@case
def layer_in_a_colour_space_of_its_own(stage):
    doc, _node = yield from stage.new_document(depth="U16", profile=SRGB)
    other = doc.createNode("other", "paintlayer")
    other.setColorSpace("RGBA", "U8", SRGB)
    stage.paint(doc, other)
    yield from attach(stage, doc, other)
    yield from stage.select(doc, HOLE)
    yield from stage.run()
    no_failure(stage)
    assert document.space_of(stage.top(doc)) == document.space_of(doc)
    assert stage.layers(doc.rootNode())[-2:] == [["other"], RESULT]


@case
def texture_map_adds_up(stage):
    doc, _node = yield from stage.new_document()
    shown = stage.picture(doc)
    yield from stage.run("dgfnet_texture_map")
    no_failure(stage)
    group = stage.top(doc)
    assert [child.name() for child in group.childNodes()] == ["Structure (DGFNet)", "Texture (DGFNet)"]
    assert stage.picture(doc) == shown, "structure and texture do not add up to the picture"
    structure = bytes(group.childNodes()[0].pixelData(0, 0, WIDTH, HEIGHT))
    assert structure != shown


@case
def texture_map_of_a_selection(stage):
    doc, _node = yield from stage.new_document()
    yield from stage.select(doc, HOLE)
    shown = stage.picture(doc)
    yield from stage.run("dgfnet_texture_map")
    no_failure(stage)
    assert stage.picture(doc) == shown
    structure = bytes(stage.top(doc).childNodes()[0].pixelData(0, 0, WIDTH, HEIGHT))[3::4]
    assert sum(1 for value in structure if value) == HOLE[2] * HOLE[3]
    assert structure == stage.selection(doc)


@case
def run_again(stage):
    doc, node = yield from stage.new_document()
    yield from stage.select(doc, HOLE, feather=3)
    stage.choose(grow=2, texture_strength=0.5)
    yield from stage.run()
    no_failure(stage)
    first = stage.top(doc)
    pixels = bytes(first.pixelData(*stage.canvas(doc)))
    stage.krita.action("deselect").trigger()
    stage.choose()
    doc.waitForDone()
    yield 0.2
    yield from stage.run("dgfnet_inpaint_again")
    stage.failed_with("not a result")
    doc.setActiveNode(first)
    yield 0.2
    stage.messages.clear()
    yield from stage.run("dgfnet_inpaint_again")
    no_failure(stage)
    children = doc.rootNode().childNodes()
    assert [child.name() for child in children] == [node.name(), *RESULT, *RESULT]
    again = next(child for child in children[1:] if document.node_id(child) != document.node_id(first))
    assert bytes(again.pixelData(*stage.canvas(doc))) == pixels


@case
def another_fill_and_one_more(stage):
    doc, node = yield from stage.new_document()
    yield from stage.run("dgfnet_inpaint_another")
    stage.failed_with("Nothing is selected")
    stage.messages.clear()
    yield from stage.select(doc, HOLE, feather=3)
    stage.choose(grow=2)
    yield from stage.run()
    yield from stage.run("dgfnet_inpaint_another")  # of the selection
    stage.choose()
    stage.krita.action("deselect").trigger()
    doc.waitForDone()
    yield 0.2
    yield from stage.run("dgfnet_inpaint_another")  # of what was filled last
    no_failure(stage)
    assert document.node_id(doc.activeNode()) == document.node_id(node)
    source, *fills = doc.rootNode().childNodes()
    assert document.node_id(source) == document.node_id(node)
    assert [fill.name() for fill in fills] == RESULT * 3
    made = [records.recall(doc, fill) for fill in fills]
    assert made == sorted(made, key=lambda record: record["made"]), "the newest is not on top"
    assert all(record["options"]["grow"] == 2 for record in made)
    assert [bool(record["options"]["variation"]) for record in made] == [False, True, True]
    pixels = [bytes(fill.pixelData(*stage.canvas(doc))) for fill in fills]
    assert pixels[0][3::4] == pixels[1][3::4] == pixels[2][3::4]
    assert len(set(pixels)) == 3
    yield from stage.step("edit_undo")
    doc.setActiveNode(fills[0])
    yield 0.2
    yield from stage.run("dgfnet_inpaint_another")  # of the active result
    no_failure(stage)
    assert len(doc.rootNode().childNodes()) == 4
    assert bytes(stage.top(doc).pixelData(*stage.canvas(doc))) not in pixels, "what was undone came back"
    assert document.node_id(doc.activeNode()) == document.node_id(fills[0])


@case
def run_again_after_saving_and_loading(stage):
    doc, _node = yield from stage.new_document()
    yield from stage.select(doc, HOLE)
    stage.choose(output="group")
    yield from stage.run()
    no_failure(stage)
    path = str(stage.out / "saved.kra")
    assert doc.saveAs(path)
    doc.waitForDone()
    yield 0.3
    doc.setModified(False)
    doc.close()
    yield 0.3
    loaded = stage.krita.openDocument(path)
    loaded.setBatchmode(True)
    stage.krita.activeWindow().addView(loaded)
    yield 0.3
    loaded.setActiveNode(stage.top(loaded).childNodes()[0])
    yield 0.2
    record = records.recall(loaded, loaded.activeNode())
    assert record["options"]["output"] == "group"
    assert len(record["report"]["weights"]["sha256"]) == 64
    assert record["report"]["version"]
    count = len(loaded.rootNode().childNodes())
    yield from stage.run("dgfnet_inpaint_again")
    no_failure(stage)
    assert len(loaded.rootNode().childNodes()) == count + 1


def beside_a_fill(stage, output="layer", opacity=255):
    """Two objects beside each other, removed one after the other."""
    doc, node = yield from stage.new_document()
    first, second = (100, 80, 40, 40), (150, 80, 40, 40)
    for x, y, width, height in (first, second):
        node.setPixelData(QByteArray(bytes([0, 255, 0, 255]) * (width * height)), x, y, width, height)
    doc.refreshProjection()
    doc.waitForDone()
    yield from stage.select(doc, first, feather=3)
    stage.choose(output=output, grow=2)
    yield from stage.run()
    no_failure(stage)
    fill, canvas = stage.top(doc), stage.canvas(doc)
    fill.setOpacity(opacity)
    doc.refreshProjection()
    doc.waitForDone()
    source, filled = bytes(node.pixelData(*canvas)), bytes(fill.projectionPixelData(*canvas))
    shown = stage.picture(doc)
    yield from stage.select(doc, second)
    stage.choose()
    yield from stage.run()
    no_failure(stage)
    result = bytes(stage.top(doc).pixelData(*canvas))
    mask = stage.selection(doc)
    stage.facts["opacity"] = opacity
    stage.keep(doc, document.space_of(doc), source=source, fill=filled, shown=shown, mask=mask, result=result)
    return doc, fill


@case
def second_hole_beside_the_first(stage):
    doc, first = yield from beside_a_fill(stage)
    source = doc.rootNode().childNodes()[0]
    first.setVisible(False)  # the hidden fill is no part of the source
    doc.refreshProjection()
    doc.waitForDone()
    stage.top(doc).setVisible(False)
    yield 0.2
    yield from stage.run()
    no_failure(stage)
    stage.keep(
        doc,
        document.space_of(doc),
        without=bytes(stage.top(doc).pixelData(*stage.canvas(doc))),
        source=bytes(source.pixelData(*stage.canvas(doc))),
    )


@case
def second_hole_beside_a_group(stage):
    yield from beside_a_fill(stage, "group")


@case
def second_hole_beside_a_fill_at_half_opacity(stage):
    yield from beside_a_fill(stage, opacity=128)


@case
def result_is_not_taken_for_the_source(stage):
    doc, node = yield from stage.new_document()
    yield from stage.select(doc, HOLE)
    yield from stage.run()
    doc.setActiveNode(stage.top(doc))
    yield 0.2
    yield from stage.select(doc, (20, 20, 30, 30))
    before = bytes(node.pixelData(*stage.canvas(doc)))
    yield from stage.run()
    no_failure(stage)
    stage.check_layer(doc, node, stage.top(doc), before, fills=2)
