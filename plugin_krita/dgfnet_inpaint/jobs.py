"""The jobs of the plug-in as straight stories: read, ask, attach. Each is a generator for `tasks.Task`."""

from __future__ import annotations

import contextlib
import random
import time
from dataclasses import replace
from functools import partial
from typing import Any, Callable, Iterator, Mapping, Sequence

from . import colour, document, leaving, payloads, reading, records, settings
from .client import events as ev
from .client import pixels
from .client.errors import Cancelled, InpaintError
from .client.geometry import Bounds, request_bounds
from .client.requests import InpaintRequest, TextureRequest
from .client.wire import Array
from .conversion import Bench
from .layers import MadeLayer, attach
from .reading import Scene
from .settings import Settings
from .tasks import Promise, Steps
from .transport import Line

TEXTURE_NAME = "Texture map (DGFNet)"
READING = "Reading the picture"  # the first stage
WAITING = "Waiting for the job before this one"
HELD = "Waiting until Krita or a tool is done"
VERSION = 1  # of the record
_VISIBLE = ""  # in a record, instead of a source's id

Tell = Callable[[str, float], None]


class Job:
    """One request of the artist's, from the click to the layer.

    `earlier`: the document's jobs that are not over. What they make is read, so that they are waited for.
    """

    def __init__(self, line: Line, doc: Any, earlier: Sequence[Promise], on_progress: Callable[[Job], None]) -> None:
        self.document = doc
        self.over = Promise()  # kept, without a value, however the job ends
        self.stage, self.fraction = READING, 0.0
        self.seconds: dict[str, float] = {}
        self._line = line
        self._bench = Bench()
        self._earlier = earlier
        self._selection: Any = None  # since `_take_selection`
        self._frame = doc.currentTime()  # at the click, as is the node: a tool is often ended by one on another layer
        self._node = document.active_node(doc)
        self._on_progress = on_progress
        self._ticket: int | None = None
        self._began = time.perf_counter()

    @property
    def ticket(self) -> int | None:
        """The line's number for what the server is doing, None before and after."""
        return self._ticket

    def tell(self, stage: str, fraction: float) -> None:
        """Where the job is: for the progress bar."""
        self.stage, self.fraction = stage, fraction
        self._on_progress(self)

    def close(self) -> None:
        """The story is over."""
        self._node = self._selection = None  # `Controller.last` outlives the document
        self._bench.close()

    # The stories

    def inpaint(self, wanted: Settings) -> Steps:
        """Fill the hole; returns the sentences for the artist."""
        yield from self._take_selection()
        return (yield from self._fill_selected(wanted))

    def _fill_selected(self, wanted: Settings) -> Steps:
        """A fill of the selection."""
        scene = yield from self._look_at(wanted.source, self._source())
        bounds, mask = yield from self._read_hole(scene, wanted)
        return (yield from self._fill(scene, wanted, bounds, mask))

    def again(self) -> Steps:
        """Fill the hole of the active result layer once more, as it was filled."""
        yield from self._settle()
        record = records.recall_fill(self.document, self._node)
        if record is None:
            raise InpaintError(
                "no_record",
                "The active layer is not a result of Inpaint (DGFNet).",
                "Click a result layer, then run this again.",
            )
        return (yield from self._repeat(record, settings.from_map(record["options"])))

    def another(self, wanted: Settings) -> Steps:
        """Fill another way: the selection, as wanted; without one the last fill's hole, as that was made."""
        yield from self._take_selection()
        variation = random.randint(1, settings.MAX_VARIATION)  # not the next: a fill that was undone does not come back
        record = self._last_fill() if reading.selected_bounds(self._selection) is None else None
        if record is None:
            return (yield from self._fill_selected(replace(wanted, variation=variation)))
        return (yield from self._repeat(record, replace(settings.from_map(record["options"]), variation=variation)))

    def _repeat(self, record: dict[str, Any], wanted: Settings) -> Steps:
        """A fill of a recorded hole."""
        way = records.way_since(self.document, record)
        if way is None:
            raise InpaintError(
                "picture_changed", "The picture was changed since the region was filled.", payloads.SELECT
            )
        source, notes = records.made_from(self.document, document.find_node(self.document, record["layer_id"])), []
        if wanted.source == "layer" and source is None:
            notes.append("The layer that was filled is gone; the visible picture was filled instead.")
            wanted = settings.from_map({**wanted.as_map(), "source": "visible"})
        scene = yield from self._look_at(wanted.source, source)
        bounds, mask = yield self._line.call(lambda: payloads.unpacked(record, scene.canvas, way))
        if bounds.is_empty:
            raise InpaintError("empty_mask", "The filled region lies outside of the canvas now.", payloads.SELECT)
        return notes + (yield from self._fill(scene, wanted, bounds, mask))

    def texture(self, wanted: Settings) -> Steps:
        """Split the selection's rectangle, or the whole canvas, into structure and texture."""
        yield from self._take_selection()
        scene = yield from self._look_at(wanted.source, self._source())
        selected = reading.selected_bounds(self._selection)
        bounds = scene.canvas if selected is None else selected.intersection(scene.canvas)
        if bounds.is_empty:
            raise _outside()
        if scene.target is None and any(not each.bounds.intersection(bounds).is_empty for each in scene.left_out):
            raise InpaintError(
                "leave_out",
                f"The layer “{document.LEAVE_OUT}” is part of what is shown.",
                "Hide it, then run this again.",
            )
        picture = yield from self._read_picture(scene, bounds)
        no_hole = bytes(bounds.area)
        yield self._line.call(
            lambda: payloads.require_shown(picture, scene.working, bounds, no_hole, _called(scene), "there")
        )

        def make() -> TextureRequest:
            return TextureRequest(payloads.image(picture, scene.working, bounds), _wire_space(scene))

        made, report = yield from self._ask(make, scene, bounds)
        record = _record("texture", wanted, scene, report)
        return (yield from self._finish(scene, TEXTURE_NAME, made, record))

    def leave_out(self) -> Steps:
        """Mark the selection as something that must not be looked at."""
        yield from self._until_free()
        selection = self.document.selection()  # not a layer's own: Krita paints inside of this one
        selected = reading.selected_bounds(selection)
        if selected is None:
            raise InpaintError("empty_mask", "Nothing is selected.", "Select what must not be looked at.")
        covered = selected.intersection(document.canvas_of(self.document))
        if covered.is_empty:
            raise _outside()
        if leaving.paint_selection(self.document):  # in this turn: in a later one something else may be selected
            with contextlib.suppress(Cancelled):  # too late: it is painted
                yield from document.until_idle(self.document, lambda: self.tell(HELD, 1.0))
        else:
            stripes = yield from reading.read_selection(self.document, selection, covered)
            red = yield self._line.call(lambda: payloads.red(stripes))
            yield from leaving.add_layer(self.document, self._bench, covered, red, lambda: self.tell(HELD, 1.0))
        return [f"Left out: what is red. Erase or hide the layer “{document.LEAVE_OUT}” to have it looked at again."]

    # Their parts

    def _take_selection(self) -> Steps:
        """`_settle`, before which the selection is taken: it may be another one by then."""
        yield from self._until_free()
        self._selection = reading.selection_of(self.document, self._node)
        canvas = document.canvas_of(self.document)
        yield from self._settle()
        if reading.selected_bounds(self._selection) is not None and document.canvas_of(self.document) != canvas:
            raise InpaintError(
                "picture_changed", "The canvas was changed while this job waited.", "Select the region once more."
            )

    def _settle(self) -> Steps:
        """Before reading: let the earlier jobs end, then see what is there."""
        if self._earlier:
            self.tell(WAITING, 0.0)
            yield from self._earlier
        yield from self._until_free()

    def _until_free(self) -> Steps:
        """Wait until neither Krita nor a tool is at work on the document, then see what is there."""
        yield from document.until_idle(self.document, lambda: self.tell(HELD, 0.0))
        if self.stage != READING:
            self.tell(READING, 0.0)
        if self._node is not None and not document.is_there(self.document, self._node):
            self._node = None

    def _look_at(self, source: str, node: Any) -> Steps:
        """As `reading.look_at`; raises where another frame is shown than at the click."""
        scene = yield from reading.look_at(self.document, self._bench, source, node)
        if scene.animated and scene.frame != self._frame:
            raise InpaintError(
                "frame_changed",
                f"Frame {self._frame} was shown at the click, and another one is shown now.",
                f"Go to frame {self._frame}, then run this again.",
            )
        return scene

    def _last_fill(self) -> dict[str, Any] | None:
        """What is remembered about the active layer, if it is a fill, or about the newest fill of it."""
        record = records.recall_fill(self.document, self._node)
        if record is not None:
            return record
        layer = document.layer_of(self._node)
        sources = (_VISIBLE,) if layer is None else (_VISIBLE, document.node_id(layer))
        on_it = [] if layer is None else [document.node_id(fill) for fill in records.fills_on(self.document, layer)]
        known = records.fills(self.document)
        made = [each for each in known if each.get("source_id") in sources or each["layer_id"] in on_it]
        return max(made, key=records.made_at, default=None)

    def _source(self) -> Any:
        """What is read where *Active layer* is chosen."""
        return records.source_of(self.document, self._node)

    def _read_hole(self, scene: Scene, wanted: Settings) -> Steps:
        """Bounds of the picture to send, and the mask over them: the selection, else what is not opaque."""
        selected = reading.selected_bounds(self._selection)
        if selected is not None:
            covered = selected.intersection(scene.canvas)
            if covered.is_empty:
                raise _outside()
            stripes = yield from reading.read_selection(self.document, self._selection, covered)
            mask = yield self._line.call(lambda: payloads.joined(stripes))
        else:
            covered = scene.canvas
            stripes = yield from reading.read_opacity(scene)
            mask = yield self._line.call(lambda: payloads.holes(stripes))
        hole = yield self._line.call(lambda: pixels.mask_bounds(mask, covered))
        if hole.is_empty:
            raise _nothing_to_fill(scene) if selected is None else _outside()
        bounds = request_bounds(hole.pad(wanted.grow), scene.canvas, wanted.context)
        return bounds, (yield self._line.call(lambda: payloads.mask_over(bounds, mask, covered)))

    def _read_picture(self, scene: Scene, bounds: Bounds) -> Steps:
        """The source over `bounds` with its fills laid on it, in Krita's order for the working space.

        Pixels that are worked on one by one take the line seconds: band by band, so that it keeps the session alive
        and the artist can cancel.
        """
        lowest, *fills = yield from reading.read_pixels(scene, bounds)
        picture = yield self._line.call(lambda: payloads.joined(lowest.stripes))
        for fill in fills:
            for band, stripe in zip(colour.bands(fill.bounds), fill.stripes):
                part = band.relative_to(lowest.bounds)
                yield self._line.call(
                    partial(payloads.lay_on, picture, lowest.bounds.width, stripe, part, scene.working, fill.opacity)
                )
        return picture

    def _fill(self, scene: Scene, wanted: Settings, bounds: Bounds, mask: bytes) -> Steps:
        whole = yield from self._read_picture(scene, bounds)
        left_out = yield from reading.read_left_out(scene, bounds)
        picture, some_left_out = yield self._line.call(
            lambda: payloads.known(whole, scene.working, bounds, mask, left_out, _called(scene))
        )
        wants_group = wanted.output == "group"
        is_split_here = wants_group and scene.working != scene.space
        notes = [f"What is painted on “{document.LEAVE_OUT}” was not looked at."] if some_left_out else []
        if is_split_here and not colour.can_split(scene.space):
            model = colour.NAMES.get(scene.space.model, scene.space.model)
            notes.append(f"Layers cannot be added up exactly in {model} with floating point; the fill is one layer.")
            wants_group = is_split_here = False

        def make() -> InpaintRequest:
            return InpaintRequest(
                payloads.image(picture, scene.working, bounds),
                Array("mask", "u1", (bounds.height, bounds.width), mask),
                _wire_space(scene),
                output="group" if wants_group else "layer",
                context=wanted.context,
                grow=wanted.grow,
                feather=wanted.feather,
                texture_strength=wanted.texture_strength,
                patches=wanted.patches,
                variation=wanted.variation,
            )

        made, report = yield from self._ask(make, scene, bounds)
        if is_split_here:
            made = yield from self._split_in(scene, made)
        record = _record("inpaint", wanted, scene, report)
        record["hole"] = yield self._line.call(lambda: payloads.packed(bounds, mask))
        return notes + (yield from self._finish(scene, document.FILL, made, record))

    def _ask(self, make: Callable[[], Any], scene: Scene, bounds: Bounds) -> Steps:
        """Send a request; what came back as layers on the canvas, and the server's report."""

        def read(result: ev.Result) -> tuple[list[MadeLayer], Mapping[str, Any]]:
            return [payloads.made_layer(layer, scene.working, bounds) for layer in result.layers], result.report

        self._mark("read")
        self.tell("Sending", 0.0)
        yield 0.0  # Krita notes a change a turn later
        self._bench.keep_quiet()
        document.require_open(self.document)  # from here on `Controller.drop_closed` looks after it
        self._ticket, promise = self._line.submit(make, read, self.tell)
        try:
            answer = yield promise
        except Cancelled:
            document.require_open(self.document)  # it may be `drop_closed` that has cancelled it
            raise
        finally:
            self._ticket = None
        self._mark("server")
        self.tell("Making the layer", 1.0)
        return answer

    def _split_in(self, scene: Scene, made: list[MadeLayer]) -> Steps:
        """Coarse and texture in the document's own values, where filling was done in others."""
        coarse, texture = made
        inverted = scene.space.model == "CMYKA" and colour.inverts_ink(document.krita_version())
        lower, upper = [], []
        bands = colour.stripes(coarse.pixels, coarse.bounds, coarse.space)
        grains = colour.stripes(texture.pixels, texture.bounds, texture.space)
        for (band, under), (_, grain) in zip(bands, grains):  # as in `_read_picture`
            whole = yield self._line.call(partial(colour.merge, under, grain, coarse.space))
            parts = []
            for stripe in (whole, under):
                parts.append((yield from scene.bench.convert(stripe, band, coarse.space, scene.space)))
                yield None
                document.require_open(scene.document)
            final, base = parts
            low, high = yield self._line.call(partial(colour.split, final, base, scene.space, inverted))
            lower.append(low)
            upper.append(high)
        below, above = yield self._line.call(lambda: (payloads.joined(lower), payloads.joined(upper)))
        return [
            coarse._replace(pixels=below, space=scene.space),
            texture._replace(pixels=above, space=scene.space),
        ]

    def _finish(self, scene: Scene, name: str, made: list[MadeLayer], record: dict[str, Any]) -> Steps:
        notes = yield from attach(scene, name, made, record, lambda: self.tell(HELD, 1.0))
        self._mark("layer")
        said = [*notes, *record["report"].get("notes", []), *_read_without(scene), colour.loss(scene.space)]
        return [sentence for sentence in said if sentence]

    def _mark(self, stage: str) -> None:
        now = time.perf_counter()
        self.seconds[stage] = now - self._began
        self._began = now


