"""What cases work with: documents with a photograph, clicks, waiting, the server's process, what they found."""

import contextlib
import json
import os
import signal
import time
import zipfile
from pathlib import Path

from dgfnet_inpaint import colour, document, extension
from dgfnet_inpaint.client.discovery import state_folder
from dgfnet_inpaint.client.geometry import Bounds
from dgfnet_inpaint.colour import SRGB, Space
from dgfnet_inpaint.conversion import Bench
from dgfnet_inpaint.qt import QByteArray
from dgfnet_inpaint.settings import Settings
from krita import Krita, Selection

CASES = {}
PHOTO = Space("RGBA", "U8", SRGB)
WIDTH, HEIGHT = 320, 240  # of the photograph handed in by the test


def case(function):
    """Register a case under its function's name."""
    CASES[function.__name__] = function
    return function


def at_once(steps):
    """The value of a story that waits for nothing but the window's next turn."""
    try:
        while True:
            next(steps)
    except StopIteration as stop:
        return stop.value


@contextlib.contextmanager
def small_bands(line, pixels):
    """Bands of so many pixels; a list of how many each call of the line's has worked on one by one.

    While a call runs, the session's PING does not leave and nothing can be cancelled.
    """
    worked = []

    def call(function):
        def noted():
            worked.append(0)
            return function()

        return type(line).call(line, noted)

    def counted(function):
        def work(first, second, space, *rest):
            worked[-1] += len(first) // space.pixel_bytes
            return function(first, second, space, *rest)

        return work

    kept = {name: getattr(colour, name) for name in ("BAND_PIXELS", "over", "merge", "split")}
    colour.BAND_PIXELS, line.call = pixels, call
    for name in ("over", "merge", "split"):
        setattr(colour, name, counted(kept[name]))
    try:
        yield worked
    finally:
        del line.call
        for name, value in kept.items():
            setattr(colour, name, value)


