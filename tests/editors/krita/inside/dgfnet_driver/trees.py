"""Layers of every kind and place: groups, masks, vectors, locks, offsets, other colour spaces."""

from dgfnet_inpaint import document, records
from dgfnet_inpaint.colour import SRGB
from dgfnet_inpaint.qt import QByteArray

from .stage import HEIGHT, WIDTH, case, small_bands

HOLE = (120, 80, 60, 40)
RESULT = ["Inpaint (DGFNet)"]


def attach(stage, doc, node, parent=None, above=None):
    (parent or doc.rootNode()).addChildNode(node, above)
    doc.waitForDone()
    yield 0.1
    doc.setActiveNode(node)
    yield 0.2
    assert document.node_id(doc.activeNode()) == document.node_id(node)


def painted_group(stage, doc):
    group = doc.createGroupLayer("group")
    inner = doc.createNode("inner", "paintlayer")
    stage.paint(doc, inner)
    group.addChildNode(inner, None)
    yield from attach(stage, doc, group)
    return group


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
    yield from painted_group(stage, doc)
    doc.refreshProjection()
    doc.waitForDone()
    yield from stage.select(doc, HOLE)
    yield from stage.run()
    no_failure(stage)
    assert stage.layers(doc.rootNode())[-2:] == [["group", ["inner"]], RESULT]


@case
def group_that_passes_through(stage):
    """It has no pixels of its own, whether it is the source or a fill on it."""
    doc, node = yield from stage.new_document()
    group = yield from painted_group(stage, doc)
    yield from stage.select(doc, HOLE)
    doc.setActiveNode(node)
    yield 0.2
    stage.choose(output="group")
    yield from stage.run()
    fill = doc.rootNode().childNodes()[1]
    assert fill.name() == RESULT[0]
    for passing, active in ((group, group), (fill, node)):
        passing.setPassThroughMode(True)
        doc.refreshProjection()
        doc.waitForDone()
        doc.setActiveNode(active)
        yield 0.3
        names = stage.layers(doc.rootNode())
        for action in ("dgfnet_inpaint", "dgfnet_texture_map"):
            stage.messages.clear()
            yield from stage.run(action)
            stage.failed_with(f"The group “{passing.name()}” passes through", "Switch its Pass Through off")
        assert stage.layers(doc.rootNode()) == names


@case
def onion_skins_are_no_part_of_a_frame(stage):
    """Where the frame is empty, Krita's own picture of the layer has the frames beside it, tinted."""
    doc, _node = yield from stage.new_document()
    cel = doc.createNode("cel", "paintlayer")
    yield from attach(stage, doc, cel)
    cel.enableAnimation()
    for frame, rectangle in enumerate(((0, 0, 100, 100), (200, 100, 50, 50))):
        doc.setCurrentTime(frame)
        doc.waitForDone()
        yield 0.2
        stage.krita.action("add_blank_frame").trigger()
        doc.waitForDone()
        yield 0.3
        cel.setPixelData(QByteArray(bytes([0, 255, 0, 255]) * (rectangle[2] * rectangle[3])), *rectangle)
    doc.refreshProjection()
    doc.waitForDone()
    switched_off, switched_on = b'onionskin="0"', b'onionskin="1"'  # scripts cannot do that
    doc = yield from stage.reopen(doc, lambda data: data.replace(switched_off, switched_on))
    doc.setCurrentTime(1)
    doc.waitForDone()
    cel = doc.nodeByName("cel")
    doc.setActiveNode(cel)
    doc.refreshProjection()
    doc.waitForDone()
    yield 0.5
    assert bytes(cel.projectionPixelData(50, 50, 1, 1))[3], "no onion skin is shown"
    yield from stage.select(doc, (30, 30, 30, 30))
    yield from stage.run()
    stage.failed_with("Nothing is known around the hole")


