"""The Krita plug-in (`dgfnet_inpaint`, copied into Krita) and its installation (`installation`, run by install.py)."""
