"""What may happen between the click and the fill."""

import os
import signal
import threading
from functools import partial

from dgfnet_inpaint import document, jobs, payloads, records
from dgfnet_inpaint.client.discovery import state_folder
from dgfnet_inpaint.extension import DOCKER
from dgfnet_inpaint.qt import QWidget

from .stage import case
from .trees import filled_without, no_failure

HOLE = (120, 80, 60, 40)
RESULT = ["Inpaint (DGFNet)"]


def halted(stage):
    """A job that waits for a server that stands still: (document, layer)."""
    doc, node = yield from stage.new_document()
    yield from stage.select(doc, HOLE)
    yield from stage.run()  # the server is up and knows us
    stage.krita.action("edit_undo").trigger()
    doc.waitForDone()
    yield 0.2
    doc.setActiveNode(node)
    yield 0.1
    stage.messages.clear()
    stage.stop_server_process()
    stage.krita.action("dgfnet_inpaint").trigger()
    yield from stage.until_sent()
    return doc, node


@case
def document_closed(stage):
    doc, _node = yield from halted(stage)
    line, ticket, cancelled = stage.controller._line, stage.controller.jobs[0].ticket, []
    with_cancel = line.cancel
    line.cancel = lambda number: (cancelled.append(number), with_cancel(number))
    try:
        doc.setModified(False)
        doc.close()
        yield from stage.wait_for(lambda: ticket in cancelled)  # else the server is left at work
    finally:
        line.cancel = with_cancel
    stage.go_on()
    yield from stage.finish()
    stage.failed_with("was closed", "dropped")


@case
def document_closed_while_the_line_works(stage):
    """Before a reading, and after the last of them: then the job is not sent."""
    line, sent = stage.controller._line, []
    stage.choose(source="visible")
    line.submit = lambda *order: sent.append(order)
    try:
        for name in ("mask_over", "known"):
            doc, _node = yield from stage.new_document()
            yield from stage.select(doc, HOLE)
            yield 0.6  # else Krita crashes (runner.py)
            work, began, is_free = getattr(payloads, name), threading.Event(), threading.Event()
            setattr(payloads, name, partial(hold, work, began, is_free))
            try:
                stage.krita.action("dgfnet_inpaint").trigger()
                yield from stage.wait_for(began.is_set)
                doc.setModified(False)
                doc.close()
                yield 0.2
            finally:
                is_free.set()
                setattr(payloads, name, work)
            yield from stage.finish()
            stage.failed_with("was closed", "dropped")
            stage.messages.clear()
    finally:
        del line.submit
    assert not sent, "it was sent"


def hold(work, began, is_free, *arguments):
    """Call a function once that is allowed."""
    began.set()
    is_free.wait(10)
    return work(*arguments)


@case
def layer_deleted(stage):
    doc, node = yield from halted(stage)
    other = doc.createNode("other", "paintlayer")
    doc.rootNode().addChildNode(other, None)
    doc.waitForDone()
    node.remove()
    doc.waitForDone()
    yield 0.2
    stage.go_on()
    yield from stage.finish()
    stage.said("was deleted meanwhile", "on top")
    assert stage.layers(doc.rootNode())[-1] == RESULT


@case
def layer_deleted_before_it_is_read(stage):
    doc, node = yield from stage.new_document()
    other = node.duplicate()
    yield from stage.add_active(doc, other)
    yield from stage.select(doc, HOLE)
    stage.krita.action("dgfnet_inpaint").trigger()
    other.remove()
    yield from stage.finish()
    stage.failed_with("No layer was active at the click, or it is gone", "Click the layer to fill")
    assert stage.layers(doc.rootNode()) == [[node.name()]]


@case
def flattened(stage):
    doc, node = yield from halted(stage)
    names = stage.layers(doc.rootNode())
    other = node.duplicate()
    doc.rootNode().addChildNode(other, None)
    doc.waitForDone()
    yield 0.3
    stage.krita.action("flatten_image").trigger()
    doc.waitForDone()
    yield 0.6
    assert len(stage.layers(doc.rootNode())) == len(names)
    stage.go_on()
    yield from stage.finish()
    stage.said("was deleted meanwhile", "on top")
    assert stage.layers(doc.rootNode())[-1] == RESULT
    yield from stage.step("edit_undo")
    assert len(stage.layers(doc.rootNode())) == len(names)


@case
def canvas_resized(stage):
    doc, _node = yield from halted(stage)
    doc.resizeImage(0, 0, 400, 300)
    doc.waitForDone()
    yield 0.2
    stage.go_on()
    yield from stage.finish()
    stage.said("320 x 240 to 400 x 300")
    assert stage.layers(doc.rootNode())[-1] == RESULT


