"""Filling a recorded region once more: as it was, another way, after the picture has changed."""

from dgfnet_inpaint import document, records
from dgfnet_inpaint.qt import QByteArray

from .stage import case
from .trees import HOLE, RESULT, no_failure


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


def filled(stage):
    """A filled hole at (200, 80) of 60 x 40 without a selection: (document, its layer, the fill)."""
    doc, node = yield from stage.new_document()
    yield from stage.select(doc, (200, 80, 60, 40))
    yield from stage.run()
    no_failure(stage)
    stage.krita.action("deselect").trigger()
    doc.waitForDone()
    yield 0.2
    return doc, node, stage.top(doc)


def run_on(stage, doc, node, action):
    doc.setActiveNode(node)
    yield 0.3
    yield from stage.run(action)


def lies(node):
    bounds = node.bounds()
    return bounds.x(), bounds.y(), bounds.width(), bounds.height()


@case
def run_again_after_a_crop(stage):
    doc, _node, fill = yield from filled(stage)
    doc.crop(100, 0, 220, 240)
    doc.waitForDone()
    yield 0.5
    for action in ("dgfnet_inpaint_again", "dgfnet_inpaint_another"):
        yield from run_on(stage, doc, fill, action)
        no_failure(stage)
        assert lies(stage.top(doc)) == lies(fill) == (100, 80, 60, 40), (action, lies(stage.top(doc)), lies(fill))


@case
def run_again_after_scaling(stage):
    doc, _node, fill = yield from filled(stage)
    doc.scaleImage(160, 120, 300, 300, "Bilinear")
    doc.waitForDone()
    yield 0.5
    names = stage.layers(doc.rootNode())
    for action in ("dgfnet_inpaint_again", "dgfnet_inpaint_another"):
        yield from run_on(stage, doc, fill, action)
        stage.failed_with("was changed since", "Select the region, then run Inpaint")
    assert stage.layers(doc.rootNode()) == names


@case
def run_again_after_a_touch_up(stage):
    """A fill whose edge was erased still stands for its whole hole."""
    doc, _node, fill = yield from filled(stage)
    fill.setPixelData(QByteArray(bytes(4 * 10 * 40)), 200, 80, 10, 40)
    doc.refreshProjection()
    doc.waitForDone()
    yield 0.3
    assert lies(fill) == (210, 80, 50, 40)
    yield from run_on(stage, doc, fill, "dgfnet_inpaint_again")
    no_failure(stage)
    assert lies(stage.top(doc)) == (200, 80, 60, 40)


@case
def run_again_outside_of_the_canvas(stage):
    doc, _node, fill = yield from filled(stage)
    doc.resizeImage(0, 0, 150, 240)
    doc.waitForDone()
    yield 0.5
    yield from run_on(stage, doc, fill, "dgfnet_inpaint_again")
    stage.failed_with("outside of the canvas now", "Select the region, then run Inpaint")


@case
def run_again_after_undo_brought_it_back(stage):
    doc, node, fill = yield from filled(stage)
    doc.setActiveNode(fill)
    yield 0.2
    stage.krita.action("remove_layer").trigger()
    doc.waitForDone()
    yield 0.4
    doc.setActiveNode(node)
    yield 0.3
    yield from stage.select(doc, HOLE)
    yield from stage.run()
    while len(stage.layers(doc.rootNode())) != 1:  # Krita 5.3 counts a selection as a step
        yield from stage.step("edit_undo")
    while len(stage.layers(doc.rootNode())) == 1:
        yield from stage.step("edit_undo")
    stage.krita.action("deselect").trigger()
    doc.waitForDone()
    yield 0.2
    assert records.recall(doc, stage.top(doc)), "what is remembered about it is gone"
    yield from run_on(stage, doc, stage.top(doc), "dgfnet_inpaint_again")
    no_failure(stage)
