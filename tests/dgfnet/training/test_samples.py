import numpy as np
import torch

from dgfnet.training.samples import Samples
from dgfnet.training.trainer import Trainer


def test_the_sheet_shows_holes_texture_and_truth_and_changes_nothing(recipe, bank):
    trainer = Trainer(recipe, bank, None)
    before = {k: v.clone() for k, v in trainer.average.state_dict().items()}
    samples = Samples(bank, recipe)
    sheet, figures = samples.judge(trainer)
    again, _ = Samples(bank, recipe).judge(trainer)
    assert np.array_equal(np.asarray(sheet), np.asarray(again))
    assert all(torch.equal(before[k], v) for k, v in trainer.average.state_dict().items())
    assert set(figures) == {"sample coarse hole", "sample fused hole"}
    pixels = np.asarray(sheet).astype(int)
    cells = [pixels[32 : 32 + 32, 8 + i * 40 : 40 + i * 40] for i in range(5)]
    hole = samples.known[0, 0].numpy() == 0
    assert (abs(cells[0][hole] - 128) <= 1).all()
    assert (abs(cells[0] - cells[4])[~hole] <= 1).all()
    assert (abs(cells[3] - cells[4])[~hole] <= 1).all()
    truth = (samples.crops.image[0].permute(1, 2, 0) * 255).round().numpy()
    assert (abs(cells[4] - truth) <= 1).all()
