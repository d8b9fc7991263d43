"""The GIMP plug-in and its installer."""
