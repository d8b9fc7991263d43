"""What editors carry: standard library only, Python 3.8 or newer."""