@case
def colour_space_changed(stage):
    doc, _node = yield from halted(stage)
    doc.setColorSpace("RGBA", "U16", doc.colorProfile())
    doc.waitForDone()
    yield 0.2
    stage.go_on()
    yield from stage.finish()
    stage.said("colour space was changed")
    assert document.space_of(stage.top(doc)) == document.space_of(doc)


def animated(stage):
    """An animated layer with a selection, at frame 0: (document, layer)."""
    doc, node = yield from stage.new_document()
    node.enableAnimation()
    doc.setCurrentTime(0)
    doc.waitForDone()
    yield from stage.select(doc, HOLE)
    return doc, node


@case
def frame_changed(stage):
    doc, _node = yield from animated(stage)
    stage.stop_server_process()
    stage.krita.action("dgfnet_inpaint").trigger()
    yield from stage.until_sent()
    doc.setCurrentTime(5)
    doc.waitForDone()
    yield 0.2
    stage.go_on()
    yield from stage.finish()
    stage.said("for frame 0", "another one is shown")


@case
def animated_picture(stage):
    """Of the visible picture any layer may be the animated one, and of a group any in it."""
    doc, node = yield from stage.new_document()
    group = doc.createGroupLayer("group")
    doc.rootNode().addChildNode(group, None)
    moving = node.duplicate()
    group.addChildNode(moving, None)
    moving.enableAnimation()
    doc.waitForDone()
    yield 0.3
    yield from stage.select(doc, HOLE)
    for source, active in (("visible", node), ("layer", group)):
        doc.setActiveNode(active)
        yield 0.2
        stage.choose(source=source)
        yield from stage.run()
        stage.said("for frame 0", "shows on all frames", "nion skins")
    doc.setActiveNode(moving)
    yield 0.2
    yield from stage.run()
    assert "nion skins" not in stage.messages[-1][0], "of a layer itself they are not read"
    doc.setActiveNode(node)
    yield 0.2
    stage.messages.clear()
    yield from stage.run()
    assert not stage.messages, stage.messages


@case
def other_document_in_front(stage):
    doc, _node = yield from halted(stage)
    other, _other_node = yield from stage.new_document()
    names = stage.layers(other.rootNode())
    stage.go_on()
    yield from stage.finish()
    assert stage.layers(other.rootNode()) == names
    assert stage.layers(doc.rootNode())[-1] == RESULT
    assert stage.krita.activeDocument() == other


@case
def jobs_queue_up(stage):
    doc, node = yield from halted(stage)
    for rectangle in ((20, 20, 30, 30), (220, 150, 40, 40)):
        yield from stage.select(doc, rectangle)
        stage.krita.action("dgfnet_inpaint").trigger()
    yield 0.3
    (docker,) = [docker for docker in stage.krita.dockers() if docker.objectName() == DOCKER]
    assert "(2 waiting)" in docker.panel.bar.format(), docker.panel.bar.format()
    stage.go_on()
    yield from stage.finish()
    assert stage.layers(doc.rootNode()) == [[node.name()], RESULT, RESULT, RESULT]


@case
def later_job_reads_the_fill_before_it(stage):
    """It has the selection and the layer of its own click, and fills from what the job before it has made."""
    doc, node = yield from halted(stage)
    other = doc.createNode("other", "paintlayer")
    yield from stage.add_active(doc, other)
    doc.setActiveNode(node)
    yield 0.2
    beside = (HOLE[0] + HOLE[2], HOLE[1], 40, 40)
    yield from stage.select(doc, beside)
    stage.krita.action("dgfnet_inpaint").trigger()
    yield from stage.wait_for(lambda: stage.controller.jobs[1].stage == jobs.WAITING)
    doc.setActiveNode(other)
    yield from stage.select(doc, (10, 10, 20, 20))
    stage.go_on()
    yield from stage.finish()
    no_failure(stage)
    assert stage.layers(doc.rootNode()) == [[node.name()], RESULT, RESULT, ["other"]]
    first, second = doc.rootNode().childNodes()[1:3]
    bounds = second.bounds()
    assert (bounds.x(), bounds.y(), bounds.width(), bounds.height()) == beside
    pixels = bytes(second.pixelData(*stage.canvas(doc)))
    assert (yield from filled_without(stage, doc, node, beside, [second])) == pixels, "it did not see the first fill"
    assert (yield from filled_without(stage, doc, node, beside, [first])) != pixels