@case
def isolated_layer(stage):
    """The visible picture is what all layers show; a fill that is not seen is told. Depths differ here."""
    doc, node = yield from stage.new_document(depth="U16")
    other = doc.createNode("other", "paintlayer")
    other.setColorSpace("RGBA", "U8", SRGB)
    other.setPixelData(QByteArray(bytes([0, 255, 0, 255]) * (HOLE[2] * HOLE[3])), *HOLE)
    yield from attach(stage, doc, other, above=node)
    doc.refreshProjection()
    whole = stage.picture(doc)
    isolate = stage.krita.action("isolate_active_layer")
    isolate.trigger()
    yield 0.5
    assert stage.picture(doc) != whole, "the layer is not isolated"
    yield from stage.select(doc, HOLE)
    fills = []
    for source, is_isolated in (("visible", True), ("visible", False), ("layer", True)):
        if isolate.isChecked() != is_isolated:
            isolate.trigger()
            yield 0.5
        stage.choose(source=source)
        if source == "layer":
            yield from stage.select(doc, (HOLE[0] + 10, HOLE[1] + 10, 30, 20))
        stage.messages.clear()
        yield from stage.run()
        no_failure(stage)
        said = " ".join(text for text, _ in stage.messages)
        assert ("Isolate Active Layer" in said) == is_isolated, (source, said)
        if source == "visible":
            fills.append(bytes(stage.top(doc).pixelData(*stage.canvas(doc))))
            stage.top(doc).setVisible(False)
            doc.refreshProjection()
            doc.waitForDone()
            yield 0.2
    assert fills[0] == fills[1], "what was isolated was read"
    isolate.trigger()
    yield 0.3


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
    other, inner = doc.createNode("other", "paintlayer"), doc.createNode("inner", "paintlayer")
    for layer in (other, inner):
        stage.paint(doc, layer)
        yield from attach(stage, doc, layer, group, None)
    group.setLocked(True)
    yield from stage.select(doc, HOLE)
    yield from stage.run()
    no_failure(stage)
    locked = ["locked", ["other"], ["inner"]]
    assert stage.layers(doc.rootNode())[-2:] == [locked, RESULT]
    stage.said("is locked")
    for layer in (other, inner):
        doc.setActiveNode(layer)
        yield 0.2
        yield from stage.run()
        no_failure(stage)
    assert stage.layers(doc.rootNode())[-4:] == [locked, RESULT, RESULT, RESULT]
    first, second, third = fills = [child for child in doc.rootNode().childNodes() if [child.name()] == RESULT]
    made = [records.recall(doc, fill)["made"] for fill in fills]
    assert made == sorted(made), "a newer fill is below an older one"
    for layer, own in ((inner, (first, third)), (other, (second,))):
        assert [*map(document.node_id, records.fills_on(doc, layer))] == [*map(document.node_id, own)], layer.name()


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
def texture_map_of_an_empty_layer(stage):
    doc, _node = yield from stage.new_document()
    yield from attach(stage, doc, doc.createNode("empty", "paintlayer"))
    names = stage.layers(doc.rootNode())
    yield from stage.run("dgfnet_texture_map")
    stage.failed_with("“empty” is empty there", "visible picture")
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
def fill_of_a_layer_with_a_texture_map(stage):
    """It goes above the map, which would hide it; a part of the map is filled itself."""
    doc, node = yield from stage.new_document()
    yield from stage.run("dgfnet_texture_map")
    group = stage.top(doc)
    structure, texture = group.childNodes()
    yield from stage.select(doc, HOLE)
    made_from = [structure, node, group, node]
    for number, active in enumerate(made_from):
        doc.setActiveNode(active)
        yield 0.2
        shown = stage.picture(doc)
        stage.choose(variation=number)  # around the hole they look alike
        yield from stage.run()
        no_failure(stage)
        doc.refreshProjection()
        assert stage.picture(doc) != shown, f"the fill of {active.name()} is not seen"
    inside = [[structure.name()], RESULT, [texture.name()]]
    assert stage.layers(doc.rootNode()) == [[node.name()], [group.name(), *inside], RESULT, RESULT, RESULT]
    fills = [group.childNodes()[1], *doc.rootNode().childNodes()[2:5]]
    made = [records.recall(doc, fill)["source_id"] for fill in fills]
    assert made == [document.node_id(source) for source in made_from]
    own = [document.node_id(fills[1]), document.node_id(fills[3])]
    assert [document.node_id(fill) for fill in records.fills_on(doc, node)] == own


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
    with small_bands(stage.controller._line, 1000) as worked:
        yield from stage.run()
    assert 0 < max(worked) <= 1000, worked
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


def fill_hole(stage, doc, active, hole):
    """Fill a hole with a layer active."""
    doc.setActiveNode(active)
    yield 0.3
    yield from stage.select(doc, hole)
    yield from stage.run()
    no_failure(stage)


def filled_without(stage, doc, node, hole, hidden):
    """The fill of a hole without the layers `hidden`: its pixels; it is hidden too."""
    for layer in hidden:
        layer.setVisible(False)
    doc.refreshProjection()
    doc.waitForDone()
    yield from fill_hole(stage, doc, node, hole)
    fill = newest(doc, node)
    fill.setVisible(False)
    return bytes(fill.pixelData(*stage.canvas(doc)))


def merge(stage, doc):
    """Merge the active layer with the one below it, or the chosen layers."""
    stage.krita.action("merge_layer").trigger()
    doc.waitForDone()
    yield 1.0


def newest(doc, node):
    """The topmost fill of a layer."""
    return records.results_above(doc, node)[-1]