# Sentences and small change


def _called(scene: Scene) -> str:
    """What is filled, at a sentence's beginning."""
    return f"“{scene.target_name}”" if scene.target_name else "The picture"


def _wire_space(scene: Scene) -> str:
    return "linear" if scene.linear else "srgb"


def _record(task: str, wanted: Settings, scene: Scene, report: Mapping[str, Any]) -> dict[str, Any]:
    source_id = document.node_id(scene.target) if scene.target is not None else _VISIBLE
    return {
        "version": VERSION,
        "task": task,
        "options": wanted.as_map(),
        "source_id": source_id,
        "made": time.time(),
        "report": dict(report),
    }


def _read_without(scene: Scene) -> Iterator[str]:
    """A sentence for each layer that is not shown as it was read."""
    opacity = f"at {round(100 * scene.source.opacity)} %" if scene.source.opacity < 1 else ""  # a fill's is read
    manners = [("source", scene.source.name, ", ".join(filter(None, (scene.source.manner, opacity))))]
    manners += [("fill", fill.name, fill.manner) for fill in scene.fills]
    for kind, name, manner in manners:
        if manner:
            shown = f"The {kind} “{name}” is shown {manner}, and was read without that"
            yield f"{shown}; for a fill of what is seen, choose Source: Visible picture."


def _outside() -> InpaintError:
    return InpaintError("empty_mask", "The selection lies outside of the canvas.", "Select something inside of it.")


def _nothing_to_fill(scene: Scene) -> InpaintError:
    of = f"“{scene.target_name}”" if scene.target_name else "the picture"
    return InpaintError(
        "empty_mask", f"Nothing is selected, and {of} has no transparent pixels.", "Select the region to fill."
    )
