"""The road: action, docker, undo, what is left alone."""

from dgfnet_inpaint import document
from dgfnet_inpaint.extension import DOCKER

from .stage import case

HOLE = (120, 80, 60, 40)


@case
def action_fills_the_selection(stage):
    doc, node = yield from stage.new_document()
    yield from stage.select(doc, HOLE)
    before, selected, shown = bytes(node.pixelData(*stage.canvas(doc))), stage.selection(doc), stage.picture(doc)
    names = stage.layers(doc.rootNode())
    yield from stage.run()
    assert not any(is_failure for _, is_failure in stage.messages), stage.messages
    result = stage.top(doc)
    assert result.name() == "Inpaint (DGFNet)"
    stage.check_layer(doc, node, result, before)
    assert stage.selection(doc) == selected, "the selection was changed"
    assert document.node_id(doc.activeNode()) == document.node_id(node), "the active node was not put back"
    filled = stage.picture(doc)
    changed = [i for i in range(0, len(shown), 4) if shown[i : i + 4] != filled[i : i + 4]]
    assert changed
    assert all(selected[i // 4] for i in changed), "a pixel outside of the selection was changed"

    yield from stage.step("edit_undo")
    assert stage.layers(doc.rootNode()) == names, "one undo is not enough"
    assert stage.picture(doc) == shown
    yield from stage.step("edit_redo")
    assert stage.picture(doc) == filled, "redo does not bring the fill back"


@case
def docker_button_makes_a_group(stage):
    doc, _node = yield from stage.new_document()
    yield from stage.select(doc, HOLE)  # an undo step in Krita 5.3: before the one that is looked for
    own = doc.createNode("own", "paintlayer")
    stage.paint(doc, own)
    doc.rootNode().addChildNode(own, None)
    doc.waitForDone()
    yield 0.1
    doc.setActiveNode(own)
    yield 0.2
    shown = stage.picture(doc)
    names = stage.layers(doc.rootNode())
    (docker,) = [docker for docker in stage.krita.dockers() if docker.objectName() == DOCKER]
    docker.setVisible(True)
    docker.raise_()
    yield 0.2
    panel = docker.panel
    panel.output.setCurrentIndex(1)
    stages = []
    stage.controller.jobs_changed.connect(lambda: stages.append(panel.bar.format()))
    stage.heartbeat.reset()
    panel.inpaint_button.click()
    yield from stage.finish()
    assert panel.output.currentText() == "Editable group"
    assert stage.controller.settings.output == "group"
    assert stages[0].startswith("Reading"), stages
    assert not panel.progress.isVisible()
    assert "weights" in panel.device.text(), panel.device.text()
    assert stage.layers(doc.rootNode())[-1] == [
        "Inpaint (DGFNet)",
        ["Coarse"],
        ["Texture"],
    ]
    filled, whole = stage.picture(doc), stage.layers(doc.rootNode())
    assert filled != shown
    yield from stage.step("edit_undo")
    assert stage.layers(doc.rootNode()) == names, "one undo is not enough"
    assert stage.picture(doc) == shown
    yield from stage.step("edit_undo")
    assert stage.layers(doc.rootNode()) == names[:-1], "the second undo is not the artist's own last step"
    yield from stage.step("edit_redo")
    yield from stage.step("edit_redo")
    assert stage.layers(doc.rootNode()) == whole
    assert stage.picture(doc) == filled, "redo does not bring the fill back"
