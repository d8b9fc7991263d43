"""A call of one of the procedures: dialog, progress, work, and every failure as one sentence and what to do."""

from __future__ import annotations

import sys
import traceback
from typing import Any

import filling
import gi
import repeating
import service
import staging
from client.errors import InpaintError
from settings import BadRecord, Settings

gi.require_version("Gimp", "3.0")
from gi.repository import Gimp, GLib, GObject  # noqa: E402

TEXTURE, SERVER, RERUN, ANOTHER = "dgfnet-texture-map", "dgfnet-server", "dgfnet-rerun", "dgfnet-another"

QUICK_MASK = "Qmask"
"""Its name in every language; GIMP itself knows it by that."""


class Dismissed(Exception):
    """The artist closed the dialog."""


def run(
    procedure: Gimp.Procedure, run_mode: Gimp.RunMode, image: Gimp.Image, drawables: list[Any], config: Any
) -> Gimp.ValueArray:
    """Do what the procedure says and return its values; never raises."""
    work = _serve if procedure.get_name() == SERVER else _make_layers
    try:
        return work(procedure, run_mode, image, drawables, config)
    except Dismissed:
        return procedure.new_return_values(Gimp.PDBStatusType.CANCEL, GLib.Error())
    except InpaintError as error:
        return _failed(procedure, str(error))
    except BadRecord as error:
        return _failed(procedure, f"{error} Correct it, then try again.")
    except Exception as error:
        traceback.print_exc(file=sys.stderr)
        reason = (str(error) or "no reason given").splitlines()[0]
        what = f"The plug-in failed ({type(error).__name__}: {reason})."
        return _failed(procedure, f"{what} Please report it with what a terminal shows when GIMP is started from one.")
    finally:
        Gimp.progress_end()


def _make_layers(
    procedure: Gimp.Procedure, run_mode: Gimp.RunMode, image: Gimp.Image, drawables: list[Any], config: Any
) -> Gimp.ValueArray:
    staging.clear_up()
    name, layer = procedure.get_name(), _layer(image, drawables)
    if run_mode == Gimp.RunMode.INTERACTIVE and name not in (RERUN, ANOTHER):
        import dialogs  # needs a display

        if not dialogs.ask(procedure, config):
            raise Dismissed
    Gimp.progress_init(filling.TEXTURE_NAME if name == TEXTURE else filling.NAME)
    if name == TEXTURE:
        made = filling.texture_map(image, layer, _number(config, "lambda"), _number(config, "sigma"), say)
    elif name == RERUN:
        made = repeating.rerun(image, layer, say)
    elif name == ANOTHER:
        made = repeating.another(image, layer, say)
    else:
        wish = _wish(config)
        if run_mode == Gimp.RunMode.WITH_LAST_VALS and wish.exclude is None:
            wish = wish._replace(exclude=repeating.left_out(image, layer))
        made = filling.inpaint(image, layer, wish, say)
    Gimp.displays_flush()
    return _done(procedure, Gimp.Layer.__gtype__, made)


def _serve(
    procedure: Gimp.Procedure, run_mode: Gimp.RunMode, image: Gimp.Image, drawables: list[Any], config: Any
) -> Gimp.ValueArray:
    """Show how the server is, also when that is repeated by Ctrl+F, or do what a script asks."""
    who, action = filling.who(), config.get_property("action") or "status"
    if run_mode != Gimp.RunMode.NONINTERACTIVE:
        import dialogs

        return _done(procedure, GObject.TYPE_STRING, dialogs.ServerWindow(who).run())
    if action == "stop":
        service.stop(who)
    elif action == "start":
        service.connect(who, say).close()
    return _done(procedure, GObject.TYPE_STRING, "\n".join(service.describe(service.status(who))))


def say(stage: str, fraction: float | None) -> None:
    """Show a stage in GIMP's progress bar."""
    Gimp.progress_set_text(stage)
    if fraction is None:
        Gimp.progress_pulse()
    else:
        Gimp.progress_update(fraction)


def _layer(image: Gimp.Image, drawables: list[Any]) -> Gimp.Layer:
    if image.get_channel_by_name(QUICK_MASK):  # which holds the selection
        raise InpaintError(
            "empty_mask", "The quick mask is on.", "Leave it by Shift+Q, which makes it the selection, then try again."
        )
    if len(drawables) != 1:
        raise InpaintError(
            "one_layer", f"{len(drawables)} layers are selected.", "Select the one layer to fill, then try again."
        )
    drawable = drawables[0]
    if isinstance(drawable, Gimp.LayerMask):  # its mask is being edited
        drawable = Gimp.Layer.from_mask(drawable)
    if drawable.get_image().get_id() != image.get_id():  # as a script's mistake may have it
        raise InpaintError("one_layer", "The layer is not in this image.", "Name a layer of the image.")
    if not isinstance(drawable, Gimp.Layer):
        raise InpaintError("one_layer", "A channel is selected.", "Select the layer to fill, then try again.")
    if drawable.is_floating_sel():
        raise InpaintError("one_layer", "A floating selection is selected.", "Anchor it first, then try again.")
    return drawable


def _wish(config: Any) -> filling.Wish:
    settings = Settings(
        output=config.get_property("output"),
        sample=config.get_property("sample"),
        context=_number(config, "context"),
        grow=int(_number(config, "grow")),
        feather=_number(config, "feather"),
        texture_strength=_number(config, "texture-strength"),
        patches=_number(config, "patches"),
        variation=int(_number(config, "variation")),
    )
    weights, device = (str(config.get_property(name) or "").strip() for name in ("weights", "device"))
    return filling.Wish(settings, config.get_property("exclude"), weights, device)


def _number(config: Any, name: str) -> float:
    return round(config.get_property(name), 6)  # a spin button's 0.30000000000000004 is 0.3


def _failed(procedure: Gimp.Procedure, text: str) -> Gimp.ValueArray:
    error = GLib.Error.new_literal(Gimp.PlugIn.error_quark(), text, 0)
    return procedure.new_return_values(Gimp.PDBStatusType.EXECUTION_ERROR, error)


def _done(procedure: Gimp.Procedure, kind: Any, result: Any) -> Gimp.ValueArray:
    values = procedure.new_return_values(Gimp.PDBStatusType.SUCCESS, GLib.Error())
    value = GObject.Value()
    value.init(kind)
    if kind == GObject.TYPE_STRING:
        value.set_string(result)
    else:
        value.set_object(result)
    values.remove(1)
    values.insert(1, value)
    return values
