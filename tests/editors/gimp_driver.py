"""Runs inside GIMP: sets up each case, calls the installed plug-in by name, writes down what came of it.

Started by gimp_session.py as a batch script with WORK set to the exchange folder; stdlib and GIMP's modules only.
"""

import hashlib
import json
import os
import signal
import sys
import threading
import time
import traceback

import gi

gi.require_version("Babl", "0.1")
from gi.repository import Babl, Gegl, Gimp, Gio  # noqa: E402

WORK = os.environ["WORK"]
sys.path.insert(0, os.environ["CASES"])
import gimp_cases  # noqa: E402

PDB = Gimp.get_pdb()
NOWHERE = Gegl.AbyssPolicy.NONE


# --- documents --------------------------------------------------------------------------------------------------------


def load(name="photo"):
    image = Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, Gio.File.new_for_path(f"{WORK}/{name}.png"))
    return image, image.get_layers()[0]


def photo(case):
    return load()


def large(case):
    return load("large")


def adobe(case):
    image, _ = load()
    image.convert_color_profile(
        Gimp.ColorProfile.new_rgb_adobe(), Gimp.ColorRenderingIntent.RELATIVE_COLORIMETRIC, True
    )
    return image, image.get_layers()[0]


def grey(case):
    image, layer = load()
    image.convert_grayscale()
    return image, layer


def indexed(case):
    image, layer = load()
    image.convert_indexed(Gimp.ConvertDitherType.NONE, Gimp.ConvertPaletteType.GENERATE, 64, False, False, "")
    return image, layer


def over_base(x, y):
    """A second, smaller layer of other content above the photograph."""
    image, base = load()
    layer = base.copy()
    image.insert_layer(layer, None, 0)
    layer.scale(150, 120, False)
    layer.set_offsets(x, y)
    return image, layer


def offset(case):
    return over_base(30, 25)


def outside(case):
    return over_base(-60, 20)


def grouped(case):
    image, layer = load()
    group = Gimp.GroupLayer.new(image, "group")
    image.insert_layer(group, None, 0)
    image.reorder_item(layer, group, 0)
    return image, layer


def group(case):
    image, layer = grouped(case)
    return image, layer.get_parent()


def text(case):
    image, _ = load()
    layer = Gimp.TextLayer.new(image, "WWWWW", Gimp.context_get_font(), 70.0, Gimp.Unit.pixel())
    image.insert_layer(layer, None, 0)
    layer.set_offsets(40, 30)
    return image, layer


def locked(case):
    image, layer = load()
    layer.set_lock_content(True)
    return image, layer


def translucent(case):
    image, layer = load()
    layer.add_alpha()
    rectangle = Gegl.Rectangle.new(0, 0, layer.get_width(), layer.get_height())
    pixels = bytearray(layer.get_buffer().get(rectangle, 1.0, "R'G'B'A u8", NOWHERE))
    for number in range(3, len(pixels), 4):
        pixels[number] = 120 + number // 4 % 192 // 2
    layer.get_buffer().set(rectangle, "R'G'B'A u8", bytes(pixels))
    layer.get_buffer().flush()
    return image, layer


def masked(case):
    image, layer = load()
    layer.add_alpha()
    image.select_ellipse(Gimp.ChannelOps.REPLACE, 80, 50, 50, 40)
    Gimp.Selection.invert(image)
    layer.add_mask(layer.create_mask(Gimp.AddMaskType.SELECTION))
    Gimp.Selection.none(image)
    return image, layer


def mask_edited(case):
    image, layer = masked(case)
    layer.set_edit_mask(True)
    return image, layer


def holed(case):
    image, layer = load()
    layer.add_alpha()
    image.select_ellipse(Gimp.ChannelOps.REPLACE, 80, 50, 50, 40)
    layer.edit_clear()
    Gimp.Selection.none(image)
    return image, layer


