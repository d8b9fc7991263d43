"""The jobs of the plug-in as straight stories: read, ask, attach. Each is a generator for `tasks.Task`."""

from __future__ import annotations

import base64
import math
import time
import zlib
from typing import Any, Callable, Mapping

from . import colour, document, settings
from .client import events as ev
from .client import pixels
from .client.errors import InpaintError
from .client.geometry import Bounds, request_bounds
from .client.requests import InpaintRequest, TextureRequest
from .client.wire import Array
from .colour import CHANNELS, Space
from .document import MadeLayer, Scene
from .settings import Settings
from .tasks import Steps
from .transport import Line

NAME = "Inpaint (DGFNet)"
TEXTURE_NAME = "Texture map (DGFNet)"
VERSION = 1  # of the record

Tell = Callable[[str, float], None]


class Job:
    """One request of the artist's, from the click to the layer. `notes` are sentences for after it."""

    def __init__(self, line: Line, doc: Any, title: str, on_progress: Callable[[Job], None]) -> None:
        self.document, self.title = doc, title
        self.stage, self.fraction = "Reading the picture", 0.0
        self.seconds: dict[str, float] = {}
        self._line = line
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

    # The stories

    def inpaint(self, wanted: Settings) -> Steps:
        """Fill the hole; returns the sentences for the artist."""
        yield from document.settle(self.document)
        scene = document.look_at(self.document, wanted.source, self._original(wanted.source))
        bounds, mask = yield from self._read_hole(scene, wanted)
        notes = yield from self._fill(scene, wanted, bounds, mask)
        return notes

    def again(self) -> Steps:
        """Fill the hole of the active result layer once more, as it was filled."""
        yield from document.settle(self.document)
        record = document.recall(self.document)
        if record is None or record.get("task") != "inpaint":
            raise InpaintError(
                "no_record",
                "The active layer is not a result of Inpaint (DGFNet).",
                "Click a result layer, then run this again.",
            )
        wanted = settings.from_map(record["options"])
        source_id, notes = record.get("source_id", ""), []
        if wanted.source == "layer" and document.find_node(self.document, source_id) is None:
            notes.append("The layer that was filled is gone; the visible picture was filled instead.")
            wanted = settings.from_map({**wanted.as_map(), "source": "visible"})
        scene = document.look_at(self.document, wanted.source, source_id)
        bounds, mask = yield self._line.call(lambda: _stored_hole(record, scene.canvas))
        if bounds.is_empty:
            raise InpaintError("empty_mask", "The filled region lies outside of the canvas now.", "Select it anew.")
        return notes + (yield from self._fill(scene, wanted, bounds, mask))

    def texture(self, wanted: Settings) -> Steps:
        """Split the selection's rectangle, or the whole canvas, into structure and texture."""
        yield from document.settle(self.document)
        scene = document.look_at(self.document, wanted.source, self._original(wanted.source))
        selected = document.selected_bounds(self.document)
        bounds = scene.canvas if selected is None else selected.intersection(scene.canvas)
        if bounds.is_empty:
            raise _outside()
        image = yield from document.read_pixels(scene, bounds)

        def make() -> TextureRequest:
            return TextureRequest(_image(image, scene.working, bounds), _wire_space(scene))

        made, report = yield from self._ask(make, scene, bounds)
        record = _record("texture", wanted, scene, report)
        return (yield from self._finish(scene, TEXTURE_NAME, made, record))

    # Their parts

    def _original(self, source: str) -> str:
        """The id of the layer that the active one was made from, where that is a result; else empty."""
        record = document.recall(self.document) if source == "layer" else None
        identity = str(record.get("source_id", "")) if record else ""
        return identity if identity and document.find_node(self.document, identity) else ""

    def _read_hole(self, scene: Scene, wanted: Settings) -> Steps:
        """Bounds of the picture to send, and the mask over them: the selection, else what is not opaque."""
        selected = document.selected_bounds(self.document)
        if selected is not None:
            covered = selected.intersection(scene.canvas)
            if covered.is_empty:
                raise _outside()
            mask = yield from document.read_selection(self.document, covered)
        else:
            covered = scene.canvas
            alpha = yield from document.read_opacity(scene)
            mask = yield self._line.call(lambda: colour.holes(alpha))
        hole = yield self._line.call(lambda: pixels.mask_bounds(mask, covered))
        if hole.is_empty:
            raise _nothing_to_fill(scene) if selected is None else _outside()
        widened = hole.pad(wanted.grow + math.ceil(wanted.feather))
        bounds = request_bounds(widened, scene.canvas, wanted.context)
        return bounds, (yield self._line.call(lambda: _mask_over(bounds, mask, covered)))

    def _fill(self, scene: Scene, wanted: Settings, bounds: Bounds, mask: bytes) -> Steps:
        image = yield from document.read_pixels(scene, bounds)
        wants_group = wanted.output == "group"
        is_split_here = wants_group and scene.working != scene.space
        notes = []
        if is_split_here and not colour.can_split(scene.space):
            name = colour.NAMES.get(scene.space.model, scene.space.model)
            notes.append(f"Layers cannot be added up exactly in {name} with floating point; the fill is one layer.")
            wants_group = is_split_here = False

        def make() -> InpaintRequest:
            if colour.is_transparent(image, scene.working):
                raise InpaintError(
                    "empty_layer",
                    f"“{scene.target_name or 'The picture'}” is empty around the region to fill.",
                    "Choose another layer, or the visible picture as the source.",
                )
            return InpaintRequest(
                _image(image, scene.working, bounds),
                Array("mask", "u1", (bounds.height, bounds.width), mask),
                _wire_space(scene),
                output="group" if wants_group else "layer",
                context=wanted.context,
                grow=wanted.grow,
                feather=wanted.feather,
                texture_strength=wanted.texture_strength,
            )

        made, report = yield from self._ask(make, scene, bounds)
        if is_split_here:
            made = yield from self._split_in(scene, made)
        record = _record("inpaint", wanted, scene, report)
        record["hole"] = yield self._line.call(lambda: _packed(bounds, mask))
        return notes + (yield from self._finish(scene, NAME, made, record))

    def _ask(self, make: Callable[[], Any], scene: Scene, bounds: Bounds) -> Steps:
        """Send a request; what came back as layers on the canvas, and the server's report."""

        def read(result: ev.Result) -> tuple[list[MadeLayer], Mapping[str, Any]]:
            return [_made(layer, scene.working, bounds) for layer in result.layers], result.report

        self._mark("read")
        self.tell("Sending", 0.0)
        self._ticket, promise = self._line.submit(make, read, self.tell)
        try:
            answer = yield promise
        finally:
            self._ticket = None
        self._mark("server")
        self.tell("Making the layer", 1.0)
        return answer

    def _split_in(self, scene: Scene, made: list[MadeLayer]) -> Steps:
        """Coarse and texture in the document's own values, where filling was done in others."""
        coarse, texture = made
        inverted = scene.space.model == "CMYKA" and colour.inverts_ink(document.krita_version())
        final = yield self._line.call(lambda: colour.merge(coarse.pixels, texture.pixels, coarse.space))
        converted = []
        for data in (final, coarse.pixels):
            view, parts, start = memoryview(data), [], 0
            for band in colour.bands(coarse.bounds):
                end = start + band.area * coarse.space.pixel_bytes
                parts.append(document.convert(scene.document, view[start:end], band, coarse.space, scene.space))
                start = end
                yield None
                document.require_open(scene.document)
            converted.append(b"".join(parts))
        lower, upper = yield self._line.call(lambda: colour.split(*converted, scene.space, inverted))
        return [
            coarse._replace(pixels=lower, space=scene.space),
            texture._replace(pixels=upper, space=scene.space),
        ]

    def _finish(self, scene: Scene, name: str, made: list[MadeLayer], record: dict[str, Any]) -> Steps:
        notes = yield from document.attach(scene, name, made, record, name)
        self._mark("layer")
        lost = colour.loss(scene.space)
        return [*notes, *record["report"].get("notes", []), *([lost] if lost else [])]

    def _mark(self, stage: str) -> None:
        now = time.perf_counter()
        self.seconds[stage] = now - self._began
        self._began = now