@case
def merged_and_duplicated_fills_stay_fills(stage):
    """They have new ids, and nothing is remembered about those: their name tells."""
    doc, node = yield from stage.new_document()
    above = doc.createNode("above", "paintlayer")
    yield from attach(stage, doc, above, above=node)
    doc.setActiveNode(node)
    yield 0.2
    for hole in ((80, 80, 40, 40), (130, 80, 40, 40)):
        yield from stage.select(doc, hole)
        yield from stage.run()
    doc.setActiveNode(newest(doc, node))
    yield 0.3
    third = (180, 80, 40, 40)
    for action in ("merge_layer", "duplicatelayer"):
        stage.krita.action(action).trigger()
        doc.waitForDone()
        yield 0.6
        new = doc.activeNode()
        assert records.recall(doc, new) is None
        yield from stage.select(doc, third)
        yield from stage.run()  # as Krita leaves it: with the merged one active
        no_failure(stage)
        fill = newest(doc, node)
        pixels = bytes(fill.pixelData(*stage.canvas(doc)))
        order = [document.node_id(each) for each in doc.rootNode().childNodes()]
        own = [document.node_id(each) for each in (node, new, fill, above)]
        assert [each for each in order if each in own] == own, stage.layers(doc.rootNode())
        assert (yield from filled_without(stage, doc, node, third, [fill])) == pixels
        if action == "merge_layer":
            assert (yield from filled_without(stage, doc, node, third, [new])) != pixels, "it was not read"
            new.setVisible(True)
        doc.setActiveNode(new)
        yield 0.3


@case
def fills_of_a_layer_that_was_merged_stay_its_fills(stage):
    """Krita gives the merged layer a new id, the lower one's name, and the fills above it still name the old one."""
    doc, node = yield from stage.new_document()
    second, beside = (130, 80, 40, 40), (180, 80, 40, 40)
    for hole, output in (((80, 80, 40, 40), "layer"), (second, "group")):
        stage.choose(output=output)
        yield from stage.select(doc, hole)
        yield from stage.run()
    stage.choose()
    yield from stage.run("dgfnet_texture_map")
    lowest, fill, texture = doc.rootNode().childNodes()[1:4]
    doc.setActiveNode(lowest)
    yield 0.3
    yield from merge(stage, doc)
    merged = doc.rootNode().childNodes()[0]
    assert merged.name() == node.name()
    assert not document.is_there(doc, node)
    assert list(map(document.node_id, records.fills_on(doc, merged))) == [document.node_id(fill)]
    for active in (fill, fill.childNodes()[0], merged):
        assert document.node_id(records.source_of(doc, active)) == document.node_id(merged), active.name()
    assert document.node_id(records.source_of(doc, texture)) == document.node_id(texture)
    yield from fill_hole(stage, doc, fill, beside)
    new = newest(doc, merged)
    order = [document.node_id(each) for each in doc.rootNode().childNodes() if each.type() != "selectionmask"]
    assert order == [document.node_id(each) for each in (merged, fill, texture, new)], stage.layers(doc.rootNode())
    pixels = bytes(new.pixelData(*stage.canvas(doc)))
    assert (yield from filled_without(stage, doc, merged, beside, [new])) == pixels
    assert (yield from filled_without(stage, doc, merged, beside, [fill])) != pixels, "the fill was not read"
    stage.krita.action("deselect").trigger()
    for action, active in (("dgfnet_inpaint_again", fill), ("dgfnet_inpaint_another", merged)):
        for each in records.fills_on(doc, merged):
            if document.node_id(each) != document.node_id(fill):
                each.remove()
        doc.waitForDone()
        doc.setActiveNode(active)
        yield 0.3
        yield from stage.run(action)
        no_failure(stage)
        assert not any("is gone" in text for text, _ in stage.messages), (action, stage.messages)
        new = newest(doc, merged)
        assert records.recall(doc, new)["source_id"] == document.node_id(merged), action
        bounds = new.bounds()
        assert (bounds.x(), bounds.y(), bounds.width(), bounds.height()) == second, action


@case
def hidden_source(stage):
    """It is read, and a sentence says so, or that its fill is not seen."""
    doc, node = yield from stage.new_document()
    group = yield from painted_group(stage, doc)
    (inner,) = group.childNodes()
    yield from stage.select(doc, HOLE)
    for hidden, active, words in (
        (node, node, "is hidden, and was read all the same"),
        (group, group, "is hidden, and was read all the same"),
        (group, inner, "is in a hidden group, and so is the result"),
    ):
        hidden.setVisible(False)
        doc.refreshProjection()
        doc.waitForDone()
        doc.setActiveNode(active)
        yield 0.3
        for action in ("dgfnet_inpaint", "dgfnet_texture_map"):
            stage.messages.clear()
            yield from stage.run(action)
            stage.said(f"“{active.name()}” {words}")


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