def covered(case):
    """The photograph under a half-transparent layer of another colour."""
    image, layer = load()
    veil = Gimp.Layer.new(image, "veil", 192, 160, Gimp.ImageType.RGBA_IMAGE, 50.0, Gimp.LayerMode.NORMAL)
    veil.fill(Gimp.FillType.WHITE)
    image.insert_layer(veil, None, 0)
    return image, layer


def channel(case):
    image, _ = load()
    made = Gimp.Channel.new(image, "channel", 192, 160, 50.0, Gegl.Color.new("red"))
    image.insert_channel(made, None, 0)
    return image, made


def two_layers(case):
    image, layer = load()
    image.insert_layer(layer.copy(), None, 0)
    return image, layer


def filled(case):
    image, layer = load()
    select(image, gimp_cases.ELLIPSE)
    call("inpaint", image, [layer], {"output": "group", "context": 1.5})
    return image, layer


def filled_deselected(case):
    return filled(case)


# --- what is seen of them ---------------------------------------------------------------------------------------------


def select(image, *pieces):
    for number, (kind, *box) in enumerate(pieces):
        operation = Gimp.ChannelOps.ADD if number else Gimp.ChannelOps.REPLACE
        (image.select_ellipse if kind == "ellipse" else image.select_rectangle)(operation, *box)


def encoding(drawable):
    """(wire dtype, babl format, channels) that the checks compare in: what the curve's values are."""
    kind, curve = divmod(int(drawable.get_image().get_precision()), 100)
    dtype, component = {1: ("u1", "u8"), 2: ("u2", "u16")}.get(kind if curve else 0, ("f4", "float"))
    prime = "'" if curve == 50 else "~"
    model = f"Y{prime}" if drawable.is_gray() else f"R{prime}G{prime}B{prime}"
    name = f"{model}{'A' if drawable.has_alpha() else ''} {component}"
    return dtype, Babl.get_name(Babl.format_with_space(name, drawable.get_format())), model_channels(drawable)


def model_channels(drawable):
    return (1 if drawable.is_gray() else 3) + drawable.has_alpha()


def dump(path, drawable):
    """Write all pixels of a drawable; returns how to read them."""
    dtype, name, channels = encoding(drawable)
    if isinstance(drawable, Gimp.LayerMask):
        dtype, name, channels = "u2", "Y u16", 1
    width, height = drawable.get_width(), drawable.get_height()
    pixels = drawable.get_buffer().get(Gegl.Rectangle.new(0, 0, width, height), 1.0, name, NOWHERE)
    with open(path, "wb") as file:
        file.write(pixels)
    return {"file": os.path.basename(path), "dtype": dtype, "shape": [height, width, channels]}


def native(drawable):
    rectangle = Gegl.Rectangle.new(0, 0, drawable.get_width(), drawable.get_height())
    return drawable.get_buffer().get(rectangle, 1.0, None, NOWHERE)


def dump_native(path, image):
    """The visible picture in GIMP's own bytes, to compare what must not change."""
    seen = Gimp.Layer.new_from_visible(image, image, "seen")
    with open(path, "wb") as file:
        file.write(native(seen))
    described = dump(path + ".values", seen)
    seen.delete()
    return {"file": os.path.basename(path), "values": described}


def dump_mask(path, image):
    width, height = image.get_width(), image.get_height()
    rectangle = Gegl.Rectangle.new(0, 0, width, height)
    with open(path, "wb") as file:
        file.write(image.get_selection().get_buffer().get(rectangle, 1.0, "Y u16", NOWHERE))
    return {"file": os.path.basename(path), "dtype": "u2", "shape": [height, width]}


def tree(layers):
    return [[layer.get_name(), tree(layer.get_children()) if layer.is_group() else []] for layer in layers]


