"""DGFNet inpainting: the method. Tensors in, tensors out; knows no socket and no editor."""

import os

__version__ = "0.1.0"

# A thread that waits for another spins so often before it sleeps. OpenMP's default is milliseconds: beside one busy
# program on two cores that makes a fill 1.6 times slower, beside a greedy one ten times (benchmarks/busy_machine.py).
# It must be said before torch loads OpenMP.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")
