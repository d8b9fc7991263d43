"""Run by kritarunner, without a window and without X: what the plug-in relies on in Krita."""

import json
import os
from pathlib import Path

from dgfnet_driver_spaces import LINEAR, SPACES
from dgfnet_inpaint import colour, document
from dgfnet_inpaint.client.geometry import Bounds
from dgfnet_inpaint.colour import SRGB, Space
from dgfnet_inpaint.conversion import Bench
from dgfnet_inpaint.layers import MadeLayer, attach
from dgfnet_inpaint.qt import QByteArray
from dgfnet_inpaint.reading import Readable, Scene
from krita import Krita

WIDTH = HEIGHT = 64
CANVAS = Bounds(0, 0, WIDTH, HEIGHT)
PHOTO = Space("RGBA", "U8", SRGB)


def pattern():
    """Smooth colours in Krita's order, opaque."""
    return bytes(value for y in range(HEIGHT) for x in range(WIDTH) for value in (2 * x + 40, 3 * y + 20, 128, 255))


def run(steps):
    """The value of a `tasks.Steps` that never waits."""
    try:
        while True:
            next(steps)
    except StopIteration as stop:
        return stop.value


def try_space(model, depth, profile):
    doc = Krita.instance().createDocument(WIDTH, HEIGHT, "contract", model, depth, profile, 72.0)
    space = document.space_of(doc)
    working = colour.working_space(space)
    assert document.is_open(doc)
    bench = Bench()
    assert run(bench.is_linear(working)) == (profile == LINEAR)

    worked = run(bench.convert(pattern(), CANVAS, PHOTO, working))
    data = run(bench.convert(worked, CANVAS, working, space))
    assert len(data) == CANVAS.area * space.pixel_bytes
    children = len(doc.rootNode().childNodes())
    before = run(bench.convert(worked, CANVAS, working, PHOTO))
    returned = run(bench.convert(data, CANVAS, space, working))
    after = run(bench.convert(returned, CANVAS, working, PHOTO))
    error = max(abs(value - wanted) for value, wanted in zip(after, before, strict=True))
    assert children == len(doc.rootNode().childNodes()), "a conversion left a layer behind"

    node = doc.createNode("source", "paintlayer")
    node.setPixelData(QByteArray(data), *CANVAS)
    doc.rootNode().addChildNode(node, None)
    doc.refreshProjection()
    doc.waitForDone()
    assert bytes(doc.pixelData(*CANVAS)) == data
    assert bytes(node.projectionPixelData(*CANVAS)) == data

    if colour.can_split(space):
        # Coarse: a darker picture. Their sum in Krita must be the fill.
        dark = bytes(value * 3 // 4 if index % 4 < 3 else value for index, value in enumerate(pattern()))
        darker = run(bench.convert(dark, CANVAS, PHOTO, space))
        coarse, texture = colour.split(
            data, darker, space, model == "CMYKA" and colour.inverts_ink(document.krita_version())
        )
        scene = Scene(
            document=doc,
            bench=bench,
            canvas=CANVAS,
            space=space,
            working=working,
            linear=False,
            target=node,
            target_name="source",
            source=Readable("", doc.pixelData, space, CANVAS),
            fills=[],
            left_out=[],
            frame=0,
            animated=False,
            has_onion_skins=False,
        )
        made = [
            MadeLayer("coarse", CANVAS, "normal", 1.0, space, coarse),
            MadeLayer("texture", CANVAS, "grain_merge", 1.0, space, texture),
        ]
        notes = run(attach(scene, "group", made, {"task": "contract"}, "group"))
        assert notes == [], notes
        doc.refreshProjection()
        doc.waitForDone()
        assert bytes(doc.pixelData(*CANVAS)) == data, "coarse and texture do not add up"
    bench.close()
    doc.setModified(False)
    doc.close()
    assert not document.is_open(doc)
    return error


def go(_arguments):
    report = {"version": Krita.instance().version()}
    for space in SPACES:
        name = "_".join(space)
        try:
            report[name] = try_space(*space)
        except BaseException as failure:
            report[name] = repr(failure)
    Path(os.environ["DGFNET_KRITA_OUT"]).write_text(json.dumps(report), encoding="utf-8")