def describe(path, layer):
    """One new layer with all that is in it."""
    known = {
        "name": layer.get_name(),
        "offset": list(layer.get_offsets())[1:],
        "mode": int(layer.get_mode()),
        "opacity": layer.get_opacity(),
        "pixels": dump(path, layer),
        "record": "",
        "inside": [],
    }
    parasite = layer.get_parasite("dgfnet-inpaint")
    if parasite:
        known["record"] = bytes(parasite.get_data()).decode()
    if layer.is_group():
        known["inside"] = [describe(f"{path}.{n}", child) for n, child in enumerate(layer.get_children())]
    return known


# --- calls ------------------------------------------------------------------------------------------------------------


def call(procedure, image, drawables, arguments):
    """(succeeded, returned value or message) of one of the plug-in's procedures, called as a script does."""
    found = PDB.lookup_procedure("dgfnet-" + procedure)
    if found is None:
        return False, f"dgfnet-{procedure} is not registered"
    config = found.create_config()
    config.set_property("run-mode", Gimp.RunMode.NONINTERACTIVE)
    if image is not None:
        config.set_property("image", image)
        config.set_core_object_array("drawables", drawables)
    for name, value in arguments.items():
        config.set_property(name, value)
    values = found.run(config)
    value = values.index(1) if values.length() > 1 else None
    return values.index(0) == Gimp.PDBStatusType.SUCCESS, value


def with_channels(image, arguments):
    """Arguments with a rectangle replaced by a channel that marks it."""
    made = dict(arguments)
    if "exclude" in made:
        Gimp.Selection.none(image)
        select(image, made["exclude"])
        saved = Gimp.Selection.save(image)
        Gimp.Selection.none(image)
        made["exclude"] = saved
    return made


def run_case(number, case):
    began = time.time()
    image, layer = globals()[case.scene](case)
    if case.precision and int(getattr(Gimp.Precision, case.precision)) != int(image.get_precision()):
        image.convert_precision(getattr(Gimp.Precision, case.precision))
    arguments = with_channels(image, case.arguments)
    target = layer
    if case.scene.startswith("filled"):
        target = image.get_layers()[0]
        Gimp.Selection.none(image)
    select(image, *case.select)
    if case.soften:
        Gimp.Selection.feather(image, case.soften)
    drawables = list(image.get_layers()) if case.scene == "two_layers" else [target]
    if case.scene == "mask_edited":
        drawables = [layer.get_mask()]
    path = f"{WORK}/results/{number:02d}"
    before = {"canvas": dump_native(path + ".before", image), "mask": dump_mask(path + ".mask", image)}
    if not isinstance(layer, Gimp.Channel):
        before["source"] = dump(path + ".source", layer)
        before["offset"] = list(layer.get_offsets())[1:]
        if layer.get_mask():
            before["layer_mask"] = dump(path + ".layer_mask", layer.get_mask())
        image.set_selected_layers([target])
    if case.scene == "filled_deselected":
        Gimp.Selection.none(image)
    before["digest"] = hashlib.sha256(native(layer)).hexdigest()
    before["tree"] = tree(image.get_layers())
    called = time.time()
    succeeded, value = call(case.procedure, image, drawables, arguments)
    after = {
        "succeeded": succeeded,
        "message": "" if succeeded else str(value),
        "seconds": time.time() - called,
        "digest": hashlib.sha256(native(layer)).hexdigest(),
        "tree": tree(image.get_layers()),
        "canvas": dump_native(path + ".after", image),
        "selected": [each.get_name() for each in image.get_selected_layers()],
        "source_name": layer.get_name(),
    }
    if succeeded:
        after["made"] = describe(path + ".made", value)
        parent = value.get_parent()
        after["parent"] = parent.get_name() if parent else ""
        after["above"] = image.get_item_position(layer) - image.get_item_position(value)
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


# --- when the server fails --------------------------------------------------------------------------------------------


