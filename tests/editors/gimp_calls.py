"""Runs inside GIMP: calls the installed plug-in by name, as a script does."""

from gi.repository import Gimp


def call(procedure, image, drawables, arguments):
    """(succeeded, returned value or message) of one of the plug-in's procedures, called as a script does."""
    found = Gimp.get_pdb().lookup_procedure("dgfnet-" + procedure)
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
