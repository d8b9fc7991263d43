"""A tool that holds the document open (Move, Transform) at the click and when the fill is there."""

from dgfnet_inpaint import jobs
from dgfnet_inpaint.extension import DOCKER
from dgfnet_inpaint.qt import QByteArray, Qt, QWidget

from .stage import case
from .waiting import HOLE, RESULT, halted

try:
    from PyQt5.QtCore import QPoint
    from PyQt5.QtTest import QTest
except ImportError:
    from PyQt6.QtCore import QPoint
    from PyQt6.QtTest import QTest

CANVASES = ("KisOpenGLCanvas2", "KisQPainterCanvas")
BRUSH, MOVE, TRANSFORM = "KritaShape/KisToolBrush", "KritaTransform/KisToolMove", "KisToolTransform"


def take(stage, tool):
    stage.krita.action(tool).trigger()
    yield 1.0


def drag(stage, way):
    """Drag from the middle of the canvas."""
    window = stage.krita.activeWindow().qwindow()
    (canvas,) = [
        widget
        for widget in window.findChildren(QWidget)
        if widget.metaObject().className() in CANVASES and widget.isVisible()
    ]
    start, left, plain = canvas.rect().center(), Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    QTest.mouseMove(canvas, start)
    QTest.mousePress(canvas, left, plain, start)
    for step in range(5):
        QTest.mouseMove(canvas, start + QPoint(way * step // 4, 0))
        yield 0.05
    QTest.mouseRelease(canvas, left, plain, start + QPoint(way, 0))
    yield 1.0


def is_free(doc):
    if not doc.tryBarrierLock():
        return False
    doc.unlock()
    return True


@case
def move_tool_before_the_click(stage):
    """The move is kept, and what was moved is filled: here a transparent rectangle."""
    doc, node = yield from stage.new_document()
    node.setPixelData(QByteArray(bytes(4 * HOLE[2] * HOLE[3])), *HOLE)
    doc.refreshProjection()
    doc.waitForDone()
    yield 0.2
    yield from take(stage, MOVE)
    try:
        yield from drag(stage, 20)
        assert not is_free(doc), "the tool does not hold the document"
        yield from stage.run()
        assert not any(is_failure for _, is_failure in stage.messages), stage.messages
        assert stage.layers(doc.rootNode()) == [[node.name()], RESULT]
        way, bounds = node.position().x(), stage.top(doc).bounds()
        assert way > 0, "the move is lost"
        assert (bounds.x(), bounds.width()) == (HOLE[0] + way, HOLE[2])
    finally:
        yield from take(stage, BRUSH)


@case
def transform_tool_while_a_fill_is_made(stage):
    doc, _node = yield from halted(stage)
    names = stage.layers(doc.rootNode())
    yield from take(stage, TRANSFORM)
    try:
        assert not is_free(doc), "the tool does not hold the document"
        stage.go_on()
        yield from stage.wait_for(lambda: stage.controller.jobs[0].stage == jobs.HELD)
        yield 0.5
        assert stage.layers(doc.rootNode()) == names
        assert not is_free(doc), "the artist was not done"
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
        assert not is_free(doc)
    finally:
        stage.controller.unseen.disconnect(told.append)
        docker.setVisible(was_visible)
        yield from take(stage, BRUSH)
    assert stage.layers(doc.rootNode()) == names
