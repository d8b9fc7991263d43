"""Not a test: takes the pictures of the docs."""

import os

from dgfnet_inpaint.client.geometry import Bounds
from dgfnet_inpaint.extension import DOCKER
from dgfnet_inpaint.qt import QByteArray

from .stage import case

SIDE = 512
NAME_BADGE = (272, 330, 64, 54)
ROUND_BADGE = (112, 330, 108, 108)


def photograph(stage):
    """A shown document with the photograph."""
    doc = stage.krita.createDocument(SIDE, SIDE, "photograph", "RGBA", "U8", "", 72.0)
    doc.setBatchmode(True)
    stage.krita.activeWindow().addView(doc)
    yield 0.5
    with open(os.environ["DGFNET_KRITA_PHOTO"] + ".large", "rb") as file:
        doc.activeNode().setPixelData(QByteArray(file.read()), *Bounds(0, 0, SIDE, SIDE))
    doc.refreshProjection()
    return doc


@case
def pictures_of_the_docker(stage):
    window = stage.krita.activeWindow().qwindow()
    window.resize(1180, 760)
    doc = yield from photograph(stage)
    for docker in stage.krita.dockers():
        docker.setVisible(docker.objectName() in (DOCKER, "KisLayerBox"))
    (docker,) = [docker for docker in stage.krita.dockers() if docker.objectName() == DOCKER]

    def take(name, widget=window):
        widget.grab().save(str(stage.out / f"{name}.png"))

    yield 1.0
    stage.krita.action("dgfnet_inpaint").trigger()  # nothing is selected
    yield from stage.finish()
    yield 0.5
    stage.failed_with("Nothing is selected")
    take("error", docker)
    yield 8.0  # the sentence over the canvas goes
    yield from stage.select(doc, ROUND_BADGE, feather=2)
    take("before")
    stage.choose(output="group")
    yield from stage.run()
    assert not any(is_failure for _, is_failure in stage.messages[1:]), stage.messages
    yield 8.0  # the fill in the layer list, the device in the docker
    take("after")
    for _ in range(3):
        stage.krita.action("dgfnet_inpaint").trigger()
    yield from stage.wait_for(lambda: docker.panel.bar.value() >= 40)
    take("progress", docker)
    yield from stage.finish()
    doc = yield from photograph(stage)
    stage.choose()
    yield from stage.select(doc, NAME_BADGE, feather=2)
    yield from stage.run("dgfnet_leave_out")
    yield from stage.select(doc, ROUND_BADGE, feather=2)
    yield from stage.run()
    stage.said("was not looked at")
    yield 3.0
    take("leave-out")