# Bytes: called in the line's thread


def _image(data: bytes, space: Space, bounds: Bounds) -> Array:
    shape = (bounds.height, bounds.width, CHANNELS[space.model])
    return Array("image", space.dtype, shape, colour.to_wire(data, space))


def _made(layer: ev.Layer, space: Space, origin: Bounds) -> MadeLayer:
    if layer.dtype != space.dtype or layer.channels != CHANNELS[space.model]:
        raise InpaintError("bad_array", "The server's layer has another depth than the picture.", "Please report this.")
    data = colour.from_wire(layer.pixels, space)
    return MadeLayer(layer.name, layer.bounds.from_relative(origin), layer.blend, layer.opacity, space, bytes(data))


def _mask_over(bounds: Bounds, mask: bytes, covered: Bounds) -> bytes:
    """The mask over `bounds`, 0 where it was not read."""
    common = bounds.intersection(covered)
    part = pixels.crop(mask, 1, covered, common)
    left, right = bytes(common.x - bounds.x), bytes(bounds.right - common.right)
    rows = (part[start : start + common.width] for start in range(0, len(part), common.width))
    above, below = common.y - bounds.y, bounds.bottom - common.bottom
    return bytes(bounds.width * above) + b"".join(left + row + right for row in rows) + bytes(bounds.width * below)


def _packed(bounds: Bounds, mask: bytes) -> dict[str, Any]:
    return {"bounds": list(bounds), "mask": base64.b64encode(zlib.compress(mask, 6)).decode()}


def _stored_hole(record: Mapping[str, Any], canvas: Bounds) -> tuple[Bounds, bytes]:
    try:
        hole = record["hole"]
        bounds = Bounds(*hole["bounds"])
        mask = zlib.decompress(base64.b64decode(hole["mask"]))
        common = bounds.intersection(canvas)
        return common, pixels.crop(mask, 1, bounds, common)
    except (KeyError, TypeError, ValueError, zlib.error):
        raise InpaintError(
            "no_record", "What is remembered about this layer is damaged.", "Select the region, then run Inpaint."
        ) from None


# Sentences and small change


def _wire_space(scene: Scene) -> str:
    return "linear" if scene.linear else "srgb"


def _record(task: str, wanted: Settings, scene: Scene, report: Mapping[str, Any]) -> dict[str, Any]:
    source_id = document.node_id(scene.target) if scene.target is not None else ""
    return {
        "version": VERSION,
        "task": task,
        "options": wanted.as_map(),
        "source_id": source_id,
        "report": dict(report),
    }


def _outside() -> InpaintError:
    return InpaintError("empty_mask", "The selection lies outside of the canvas.", "Select something inside of it.")


def _nothing_to_fill(scene: Scene) -> InpaintError:
    of = f"“{scene.target_name}”" if scene.target_name else "the picture"
    return InpaintError(
        "empty_mask", f"Nothing is selected, and {of} has no transparent pixels.", "Select the region to fill."
    )
