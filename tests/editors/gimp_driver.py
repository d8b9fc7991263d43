"""Runs inside GIMP: sets up each case, calls the installed plug-in by name, writes down what came of it.

Started by gimp_session.py as a batch script with WORK set to the exchange folder; stdlib and GIMP's modules only. In a
GIMP with a screen, each case is undone and redone as well.
"""

import json
import os
import sys
import time
import traceback

from gi.repository import Gimp

sys.path.insert(0, os.environ["CASES"])
import gimp_cases
import gimp_scenes
from gimp_calls import call
from gimp_failures import run_failures
from gimp_inside import look_inside
from gimp_looks import describe, digest, dump, dump_mask, dump_native, kept, state, tree
from gimp_scenes import WORK, channel_of, load, select
from gimp_screen import Screen, is_as


def with_channels(image, arguments):
    """Arguments with a rectangle replaced by a channel that marks it, and that is selected now."""
    made = dict(arguments)
    if "exclude" in made:
        made["exclude"] = channel_of(image, made["exclude"])
    return made


def selected(image):
    """Names of the selected layers and channels."""
    return [each.get_name() for each in (*image.get_selected_layers(), *image.get_selected_channels())]


def shown(image):
    """Which layers have their eye open, from the top."""
    return [each.get_visible() for each in image.get_layers()]


def run_case(number, case):
    began = time.time()
    image, layer = getattr(gimp_scenes, case.scene)(case)
    if case.precision and int(getattr(Gimp.Precision, case.precision)) != int(image.get_precision()):
        image.convert_precision(getattr(Gimp.Precision, case.precision))
    arguments = with_channels(image.duplicate() if case.scene == "elsewhere" else image, case.arguments)
    target = layer
    if case.scene.startswith("filled"):
        target = layer if case.scene.endswith("source") else image.get_layers()[0]
        if case.scene.endswith("inside"):
            target = target.get_children()[0]
        Gimp.Selection.none(image)
    select(image, *case.select)
    if case.scene.startswith("filled_deselected"):  # to be known here; the call does without
        image.select_item(Gimp.ChannelOps.REPLACE, image.get_layers()[0])
    if case.soften:
        Gimp.Selection.feather(image, case.soften)
    drawables = list(image.get_layers()) if case.scene == "two_layers" else [target]
    if case.scene == "mask_edited":
        drawables = [layer.get_mask()]
    path, with_curve = f"{WORK}/results/{number:02d}", case.arguments.get("output") == "copy"
    before = {"canvas": dump_native(path + ".before", image, with_curve), "mask": dump_mask(path + ".mask", image)}
    if not isinstance(layer, Gimp.Channel):
        before["source"] = dump(path + ".source", layer, with_curve)
        before["offset"] = list(layer.get_offsets())[1:]
        if layer.get_mask():
            before["layer_mask"] = dump(path + ".layer_mask", layer.get_mask())
        if "exclude" not in arguments:
            image.set_selected_layers([target])
    if case.scene.startswith("filled_deselected"):
        Gimp.Selection.none(image)
    before["selected"], before["digest"], before["shown"] = selected(image), digest(layer), shown(image)
    before["tree"], before["eye"] = tree(image.get_layers()), layer.get_visible()
    screen = Screen(image) if os.environ.get("DISPLAY") else None
    there = state(image)
    if not image.get_selected_layers():
        del there["selected"]  # an undo selects one
    image.undo_disable()
    image.undo_enable()  # with nothing to undo yet
    image.clean_all()
    called = time.time()
    run_mode = Gimp.RunMode.WITH_LAST_VALS if case.last_values else Gimp.RunMode.NONINTERACTIVE
    succeeded, value = call(case.procedure, image, drawables, arguments, run_mode)
    after = {
        "succeeded": succeeded,
        "message": "" if succeeded else str(value),
        "seconds": time.time() - called,
        "digest": digest(layer),
        "tree": tree(image.get_layers()),
        "canvas": dump_native(path + ".after", image, with_curve),
        "shown": shown(image),
        "selected": selected(image),
        "identity": kept(layer, "dgfnet-identity"),
        "selected identity": kept(target, "dgfnet-identity"),
    }
    if succeeded:
        after["made"] = describe(path + ".made", value, with_curve)
        after["eyes"] = [value.get_visible(), layer.get_visible()]
        parent = value.get_parent()
        after["parent"] = parent.get_name() if parent else ""
        after["position"] = image.get_item_position(value)
        after["above"] = image.get_item_position(layer) - after["position"]
        if screen:
            after["undo"] = screen.undo_and_redo(there)
    else:
        after["untouched"] = is_as(image, there) and not image.is_dirty()
    if screen:
        screen.close()
    image.delete()
    return {"case": case.name, "before": before, "after": after, "seconds": time.time() - began}


def run_cases(names):
    for number, case in enumerate(gimp_cases.CASES):
        if names and case.name not in names:
            continue
        try:
            result = run_case(number, case)
        except Exception:
            result = {"case": case.name, "fault": traceback.format_exc()}
        with open(f"{WORK}/results/{number:02d}.json", "w") as file:
            json.dump(result, file)
        print(f"case {number}: {case.name}, {result.get('seconds', 0):.1f} s", flush=True)


def meet(mine, other):
    """Fill at the same moment as another GIMP does."""
    image, layer = load()
    select(image, gimp_cases.ELLIPSE)
    open(f"{WORK}/results/{mine}.ready", "w").close()
    deadline = time.time() + 120
    while not os.path.exists(f"{WORK}/results/{other}.ready") and time.time() < deadline:
        time.sleep(0.05)
    succeeded, value = call("inpaint", image, [layer], {})
    with open(f"{WORK}/results/{mine}.met", "w") as file:
        file.write(str(succeeded) if succeeded else str(value))


def click(size, hole, runs):
    """Fill a hole in a large picture a few times; the seconds of each stage."""
    image, layer = load("large")
    layer.scale(*size, False)
    image.resize(*size, 0, 0)
    told = []
    for run in range(runs):  # elsewhere each time: the server remembers what its network said
        image.select_ellipse(Gimp.ChannelOps.REPLACE, size[0] // 2 + 8 * run, size[1] // 2, hole, hole)
        called = time.time()
        succeeded, value = call("inpaint", image, [layer], {})
        ended = time.time()
        if not succeeded:
            raise RuntimeError(value)
        record = json.loads(bytes(value.get_parasite("dgfnet-inpaint").get_data()).decode())
        spent = {"start": record["began"] - called, **record["seconds"], "all": ended - called}
        spent["end"] = spent["all"] - sum(spent[stage] for stage in ("start", "read", "server", "layers"))
        called = time.time()
        if not call("another", image, [layer], {})[0]:
            raise RuntimeError("another fill failed")
        told.append({**spent, **record["report"]["seconds"], "another": time.time() - called})
        image.remove_layer(image.get_layers()[0])
        image.remove_layer(value)
    with open(f"{WORK}/results/click.json", "w") as file:
        json.dump(told, file)


def main():
    task = json.loads(os.environ["TASK"])
    with open(f"{WORK}/results/version", "w") as file:
        file.write(Gimp.version())
    if "cases" in task:
        run_cases(task["cases"])
    if task.get("failures"):
        run_failures()
    if task.get("inside"):
        look_inside()
    if "click" in task:
        click(**task["click"])
    if "meet" in task:
        meet(task["meet"], task["other"])
    print("DRIVER_OK", flush=True)


main()
