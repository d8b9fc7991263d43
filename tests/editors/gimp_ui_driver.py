"""Runs inside the full GIMP on a virtual screen: an artist's way by keyboard and mouse, with screenshots.

Started by gimp_ui.py. The script is itself a plug-in of that GIMP: while it sleeps, GIMP works, and it can look at the
image that the window shows.
"""

import hashlib
import json
import os
import subprocess
import time
import traceback

from gi.repository import Gegl, Gimp, Gio

WORK = os.environ["WORK"]
TOLD = {}


def xdo(*words):
    return subprocess.run(["xdotool", *words], capture_output=True, text=True).stdout.strip()


def shot(name):
    subprocess.run(["import", "-window", "root", f"{WORK}/shots/{name}.png"], check=True)


def window(name, seconds=60):
    """The window with this in its title, as soon as it is seen."""
    deadline = time.time() + seconds
    while time.time() < deadline:
        found = xdo("search", "--onlyvisible", "--name", name).split()
        if found:
            return found[-1]
        time.sleep(0.3)
    raise RuntimeError(f"no window is called {name!r}")


def focus(name):
    found = window(name)
    xdo("windowraise", found)
    xdo("windowfocus", "--sync", found)
    time.sleep(0.5)
    return found


def wait(condition, what, seconds=180):
    deadline = time.time() + seconds
    while not condition():
        if time.time() > deadline:
            raise RuntimeError(f"{what} did not happen within {seconds} s")
        time.sleep(0.2)


def pixels(layer):
    rectangle = Gegl.Rectangle.new(0, 0, layer.get_width(), layer.get_height())
    return hashlib.sha256(layer.get_buffer().get(rectangle, 1.0, None, Gegl.AbyssPolicy.NONE)).hexdigest()


def names(image):
    return [layer.get_name() for layer in image.get_layers()]


def close_welcome():
    """A new profile is greeted; the greeting may come late."""
    try:
        greeting = window("Welcome to GIMP", 20)
    except RuntimeError:
        return
    xdo("windowfocus", "--sync", greeting)
    xdo("key", "Escape")
    time.sleep(1)


def show_menu(image_window):
    """Filters > Inpaint: a picture of it, and away again."""
    xdo("windowfocus", "--sync", image_window)
    xdo("key", "alt+r")
    time.sleep(2)
    shot("1-menu")
    for _ in range(int(os.environ.get("MENU_UPS", "4"))):
        xdo("key", "Up")
        time.sleep(0.3)
    xdo("key", "Right")
    time.sleep(2)
    shot("2-menu")
    for _ in range(3):
        xdo("key", "Escape")
        time.sleep(0.3)


def artist():
    image = Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, Gio.File.new_for_path(f"{WORK}/picture.png"))
    layer = image.get_layers()[0]
    hole = json.loads(os.environ["HOLE"])
    image.select_ellipse(Gimp.ChannelOps.REPLACE, *hole)
    before = pixels(layer)
    Gimp.Display.new(image)
    Gimp.displays_flush()
    image_window = window("RGB color", 240)
    close_welcome()
    time.sleep(4)
    xdo("windowsize", image_window, "1280", "800")
    xdo("windowmove", image_window, "0", "0")
    time.sleep(2)
    focus("RGB color")
    xdo("key", "shift+ctrl+j")  # fit the image into the window
    time.sleep(2)
    shot("1-selection")
    show_menu(image_window)
    xdo("key", "slash")  # GIMP's own search of its commands
    time.sleep(3)
    xdo("type", "--delay", "60", "Inpaint (DGFNet)")
    time.sleep(4)
    shot("2-search")
    xdo("key", "Return")
    dialog = window("^Inpaint \\(DGFNet\\)")
    time.sleep(2)
    shot("3-dialog")
    xdo("windowfocus", "--sync", dialog)
    xdo("key", "alt+o")  # OK
    time.sleep(1)
    for number in range(8):
        time.sleep(0.8)
        shot(f"4-progress-{number}")
        if len(names(image)) > 1:
            break
    wait(lambda: len(names(image)) > 1, "the new layer")
    time.sleep(2)
    shot("5-result")
    TOLD["result"] = names(image)
    TOLD["selected"] = [each.get_name() for each in image.get_selected_layers()]
    xdo("windowfocus", "--sync", image_window)
    xdo("key", "ctrl+z")
    wait(lambda: len(names(image)) == 1, "the undo", 30)
    time.sleep(2)
    shot("6-undo")
    TOLD["undone"] = names(image)
    TOLD["same pixels"] = pixels(layer) == before
    TOLD["still selected"] = [int(value) for value in Gimp.Selection.bounds(image)[2:]]
    xdo("key", "ctrl+f")  # repeat the last one, no dialog
    wait(lambda: len(names(image)) > 1, "the repetition")
    TOLD["repeated"] = names(image)
    xdo("key", "ctrl+f")
    wait(lambda: len(names(image)) > 2, "the second repetition")
    TOLD["repeated twice"] = [[each.get_name(), each.get_width()] for each in image.get_layers()]
    undo_of_scripts(image, layer, image_window, before)
    cancel(image, image_window)


def call(procedure, image, layer, **arguments):
    found = Gimp.get_pdb().lookup_procedure(procedure)
    config = found.create_config()
    config.set_property("run-mode", Gimp.RunMode.NONINTERACTIVE)
    config.set_property("image", image)
    config.set_core_object_array("drawables", [layer])
    for name, value in arguments.items():
        config.set_property(name, value)
    return found.run(config).index(0) == Gimp.PDBStatusType.SUCCESS


def undo_of_scripts(image, layer, image_window, before):
    """Every output is one undo step."""
    for output in ("group", "copy"):
        there = names(image)
        assert call("dgfnet-inpaint", image, layer, output=output), Gimp.get_pdb().get_last_error()
        made = names(image)
        Gimp.displays_flush()
        xdo("windowfocus", "--sync", image_window)
        xdo("key", "ctrl+z")
        wait(lambda there=there: names(image) == there, f"the undo of {output}", 30)
        TOLD[f"undo of {output}"] = len(made) == len(there) + 1 and pixels(layer) == before


def cancel(image, image_window):
    """Escape in the progress bar ends the plug-in; nothing has changed."""
    there = names(image)
    xdo("windowfocus", "--sync", image_window)
    xdo("key", "ctrl+f")
    time.sleep(2.5)
    shot("7-before-cancel")
    xdo("key", "Escape")
    time.sleep(3)
    shot("8-cancelled")
    TOLD["cancelled"] = names(image) == there
    Gimp.Selection.none(image)
    xdo("key", "ctrl+f")
    time.sleep(6)
    shot("9-error")
    TOLD["error"] = names(image) == there


try:
    artist()
    TOLD["done"] = True
except Exception:
    TOLD["fault"] = traceback.format_exc()
    shot("fault")
with open(f"{WORK}/results/ui.json", "w") as file:
    json.dump(TOLD, file, indent=1)
print("DRIVER_OK", flush=True)
