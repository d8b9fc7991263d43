"""The end of the program in the middle of a job. After all other cases."""

from .stage import case
from .waiting import HOLE


@case
def krita_is_left_during_a_job(stage):
    """With a hidden document open; how Krita ends is `krita_ends_well`."""
    doc, node = yield from stage.new_document("CMYKA", "U8", "")
    yield from stage.select(doc, HOLE)
    stage.choose(output="group")
    yield from stage.run()  # the server is up and knows us
    stage.krita.action("edit_undo").trigger()
    doc.waitForDone()
    yield 0.2
    doc.setActiveNode(node)
    stage.bench.close()
    yield 0.3
    stage.stop_server_process()
    stage.krita.action("dgfnet_inpaint").trigger()
    yield from stage.until_sent()
    hidden = [other for other in stage.krita.documents() if other != doc]
    assert [other.width() for other in hidden] == [1]
    assert not hidden[0].modified(), "Krita would save the hidden document after some minutes"
    doc.setModified(False)
    stage.is_leaving = True
