"""Two processes on the CPU: different crops, the same network."""

import os
import pathlib
import subprocess
import sys

import pytest
import torch

from dgfnet.training import parallel

WORKER = """
import pathlib, sys
import torch
from PIL import Image
from dataclasses import replace
from dgfnet.training import parallel
from dgfnet.training.data import PictureBank
from dgfnet.model import DGFNetConfig
from dgfnet.training.recipes import NARROW, Stage
from dgfnet.training.session import Session
from dgfnet.training.trainer import Trainer

torch.set_num_threads(1)
folder = pathlib.Path(sys.argv[1])
with parallel.joined("cpu") as device:
    stage = Stage(share=1, size=32, batch=1, rate=1e-3, features=False, adversarial=True)
    config = DGFNetConfig(width=0.125, detail_width=0.125, recurrences=1)
    recipe = replace(NARROW, network=config, stages=(stage,), steps=2, recurrences=(1, 1))
    ramp = torch.arange(64).view(1, 1, 64).expand(3, 64, 64)
    bank = PictureBank([(ramp * 3).to(torch.uint8)], [torch.zeros(3, 64, 64, dtype=torch.int8)], device)
    trainer = Trainer(recipe, bank, None, device)
    crops = trainer.ahead.take(0).crops
    Session(trainer, folder).run()
    state = {"image": crops.image, "network": trainer.network.state_dict(), "average": trainer.average.state_dict(),
             "discriminator": trainer.discriminator.state_dict()}
    torch.save(state, folder / f"rank{parallel.rank()}.pt")
    assert parallel.anyone(parallel.rank() == 1, trainer.device) and not parallel.anyone(False, trainer.device)
"""


def test_two_processes_train_one_network(tmp_path):
    (tmp_path / "worker.py").write_text(WORKER)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*launch, str(tmp_path / "worker.py"), str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(pathlib.Path(__file__).parents[3])},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    first, second = (torch.load(tmp_path / f"rank{rank}.pt", weights_only=True) for rank in (0, 1))
    assert not torch.equal(first["image"], second["image"])
    for name in ("network", "average", "discriminator"):
        assert all(torch.equal(first[name][k], second[name][k]) for k in first[name])
    assert (tmp_path / "checkpoint.pt").is_file()
    assert done.stderr.count("step 2 of 2") == 1


@pytest.mark.parametrize("says", [True, False])
def test_one_process_needs_nobody(says):
    tensor = torch.tensor([1.0, 2.0])
    parallel.average([tensor])
    assert tensor.tolist() == [1, 2]
    assert parallel.anyone(says, torch.device("cpu")) is says
    assert (parallel.rank(), parallel.size()) == (0, 1)