def with_a_waiting_job(stage, hole):
    """A job at work and another that waits for it: (document, layer)."""
    doc, node = yield from halted(stage)
    yield from stage.select(doc, hole)
    stage.krita.action("dgfnet_inpaint").trigger()
    yield from stage.wait_for(lambda: stage.controller.jobs[1].stage == jobs.WAITING)
    return doc, node


@case
def canvas_changed_while_a_job_waits(stage):
    """Its selection lies elsewhere now; of the job at work that is told, and where its fill lies."""
    doc, node = yield from with_a_waiting_job(stage, (100, 100, 30, 30))
    doc.crop(60, 40, 200, 180)
    doc.waitForDone()
    yield 0.5
    stage.go_on()
    yield from stage.finish()
    stage.failed_with("canvas was changed while this job waited", "Select the region")
    assert stage.layers(doc.rootNode()) == [[node.name()], RESULT]


@case
def frame_changed_while_a_job_waits(stage):
    """It was to fill another picture; a layer that is not animated is filled all the same."""
    for is_animated in (True, False):
        doc, node = yield from with_a_waiting_job(stage, (220, 150, 40, 40))
        if is_animated:
            node.enableAnimation()
        doc.setCurrentTime(5)
        doc.waitForDone()
        yield 0.5
        stage.go_on()
        yield from stage.finish()
        if is_animated:
            stage.failed_with("Frame 0 was shown at the click", "Go to frame 0")
        else:
            no_failure(stage)
        assert stage.layers(doc.rootNode()) == [[node.name()], *[RESULT] * (1 if is_animated else 2)]
        stage.messages.clear()


@case
def frame_changed_while_a_tool_holds_the_document(stage):
    """Whoever clicks with a stroke under way means the frame that is shown then."""
    doc, node = yield from animated(stage)
    is_idle, document.is_idle = document.is_idle, lambda _document: False
    try:
        stage.krita.action("dgfnet_inpaint").trigger()
        yield from stage.wait_for(lambda: stage.controller.jobs[0].stage == jobs.HELD)
        doc.setCurrentTime(5)
        doc.waitForDone()
    finally:
        document.is_idle = is_idle
    yield from stage.finish()
    stage.failed_with("Frame 0 was shown at the click", "Go to frame 0")
    assert stage.layers(doc.rootNode()) == [[node.name()]]


@case
def later_jobs_outlive_the_one_before_them(stage):
    """Whether that is cancelled, before its turn or in it, or fails."""
    doc, node = yield from halted(stage)
    holes = [(20, 20, 30, 30), (220, 150, 40, 40)]
    for rectangle in holes:
        yield from stage.select(doc, rectangle)
        stage.krita.action("dgfnet_inpaint").trigger()
        yield 0.2
    stage.controller._cancel(stage.controller.jobs[1])
    yield from stage.finish(jobs=2)
    stage.said("Cancelled")
    stage.controller.cancel()
    stage.go_on()
    yield from stage.finish()
    no_failure(stage)
    (fill,) = records.results_above(doc, node)
    assert (fill.bounds().x(), fill.bounds().y()) == holes[1][:2]
    stage.stop_server_process()
    for _ in range(2):
        stage.krita.action("dgfnet_inpaint").trigger()
    yield from stage.until_sent()
    os.kill(stage.stopped.pop(), signal.SIGKILL)
    yield from stage.finish()
    assert [is_failure for _, is_failure in stage.messages].count(True) == 1, stage.messages
    assert len(records.results_above(doc, node)) == 2, stage.messages


@case
def document_closed_while_jobs_wait(stage):
    doc, _node = yield from halted(stage)
    stage.krita.action("dgfnet_inpaint").trigger()
    yield from stage.wait_for(lambda: stage.controller.jobs[1].stage == jobs.WAITING)
    doc.setModified(False)
    doc.close()
    yield 0.5
    stage.go_on()
    yield from stage.finish()
    stage.failed_with("was closed", "dropped")


@case
def cancelled_while_the_server_works(stage):
    doc, _node = yield from halted(stage)
    names = stage.layers(doc.rootNode())
    (docker,) = [docker for docker in stage.krita.dockers() if docker.objectName() == DOCKER]
    docker.panel.cancel_button.click()
    yield 0.1
    assert stage.controller.jobs[0].stage == "Cancelling"
    stage.go_on()
    yield from stage.finish()
    stage.said("Cancelled")
    assert stage.layers(doc.rootNode()) == names
    yield from stage.run()
    assert stage.layers(doc.rootNode()) == [*names, RESULT]