def plug_in_process():
    """The process of this GIMP's plug-in, 0 where none runs."""
    needle = os.environ["GIMP3_DIRECTORY"].encode() + b"/plug-ins/dgfnet-inpaint/dgfnet-inpaint.py"
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/cmdline", "rb") as file:
                    if needle in file.read():
                        return int(entry)
            except OSError:
                pass
    return 0


def during_call(image, layer, act):
    """What the call says when `act` runs a moment after the server took the job."""

    def later():
        deadline = time.time() + 60
        while jobs() != 1 and time.time() < deadline:
            time.sleep(0.2)
        act()

    thread = threading.Thread(target=later)
    thread.start()
    answer = call("inpaint", image, [layer], {})
    thread.join()
    return [answer[0], str(answer[1])]


def jobs():
    """Jobs of the slow server; it writes them down."""
    try:
        with open(f"{WORK}/slow/jobs") as file:
            return int(file.read() or 0)
    except (OSError, ValueError):
        return -1


def run_failures():
    """Server down, server started by the plug-in, job cancelled, server killed."""
    state = os.environ["DGFNET_HOME"]
    connection, launch = f"{state}/connection.json", f"{state}/launch.json"
    image, layer = load()
    select(image, gimp_cases.ELLIPSE)
    digest, seen = hashlib.sha256(native(layer)).hexdigest(), tree(image.get_layers())
    told = {}
    os.rename(connection, connection + ".real")
    told["down"] = call("inpaint", image, [layer], {})
    told["status down"] = call("server", None, [], {"action": "status"})
    starter = f"import os, time; time.sleep(1); os.rename({connection + '.real'!r}, {connection!r})"
    with open(launch, "w") as file:
        json.dump({"command": ["/usr/bin/python3", "-c", starter], "cwd": "/"}, file)
    succeeded, value = call("inpaint", image, [layer], {})
    told["started"] = [succeeded, value.get_name() if succeeded else str(value)]
    if succeeded:
        image.remove_layer(value)
    os.rename(connection, connection + ".real")
    os.remove(launch)
    with open(f"{WORK}/slow/connection.json") as file:
        slow = file.read()
    descriptor = os.open(connection, os.O_WRONLY | os.O_CREAT, 0o600)
    with open(descriptor, "w") as file:
        file.write(slow)
    told["cancelled"] = during_call(image, layer, lambda: os.kill(plug_in_process(), signal.SIGKILL))
    deadline = time.time() + 30
    while jobs() and time.time() < deadline:
        time.sleep(0.2)
    told["jobs after cancel"] = jobs()
    told["killed"] = during_call(image, layer, lambda: os.kill(json.loads(slow)["pid"], signal.SIGKILL))
    os.rename(connection + ".real", connection)
    succeeded, value = call("inpaint", image, [layer], {})
    told["afterwards"] = [succeeded, value.get_name() if succeeded else str(value)]
    if succeeded:
        image.remove_layer(value)
    told["untouched"] = digest == hashlib.sha256(native(layer)).hexdigest() and seen == tree(image.get_layers())
    with open(f"{WORK}/results/failures.json", "w") as file:
        json.dump(told, file, default=str)


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
    image.select_ellipse(Gimp.ChannelOps.REPLACE, size[0] // 2, size[1] // 2, hole, hole)
    told = []
    for _ in range(runs):
        called = time.time()
        succeeded, value = call("inpaint", image, [layer], {})
        ended = time.time()
        if not succeeded:
            raise RuntimeError(value)
        record = json.loads(bytes(value.get_parasite("dgfnet-inpaint").get_data()).decode())
        spent = {"start": record["began"] - called, **record["seconds"], "all": ended - called}
        spent["end"] = spent["all"] - sum(spent[stage] for stage in ("start", "read", "server", "layers"))
        told.append({**spent, **{stage: record["report"]["seconds"][stage] for stage in ("network", "seam")}})
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
    if "click" in task:
        click(**task["click"])
    if "meet" in task:
        meet(task["meet"], task["other"])
    print("DRIVER_OK", flush=True)


main()
