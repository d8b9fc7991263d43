"""A tool that holds the document open (Move, Transform, a stroke under way) at the click and when the fill is there."""

from dgfnet_inpaint import document, jobs, layers
from dgfnet_inpaint.extension import DOCKER
from dgfnet_inpaint.qt import QByteArray, Qt, QTimer, QWidget

from .stage import case
from .trees import attach, no_failure
from .waiting import HOLE, RESULT, halted

try:
    from PyQt5.QtCore import QPoint
    from PyQt5.QtGui import QImage
    from PyQt5.QtTest import QTest
    from PyQt5.QtWidgets import QApplication
except ImportError:
    from PyQt6.QtCore import QPoint
    from PyQt6.QtGui import QImage
    from PyQt6.QtTest import QTest
    from PyQt6.QtWidgets import QApplication

CANVASES = ("KisOpenGLCanvas2", "KisQPainterCanvas")
LEFT, PLAIN = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
MIDDLE = (130, 90, 60, 60)  # of the canvas
BRUSH, MOVE, TRANSFORM = "KritaShape/KisToolBrush", "KritaTransform/KisToolMove", "KisToolTransform"


def take(stage, tool):
    stage.krita.action(tool).trigger()
    yield 1.0


def middle(stage):
    """The canvas that is shown and its middle."""
    window = stage.krita.activeWindow().qwindow()
    (canvas,) = [
        widget
        for widget in window.findChildren(QWidget)
        if widget.metaObject().className() in CANVASES and widget.isVisible()
    ]
    return canvas, canvas.rect().center()