class Stage:
    """One case's view of Krita. `facts` go into the report."""

    def __init__(self, out, name, heartbeat):
        self.krita = Krita.instance()
        self.controller = extension.controller()
        self.out, self.name, self.heartbeat = Path(out), name, heartbeat
        self.facts = {"krita": self.krita.version()}
        self.messages = []
        self.controller.message.connect(self._listen)
        self.stopped = []
        self.is_leaving = False  # Krita is to be closed as the case leaves it
        self.bench = Bench()

    def _listen(self, text, is_failure):
        if text:
            self.messages.append((text, is_failure))

    def clean_up(self):
        self.controller.message.disconnect(self._listen)
        for pid in self.stopped:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        self.controller.cancel_all()
        self.controller.choose(Settings())
        self.bench.close()

    # Documents

    def photo(self):
        return Path(os.environ["DGFNET_KRITA_PHOTO"]).read_bytes()

    def new_document(self, model="RGBA", depth="U8", profile=SRGB, width=WIDTH, height=HEIGHT):
        """A shown document; generator that returns (document, its paint layer with the photograph)."""
        doc = self.krita.createDocument(width, height, self.name, model, depth, profile, 300.0)
        assert doc is not None, (model, depth, profile)
        doc.setBatchmode(True)
        self.krita.activeWindow().addView(doc)
        yield 0.1
        node = doc.activeNode()
        self.paint(doc, node)
        doc.refreshProjection()
        doc.waitForDone()
        yield 0.05
        return doc, node

    def paint(self, doc, node, dx=0, dy=0):
        """The photograph into a layer."""
        bounds = Bounds(dx, dy, WIDTH, HEIGHT)
        space = document.space_of(node)
        node.setPixelData(QByteArray(self.convert(self.photo(), bounds, PHOTO, space)), *bounds)

    def convert(self, data, bounds, old, new):
        """Pixels in another colour space."""
        return at_once(self.bench.convert(data, bounds, old, new))

    def reopen(self, doc, change):
        """Save a document and open that once more, each of its files as `change` makes it of the bytes."""
        saved, changed = (str(self.out / f"{self.name}-{state}.kra") for state in ("saved", "changed"))
        assert doc.saveAs(saved)
        doc.waitForDone()
        yield 0.5
        with zipfile.ZipFile(saved) as old, zipfile.ZipFile(changed, "w") as new:
            for name in old.namelist():
                new.writestr(name, change(old.read(name)))
        doc = self.krita.openDocument(changed)
        doc.setBatchmode(True)
        self.krita.activeWindow().addView(doc)
        yield 0.5
        return doc

    def add_active(self, doc, layer):
        """Put a layer on top of the others and make it the active one."""
        doc.rootNode().addChildNode(layer, None)
        doc.waitForDone()
        yield 0.3
        doc.setActiveNode(layer)
        yield 0.2

    def select(self, doc, *rectangles, feather=0, invert=False):
        """Select rectangles (x, y, width, height)."""
        selection = Selection()
        for rectangle in rectangles:
            part = Selection()
            part.select(*rectangle, 255)
            selection.add(part)
        if feather:
            selection.feather(feather)
        if invert:
            selection.invert()
        doc.setSelection(selection)
        doc.waitForDone()
        yield 0.05

    def canvas(self, doc):
        return Bounds(0, 0, doc.width(), doc.height())

    def picture(self, doc):
        doc.waitForDone()
        return bytes(doc.pixelData(*self.canvas(doc)))

    def selection(self, doc):
        selection = doc.selection()
        return bytes(selection.pixelData(*self.canvas(doc))) if selection else b""

    def layers(self, node):
        """The tree below a node as nested lists of names, without the selection."""
        return [[child.name(), *self.layers(child)] for child in node.childNodes() if child.type() != "selectionmask"]

    # Clicks

    def choose(self, **values):
        self.controller.choose(Settings(**values))

    def run(self, action="dgfnet_inpaint", seconds=60):
        """Trigger an action and wait until no job is left."""
        self.heartbeat.reset()
        self.krita.action(action).trigger()
        yield from self.finish(seconds=seconds)

    def finish(self, jobs=0, seconds=60):
        """Wait until at most so many jobs are left."""
        deadline = time.monotonic() + seconds
        while len(self.controller.jobs) > jobs:
            assert time.monotonic() < deadline, f"still {[job.stage for job in self.controller.jobs]}"
            yield 0.01
        yield 0.02
        self.facts.update(self.heartbeat.facts())
        self.facts["stages"] = {
            k: round(v, 3) for k, v in (self.controller.last.seconds if self.controller.last else {}).items()
        }
        self.facts["messages"] = [text for text, _ in self.messages]

    def step(self, action):
        """Undo or redo one step."""
        self.krita.action(action).trigger()
        self.krita.activeDocument().waitForDone()
        yield 0.2

    def wait_for(self, what, seconds=30):
        deadline = time.monotonic() + seconds
        while not what():
            assert time.monotonic() < deadline, "waited in vain"
            yield 0.02

    def failed_with(self, *words):
        """The last message is a failure that says these words."""
        assert self.messages, "nothing was said"
        text, is_failure = self.messages[-1]
        assert is_failure, self.messages
        assert all(word in text for word in words), self.messages

    def said(self, *words):
        text, is_failure = self.messages[-1] if self.messages else ("", False)
        assert not is_failure, self.messages
        assert all(word in text for word in words), self.messages

    # The server

    def server(self):
        """The connection file's content, or None."""
        try:
            return json.loads((state_folder() / "connection.json").read_text())
        except OSError:
            return None

    def stop_server_process(self):
        """Halt the server where it is; it goes on with `go_on`, or when the case ends."""
        pid = self.server()["pid"]
        os.kill(pid, signal.SIGSTOP)
        self.stopped.append(pid)
        return pid

    def go_on(self):
        os.kill(self.stopped.pop(), signal.SIGCONT)

    def until_sent(self):
        yield from self.wait_for(lambda: self.controller.jobs and self.controller.jobs[0].ticket is not None)
        yield 0.3

    # What a fill must be

    def top(self, doc):
        nodes = [node for node in doc.rootNode().childNodes() if node.type() != "selectionmask"]
        return nodes[-1]

    def check_layer(self, doc, source, result, before, fills=1):
        """The last of so many fills above the source, transparent outside of the selection, nothing else changed."""
        canvas = self.canvas(doc)
        pixels = bytes(result.pixelData(*canvas))
        space = document.space_of(result)
        assert space == document.space_of(doc), (space, document.space_of(doc))
        alpha = self.alpha(pixels, space)
        mask = self.selection(doc)
        assert len(alpha) == len(mask)
        assert not any(a for a, m in zip(alpha, mask, strict=False) if m == 0), "alpha outside of the selection"
        assert any(alpha), "an empty fill"
        assert bytes(source.pixelData(*canvas)) == before, "the source was changed"
        siblings = [document.node_id(node) for node in source.parentNode().childNodes()]
        assert siblings.index(document.node_id(result)) == siblings.index(document.node_id(source)) + fills
        self.keep(doc, space, source=before, mask=mask, result=pixels)

    def alpha(self, pixels, space):
        return colour.pixels.rearrange(
            pixels, space.dtype, colour.CHANNELS[space.model], (colour.CHANNELS[space.model] - 1,)
        )[colour.pixels.DEPTHS[space.dtype].item_bytes - 1 :: colour.pixels.DEPTHS[space.dtype].item_bytes]

    def keep(self, doc, space, **arrays):
        """Write raw pixels for the test outside of Krita."""
        for name, data in arrays.items():
            (self.out / f"{self.name}.{name}").write_bytes(data)
        self.facts["kept"] = sorted(arrays)
        self.facts["space"] = list(space)
        self.facts["size"] = [doc.width(), doc.height()]
