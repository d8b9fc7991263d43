"""Run inside a process of its own: the plug-in on one PyQt with the stand-in module, against a real server.

`python bindings.py PyQt6 FOLDER`, where FOLDER holds the installed plug-in; DGFNET_HOME says where the server is.
"""

import sys
import time

from one_binding import binding, module

core, gui, QTest = module("QtCore"), module("QtGui"), module("QtTest").QTest
application = module("QtWidgets").QApplication([])
faults = []
sys.excepthook = lambda *what: (faults.append(what), sys.__excepthook__(*what))

import dgfnet_inpaint  # noqa: E402, F401 - registers itself
from dgfnet_inpaint import layers, qt, records  # noqa: E402
from krita import Document, Krita, Selection  # noqa: E402

assert qt.QObject.__module__.startswith(binding)


def wait_for(what, seconds=120):
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "waited in vain"
        assert not faults, faults
        application.processEvents()
        time.sleep(0.005)


krita = Krita.instance()
(extension,), (factory,) = krita.extensions, krita.factories
extension.setup()
extension.createActions(krita.window)
docker = factory.make()
docker.show()
panel, controller = docker.panel, docker._shared
messages = []
controller.message.connect(lambda text, is_failure: messages.append((text, is_failure)))

krita.window.actions["dgfnet_inpaint"].trigger()
assert messages[-1] == ("No picture is open. Open one and select the region to fill.", True), messages

document = Document(96, 64)
krita.open.append(document)
background = document.rootNode().childNodes()[0]
pixels = bytes(value for y in range(64) for x in range(96) for value in (2 * x, 3 * y, 120, 255))
background.setPixelData(pixels, 0, 0, 96, 64)
document.active = background
document.chosen = Selection(40, 20, 16, 12)

progress = []
controller.jobs_changed.connect(lambda: progress.append(panel.bar.format()))
panel.inpaint_button.click()
wait_for(lambda: not controller.jobs)
assert not messages[-1][1], messages
(_, fill) = document.rootNode().childNodes()
assert fill.name() == "Inpaint (DGFNet)"
assert document.active is background
alpha = bytes(fill.pixelData(0, 0, 96, 64))[3::4]
assert sum(alpha) == 255 * 16 * 12
assert bytes(background.pixelData(0, 0, 96, 64)) == pixels
assert progress[0].startswith("Reading"), progress
assert "Starting the server" in progress, progress
wait_for(lambda: controller.status.light == "ready")
assert "weights" in panel.device.text()

for box, typed, name in ((panel.context, "0.75", "context"), (panel.feather, "12.5", "feather")):
    first = getattr(controller.settings, name)
    box.selectAll()
    for character in typed:  # the controller answers each
        QTest.keyClicks(box, character)
        application.processEvents()
    assert (box.value(), getattr(controller.settings, name)) == (float(typed), float(typed)), (name, box.text())
    box.setValue(first)

for number in range(records.KEPT_GONE + 2):  # of layers that were deleted
    document.setAnnotation(f"{records.ANNOTATION}{number}", "", qt.QByteArray(b'{"made":%d}' % number))

panel.output.setCurrentIndex(1)
panel.texture_strength.setValue(40)
panel.patches.setValue(30)
assert krita.settings["dgfnet_inpaint", "output"] == "group"
krita.window.actions["dgfnet_inpaint"].trigger()
wait_for(lambda: not controller.jobs)
kept = [kind.split("/")[1] for kind in document.annotationTypes()]
assert sorted(int(kind) for kind in kept if kind.isdigit()) == list(range(2, records.KEPT_GONE + 2)), kept
group = document.rootNode().childNodes()[2]
assert [child.name() for child in group.childNodes()] == ["Coarse", "Texture"]
texture = group.childNodes()[1]
assert (texture.blendingMode(), texture.opacity(), texture.inheritAlpha()) == ("grain_merge", 102, True)

panel.another_button.click()
wait_for(lambda: not controller.jobs)
assert not messages[-1][1], messages
assert len(document.rootNode().childNodes()) == 4