def press(stage, way):
    """Drag from the middle of the canvas, and keep the button down."""
    canvas, start = middle(stage)
    QTest.mouseMove(canvas, start)
    QTest.mousePress(canvas, LEFT, PLAIN, start)
    for step in range(5):
        QTest.mouseMove(canvas, start + QPoint(way * step // 4, 0))
        yield 0.05


def release(stage, way):
    canvas, start = middle(stage)
    QTest.mouseRelease(canvas, LEFT, PLAIN, start + QPoint(way, 0))


def drag(stage, way):
    yield from press(stage, way)
    release(stage, way)
    yield 1.0


def run_until_held(stage):
    stage.krita.action("dgfnet_inpaint").trigger()
    yield from stage.wait_for(lambda: stage.controller.jobs[0].stage == jobs.HELD)
    yield 1.0


def held_at_the_click(stage, tool):
    """Nothing is asked of Krita that waits for an end which the artist could not bring about meanwhile."""
    doc, node = yield from stage.new_document()
    yield from stage.select(doc, HOLE)
    yield from take(stage, tool)
    try:
        yield from press(stage, 20)
        assert not document.is_idle(doc), "the tool does not hold the document"
        yield from run_until_held(stage)
        stage.krita.action("dgfnet_cancel").trigger()
        yield from stage.finish()
        stage.said("Cancelled")
        assert not document.is_idle(doc), "the artist was not done"
        yield from run_until_held(stage)
        release(stage, 20)
        yield 1.0
    finally:
        yield from take(stage, BRUSH)
    yield from stage.finish()
    assert not any(is_failure for _, is_failure in stage.messages), stage.messages
    assert stage.layers(doc.rootNode()) == [[node.name()], RESULT]


@case
def brush_stroke_at_the_click(stage):
    yield from held_at_the_click(stage, BRUSH)


@case
def move_under_way_at_the_click(stage):
    yield from held_at_the_click(stage, MOVE)


@case
def transformation_under_way_at_the_click(stage):
    yield from held_at_the_click(stage, TRANSFORM)


@case
def move_tool_before_the_click(stage):
    """The fill waits until its artist presses Enter; then what was moved is filled: here a transparent rectangle.

    What was the active layer at the click is filled, not what its artist goes on with.
    """
    doc, node = yield from stage.new_document()
    other = doc.createNode("other", "paintlayer")
    doc.rootNode().addChildNode(other, None)
    doc.waitForDone()
    yield 0.1
    doc.setActiveNode(node)
    node.setPixelData(QByteArray(bytes(4 * HOLE[2] * HOLE[3])), *HOLE)
    doc.refreshProjection()
    doc.waitForDone()
    yield 0.2
    yield from take(stage, MOVE)
    try:
        yield from drag(stage, 20)
        assert not document.is_idle(doc), "the tool does not hold the document"
        yield from run_until_held(stage)
        assert not document.is_idle(doc), "the artist was not done"
        canvas, _ = middle(stage)
        canvas.setFocus()
        QTest.keyClick(canvas, Qt.Key.Key_Return)
        doc.setActiveNode(other)
        yield from stage.finish()
        assert not any(is_failure for _, is_failure in stage.messages), stage.messages
        assert stage.layers(doc.rootNode()) == [[node.name()], RESULT, ["other"]]
        way, bounds = node.position().x(), doc.rootNode().childNodes()[1].bounds()
        assert way > 0, "the move is lost"
        assert (bounds.x(), bounds.width()) == (HOLE[0] + way, HOLE[2])
    finally:
        yield from take(stage, BRUSH)


def begun_as_the_fill_arrives(stage, begin):
    """What goes to the active layer goes to its artist's, though Krita has made ours the active one for a moment."""
    doc, node = yield from stage.new_document()
    yield from stage.select(doc, MIDDLE)
    yield from take(stage, BRUSH)
    before = bytes(node.pixelData(*MIDDLE))
    seconds, layers.LOOK_SECONDS = layers.LOOK_SECONDS, 1.0  # we look again once it has begun
    try:
        stage.krita.action("dgfnet_inpaint").trigger()
        yield from stage.wait_for(lambda: document.node_id(document.active_node(doc)) != document.node_id(node))
        fill = stage.top(doc)
        filled = bytes(fill.pixelData(*MIDDLE))
        yield from begin(stage)
        yield from stage.finish()
    finally:
        layers.LOOK_SECONDS = seconds
    no_failure(stage)
    doc.waitForDone()
    assert bytes(fill.pixelData(*MIDDLE)) == filled, "it was done to the fill"
    assert bytes(node.pixelData(*MIDDLE)) != before, "nothing was done"
    assert document.node_id(document.active_node(doc)) == document.node_id(node)


@case
def stroke_begun_as_the_fill_arrives(stage):
    yield from begun_as_the_fill_arrives(stage, lambda stage: drag(stage, 20))


@case
def key_pressed_as_the_fill_arrives(stage):
    def clear(stage):
        canvas, _ = middle(stage)
        canvas.activateWindow()
        canvas.setFocus()
        yield 0.1
        QTest.keyClick(canvas, Qt.Key.Key_Delete)
        yield 0.2

    yield from begun_as_the_fill_arrives(stage, clear)


@case
def transform_tool_while_a_fill_is_made(stage):
    doc, _node = yield from halted(stage)
    names = stage.layers(doc.rootNode())
    yield from take(stage, TRANSFORM)
    try:
        assert not document.is_idle(doc), "the tool does not hold the document"
        stage.go_on()
        yield from stage.wait_for(lambda: stage.controller.jobs[0].stage == jobs.HELD)
        yield 0.5
        assert stage.layers(doc.rootNode()) == names
        assert not document.is_idle(doc), "the artist was not done"
    finally:
        yield from take(stage, BRUSH)
    yield from stage.finish()
    stage.said()
    assert stage.layers(doc.rootNode()) == [*names, RESULT]


@case
def cancelled_while_a_tool_is_open(stage):
    """With the docker hidden: that the fill waits is told over the canvas."""
    doc, _node = yield from halted(stage)
    names, told = stage.layers(doc.rootNode()), []
    (docker,) = [docker for docker in stage.krita.dockers() if docker.objectName() == DOCKER]
    was_visible = docker.isVisible()
    docker.setVisible(False)
    stage.controller.unseen.connect(told.append)
    yield from take(stage, TRANSFORM)
    try:
        stage.go_on()
        yield from stage.wait_for(lambda: stage.controller.jobs[0].stage == jobs.HELD)
        assert told == [f"{jobs.HELD}…"], told
        stage.krita.action("dgfnet_cancel").trigger()
        yield from stage.finish()
        stage.said("Cancelled")
        assert not document.is_idle(doc)
    finally:
        stage.controller.unseen.disconnect(told.append)
        docker.setVisible(was_visible)
        yield from take(stage, BRUSH)
    assert stage.layers(doc.rootNode()) == names


@case
def reference_images_stay_on_top(stage):
    """Krita keeps them in a hidden layer; merging a layer above it would destroy them. Other vectors are pictures."""
    doc, node = yield from stage.new_document()
    QApplication.clipboard().setImage(QImage(50, 50, QImage.Format.Format_RGB32))
    timer = QTimer()
    timer.timeout.connect(lambda: QApplication.activeModalWidget() and QApplication.activeModalWidget().accept())
    timer.start(100)  # Krita asks for the image's colour profile
    stage.krita.action("paste_as_reference").trigger()
    timer.stop()
    yield 0.2
    yield from take(stage, BRUSH)
    assert [child.type() for child in doc.rootNode().childNodes()] == ["paintlayer", "vectorlayer"]
    references = stage.top(doc).name()
    vector = doc.createVectorLayer("vector")
    yield from attach(stage, doc, vector, above=node)
    vector.addShapesFromSvg('<svg width="40" height="40"><rect width="39" height="39"/></svg>')
    yield from stage.select(doc, HOLE)
    stage.choose(source="visible")
    yield from stage.run()
    yield from stage.run("dgfnet_leave_out")
    no_failure(stage)
    names = [[node.name()], ["vector"], RESULT, [document.LEAVE_OUT], [references]]
    assert stage.layers(doc.rootNode()) == names
