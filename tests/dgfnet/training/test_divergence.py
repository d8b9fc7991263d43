from dataclasses import replace

import pytest

from dgfnet.errors import UserError
from dgfnet.training.divergence import Watch


def error(value):
    return {"fused hole": value / 4, "fused valid": value * 3 / 4}


@pytest.fixture
def watch(recipe):
    watch = Watch()
    for step in range(100):
        watch.see(error(0.1), step, recipe.stages[0])
    return watch


def test_a_growing_error_is_first_not_worth_keeping_then_an_end(watch, recipe):
    assert watch.sound
    for step in range(100, 105):
        watch.see(error(0.6), step, recipe.stages[0])
    assert watch.sound
    for step in range(105, 145):
        watch.see(error(0.6), step, recipe.stages[0])
    assert not watch.sound
    watch.error = 0.4
    with pytest.raises(UserError, match=r"rose to 0\.404 from 0\.100 .* resume with --rate-factor 0\.125"):
        watch.see(error(0.6), 145, recipe.stages[0], rate_factor=0.25)


def test_one_bad_batch_and_a_new_stage_are_no_divergence(watch, recipe):
    watch.see(error(3.0), 100, recipe.stages[0])
    assert watch.error == pytest.approx(0.1 + 2.9 * 0.02)
    for step in range(101, 300):
        watch.see(error(0.9), step, replace(recipe.stages[0], frozen_norm=True))
    assert watch.sound


def test_without_a_fusion_the_coarse_branch_is_watched(recipe):
    watch = Watch()
    watch.see({"coarse hole": 0.1, "coarse valid": 0.2}, 0, recipe.stages[0])
    assert watch.error == pytest.approx(0.3)