@case
def cancelled_at_once(stage):
    doc, _node = yield from stage.new_document()
    yield from stage.select(doc, HOLE)
    names = stage.layers(doc.rootNode())
    stage.krita.action("dgfnet_inpaint").trigger()
    stage.krita.action("dgfnet_cancel").trigger()
    yield from stage.finish()
    stage.said("Cancelled")
    assert stage.layers(doc.rootNode()) == names


@case
def server_killed(stage):
    doc, _node = yield from halted(stage)
    names = stage.layers(doc.rootNode())
    os.kill(stage.stopped.pop(), signal.SIGKILL)
    yield from stage.finish()
    stage.failed_with("connection to the server was lost", "try again")
    assert stage.layers(doc.rootNode()) == names
    yield from stage.run()  # starts another one
    assert stage.layers(doc.rootNode()) == [*names, RESULT], stage.messages


@case
def server_stopped_by_the_docker(stage):
    doc, _node = yield from stage.new_document()
    yield from stage.select(doc, HOLE)
    yield from stage.run()
    (docker,) = [docker for docker in stage.krita.dockers() if docker.objectName() == DOCKER]
    assert docker.panel.stop_button.isEnabled()
    docker.panel.stop_button.click()
    yield from stage.wait_for(lambda: stage.server() is None)
    yield from stage.wait_for(lambda: stage.controller.status.light == "off")
    assert not docker.panel.stop_button.isEnabled()
    yield from stage.run()
    assert len(doc.rootNode().childNodes()) >= 3, stage.messages


@case
def hidden_docker(stage):
    """What a docker would show is told over the canvas."""
    told = []
    doc, _node = yield from stage.new_document()
    yield from stage.select(doc, HOLE)
    (docker,) = [docker for docker in stage.krita.dockers() if docker.objectName() == DOCKER]
    was_visible = docker.isVisible()
    stage.controller.unseen.connect(told.append)
    try:
        docker.setVisible(True)
        docker.raise_()
        yield 0.2
        yield from stage.run()
        assert not told, told
        stage.controller.stop_server()
        yield from stage.wait_for(lambda: stage.server() is None)
        docker.setVisible(False)
        yield 0.2
        yield from stage.run()
        assert told == ["Reading the picture…", "Starting the server…"], told
    finally:
        stage.controller.unseen.disconnect(told.append)
        docker.setVisible(was_visible)


@case
def not_installed(stage):
    doc, _node = yield from stage.new_document()
    yield from stage.select(doc, HOLE)
    stage.controller.stop_server()
    yield from stage.wait_for(lambda: stage.server() is None)
    yield 0.5
    launch = state_folder() / "launch.json"
    hidden = launch.with_suffix(".hidden")
    launch.rename(hidden)
    try:
        yield from stage.run()
        stage.failed_with("not installed", "install.py")
    finally:
        hidden.rename(launch)
    yield from stage.run()
    assert stage.layers(doc.rootNode())[-1] == RESULT


@case
def no_document(stage):
    yield 0.1
    stage.controller.inpaint()
    stage.failed_with("No picture is open")


@case
def second_view(stage):
    """The layer that is active in the view in front is filled, and stays active."""
    doc, node = yield from stage.new_document()
    yield from stage.add_active(doc, doc.createNode("other", "paintlayer"))
    yield from stage.select(doc, HOLE)
    window = stage.krita.activeWindow()
    window.showView(window.addView(doc))
    yield 0.5
    stage.krita.action("activatePreviousLayer").trigger()
    yield 0.5
    assert [chosen.name() for chosen in window.activeView().selectedNodes()] == [node.name()]
    yield from stage.run()
    stage.said()
    assert stage.layers(doc.rootNode()) == [[node.name()], RESULT, ["other"]]
    assert [chosen.name() for chosen in window.activeView().selectedNodes()] == [node.name()]


@case
def second_window(stage):
    first = stage.krita.activeWindow()
    second = stage.krita.openWindow()
    yield 1.0
    try:
        second.qwindow().show()
        doc, _node = yield from stage.new_document()
        yield from stage.select(doc, HOLE)
        yield from stage.run()
        assert stage.layers(doc.rootNode())[-1] == RESULT
        dockers = [window.qwindow().findChild(QWidget, DOCKER) for window in (first, second)]
        assert all(dockers)
        assert dockers[0] is not dockers[1]
        assert len({docker.panel.device.text() for docker in dockers}) == 1
    finally:
        second.qwindow().close()
        yield 0.5
