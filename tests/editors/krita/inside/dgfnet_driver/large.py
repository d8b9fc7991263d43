"""Holes in 8K documents: how long the window's thread is away, and what of it is the plug-in's own."""

import itertools
import statistics
import time

from dgfnet_inpaint import records
from dgfnet_inpaint.qt import QByteArray

from .stage import HEIGHT, WIDTH, case

SIZE = (7680, 4320)
TILES = SIZE[0] // WIDTH
_LEFTS = itertools.count(3500, 8)  # elsewhere each time: the server remembers what its network said


def filled(stage, hole, seconds=60, **choices):
    """Fill a rectangle of an 8K document; returns (document, result layer)."""
    doc, node = yield from stage.new_document(width=SIZE[0], height=SIZE[1])
    photo = stage.photo()
    rows = (photo[start : start + 4 * WIDTH] for start in range(0, len(photo), 4 * WIDTH))
    band = QByteArray(b"".join(row * TILES for row in rows))
    for top in range(0, SIZE[1], HEIGHT):
        node.setPixelData(band, 0, top, SIZE[0], HEIGHT)
        yield 0.0
    doc.refreshProjection()
    doc.waitForDone()
    yield 1.0
    yield from stage.select(doc, hole)
    stage.choose(**choices)
    yield 1.0
    yield from stage.run(seconds=seconds)
    assert not any(is_failure for _, is_failure in stage.messages), stage.messages
    result = stage.top(doc)
    stage.facts["server_seconds"] = records.recall(doc, result)["report"]["seconds"]
    assert result.name() == "Inpaint (DGFNet)"
    yardstick = stage.facts["new_document_ms"] = round(new_document_ms(stage.krita))
    assert stage.facts["own_turn_ms"] <= 2 * yardstick, stage.facts  # seen: 0.5 to 1.4
    return doc, result


def new_document_ms(krita):
    """CPU time that this Krita takes, here and now, to make a small document: a measure of the machine and its load.

    Our longest turns are one call of Krita's each, of which this is one.
    """
    times = []
    for _ in range(3):
        began = time.thread_time()
        doc = krita.createDocument(64, 64, "", "RGBA", "U8", "", 72.0)
        times.append(1000 * (time.thread_time() - began))
        doc.close()
    return statistics.median(times)


def opaque_pixels(layer, hole):
    """How many pixels in and around a hole are shown."""
    x, y, width, height = hole
    alpha = bytes(layer.pixelData(x - 100, y - 100, width + 200, height + 200))[3::4]
    return len(alpha) - alpha.count(0)


@case
def hole_of_512_px_in_8k(stage):
    hole = (next(_LEFTS), 2000, 512, 512)
    _doc, result = yield from filled(stage, hole)
    assert opaque_pixels(result, hole) == 512 * 512


@case
def hole_of_512_px_in_8k_as_a_group(stage):
    hole = (next(_LEFTS), 2000, 512, 512)
    _doc, result = yield from filled(stage, hole, output="group")
    assert [opaque_pixels(child, hole) for child in result.childNodes()] == [512 * 512] * 2


@case
def hole_of_3_megapixels_in_8k(stage):
    hole = (2500, 1200, 2048, 1536)
    _doc, result = yield from filled(stage, hole, seconds=110, context=0.25)
    assert opaque_pixels(result, hole) == 2048 * 1536
