"""Runs inside GIMP: the server is down, started by the plug-in, loses a cancelled job, is killed; the image changes."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from unittest.mock import patch

from gi.repository import Gimp
from gimp_calls import call, plug_in_process
from gimp_cases import ELLIPSE
from gimp_looks import digest, tree
from gimp_scenes import WORK, load, select
from gimp_screen import WINDOW, Screen, window, xdo


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


def undone(prepare):
    """What a call says when the last step before it is undone while the server works, and the layers then.

    `prepare` does that step and returns the layer to fill.
    """
    image, layer = load()
    select(image, ELLIPSE)
    image.undo_disable()
    image.undo_enable()  # with nothing to undo yet
    layer = prepare(image, layer)
    screen = Screen(image)

    def act():
        xdo("windowfocus", "--sync", window(WINDOW))
        xdo("key", "ctrl+z")
        time.sleep(2)
        open(f"{WORK}/slow/finish", "w").close()

    told = during_call(image, layer, act)
    told.append(tree(image.get_layers()))
    screen.close()
    image.delete()
    return told


def add_layer(image, layer):
    added = layer.copy()
    image.insert_layer(added, None, 0)
    return added


def make_indexed(image, layer):
    image.convert_indexed(Gimp.ConvertDitherType.NONE, Gimp.ConvertPaletteType.GENERATE, 64, False, False, "")
    return layer


def change_profile(image, layer):
    image.convert_color_profile(
        Gimp.ColorProfile.new_rgb_adobe(), Gimp.ColorRenderingIntent.RELATIVE_COLORIMETRIC, True
    )
    return layer


def move(image, layer):
    layer.set_offsets(7, 0)
    return layer


def stages(image):
    """Two images that a plug-in works in, with what holds them: one was killed since, the other was not."""
    sys.path.append(os.environ["GIMP3_DIRECTORY"] + "/plug-ins/dgfnet-inpaint")
    import staging
    from client.geometry import Bounds

    killed = subprocess.Popen(["/bin/true"])
    killed.wait()
    held = [staging.stage(image, Bounds(0, 0, 8, 8)) for _ in range(2)]
    made = []
    for stage, process in zip(held, (killed.pid, os.getpid()), strict=True):
        with patch("os.getpid", return_value=process):
            made.append(stage.__enter__())
    return held, made


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
    select(image, ELLIPSE)
    pixels, seen = digest(layer), tree(image.get_layers())
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
    told["layer removed"] = undone(add_layer)
    told["layer moved"] = undone(move)
    told["mode changed"] = undone(make_indexed)
    told["profile changed"] = undone(change_profile)
    told["cancelled"] = during_call(image, layer, lambda: os.kill(plug_in_process(), signal.SIGKILL))
    deadline = time.time() + 30
    while jobs() and time.time() < deadline:
        time.sleep(0.2)
    told["jobs after cancel"] = jobs()
    told["killed"] = during_call(image, layer, lambda: os.kill(json.loads(slow)["pid"], signal.SIGKILL))
    os.rename(connection + ".real", connection)
    held, made = stages(image)
    succeeded, value = call("inpaint", image, [layer], {})
    told["stages"] = [stage.is_valid() for stage in made]
    del held
    told["afterwards"] = [succeeded, value.get_name() if succeeded else str(value)]
    if succeeded:
        image.remove_layer(value)
    told["untouched"] = pixels == digest(layer) and seen == tree(image.get_layers())
    with open(f"{WORK}/results/failures.json", "w") as file:
        json.dump(told, file, default=str)
