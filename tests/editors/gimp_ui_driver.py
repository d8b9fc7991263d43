"""Runs inside the full GIMP on a virtual screen: an artist's way by keyboard and mouse, with screenshots.

Started by gimp_ui.py. The script is itself a plug-in of that GIMP: while it sleeps, GIMP works, and it can look at the
image that the window shows.
"""

import json
import os
import subprocess
import sys
import time
import traceback

from gi.repository import Gimp, Gio

sys.path.insert(0, os.environ["CASES"])
from gimp_calls import call, plug_in_process
from gimp_looks import digest
from gimp_screen import window, xdo

WORK = os.environ["WORK"]
TOLD = {}
CANCEL = ("985", "782")  # where the status bar has its button


def shot(name):
    subprocess.run(["import", "-window", "root", f"{WORK}/shots/{name}.png"], check=True)


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


def open_menu(image_window):
    """Filters > Inpaint, which is the last of the filters' menus."""
    xdo("windowfocus", "--sync", image_window)
    xdo("key", "alt+r")
    time.sleep(2)
    xdo("key", "Up")
    time.sleep(1)
    xdo("key", "Right")
    time.sleep(2)


def press_ok(dialog):
    """Its button in the lower right corner."""
    size = dict(line.split("=") for line in xdo("getwindowgeometry", "--shell", dialog).split())
    xdo("mousemove", "--window", dialog, str(int(size["WIDTH"]) - 68), str(int(size["HEIGHT"]) - 41))
    time.sleep(0.3)
    xdo("click", "1")


def artist():
    image = Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, Gio.File.new_for_path(f"{WORK}/picture.png"))
    layer = image.get_layers()[0]
    hole = json.loads(os.environ["HOLE"])
    image.select_ellipse(Gimp.ChannelOps.REPLACE, *hole)
    before = digest(layer)
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
    open_menu(image_window)
    shot("2-menu")
    xdo("key", "i")  # Inpaint (DGFNet)
    dialog = window("^Inpaint \\(DGFNet\\)")
    time.sleep(2)
    shot("3-dialog")
    press_ok(dialog)
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
    TOLD["same pixels"] = digest(layer) == before
    TOLD["still selected"] = [int(value) for value in Gimp.Selection.bounds(image)[2:]]
    xdo("key", "ctrl+f")  # repeat the last one, no dialog
    wait(lambda: len(names(image)) > 1, "the repetition")
    TOLD["repeated"] = names(image)
    xdo("key", "ctrl+f")
    wait(lambda: len(names(image)) > 2, "the second repetition")
    TOLD["repeated twice"] = [[each.get_name(), each.get_width()] for each in image.get_layers()]
    undo_of_scripts(image, layer, image_window, before)
    first_use(image, image_window)
    cancel(image, image_window)
    another(image, image_window)
    server_window(image_window)
    texture_map(image, image_window)


def undo_of_scripts(image, layer, image_window, before):
    """Every output is one undo step."""
    for output in ("group", "copy"):
        there = names(image)
        succeeded, answer = call("inpaint", image, [layer], {"output": output})
        assert succeeded, answer
        made = names(image)
        Gimp.displays_flush()
        time.sleep(1)
        shot(f"10-{output}")
        xdo("windowfocus", "--sync", image_window)
        xdo("key", "ctrl+z")
        wait(lambda there=there: names(image) == there, f"the undo of {output}", 30)
        TOLD[f"undo of {output}"] = len(made) == len(there) + 1 and digest(layer) == before


def another(image, image_window):
    """The menu's other fill of what was filled last, on top of the others."""
    there, last = names(image), digest(image.get_layers()[0])
    open_menu(image_window)
    xdo("key", "a")
    wait(lambda: len(names(image)) > len(there), "another fill")
    time.sleep(2)
    shot("14-another")
    TOLD["another"] = digest(image.get_layers()[0]) != last and digest(image.get_layers()[1]) == last


