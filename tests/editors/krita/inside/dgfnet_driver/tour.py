"""Not a test: takes the picture of the docs."""

import os

from dgfnet_inpaint.client.geometry import Bounds
from dgfnet_inpaint.extension import DOCKER
from dgfnet_inpaint.qt import QByteArray

from .stage import case

SIDE = 512


@case
def picture_of_the_docker_and_a_fill(stage):
    window = stage.krita.activeWindow().qwindow()
    window.resize(1180, 760)
    doc = stage.krita.createDocument(SIDE, SIDE, "photograph", "RGBA", "U8", "", 72.0)
    doc.setBatchmode(True)
    stage.krita.activeWindow().addView(doc)
    yield 0.5
    with open(os.environ["DGFNET_KRITA_PHOTO"] + ".large", "rb") as file:
        doc.activeNode().setPixelData(QByteArray(file.read()), *Bounds(0, 0, SIDE, SIDE))
    doc.refreshProjection()
    for docker in stage.krita.dockers():
        docker.setVisible(docker.objectName() in (DOCKER, "KisLayerBox"))
    yield 1.0
    yield from stage.select(doc, (300, 210, 70, 60), (330, 190, 40, 60), feather=2)
    window.grab().save(str(stage.out / "before.png"))
    stage.choose(output="group")
    yield from stage.run()
    assert not any(is_failure for _, is_failure in stage.messages), stage.messages
    yield 8.0  # the fill in the layer list, the device in the docker
    window.grab().save(str(stage.out / "after.png"))
