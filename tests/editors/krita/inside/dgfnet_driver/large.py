"""A hole of 512 px in an 8K document: no long gap on the window's thread."""

from dgfnet_inpaint import document
from dgfnet_inpaint.qt import QByteArray

from .stage import HEIGHT, WIDTH, case

TILES = 7680 // WIDTH


@case
def hole_of_512_px_in_8k(stage):
    doc, node = yield from stage.new_document(width=7680, height=4320)
    photo = stage.photo()
    rows = (photo[start : start + 4 * WIDTH] for start in range(0, len(photo), 4 * WIDTH))
    band = QByteArray(b"".join(row * TILES for row in rows))
    for top in range(0, 4320, HEIGHT):
        node.setPixelData(band, 0, top, 7680, HEIGHT)
        yield 0.0
    doc.refreshProjection()
    doc.waitForDone()
    yield 1.0
    yield from stage.select(doc, (3500, 2000, 512, 512))
    yield 0.5
    yield from stage.run()
    assert not any(is_failure for _, is_failure in stage.messages), stage.messages
    result = stage.top(doc)
    stage.facts["server_seconds"] = document.recall_of(doc, result)["report"]["seconds"]
    assert result.name() == "Inpaint (DGFNet)"
    alpha = bytes(result.pixelData(3400, 1900, 712, 712))[3::4]
    assert sum(1 for value in alpha if value) == 512 * 512