# What is pressed while our layer is the active one for a moment is meant for the artist's.
seconds, layers.LOOK_SECONDS = layers.LOOK_SECONDS, 0.5
for begin in (lambda: QTest.mouseClick(panel, core.Qt.MouseButton.LeftButton), lambda: QTest.keyClick(panel, "x")):
    panel.inpaint_button.click()
    wait_for(lambda: document.active is not background)
    QTest.mouseMove(panel)
    assert document.active is not background
    begin()
    assert document.active is background
    wait_for(lambda: not controller.jobs)
layers.LOOK_SECONDS = seconds
document.active = fill
QTest.mouseClick(panel, core.Qt.MouseButton.LeftButton)
assert document.active is fill, "it is no business of ours any more"
document.active = background

# A job that fails while another is at work: its sentence stays when that one ends well.
panel.inpaint_button.click()
wait_for(lambda: controller.jobs[0].ticket is not None)
document.chosen = None
panel.leave_out_button.click()  # waits for nobody
wait_for(lambda: len(controller.jobs) == 1)
assert "Nothing is selected" in messages[-1][0], messages
wait_for(lambda: not controller.jobs)
assert messages[-1][1], messages
assert "Nothing is selected" in messages[-1][0], messages
document.chosen = Selection(40, 20, 16, 12)
panel.inpaint_button.click()
assert messages[-1] == ("", False), messages
panel.inpaint_button.click()
assert messages[-1] == ("", False), messages
wait_for(lambda: not controller.jobs)

document.chosen = Selection(60, 20, 20, 12)
panel.leave_out_button.click()
wait_for(lambda: not controller.jobs)
assert not messages[-1][1], messages
red = document.rootNode().childNodes()[-1]
assert (red.name(), red.opacity()) == ("Leave out (DGFNet)", 128)
assert bytes(red.pixelData(60, 20, 2, 1)) == b"\0\0\xff\xff" * 2
assert document.active is background
document.chosen = Selection(40, 20, 16, 12)
panel.inpaint_button.click()
wait_for(lambda: not controller.jobs)
assert "was not looked at" in messages[-1][0], messages
assert document.rootNode().childNodes()[-1] is red

panel.inpaint_button.click()
panel.inpaint_button.click()
wait_for(lambda: "(1 waiting)" in panel.bar.format())
controller.cancel_all()
wait_for(lambda: not controller.jobs)
assert messages[-1][0] == "Cancelled.", messages

# One after the other, also where the first is cancelled.
fills = len(document.rootNode().childNodes())
for _ in range(3):
    panel.inpaint_button.click()
wait_for(lambda: controller.jobs[0].ticket is not None)
assert [job.ticket for job in controller.jobs[1:]] == [None, None]
controller.cancel()
wait_for(lambda: not controller.jobs)
assert len(document.rootNode().childNodes()) == fills + 2

# The panel in a low docker: what it says can be read, and nothing is squashed.
panel.resize(panel.minimumSizeHint())
sentence = "The server ended with status 1 while it was starting. " * 10
controller.message.emit(sentence, True)
for _ in range(5):
    application.processEvents()
message = panel.message
assert message.height() >= message.heightForWidth(message.width()), (message.size(), message.toolTip())
assert message.toolTip() == sentence
assert message.visibleRegion().contains(core.QPoint(1, 1)), "its beginning is out of sight"
assert all(box.height() >= box.minimumSizeHint().height() for box in (panel.output, panel.context, panel.patches))
right = panel.output.mapTo(panel, panel.output.rect().topRight()).x()
assert right < panel.width(), "the choices are cut off at the right"

# A wheel over a box is left to what scrolls.
chosen, place, turn = panel.context.value(), core.QPointF(1, 1), core.QPoint(0, 120)
flags = core.Qt.MouseButton.NoButton, core.Qt.KeyboardModifier.NoModifier, core.Qt.ScrollPhase.NoScrollPhase
wheel = gui.QWheelEvent(place, place, core.QPoint(), turn, *flags, False)
application.sendEvent(panel.context, wheel)
assert not wheel.isAccepted()
assert panel.context.value() == chosen

# Its window is minimised, then it is hidden: Qt says twice that it is hidden.
application.sendEvent(panel, gui.QHideEvent())
docker.hide()
docker.show()
assert controller._watchers == 1, controller._watchers

panel.stop_button.click()
wait_for(lambda: controller.status.light == "off")
docker.hide()
krita.notifier().applicationClosing.emit()
assert not faults, faults
print(f"{binding} {qt.QObject.__module__} fine")
