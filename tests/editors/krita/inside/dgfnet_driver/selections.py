"""Where the hole comes from: every kind of selection, transparency, masks, and nothing at all."""

from dgfnet_inpaint.qt import QByteArray
from krita import Selection

from .stage import HEIGHT, WIDTH, case

HOLE = (120, 80, 60, 40)


def fill_selection(stage, *rectangles, **options):
    doc, node = yield from stage.new_document()
    yield from stage.select(doc, *rectangles, **options)
    before, selected = bytes(node.pixelData(*stage.canvas(doc))), stage.selection(doc)
    yield from stage.run()
    assert not any(is_failure for _, is_failure in stage.messages), stage.messages
    stage.check_layer(doc, node, stage.top(doc), before)
    assert stage.selection(doc) == selected
    alpha = bytes(stage.top(doc).pixelData(*stage.canvas(doc)))[3::4]
    assert alpha == selected, "the fill's alpha is not the selection"


@case
def selection_feathered(stage):
    yield from fill_selection(stage, HOLE, feather=9)


@case
def selection_of_many_parts(stage):
    yield from fill_selection(stage, (20, 20, 30, 30), (250, 30, 20, 50), (120, 180, 80, 20))


@case
def selection_inverted(stage):
    yield from fill_selection(stage, (12, 12, WIDTH - 24, HEIGHT - 24), invert=True)


@case
def selection_partly_outside(stage):
    yield from fill_selection(stage, (-50, -20, 100, 60))


@case
def selection_of_one_pixel(stage):
    yield from fill_selection(stage, (200, 100, 1, 1))


@case
def selection_outside(stage):
    doc, _node = yield from stage.new_document()
    yield from stage.select(doc, (-500, -500, 100, 100))
    names = stage.layers(doc.rootNode())
    yield from stage.run()
    stage.failed_with("outside of the canvas")
    assert stage.layers(doc.rootNode()) == names


@case
def selection_of_everything(stage):
    doc, _node = yield from stage.new_document()
    yield from stage.select(doc, (0, 0, WIDTH, HEIGHT))
    names = stage.layers(doc.rootNode())
    yield from stage.run()
    stage.failed_with("Everything is selected")
    assert stage.layers(doc.rootNode()) == names


@case
def no_selection(stage):
    doc, _node = yield from stage.new_document()
    names = stage.layers(doc.rootNode())
    yield from stage.run()
    stage.failed_with("Nothing is selected", "no transparent pixels")
    assert stage.layers(doc.rootNode()) == names


@case
def empty_selection(stage):
    doc, _node = yield from stage.new_document()
    doc.setSelection(Selection())
    yield 0.1
    yield from stage.run()
    stage.failed_with("Nothing is selected")


@case
def no_selection_fills_transparent_pixels(stage):
    doc, node = yield from stage.new_document()
    node.setPixelData(QByteArray(bytes(4 * 50 * 30)), 100, 90, 50, 30)
    doc.refreshProjection()
    doc.waitForDone()
    yield from stage.run()
    assert not any(is_failure for _, is_failure in stage.messages), stage.messages
    result = stage.top(doc)
    alpha = bytes(result.pixelData(*stage.canvas(doc)))[3::4]
    inside = [(index % WIDTH, index // WIDTH) for index, value in enumerate(alpha) if value]
    assert (len(inside), min(inside), max(inside)) == (50 * 30, (100, 90), (149, 119))
    assert set(stage.picture(doc)[3::4]) == {255}


@case
def no_selection_fills_what_a_transparency_mask_hides(stage):
    doc, node = yield from stage.new_document()
    yield from stage.select(doc, (100, 90, 50, 30), invert=True)
    stage.krita.action("add_new_transparency_mask").trigger()
    doc.waitForDone()
    yield 0.3
    stage.krita.action("deselect").trigger()
    doc.waitForDone()
    yield 0.3
    assert doc.activeNode().type() == "transparencymask", doc.activeNode().type()
    assert 0 in set(stage.picture(doc)[3::4])
    yield from stage.run()
    assert not any(is_failure for _, is_failure in stage.messages), stage.messages
    assert stage.top(doc).name() == "Inpaint (DGFNet)"
    assert set(stage.picture(doc)[3::4]) == {255}
    assert [child.type() for child in node.childNodes()] == ["transparencymask"]


@case
def selection_of_the_layer_itself(stage):
    """A selection mask on the layer (a local selection) counts as Krita's tools have it."""
    doc, node = yield from stage.new_document()
    yield from stage.select(doc, HOLE)
    stage.krita.action("add_new_selection_mask").trigger()
    doc.waitForDone()
    yield 0.4
    (mask,) = node.childNodes()
    assert mask.type() == "selectionmask"
    doc.setActiveNode(node)
    yield 0.2
    yield from stage.run()
    assert not any(is_failure for _, is_failure in stage.messages), stage.messages
    other = Selection()
    other.select(20, 30, 50, 20, 255)
    mask.setSelection(other)
    doc.waitForDone()
    yield 0.3
    if doc.selection() is not None:
        yield from stage.run()
        stage.failed_with("has another one", "Hide")
        doc.setSelection(None)
        doc.waitForDone()
        yield 0.2
    assert doc.selection() is None
    stage.messages.clear()
    yield from stage.run()
    assert not any(is_failure for _, is_failure in stage.messages), stage.messages
    bounds = stage.top(doc).bounds()
    assert (bounds.x(), bounds.y(), bounds.width(), bounds.height()) == (20, 30, 50, 20)
    soft = Selection()
    soft.select(20, 30, 50, 20, 128)  # the same rectangle
    doc.setSelection(soft)
    doc.waitForDone()
    yield 0.2
    yield from stage.run()
    stage.failed_with("has another one", "Hide")
    doc.setSelection(None)
    doc.waitForDone()
    yield 0.2
    mask.setVisible(False)
    doc.waitForDone()
    yield 0.3
    yield from stage.run()
    stage.failed_with("Nothing is selected")


@case
def grow_and_feather(stage):
    doc, _node = yield from stage.new_document()
    yield from stage.select(doc, HOLE)
    stage.choose(grow=10, feather=3)
    yield from stage.run()
    alpha = bytes(stage.top(doc).pixelData(*stage.canvas(doc)))[3::4]
    inside = [(index % WIDTH, index // WIDTH) for index, value in enumerate(alpha) if value]
    assert (min(x for x, _ in inside), max(x for x, _ in inside)) == (110, 189)
    assert 0 < alpha[100 * WIDTH + 110] < 255
    assert alpha[100 * WIDTH + 150] == 255
