"""Runs inside GIMP: calls the installed plug-in by name, as a script does, and finds its process."""

import os

from gi.repository import Gimp


def call(procedure, image, drawables, arguments, run_mode=Gimp.RunMode.NONINTERACTIVE):
    """(succeeded, returned value or message) of one of the plug-in's procedures, called as a script does."""
    found = Gimp.get_pdb().lookup_procedure("dgfnet-" + procedure)
    if found is None:
        return False, f"dgfnet-{procedure} is not registered"
    config = found.create_config()
    config.set_property("run-mode", run_mode)
    if image is not None:
        config.set_property("image", image)
        config.set_core_object_array("drawables", drawables)
    for name, value in arguments.items():
        config.set_property(name, value)
    values = found.run(config)
    value = values.index(1) if values.length() > 1 else None
    return values.index(0) == Gimp.PDBStatusType.SUCCESS, value


def plug_in_process():
    """The process of this GIMP's plug-in, None where it has ended. This script is another; there may be other GIMPs."""
    needle = os.environ["GIMP3_DIRECTORY"].encode() + b"/plug-ins/dgfnet-inpaint/dgfnet-inpaint.py"
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/cmdline", "rb") as file, open(f"/proc/{entry}/stat") as stat:
                    if needle in file.read() and int(stat.read().rpartition(")")[2].split()[1]) == os.getppid():
                        return int(entry)
            except OSError:
                pass
    return None
