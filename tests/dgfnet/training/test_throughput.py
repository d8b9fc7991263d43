from dataclasses import replace

import pytest
import torch

from dgfnet.training.features import VGGFeatures
from dgfnet.training.throughput import matrix_peak, operations
from dgfnet.training.trainer import Trainer


def test_operations_grow_with_the_batch_and_leave_the_run_alone(recipe, bank):
    features = VGGFeatures()
    trainer, other = (Trainer(recipe, bank, features) for _ in range(2))
    count = operations(trainer)
    stage = replace(recipe.stages[0], batch=6)
    assert operations(Trainer(replace(recipe, stages=(stage,)), bank, VGGFeatures())) == 3 * count
    with_out = replace(recipe, stages=(replace(recipe.stages[0], features=False),))
    assert operations(Trainer(with_out, bank, VGGFeatures())) < count
    assert next(trainer.run(1)) == next(other.run(1))


def test_the_coarse_branch_is_counted_right(recipe, bank):
    """Its last convolution alone, forward: 2 x 3 x 8 channels x 3 x 3 x 32 x 32; the count is more than that."""
    assert operations(Trainer(recipe, bank, None)) > 2 * 2 * 3 * 8 * 9 * 32 * 32


def test_a_device_has_a_peak():
    assert matrix_peak(torch.device("cpu")) == pytest.approx(1e11, rel=1e3)
