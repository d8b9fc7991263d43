"""Nothing stays behind on the CPU when network, fill and training run on another device (elsewhere.py)."""

import subprocess
import sys
from pathlib import Path

import pytest
from torch.utils import backend_registration


@pytest.mark.skipif(
    not hasattr(backend_registration, "_setup_privateuseone_for_python_backend"),
    reason="this PyTorch knows no devices that are made in Python (2.13 does)",
)
@pytest.mark.parametrize("what", ["refuse", "fill", "train"])
def test_all_of_it_runs_on_a_device_as_strict_as_a_gpu(tmp_path, what):
    script = Path(__file__).with_name("elsewhere.py")
    done = subprocess.run([sys.executable, str(script), what, str(tmp_path)], capture_output=True, text=True)
    assert done.stdout.endswith("fine\n"), done.stderr[-2000:]
