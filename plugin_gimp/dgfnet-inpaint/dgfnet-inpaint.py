#!/usr/bin/env python3
"""GIMP 3 plug-in: fill a selection with DGFNet. This file registers the procedures; the modules beside it work.

GIMP runs this file to ask what it offers, and again for every call. Whatever fails at import makes the menu entries
disappear without a word, so only GIMP's own modules and Python's are imported up here.
"""

from __future__ import annotations

import sys

import gi

gi.require_version("Gimp", "3.0")
from gi.repository import Gimp, GLib, GObject  # noqa: E402

INPAINT, TEXTURE, SERVER = "dgfnet-inpaint", "dgfnet-texture-map", "dgfnet-server"
RERUN, ANOTHER = "dgfnet-rerun", "dgfnet-another"
MENU = "<Image>/Filters/Inpaint"
READWRITE = GObject.ParamFlags.READWRITE


class DgfnetInpaint(Gimp.PlugIn):
    """The five procedures."""

    def do_set_i18n(self, name: str) -> bool:
        """The texts are English only."""
        return False

    def do_query_procedures(self) -> list[str]:
        """Their names."""
        return [INPAINT, RERUN, TEXTURE, ANOTHER, SERVER]

    def do_create_procedure(self, name: str) -> Gimp.Procedure:
        """One of them, with its arguments as docs/gimp.md lists them."""
        create = {INPAINT: _inpaint, RERUN: _rerun, ANOTHER: _another, TEXTURE: _texture, SERVER: _server}[name]
        procedure = create(self, name)
        procedure.set_attribution("DGFNet Inpaint", "DGFNet Inpaint, MIT licence", "2026")
        procedure.add_menu_path(MENU)
        return procedure


def _inpaint(plug_in: Gimp.PlugIn, name: str) -> Gimp.Procedure:
    procedure = _on_image(plug_in, name, "_Inpaint (DGFNet)...")
    procedure.set_documentation(
        "Fill the selection from its surroundings, as a new layer",
        "The selection is filled by a neural network on this computer. Without a selection, what the layer mask hides "
        "or else what is transparent is filled.",
        name,
    )
    _add_choice(
        procedure,
        "output",
        "O_utput",
        "What the result becomes",
        ("layer", "New layer", "One layer above this one, transparent outside the selection"),
        ("group", "Editable group", "A coarse and a texture layer that add up to the fill"),
        ("copy", "Replace into a copy", "A copy of this layer with the fill in it"),
    )
    _add_choice(
        procedure,
        "sample",
        "Sa_mple from",
        "What the fill is made from",
        ("layer", "This layer", "The selected layer alone"),
        ("visible", "Visible picture", "All layers as they are seen"),
    )
    procedure.add_double_argument(
        "context",
        "Conte_xt (times the hole)",
        "Margin around the selection that is looked at, times its thickness",
        0,
        16,
        1,
        READWRITE,
    )
    procedure.add_int_argument("grow", "_Grow (px)", "Pixels by which the selection grows first", 0, 1000, 0, READWRITE)
    procedure.add_double_argument(
        "feather", "_Feather (px)", "Pixels over which the edge fades, inward", 0, 1000, 0, READWRITE
    )
    procedure.add_double_argument(
        "texture-strength", "_Texture strength", "0 smooth, 1 the whole texture", 0, 1, 1, READWRITE
    )
    procedure.add_double_argument(
        "patches",
        "Copied deta_il",
        "Share of detail copied from the picture; 0 the network's own fill",
        0,
        1,
        1,
        READWRITE,
    )
    procedure.add_int_argument(
        "variation", "_Variation", "Another fill of the same hole for every number", 0, 9999, 0, READWRITE
    )
    procedure.add_channel_argument(
        "exclude", "L_eave out (channel)", "A channel: nothing that it marks is looked at", True, READWRITE
    )
    procedure.add_string_argument(
        "weights", "_Weights", "Name or path of weights; empty: whatever the server runs with", "", READWRITE
    )
    procedure.add_string_argument(
        "device", "_Device", "cpu, cuda, cuda:1 or mps; empty: whatever the server runs on", "", READWRITE
    )
    procedure.add_layer_return_value("result", "Result", "The new layer, group or copy", True, READWRITE)
    return procedure


