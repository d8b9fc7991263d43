"""Inpaint (DGFNet) in Krita: fills the selection through the DGFNet server and adds the fill as a layer.

`extension` is what Krita sees, `controller` what its windows share, `jobs` what happens after a click, `document` the
only file that touches pictures, `transport` the line to the server, `docker` the widgets, `qt` the binding. `client`,
copied here by the installer, is the part shared with GIMP.
"""

from .extension import register

register()