def server_window(image_window):
    """It shows status and log, and closes; Ctrl+F opens it again."""
    open_menu(image_window)
    xdo("key", "s")
    window("DGFNet server")
    time.sleep(2)
    shot("11-server")
    close_server_window()
    TOLD["server window"] = True
    xdo("windowfocus", "--sync", image_window)
    xdo("key", "ctrl+f")
    window("DGFNet server")
    close_server_window()
    TOLD["server window again"] = True


def close_server_window():
    xdo("windowfocus", "--sync", window("DGFNet server"))
    xdo("key", "Escape")
    wait(lambda: not xdo("search", "--onlyvisible", "--name", "DGFNet server"), "the server window's end", 30)
    wait(lambda: plug_in_process() is None, "the end of its plug-in", 30)


def texture_map(image, image_window):
    """Its dialog, and its two layers; undone."""
    there = names(image)
    open_menu(image_window)
    xdo("key", "t")
    dialog = window("^Texture map")
    time.sleep(2)
    shot("12-texture-map-dialog")
    press_ok(dialog)
    wait(lambda: len(names(image)) > len(there), "the texture map")
    wait(lambda: plug_in_process() is None, "the end of the plug-in, which looks at the sum first")
    time.sleep(1)
    shot("13-texture-map")
    xdo("windowfocus", "--sync", image_window)
    xdo("key", "ctrl+z")
    wait(lambda: names(image) == there, "the undo of the texture map", 30)
    TOLD["texture map"] = True


def first_use(image, image_window):
    """No server runs: the progress bar says that one is started, and the fill comes."""
    connection, launch = (f"{os.environ['DGFNET_HOME']}/{name}.json" for name in ("connection", "launch"))
    os.rename(connection, connection + ".real")
    starter = f"import os, time; time.sleep(6); os.rename({connection + '.real'!r}, {connection!r})"
    with open(launch, "w") as file:
        json.dump({"command": ["/usr/bin/python3", "-c", starter], "cwd": "/"}, file)
    there = names(image)
    xdo("windowfocus", "--sync", image_window)
    xdo("key", "ctrl+f")
    time.sleep(3)
    shot("4-first-use")
    wait(lambda: len(names(image)) > len(there), "the fill by a started server")
    os.remove(launch)
    TOLD["first use"] = True


def cancel(image, image_window):
    """The status bar's Cancel ends the plug-in while a server works at a job of a minute; nothing has changed."""
    connection = f"{os.environ['DGFNET_HOME']}/connection.json"
    os.rename(connection, connection + ".real")
    os.symlink(f"{WORK}/slow/connection.json", connection)
    there = names(image)
    xdo("windowfocus", "--sync", image_window)
    xdo("key", "ctrl+f")
    wait(lambda: jobs() == 1, "the slow job", 60)
    time.sleep(2)
    shot("7-progress-and-cancel")
    xdo("mousemove", "--window", image_window, *CANCEL)
    time.sleep(0.5)
    xdo("click", "1")
    wait(lambda: jobs() == 0, "the end of the cancelled job", 20)
    shot("8-cancelled")
    TOLD["cancelled"] = names(image) == there
    os.replace(connection + ".real", connection)
    Gimp.Selection.none(image)
    xdo("windowfocus", "--sync", image_window)
    xdo("key", "ctrl+f")
    message = window("GIMP Message", 60)
    time.sleep(1)
    shot("9-error")
    TOLD["error"] = bool(message) and names(image) == there
    xdo("windowfocus", "--sync", message)
    xdo("key", "Escape")
    time.sleep(1)


def jobs():
    """Jobs of the slow server; it writes them down."""
    with open(f"{WORK}/slow/jobs") as file:
        return int(file.read() or 0)


try:
    artist()
    TOLD["done"] = True
except Exception:
    TOLD["fault"] = traceback.format_exc()
    shot("fault")
with open(f"{WORK}/results/ui.json", "w") as file:
    json.dump(TOLD, file, indent=1)
print("DRIVER_OK", flush=True)