def _rerun(plug_in: Gimp.PlugIn, name: str) -> Gimp.Procedure:
    return _without_choices(
        plug_in,
        name,
        "_Re-run with the same settings",
        "Fill again as the selected result was filled",
        "Select a layer or group that Inpaint (DGFNet) made: its settings are used on the layer that it was made from. "
        "The selection is filled; without one, the shape of the result.",
    )


def _another(plug_in: Gimp.PlugIn, name: str) -> Gimp.Procedure:
    return _without_choices(
        plug_in,
        name,
        "Try _another fill",
        "Fill again, with other parts of the picture",
        "With the settings of the newest result that was made from the selected layer, or of the selected result, the "
        "selection is filled from other parts of the picture; without a selection, the shape of that result.",
    )


def _texture(plug_in: Gimp.PlugIn, name: str) -> Gimp.Procedure:
    procedure = _on_image(plug_in, name, "_Texture map (DGFNet)...")
    procedure.set_documentation(
        "Split the layer into structure and texture",
        "Makes a group of two layers above the layer, or above its selected rectangle: structure (edges and flat "
        "areas) and texture, which add up to the picture.",
        name,
    )
    procedure.add_double_argument("lambda", "S_moothing", "Strength of the smoothing", 0.0005, 0.2, 0.01, READWRITE)
    procedure.add_double_argument("sigma", "Sc_ale", "Largest texture in pixels", 0.5, 16, 3, READWRITE)
    procedure.add_layer_return_value("result", "Result", "The group of the two layers", True, READWRITE)
    return procedure


def _server(plug_in: Gimp.PlugIn, name: str) -> Gimp.Procedure:
    procedure = _on_image(plug_in, name, "DGFNet _server...")
    no_need = Gimp.ProcedureSensitivityMask
    procedure.set_sensitivity_mask(no_need.DRAWABLE | no_need.DRAWABLES | no_need.NO_DRAWABLES | no_need.NO_IMAGE)
    procedure.set_documentation(
        "See how the server is, start it or stop it", "The server keeps the network in memory for GIMP and Krita.", name
    )
    _add_choice(
        procedure,
        "action",
        "_Action",
        "What a script wants done",
        ("status", "Status", "Only say how it is"),
        ("start", "Start", "Start it where it does not run"),
        ("stop", "Stop", "End it"),
    )
    procedure.add_string_return_value("state", "State", "One line per fact, name: value", "", READWRITE)
    return procedure


def _on_image(plug_in: Gimp.PlugIn, name: str, label: str) -> Gimp.Procedure:
    procedure = Gimp.ImageProcedure.new(plug_in, name, Gimp.PDBProcType.PLUGIN, _run, None)
    procedure.set_image_types("*")
    procedure.set_sensitivity_mask(Gimp.ProcedureSensitivityMask.DRAWABLE | Gimp.ProcedureSensitivityMask.DRAWABLES)
    procedure.set_menu_label(label)
    return procedure


def _without_choices(plug_in: Gimp.PlugIn, name: str, label: str, blurb: str, text: str) -> Gimp.Procedure:
    """A fill that asks for nothing: how it is made follows from an earlier one."""
    procedure = _on_image(plug_in, name, label)
    procedure.set_documentation(blurb, text, name)
    procedure.add_layer_return_value("result", "Result", "The new layer, group or copy", True, READWRITE)
    return procedure


def _add_choice(procedure: Gimp.Procedure, name: str, label: str, blurb: str, *options: tuple[str, str, str]) -> None:
    """A choice argument; the first of `options` (value, label, help) is its default."""
    choice = Gimp.Choice.new()
    for number, option in enumerate(options):
        choice.add(option[0], number, option[1], option[2])
    procedure.add_choice_argument(name, label, blurb, choice, options[0][0], READWRITE)


def _run(
    procedure: Gimp.Procedure,
    run_mode: Gimp.RunMode,
    image: Gimp.Image,
    drawables: list[Gimp.Drawable],
    config: Gimp.ProcedureConfig,
    data: None,
) -> Gimp.ValueArray:
    import running

    return running.run(procedure, run_mode, image, drawables, config)


if __name__ == "__main__":
    GLib.set_prgname(INPAINT)
    Gimp.main(DgfnetInpaint.__gtype__, sys.argv)
